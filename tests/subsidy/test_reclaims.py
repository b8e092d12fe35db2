"""Money claimed back through the bank: asked for once, whatever the bank does, and freed once it is here."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select, text

from app.clients.ecny.bank import Options
from app.config import Settings
from registry.base import StepNotAllowed
from registry.cases import Case
from registry.trade_ins import TradeIn
from subsidy.operator import ReclaimAnswer
from subsidy.reclaiming import reclaim_next, record_reclaim
from subsidy.reclaims import (
    RECLAIM,
    NoTransferToReclaim,
    ReclaimAttempt,
    ReclaimNotContested,
    ReclaimUnderWay,
    refuse_contested,
    request_reclaim,
)
from subsidy.reconciliation import business_day, reconcile_day
from subsidy.settlement import TransferNotOurs
from subsidy.standing import AnotherPersonNeeded
from subsidy.statement_lines import StatementRow
from subsidy.wallets import confirm_wallet
from tests.subsidy.bank_line import LineToTheBank
from tests.subsidy.claim_deeds import begin_return, decide_return, repay
from tests.subsidy.claim_scene import AMOUNT_FEN, FINANCE, NOW, OPERATOR, REVIEWER, Scene, stopped_at

HURRY = text("UPDATE reclaim_attempt SET ask_at = clock_timestamp()")


@pytest.fixture
def bank(scene: Scene) -> LineToTheBank:
    line = LineToTheBank(Options(key=b"k" * 32, now=lambda: scene.clock.now()))
    scene.bank = line
    return line


def demanded(scene: Scene, wallet_id: str = "W0001") -> tuple[str, str]:
    """Have one claim completed, paid into this wallet and demanded back; its reference and the return's number."""
    if not scene.programme_id:
        scene.open(places=scene.made + 1)
    (done,) = scene.complete()
    with scene.sessions() as session:
        trade_in = session.scalars(select(TradeIn).where(TradeIn.reference == done.reference)).one()
        confirm_wallet(
            session=session,
            keyring=scene.settings.keyring,
            operator=scene.bank,
            trade_in=trade_in,
            wallet_id=wallet_id,
            actor=OPERATOR,
            now=NOW,
        )
        session.commit()
    assert scene.pay() == "settled"
    case = begin_return(scene, done.reference).reference
    assert decide_return(scene, case).state == "demanded"
    return done.reference, case


def request(scene: Scene, case: str, actor: str = FINANCE) -> str:
    return scene.do(
        lambda session: request_reclaim(session=session, reference=case, actor=actor, now=scene.clock.now())
    ).bank_number


def work(scene: Scene) -> str | None:
    """The scheduler's next word to the bank, whenever it would be due."""
    scene.do(lambda session: session.execute(HURRY))
    return reclaim_next(sessions=scene.sessions, operator=scene.bank, clock=scene.clock)


def attempts(scene: Scene) -> list[tuple[str, str]]:
    query = select(ReclaimAttempt.bank_number, ReclaimAttempt.state).order_by(ReclaimAttempt.id)
    return scene.do(lambda session: [(number[-3:], state) for number, state in session.execute(query)])


def case_kinds(scene: Scene) -> list[str]:
    return scene.do(lambda session: list(session.scalars(select(Case.kind).where(Case.closed_at.is_(None)))))


def test_the_bank_takes_the_money_back_and_the_next_in_line_gets_it(scene: Scene, bank: LineToTheBank) -> None:
    scene.open(places=1)
    before = bank.fund_balance().available_fen
    reference, case = demanded(scene)
    (next_one,) = scene.complete()
    assert bank.fund_balance().available_fen == before - AMOUNT_FEN
    with pytest.raises(AnotherPersonNeeded):
        request(scene, case, OPERATOR)
    number = request(scene, case)
    assert (attempts(scene), bank.asked_for) == ([("R01", "due")], [])
    assert work(scene) == "reclaimed"
    assert work(scene) is None
    assert (attempts(scene), bank.asked_for) == ([("R01", "reclaimed")], [number])
    assert (scene.claim(reference).state, scene.claim(next_one.reference).state) == ("returned", "awarded")
    assert bank.fund_balance().available_fen == before
    assert scene.balances() == {"appropriation": -AMOUNT_FEN, "committed:1": AMOUNT_FEN}
    assert scene.differences() == []
    with pytest.raises(StepNotAllowed):
        request(scene, case)


