"""`mapai staff add` makes an account that signs in, and says what is wrong with one that cannot be."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.auth import check_password
from app.commands_staff import add
from app.config import Settings
from app.startup import CannotStart
from registry.audit import AuditEntry


def test_the_first_account_signs_in_with_what_was_printed(
    settings: Settings, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    add(settings, login="qian.li", name="钱立", role="administrator")
    password = capsys.readouterr().out.split()[-1]
    known = check_password(session=session, login="qian.li", password=password, address="")
    assert known.role == "administrator"
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "staff.added")).one()
    assert entry.actor == "command:staff"
    with pytest.raises(CannotStart, match=r"qian\.li"):
        add(settings, login="qian.li", name="钱立", role="administrator")
    with pytest.raises(CannotStart, match="不能空着"):
        add(settings, login="Q", name=" ", role="owner")
