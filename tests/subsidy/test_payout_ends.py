"""A frozen payout ended by document takes two, whatever they do in whatever order, and at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.config import Settings
from registry.base import Refusal
from subsidy.operator import TransferAnswer
from subsidy.payout_ends import decide_end, propose_end
from subsidy.payouts import Payout, PayoutEnd
from subsidy.settlement import freeze, record_answer
from subsidy.statement_payouts import Evidence, PayoutNotFrozen, lock_frozen, settle_by_hand
from subsidy.statement_resolution import Decider, NothingProposed, ProposerCannotApprove
from tests.registry.test_dealer_races import together
from tests.subsidy.paid_queue import PaidQueue
from tests.subsidy.payout_rows import AMOUNT_FEN, ScriptedBank, make_bank

ROLES = ("finance", "finance", "reviewer")
PEOPLE = [Decider(actor=f"account:{number}", role=role) for number, role in enumerate(ROLES)]
FIRST, SECOND, REVIEWER = PEOPLE
TURNS = 60


class Frozen:
    """One payout whose bank contradicts itself again and again."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.queue = PaidQueue(settings, engine, count=1)
        [payout] = self.queue.payouts()
        self.payout_id = payout.id
        self.queue.confirm(payout, "W1001")
        self.queue.pay(ScriptedBank(make_bank(lambda: datetime.now(UTC)), "lost"))
        number = self.queue.attempts(payout.id)[-1].bank_number
        for state in ("rejected", "settled"):
            said = TransferAnswer(
                bank_number=number,
                state=state,  # type: ignore[arg-type]
                amount_fen=AMOUNT_FEN,
                final=True,
                settled_at=datetime.now(UTC),
            )
            self.queue.do(lambda session, said=said: record_answer(session=session, answer=said, now=datetime.now(UTC)))

    @property
    def state(self) -> str:
        return self.queue.payout(self.payout_id).state

    def freeze(self) -> None:
        """The bank says yet another thing."""

        def again(session: Session) -> None:
            payout = session.get_one(Payout, self.payout_id)
            freeze(session=session, payout=payout, kind="amount_differs", detail={})

        self.queue.do(again)

    def propose(self, by: Decider = FIRST, resolution: str = "settle_by_document") -> int:
        end: PayoutEnd = self.queue.do(
            lambda session: propose_end(
                session=session,
                payout_id=self.payout_id,
                resolution=resolution,
                finding="银行回单说已到账",
                document_no="HD-1",
                by=by,
                now=datetime.now(UTC),
            )
        )
        return end.id

    def decide(self, end_id: int, by: Decider, *, approve: bool = True) -> str:
        decided: Payout = self.queue.do(lambda session: self.deciding(end_id, by, approve=approve)(session))
        return decided.state

    def deciding(self, end_id: int, by: Decider, *, approve: bool) -> Callable[[Session], Any]:
        return lambda session: decide_end(
            session=session, end_id=end_id, approve=approve, finding="看过原件", by=by, now=datetime.now(UTC)
        )

    def outcomes(self) -> list[str | None]:
        query = select(PayoutEnd.outcome).order_by(PayoutEnd.id)
        found: list[str | None] = self.queue.do(lambda session: list(session.scalars(query)))
        return found

    def paid(self) -> int:
        return self.queue.balances().get("paid:1", 0)


@pytest.fixture
def frozen(settings: Settings, engine: Engine) -> Frozen:
    return Frozen(settings, engine)


class Model:
    """The rule in ten lines: who proposed what, and whether the payout is frozen."""

    def __init__(self) -> None:
        self.proposed: tuple[Decider, str] | None = None
        self.frozen, self.paid = True, False

    def may_propose(self, by: Decider, resolution: str) -> bool:
        impossible = resolution == "refund_received" and self.paid
        return self.frozen and self.proposed is None and by.role == "finance" and not impossible

    def decide(self, by: Decider, *, approve: bool) -> bool:
        """Whether the word counts; what it does."""
        if self.proposed is None or (approve and by is self.proposed[0]):
            return False
        if approve:
            self.frozen, self.paid = False, self.paid or self.proposed[1] == "settle_by_document"
        self.proposed = None
        return True