@pytest.mark.parametrize("forgery", ["reclaim_attempt SET amount_fen = 1", "return_case SET state = 'demanded'"])
def test_verify_names_money_back_that_does_not_agree(scene: Scene, bank: LineToTheBank, forgery: str) -> None:
    scene.open(places=1)
    _, case = demanded(scene)
    request(scene, case)
    assert work(scene) == "reclaimed"
    assert scene.differences() == []
    scene.do(lambda session: session.execute(text(f"UPDATE {forgery}")))
    (found,) = scene.differences()
    assert found.startswith(f"return {case}: money back")


def test_one_reclaim_at_a_time_and_no_receipt_meanwhile(scene: Scene, bank: LineToTheBank) -> None:
    _, case = demanded(scene, "W0001.agrees_later")
    request(scene, case)
    assert work(scene) == "sent"
    for again in (lambda: request(scene, case), lambda: repay(scene, case, amount_fen=AMOUNT_FEN)):
        with pytest.raises(ReclaimUnderWay):
            again()
    assert work(scene) == "sent"
    bank.pass_time()
    (word,) = bank.callbacks
    assert isinstance(word, ReclaimAnswer)
    for _ in range(2):
        said = scene.do(lambda session: record_reclaim(session=session, answer=word, clock=scene.clock))
        assert said == "reclaimed"
    assert scene.claim("T1").state == "returned"
    assert scene.differences() == []


def test_a_receipt_takes_back_what_the_bank_has_not_heard_of(scene: Scene, bank: LineToTheBank) -> None:
    _, case = demanded(scene)
    request(scene, case)
    assert repay(scene, case, amount_fen=AMOUNT_FEN).state == "repaid"
    assert work(scene) is None
    assert (attempts(scene), bank.asked_for) == ([("R01", "rejected")], [])
    assert scene.differences() == []


def test_what_the_owner_has_spent_is_claimed_again_under_another_number(scene: Scene, bank: LineToTheBank) -> None:
    _, case = demanded(scene, "W0001.spent_once")
    request(scene, case)
    assert work(scene) == "rejected"
    assert scene.claim("T1").state == "awarded"
    request(scene, case)
    assert work(scene) == "reclaimed"
    assert attempts(scene) == [("R01", "rejected"), ("R02", "reclaimed")]


@pytest.mark.parametrize(
    ("words", "outcomes"),
    [
        (["silent"], ["silent", "reclaimed"]),
        (["lost"], ["silent", "reclaimed"]),
        (["away", "away"], ["unavailable", "unavailable", "reclaimed"]),
    ],
)
def test_what_nobody_answered_is_asked_for_before_anything_is_sent_again(
    scene: Scene, bank: LineToTheBank, words: list[str], outcomes: list[str]
) -> None:
    _, case = demanded(scene)
    number = request(scene, case)
    bank.words = words
    assert [work(scene) for _ in outcomes] == outcomes
    assert set(bank.asked_for) == {number}
    assert attempts(scene) == [("R01", "reclaimed")]
    assert scene.differences() == []


def test_a_contradiction_goes_to_a_person_who_ends_it(scene: Scene, bank: LineToTheBank) -> None:
    _, late = demanded(scene, "W0001.reclaimed_after_rejected")
    request(scene, late)
    assert work(scene) == "rejected"
    bank.pass_time()
    word = bank.callbacks[0]
    assert isinstance(word, ReclaimAnswer)
    told = scene.do(lambda session: record_reclaim(session=session, answer=word, clock=scene.clock))
    assert (told, case_kinds(scene)) == ("contested", ["reclaimed_after_rejection"])
    with pytest.raises(ReclaimUnderWay):
        request(scene, late)
    assert repay(scene, late, amount_fen=AMOUNT_FEN).state == "repaid"
    assert (attempts(scene), case_kinds(scene)) == ([("R01", "reclaimed")], [])
    again = scene.do(lambda session: record_reclaim(session=session, answer=word, clock=scene.clock))
    assert again == "reclaimed"
    assert scene.differences() == []


