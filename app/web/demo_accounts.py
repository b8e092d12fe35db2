"""The demo's accounts, for the sign-in page of a demo and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from app.context import settings
from app.demo import DEMO_ACCOUNTS, READY_OWNER, DemoOwner


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoAccount:
    """One account to look around with."""

    role_zh: str
    login: str
    password: str


def demo_owner() -> DemoOwner | None:
    """Return the made-up owner whose old bike is ready to be traded in; None outside demo mode."""
    return READY_OWNER if settings().mode == "demo" else None


def demo_accounts() -> list[DemoAccount]:
    """Return the demo's accounts; none outside demo mode."""
    if settings().mode != "demo":
        return []
    return [DemoAccount(role_zh=row[0], login=row[1], password=row[2]) for row in DEMO_ACCOUNTS]