def test_whatever_is_done_in_whatever_order_it_takes_two(frozen: Frozen) -> None:
    model, dice, last, counted = Model(), random.Random(20260616), 0, 0
    for _ in range(TURNS):
        by, deed = dice.choice(PEOPLE), dice.choice(("propose", "propose", "approve", "refuse", "freeze"))
        if deed == "freeze":
            if not model.frozen:
                frozen.freeze()
                model.frozen = True
        elif deed == "propose":
            resolution = dice.choice(("settle_by_document", "refund_received"))
            allowed = model.may_propose(by, resolution)
            try:
                last = frozen.propose(by, resolution)
                assert allowed
                model.proposed = (by, resolution)
            except Refusal:
                assert not allowed
        else:
            counts = model.decide(by, approve=deed == "approve")
            counted += counts and deed == "approve"
            try:
                frozen.decide(last, by, approve=deed == "approve")
                assert counts
            except Refusal:
                assert not counts
        assert (frozen.state == "frozen", frozen.paid()) == (model.frozen, AMOUNT_FEN * model.paid)
    assert counted > 2, "the dice have to bring some ends about"
    assert frozen.queue.differences() == []


def test_who_proposed_takes_it_back_and_cannot_approve(frozen: Frozen) -> None:
    end = frozen.propose()
    with pytest.raises(ProposerCannotApprove):
        frozen.decide(end, FIRST)
    assert frozen.decide(end, FIRST, approve=False) == "frozen"
    assert frozen.outcomes() == ["withdrawn"]
    with pytest.raises(NothingProposed):
        frozen.decide(end, SECOND)
    assert frozen.decide(frozen.propose(), REVIEWER) == "settled"
    assert frozen.outcomes() == ["withdrawn", "approved"]


def test_what_was_proposed_is_void_once_the_payout_thawed_otherwise(frozen: Frozen) -> None:
    end, now = frozen.propose(), datetime.now(UTC)

    def thaw(session: Session) -> None:
        payout = lock_frozen(session=session, payout_id=frozen.payout_id)
        evidence = Evidence(actor="account:9", finding="以对账单为准", document_no="", now=now)
        settle_by_hand(session=session, payout=payout, bank_number=None, evidence=evidence)

    frozen.queue.do(thaw)
    assert frozen.outcomes() == ["overtaken"]
    frozen.freeze()
    with pytest.raises(NothingProposed):
        frozen.decide(end, SECOND)
    assert frozen.state == "frozen"


def test_the_table_itself_wants_two(frozen: Frozen) -> None:
    frozen.propose()
    alone = "UPDATE payout_end SET outcome = 'approved', decided_by = asked_by, decided_at = now()"
    with pytest.raises(IntegrityError, match="decided_by_another"):
        frozen.queue.do(lambda session: session.connection().exec_driver_sql(alone))


def test_of_two_who_decide_at_once_one_is_heard(frozen: Frozen, engine: Engine) -> None:
    for _ in range(5):
        end = frozen.propose()
        told = together(
            engine, frozen.deciding(end, SECOND, approve=True), frozen.deciding(end, REVIEWER, approve=False)
        )
        assert NothingProposed.code in told
        approved = told[1] == NothingProposed.code
        assert frozen.outcomes()[-1] == ("approved" if approved else "refused")
        assert (frozen.state == "settled") == approved
        if approved:
            frozen.freeze()
    assert frozen.queue.differences() == []


def test_without_the_lock_both_would_be_heard(frozen: Frozen, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: two who both found the proposal open. It proves that the race above can be lost."""
    end = frozen.propose()
    with Session(engine) as one, Session(engine) as other:
        seen = {each: (each.get_one(Payout, frozen.payout_id), each.get_one(PayoutEnd, end)) for each in (one, other)}
        monkeypatch.setattr("subsidy.payout_ends._lock", lambda session, end_id: seen[session])
        for session, by, approve in ((one, SECOND, True), (other, REVIEWER, False)):
            frozen.deciding(end, by, approve=approve)(session)
            session.commit()
    assert (frozen.state, frozen.outcomes()) == ("settled", ["refused"]), "paid, and written down as refused"


def test_a_payout_that_is_not_frozen_is_nobodys_to_end(frozen: Frozen) -> None:
    frozen.decide(frozen.propose(), SECOND)
    with pytest.raises(PayoutNotFrozen):
        frozen.propose()