def test_another_amount_than_asked_frees_nothing_until_a_person_has_decided(scene: Scene, bank: LineToTheBank) -> None:
    reference, case = demanded(scene, "W0001.reclaimed_short")

    def refuse(actor: str = FINANCE) -> ReclaimAttempt:
        return scene.do(
            lambda session: refuse_contested(
                session=session, reference=case, finding="银行已退还", document_no="B1", actor=actor, now=NOW
            )
        )

    with pytest.raises(ReclaimNotContested):
        refuse()
    request(scene, case)
    assert work(scene) == "contested"
    assert (scene.claim(reference).state, case_kinds(scene)) == ("awarded", ["reclaimed_other_amount"])
    assert work(scene) is None
    with pytest.raises(AnotherPersonNeeded):
        refuse(OPERATOR)
    assert refuse().state == "rejected"
    assert case_kinds(scene) == []
    assert request(scene, case).endswith("-R02")


def test_what_came_by_no_transfer_of_ours_cannot_be_claimed_through_the_bank(scene: Scene, bank: LineToTheBank) -> None:
    _, case = demanded(scene)
    scene.do(lambda session: session.execute(text("UPDATE payout_attempt SET state = 'rejected'")))
    with pytest.raises(NoTransferToReclaim):
        request(scene, case)
    stranger = ReclaimAnswer(bank_number="X-R01", state="settled", amount_fen=1, final=True, settled_at=NOW)
    with pytest.raises(TransferNotOurs):
        scene.do(lambda session: record_reclaim(session=session, answer=stranger, clock=scene.clock))


def test_the_statement_agrees_and_tells_what_no_callback_told(scene: Scene, bank: LineToTheBank) -> None:
    scene.open(places=2)
    _, told = demanded(scene)
    _, untold = demanded(scene, "W0002.agrees_later")
    for case in (told, untold):
        request(scene, case)
    assert {work(scene), work(scene)} == {"reclaimed", "sent"}
    bank.pass_time()
    day = business_day(NOW)
    scene.clock = stopped_at(NOW + timedelta(days=1))
    # The callback of the second never arrives: the statement is the first to tell of it.
    result = reconcile_day(
        sessions=scene.sessions, operator=bank, day=day, clock=scene.clock, overdue_after=timedelta(hours=6)
    )
    assert result is not None
    assert [state for _, state in attempts(scene)] == ["reclaimed", "reclaimed"]
    rows = scene.do(
        lambda session: session.execute(
            select(StatementRow.bank_state, StatementRow.verdict).order_by(StatementRow.bank_state)
        ).all()
    )
    assert [tuple(row) for row in rows] == [("reclaimed", "same")] * 2 + [("settled", "same")] * 2
    assert result.clean
    assert scene.claim("T1").state == scene.claim("T2").state == "returned"
    again = reconcile_day(
        sessions=scene.sessions, operator=bank, day=day, clock=scene.clock, overdue_after=timedelta(hours=6)
    )
    assert again is not None
    assert again.by_totals
    assert scene.differences() == []


def test_every_edge_of_a_reclaim_and_no_other() -> None:
    steps = {step for edges in RECLAIM.edges.values() for step in edges}
    for state in RECLAIM.words:
        for step in steps:
            if step in RECLAIM.edges[state]:
                assert RECLAIM.after(state=state, step=step) in RECLAIM.words
            else:
                with pytest.raises(StepNotAllowed):
                    RECLAIM.after(state=state, step=step)


