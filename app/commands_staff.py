"""`mapai staff add`: the bureau's first accounts, made on the server before anybody can ask anybody.

Whoever has the server's shell is outside the rule that accounts take two persons; the audit says «command:staff».
"""

from __future__ import annotations

import secrets

import click
from sqlalchemy.orm import Session

from app.auth import hash_password
from app.config import Settings
from app.db import engine_for
from app.startup import CannotStart
from registry.base import Refusal
from registry.inputs import SeveralRefused
from registry.staff_accounts import add_staff

ACTOR = "command:staff"


def add(settings: Settings, *, login: str, name: str, role: str) -> None:
    """Add an account and print its first password, once; raises CannotStart with what is wrong."""
    password = secrets.token_urlsafe(15)
    engine = engine_for(settings, application="mapai-staff", pool_size=1)
    try:
        with Session(engine) as session:
            hashed = hash_password(password)
            add_staff(session=session, login=login, display_name=name, role=role, password_hash=hashed, actor=ACTOR)
            session.commit()
    except Refusal as refusal:
        each = refusal.each if isinstance(refusal, SeveralRefused) else (refusal,)
        raise CannotStart(" ".join(f"{one.message_zh}{one.help_zh} · {one.message_en}" for one in each)) from refusal
    finally:
        engine.dispose()
    click.echo(f"{login} ({role}) 的密码，只显示这一次 · the password, shown once: {password}")
