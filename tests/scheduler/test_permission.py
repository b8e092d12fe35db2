"""What is sent to whom: decisions always, steps until somebody says no, surveys only to who said yes."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from registry.consent import answer_consent
from registry.messages import KINDS, Message, owe_message
from registry.trade_ins import TradeIn
from tests.scheduler.test_outbox import ScriptedGateway, messages, send
from tests.subsidy.payout_rows import NOW, Books

PURPOSE = {"step": "progress_messages", "survey": "survey"}


CASES: tuple[tuple[str, list[bool], bool], ...] = (
    ("decision", [], True),
    ("decision", [False], True),
    ("step", [], True),
    ("step", [True], True),
    ("step", [True, False], False),
    ("step", [False, True], True),
    ("survey", [], False),
    ("survey", [True], True),
    ("survey", [True, False], False),
)


def test_a_notice_goes_out_where_its_kind_allows(books: Books) -> None:
    """One person a case; what was answered, in order, decides."""
    for number, (kind, answers, _) in enumerate(CASES):
        trade_in_id = books.trade_in(phone=f"1380000000{number}")
        with books.sessions.begin() as session:
            person_id = session.get_one(TradeIn, trade_in_id).owner_id
            for given in answers:
                purpose = PURPOSE.get(kind, "progress_messages")
                answer_consent(
                    session=session, person_id=person_id, purpose=purpose, version=1, given=given, actor="test", now=NOW
                )
            owe_message(session=session, person_id=person_id, dedupe_key=str(number), body="您好", kind=kind)
    gateway = ScriptedGateway()
    allowed = [may for _, _, may in CASES]
    assert send(books, gateway) == gateway.calls == sum(allowed)
    assert [message.state for message in messages(books)] == ["sent" if may else "withheld" for may in allowed]
    assert send(books, gateway) == 0
    assert books.cases() == []


def test_a_withdrawal_between_owing_and_sending_counts(books: Books) -> None:
    trade_in_id = books.trade_in(phone="13800000001")
    with books.sessions.begin() as session:
        person_id = session.get_one(TradeIn, trade_in_id).owner_id
        for key, kind in (("a", "step"), ("b", "decision")):
            owe_message(session=session, person_id=person_id, dedupe_key=key, body="您好", kind=kind)
    with books.sessions.begin() as session:
        answer_consent(
            session=session,
            person_id=person_id,
            purpose="progress_messages",
            version=1,
            given=False,
            actor="test",
            now=NOW,
        )
    assert send(books, ScriptedGateway()) == 1
    with books.sessions() as session:
        rows = session.execute(select(Message.dedupe_key, Message.state))
        states = {row.dedupe_key: row.state for row in rows}
    assert states == {"a": "withheld", "b": "sent"}


def test_a_kind_nobody_decided_on_is_refused(books: Books) -> None:
    with books.sessions() as session, pytest.raises(ValueError, match="unknown kind"):
        owe_message(session=session, person_id=1, dedupe_key="x", body="x", kind="advertising")
    assert set(KINDS) == {"decision", "step", "survey"}