def test_threads_and_callbacks_at_once_take_the_money_once(scene: Scene, bank: LineToTheBank) -> None:
    _, case = demanded(scene, "W0001.agrees_later")
    number = request(scene, case)
    assert work(scene) == "sent"
    bank.pass_time()
    word = bank.callbacks[0]
    assert isinstance(word, ReclaimAnswer)
    scene.do(lambda session: session.execute(HURRY))
    at_once = threading.Barrier(6)
    errors: list[BaseException] = []

    def act(which: int) -> None:
        try:
            at_once.wait()
            if which % 2:
                reclaim_next(sessions=scene.sessions, operator=bank, clock=scene.clock)
            else:
                scene.do(lambda session: record_reclaim(session=session, answer=word, clock=scene.clock))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=act, args=(which,)) for which in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (attempts(scene), set(bank.asked_for)) == ([("R01", "reclaimed")], {number})
    events = text("SELECT count(*) FROM queue_event WHERE kind = 'return'")
    assert scene.do(lambda session: session.scalar(events)) == 1
    assert scene.differences() == []


WORDS = st.sampled_from(["request", "work", "work", "silent", "lost", "away", "time", "callback", "receipt", "refuse"])
WALLETS = st.sampled_from(["", ".spent_once", ".agrees_later", ".reclaimed_after_rejected", ".reclaimed_short"])


def test_whatever_happens_money_comes_back_once(engine: Engine, settings: Settings, scene: Scene) -> None:
    """The model: what our ledger says was paid is what the bank says it paid less what came back, or a case stands."""
    bank = LineToTheBank(Options(key=b"k" * 32, now=lambda: scene.clock.now()))
    scene.bank = bank
    scene.open(places=40)
    stories = iter(range(1000))

    @hypothesis_settings(
        max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
    )
    @given(words=st.lists(WORDS, min_size=3, max_size=14), wallet=WALLETS)
    def tell(words: list[str], wallet: str) -> None:
        story = next(stories)
        reference, case = demanded(scene, f"W{story:04d}{wallet}")
        heard = len(bank.callbacks)
        for word in words:
            _play(scene, bank, case, word, f"BANK{story:04d}", heard)
        lines = scene.do(
            lambda session: (
                session.execute(select(ReclaimAttempt).where(ReclaimAttempt.bank_number.like(f"%-{reference}-R%")))
                .scalars()
                .all()
            )
        )
        assert sum(line.state != "rejected" for line in lines) <= 1
        back = [bank.find_reclaim(bank_number=line.bank_number) for line in lines]
        taken = [answer for answer in back if answer is not None and answer.state == "settled"]
        repaid = scene.claim(reference).state == "returned"
        by_bank = [line for line in lines if line.state == "reclaimed" and line.decided_by is None]
        assert len(taken) <= 1
        assert not by_bank or (repaid and taken[0].amount_fen == AMOUNT_FEN)
        assert all(line.bank_number in bank.asked_for for line in by_bank)
        assert scene.differences() == []
        # No later story meets what this one left behind.
        scene.do(lambda session: session.execute(text("UPDATE reclaim_attempt SET state = 'rejected'")))

    tell()


def _play(scene: Scene, bank: LineToTheBank, case: str, word: str, document_no: str, heard: int) -> None:
    try:
        if word == "request":
            request(scene, case)
        elif word == "receipt":
            repay(scene, case, amount_fen=AMOUNT_FEN, document_no=document_no)
        elif word == "refuse":
            scene.do(
                lambda session: refuse_contested(
                    session=session, reference=case, finding="查过", document_no="B1", actor=REVIEWER, now=NOW
                )
            )
        elif word == "time":
            bank.pass_time()
        elif word == "callback":
            for said in bank.callbacks[heard:]:
                assert isinstance(said, ReclaimAnswer)
                scene.do(lambda session, said=said: record_reclaim(session=session, answer=said, clock=scene.clock))
        else:
            bank.words = [] if word == "work" else [word]
            work(scene)
    except (ReclaimUnderWay, ReclaimNotContested, StepNotAllowed):
        pass


def test_money_that_comes_while_its_payout_is_frozen_waits_and_stops_nothing(scene: Scene, bank: LineToTheBank) -> None:
    scene.open(places=1)
    _, case = demanded(scene)
    request(scene, case)
    scene.do(lambda session: session.execute(text("UPDATE payout SET state = 'frozen'")))
    assert work(scene) == "held_up"
    assert attempts(scene) == [("R01", "sent")]
    scene.do(lambda session: session.execute(text("UPDATE payout SET state = 'settled'")))
    assert work(scene) == "reclaimed"
    assert scene.differences() == []
