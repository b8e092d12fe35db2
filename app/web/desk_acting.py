"""What every page of the desk that changes something shares: sent once, shown again where refused, told by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypedDict

from flask import flash
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.auth import caller
from app.context import business_now
from app.db import db
from app.web.answering import Answer, take_form
from app.web.forms import Form
from app.web.language import _, _l
from registry.accounts import Account

LARGEST_ID = 2**63 - 1
SHORTEST_REASON = 4
# What acts without being anybody's account.
OTHERS = {
    "scheduler": _l("系统定时任务"),
    "queue": _l("队列"),
    "bank": _l("银行"),
    "partner:plates": _l("交警云申领"),
    "system": _l("系统"),
    "applicant": _l("申请人"),
    "demo": _l("演示数据"),
    "import": _l("名单导入"),
    "command:staff": _l("服务器上的命令"),
}


class ByMe(TypedDict):
    """What every domain call of a person at the desk takes."""

    session: Session
    actor: str
    now: datetime


def by_me() -> ByMe:
    """Return the session, who acts and when, as the domain's calls take them."""
    return ByMe(session=db.session(), actor=caller().actor, now=business_now())


def act(form: Form, work: Callable[[], str], show: Callable[[Form], str], **names: str) -> Answer:
    """Do ``work`` once for this sending and go to the path it returns; show the form again where it is refused.

    ``work`` may check the form itself; ``names`` maps the domain's field names to the form's where they differ. A
    refusal that something is not there becomes a page of its own.
    """
    return take_form(form=form, work=work, page=show, names=names, absent_raised=True)


def reason_in(form: Form, name: str = "reason", *, missing: str = "", longest: int = 200) -> str:
    """Return the reason that was typed, of the length the records take; raises FormIncomplete with it and the rest."""
    typed = form.text(name, missing or _("还没有写理由。"), longest=longest)
    if typed and len(typed) < SHORTEST_REASON:
        form.blame(name, _("写得太短了，至少 %(n)s 个字。", n=SHORTEST_REASON))
    form.check()
    return typed


def within(number: int) -> int:
    """Return a number from an address, 0 (which nothing has) where the database could not hold it."""
    return number if number <= LARGEST_ID else 0


def done(words: str, path: str) -> str:
    """Say on the next page what was done, and return the path of that page."""
    flash(words)
    return path


def names_of(actors: Iterable[str | None]) -> dict[str | None, str]:
    """Return how people call those who acted: «account:7» → the account's name. Nobody is «—»."""
    wanted = {actor for actor in actors if actor}
    ids = [int(actor.removeprefix("account:")) for actor in wanted if actor.removeprefix("account:").isdecimal()]
    rows = db.session.execute(select(Account.id, Account.display_name).where(Account.id.in_(ids)))
    known = {f"account:{number}": name for number, name in rows}
    told: dict[str | None, str] = {actor: known.get(actor) or str(OTHERS.get(actor, actor)) for actor in wanted}
    return {**told, None: "—"}


def may(*roles: str) -> bool:
    """Say whether the reader's role is one of these: whether to offer the button. The route's rule holds anyway."""
    return caller().role in roles
