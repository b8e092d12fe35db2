"""A bank that answers again after an outage is asked soon about whoever waited through it, and only then."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.bank_watch import SILENT_RUNS, BankWatch
from app.clients.ecny.fake import FakeBank
from app.clients.ecny.server import Options
from registry.base import PartnerUnavailable
from subsidy.dispatch import LEASE
from tests.api.conftest import Place
from tests.scheduler.test_jobs import eventually, one, scheduling
from tests.subsidy.payout_rows import Books, make_bank

ASKED_IN = text("SELECT extract(epoch FROM ask_at - clock_timestamp()) FROM payout_attempt ORDER BY id")
LEASE_S = LEASE.total_seconds()


@pytest.fixture
def books(engine: Engine, settings: Any) -> Books:
    return Books(engine, settings.keyring)


def asked_in(books: Books) -> list[float]:
    with books.sessions() as session:
        return [float(seconds) for seconds in session.scalars(ASKED_IN)]


def late(books: Books, seconds: int = 300) -> None:
    """Three attempts the bank will call back about some day; they are asked about in so many seconds."""
    for number in range(3):
        books.owed(f"W{number:04d}.never")
    bank = make_bank()
    for _ in range(3):
        assert books.pay(bank) == "sent"
    books.execute(f"UPDATE payout_attempt SET ask_at = clock_timestamp() + interval '{seconds} seconds'")


def test_after_an_outage_all_are_asked_about_soon_and_once(books: Books) -> None:
    late(books)
    watch = BankWatch(sessions=books.sessions)
    assert watch.hear(Counter(sent=1)) == 3  # a process that starts does not know what was before
    assert all(0 < seconds <= LEASE_S for seconds in asked_in(books))
    books.execute("UPDATE payout_attempt SET ask_at = clock_timestamp() + interval '1 hour'")
    assert watch.hear(Counter(settled=1)) == 0
    for _ in range(SILENT_RUNS):
        assert watch.hear(Counter(silent=2, unavailable=1)) == 0
    assert min(asked_in(books)) > LEASE_S
    assert watch.hear(Counter(rejected=1, silent=5)) == 3
    assert watch.hear(Counter(settled=1)) == 0


def test_a_lost_question_is_no_outage(books: Books) -> None:
    late(books)
    watch = BankWatch(sessions=books.sessions)
    watch.hear(Counter(settled=1))
    books.execute("UPDATE payout_attempt SET ask_at = clock_timestamp() + interval '1 hour'")
    for _ in range(5):
        for _ in range(SILENT_RUNS - 1):
            watch.hear(Counter(unknown=1))
        assert watch.hear(Counter(sent=9, silent=1)) == 0
    assert watch.hear(Counter()) == watch.hear(Counter(batches_cut=1)) == 0
    assert min(asked_in(books)) > LEASE_S


def test_who_is_due_sooner_or_over_is_left_alone(books: Books) -> None:
    late(books, seconds=3)
    books.execute("UPDATE payout_attempt SET state = 'settled', ask_at = clock_timestamp() + interval '1 hour'")
    books.execute(
        "UPDATE payout_attempt SET state = 'sent', ask_at = clock_timestamp() WHERE attempt_no = 1 AND id ="
        " (SELECT min(id) FROM payout_attempt)"
    )
    assert BankWatch(sessions=books.sessions).hear(Counter(sent=1)) == 0
    assert max(asked_in(books)) > 3000


def test_an_owner_who_waited_through_an_outage_is_paid_soon_after_it(place: Place, engine: Engine) -> None:
    """The whole scheduler: the bank is away while a payout is due to be asked about in five minutes, and comes back."""

    class Away(FakeBank):
        away = True

        def find_transfer(self, **asked: Any) -> Any:
            if self.away:
                raise PartnerUnavailable(partner="bank")
            return super().find_transfer(**asked)

    settings = place.app.extensions["mapai.settings"]
    books = Books(engine, settings.keyring)
    bank = Away(Options(key=settings.ecny_key, now=lambda: datetime.now(UTC)))
    waited, asked = books.owed("W0001.pending"), books.owed("W0002.pending")
    assert {books.pay(bank), books.pay(bank)} == {"sent"}
    bank.pass_time()  # the bank has paid both, and nobody told us
    first, second = "(SELECT min(id) FROM payout_attempt)", "(SELECT max(id) FROM payout_attempt)"
    books.execute(f"UPDATE payout_attempt SET ask_at = clock_timestamp() + interval '5 minutes' WHERE id = {first}")
    books.execute(f"UPDATE payout_attempt SET ask_at = clock_timestamp() WHERE id = {second}")
    with scheduling(settings, replace(place.app.extensions["mapai.partners"], operator=bank)):
        runs = text("SELECT count(*) FROM job_run WHERE job = 'ask_bank' AND outcome = '1 unavailable'")
        eventually(lambda: one(engine, runs))
        assert books.payout(waited).state == "in_flight"
        bank.away = False
        eventually(lambda: books.payout(asked).state == "settled", seconds=40)
        eventually(lambda: books.payout(waited).state == "settled", seconds=40)
