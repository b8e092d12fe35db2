"""Who did something, as people at the bureau know him: by login, wherever records name «account:7»."""

from __future__ import annotations

from flask import g
from sqlalchemy import select

from app.db import db
from registry.accounts import Account

ACCOUNT = "account:"


def login_of(actor: str) -> str:
    """Return the login of «account:7»; whoever is no account, the scheduler or a partner, stays as he is named.

    Each account is read once a request.
    """
    number = actor.removeprefix(ACCOUNT)
    if number == actor or not number.isdecimal():
        return actor
    known: dict[str, str] = g.setdefault("mapai_logins", {})
    if actor not in known:
        known[actor] = db.session.scalar(select(Account.login).where(Account.id == int(number))) or actor
    return known[actor]


def actor_of(typed: str) -> str:
    """Return how records name whom somebody typed: a login becomes «account:7», anything else stays."""
    number = db.session.scalar(select(Account.id).where(Account.login == typed))
    return typed if number is None else f"{ACCOUNT}{number}"
