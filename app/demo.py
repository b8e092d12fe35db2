"""Who can be signed in as in a demo, and the old bike that is ready to be traded in. Never in production."""

from __future__ import annotations

from typing import NamedTuple

from app.config import Settings
from app.startup import CannotStart

PASSWORD = "mapai-demo"  # noqa: S105  (printed on the sign-in page of every demo)


class DemoAccount(NamedTuple):
    """One sign-in: the role as people call it, login, password, and the page to start from."""

    role_zh: str
    login: str
    password: str
    start: str


class DemoOwner(NamedTuple):
    """A made-up owner and the plate of the old bike, as they would say them at a point's counter."""

    login: str
    name: str
    id_no: str
    phone: str
    plate_no: str
    frame_no: str


READY_OWNER = DemoOwner("owner", "陈建英", "330105196709070139", "13800138001", "E382617", "LX2105048213")
"""Has a filed bike that nobody has traded in yet: open a trade-in with these words."""

PAID_OWNER = DemoOwner("owner2", "吴国华", "330105198905130265", "13800138002", "E350482", "LX2103019947")
"""Has been through all of it; the subsidy is on its way or there."""

DEALER_LOGIN = "dealer"
STAFF = {
    "operator": ("受理员", "李敏"),
    "reviewer": ("复核员", "周海燕"),
    "finance": ("财务", "沈志明"),
    "auditor": ("审计员", "方晓云"),
    "administrator": ("管理员", "钱立"),
}

DEMO_ACCOUNTS = (
    DemoAccount("车主（旧车待换）", READY_OWNER.login, PASSWORD, "/my"),
    DemoAccount("车主（已办完）", PAID_OWNER.login, PASSWORD, "/my"),
    DemoAccount("代办点", DEALER_LOGIN, PASSWORD, "/point"),
    *(DemoAccount(words, role, PASSWORD, "/board") for role, (words, _) in STAFF.items()),
)


def refuse_production(settings: Settings) -> None:
    """Raise CannotStart in production: made-up people and passwords everybody knows have no place there."""
    if settings.mode == "production":
        raise CannotStart("The demo district is made up of invented people: it does not go into production.")
