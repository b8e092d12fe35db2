"""Whatever order the bank's words arrive in, each payout is paid at most once and the books add up."""

import itertools
from collections import Counter

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from app.config import Settings
from subsidy.dispatch import open_attempts
from subsidy.operator import Statement, StatementLine, TransferAnswer
from subsidy.reconciliation import compare
from subsidy.settlement import lose, record_answer
from tests.subsidy.payout_rows import AMOUNT_FEN, DAY, NEXT_MORNING, NOW, Books, make_bank, release

PAYOUTS = 3
WORDS = st.sampled_from(["send", "send", "lose", "accepted", "settled", "not_final", "rejected", "statement", "wallet"])
# How the bank concludes each number: once, and for good. Only a lying bank says both (the last kind).
CONCLUSIONS = st.sampled_from(["settled", "rejected", "both"])
STEPS = st.lists(st.tuples(WORDS, st.integers(0, PAYOUTS - 1)), min_size=1, max_size=24)


class World:
    """Some payouts, and a bank that knows the outcome of every number before it is asked."""

    def __init__(self, books: Books, conclusions: dict[int, list[str]]) -> None:
        self.books = books
        self.conclusions = conclusions
        # Sending takes the payout owed longest, whoever's it is: what an earlier story left must not be taken.
        books.execute("UPDATE payout SET state = 'withdrawn' WHERE state = 'owed'")
        self.payouts = [books.owed(f"W{number:04d}", released=False) for number in range(PAYOUTS)]
        release(books.sessions)

    def send(self) -> None:
        self.books.do(lambda session: open_attempts(session=session, keyring=self.books.keyring, now=NOW, most=1))

    def wallet(self, which: int) -> None:
        payout = self.books.payout(self.payouts[which])
        if payout.state == "awaiting_wallet":
            self.books.confirm(
                payout.trade_in_id, f"W{payout.id:04d}x{len(self.books.attempts(payout.id))}", make_bank()
            )

    def say(self, word: str, which: int) -> None:
        """The bank says ``word`` about the payout's last attempt, where that is not a lie."""
        attempts = self.books.attempts(self.payouts[which])
        if not attempts:
            return
        number = attempts[-1].bank_number
        if word == "lose":
            self.books.do(lambda session: lose(session=session, bank_number=number))
            return
        if word in {"settled", "rejected"} and not self.concludes(which, len(attempts), word):
            return
        said = TransferAnswer(
            bank_number=number,
            state="rejected" if word == "not_final" else word,  # type: ignore[arg-type]
            amount_fen=AMOUNT_FEN,
            final=word in {"settled", "rejected"},
            settled_at=NOW if word == "settled" else None,
        )
        self.books.do(lambda session: record_answer(session=session, answer=said, now=NOW))

    def concludes(self, which: int, attempt_no: int, word: str) -> bool:
        outcomes = self.conclusions[which]
        return outcomes[min(attempt_no, len(outcomes)) - 1] in {word, "both"}

    def statement(self) -> None:
        lines = [
            StatementLine(bank_number=attempt.bank_number, amount_fen=AMOUNT_FEN, state=word)  # type: ignore[arg-type]
            for which, payout_id in enumerate(self.payouts)
            for attempt in self.books.attempts(payout_id)
            for word in ("rejected", "settled")
            if self.concludes(which, attempt.attempt_no, word)
        ]
        paid = [line.amount_fen for line in lines if line.state == "settled"]
        of = Statement(day=DAY, settled_count=len(paid), settled_fen=sum(paid), lines=tuple(lines))
        self.books.do(lambda session: compare(session=session, statement=of, now=NEXT_MORNING))

    def check(self) -> None:
        """Paid at most once each; balances are the sums of the postings; a contradiction never passes in silence."""
        books = self.books
        with books.sessions() as session:
            query = text("SELECT payout_id, amount_fen FROM ledger_posting WHERE programme_id = :id")
            postings = session.execute(query, {"id": books.programme_id}).all()
        booked = Counter(payout_id for payout_id, _ in postings)
        sums = sum(amount_fen for _, amount_fen in postings)
        assert set(booked.values()) <= {1}
        balances = books.balances()
        assert balances.get("paid:1", 0) == sums
        assert balances["committed:1"] == PAYOUTS * AMOUNT_FEN - sums
        for payout_id in self.payouts:
            payout, attempts = books.payout(payout_id), books.attempts(payout_id)
            live = [attempt for attempt in attempts if attempt.state != "rejected"]
            assert len(live) <= 1
            assert (payout.state == "settled") <= (payout_id in booked and live[0].state == "settled")
            if payout.state == "in_flight":
                assert [attempt.state in {"sent", "unknown"} for attempt in live] == [True]
            if payout.state in {"owed", "awaiting_wallet"}:
                assert live == []
            if payout.state == "frozen":
                assert f"payout:{payout_id}" in books.case_subjects()


def test_whatever_order_the_words_arrive_in(engine: Engine, settings: Settings) -> None:
    starts = itertools.count(start=0, step=PAYOUTS)
    seen: Counter[str] = Counter()

    @hypothesis_settings(
        max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
    )
    @given(
        steps=STEPS,
        outcomes=st.fixed_dictionaries({n: st.lists(CONCLUSIONS, min_size=1, max_size=3) for n in range(PAYOUTS)}),
    )
    def tell(steps: list[tuple[str, int]], outcomes: dict[int, list[str]]) -> None:
        world = World(Books(engine, settings.keyring, start=next(starts)), outcomes)
        play(world, steps)
        seen.update(world.books.payout(payout_id).state for payout_id in world.payouts)

    tell()
    assert seen.keys() >= {"owed", "in_flight", "settled", "awaiting_wallet", "frozen"}, "the stories were too tame"


def play(world: World, steps: list[tuple[str, int]]) -> None:
    for word, which in steps:
        if word == "send":
            world.send()
        elif word == "wallet":
            world.wallet(which)
        elif word == "statement":
            world.statement()
        else:
            world.say(word, which)
        world.check()
