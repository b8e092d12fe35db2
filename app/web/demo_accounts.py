"""The demo's accounts, for the sign-in page of a demo and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from app.context import settings
from app.demo import DEMO_ACCOUNTS, READY_OWNER, DemoOwner
from app.web.language import in_english

# In the order of DEMO_ACCOUNTS.
ROLES_EN = (
    "Owner, old bike ready to trade in",
    "Owner, trade-in done",
    "Trade-in point",
    "Operator",
    "Reviewer",
    "Finance",
    "Auditor",
    "Administrator",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoAccount:
    """One account to look around with; ``role`` in the reader's language."""

    role: str
    login: str
    password: str


def demo_owner() -> DemoOwner | None:
    """Return the made-up owner whose old bike is ready to be traded in; None outside demo mode."""
    return READY_OWNER if settings().mode == "demo" else None


def demo_accounts() -> list[DemoAccount]:
    """Return the demo's accounts; none outside demo mode."""
    if settings().mode != "demo":
        return []
    english = in_english()
    return [
        DemoAccount(role=role_en if english else row[0], login=row[1], password=row[2])
        for row, role_en in zip(DEMO_ACCOUNTS, ROLES_EN, strict=True)
    ]
