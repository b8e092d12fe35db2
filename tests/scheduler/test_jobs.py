"""A whole scheduler in this process, its jobs on a real database, the partners in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from app import job_fence
from app.clients.ecny.fake import FakeBank
from app.clients.ecny.server import Options as BankOptions
from app.clock import Clock
from app.config import Settings
from app.jobs import clean_up, jobs_for
from app.pace import Pace
from app.partners import Partners
from app.scheduler import Scheduler
from registry.audit import oldest_unsealed_at
from registry.base import PartnerUnavailable
from registry.cases import Case
from registry.filings import FiledBike
from registry.import_jobs import ImportJob
from registry.messages import Message
from registry.trade_ins import TradeIn
from subsidy.claims import QueueEvent
from subsidy.payouts import BankStatement, Payout
from tests.api.conftest import Api, Place, walk
from tests.registry.line import Owner
from tests.registry.test_import_jobs import filing, listed
from tests.subsidy.payout_rows import Books

PATIENCE_S = 60.0


def eventually(holds: Callable[[], Any], *, seconds: float = PATIENCE_S) -> Any:
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found
    return found


@contextmanager
def scheduling(settings: Settings, partners: Partners) -> Iterator[Scheduler]:
    scheduler = Scheduler(settings=settings, partners=partners)
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        yield scheduler
    finally:
        scheduler.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def one(engine: Engine, query: Any) -> Any:
    with Session(engine) as session:
        return session.scalar(query)


@pytest.mark.usefixtures("programme")
def test_what_the_police_never_called_back_about_is_found_paid_told_and_sealed(
    place: Place, point: Api, owner: Owner, engine: Engine, settings: Settings
) -> None:
    """The silent half of the line: from an application nobody called back about to the message «arrived»."""
    partners = place.app.extensions["mapai.partners"]
    reference = walk(point, place, owner, until="applied", vehicle_code="118222699900015")
    told = place.as_role("owner", person_id=owner.person_id)
    assert told.post(f"/api/trade-ins/{reference}/wallet", {"wallet_id": "W5678.silent"}).status_code == 200
    place.police.pass_time()
    place.district.session.rollback()
    assert one(engine, select(TradeIn.state)) == "plate_applied"
    with scheduling(settings, partners):
        eventually(lambda: one(engine, select(Payout.state)) == "settled")
        arrived = select(Message).where(Message.dedupe_key.endswith(":settled"), Message.state == "sent")
        eventually(lambda: one(engine, arrived))
        with Session(engine) as session:
            eventually(lambda: oldest_unsealed_at(session=session) is None)
    assert one(engine, select(TradeIn.state)) == "completed"
    texts = [message.text for message in partners.sms.messages]
    assert sum("已到账" in body for body in texts) == 1
    assert len(texts) == len(set(texts))
    assert one(engine, select(QueueEvent.event_no).where(QueueEvent.kind == "opening")) is not None


@pytest.mark.usefixtures("programme")
def test_a_stage_closes_and_settles_at_its_instant_with_nobody_claiming(
    place: Place, engine: Engine, settings: Settings
) -> None:
    """The stage of the programme closes in 30 days; here a month passes in about five seconds."""
    start = datetime.now(UTC)
    fast = Clock(origin_business=start, origin_real=start, factor=600_000.0)
    with scheduling(replace(settings, clock=fast), place.app.extensions["mapai.partners"]):
        ended = select(QueueEvent.event_no).where(QueueEvent.kind == "end")
        eventually(lambda: one(engine, ended))
    with Session(engine) as session:
        kinds = list(session.scalars(select(QueueEvent.kind).order_by(QueueEvent.event_no)))
        due = session.scalars(select(QueueEvent.due_at).where(QueueEvent.kind == "closing")).one()
    assert kinds == ["version", "opening", "closing", "settling", "end"]
    assert due is not None
    assert abs(due - start - timedelta(days=30)) < timedelta(minutes=5)


def test_a_bank_that_is_away_keeps_nobody_else_waiting(books: Books, place: Place, engine: Engine) -> None:
    class Away(FakeBank):
        def transfer(self, **asked: Any) -> Any:
            raise PartnerUnavailable(partner="bank")

        def find_transfer(self, **asked: Any) -> Any:
            raise PartnerUnavailable(partner="bank")

        def statement(self, **asked: Any) -> Any:
            raise PartnerUnavailable(partner="bank")

    settings = place.app.extensions["mapai.settings"]
    partners = replace(
        place.app.extensions["mapai.partners"],
        operator=Away(BankOptions(key=settings.ecny_key, now=lambda: datetime.now(UTC))),
    )
    for number in range(30):
        books.owed(f"W{number:04d}")
    books.execute("INSERT INTO message (person_id, dedupe_key, body) SELECT min(id), 'k', '您好' FROM person")
    with scheduling(settings, partners):
        eventually(lambda: one(engine, select(Message.state)) == "sent")
        eventually(lambda: one(engine, text("SELECT count(*) FROM job_run WHERE job = 'payouts'")) >= 3)
    sent = one(engine, text("SELECT count(*) FROM payout_attempt"))
    owed = one(engine, text("SELECT count(*) FROM payout WHERE state = 'owed'"))
    assert 1 <= sent <= 10  # it stops at the first failure instead of opening an attempt for everybody
    assert owed == 30 - sent


def test_a_failing_job_is_written_down_and_costs_no_other(books: Books, place: Place, engine: Engine) -> None:
    class Broken(FakeBank):
        def transfer(self, **asked: Any) -> Any:
            raise RuntimeError("a bug in the adapter")

    settings = place.app.extensions["mapai.settings"]
    partners = place.app.extensions["mapai.partners"]
    broken = replace(partners, operator=Broken(BankOptions(key=settings.ecny_key, now=lambda: datetime.now(UTC))))
    payout_id = books.owed()
    books.execute("INSERT INTO message (person_id, dedupe_key, body) SELECT min(id), 'k', '您好' FROM person")
    with scheduling(settings, broken):
        failed = text("SELECT outcome FROM job_run WHERE job = 'payouts' AND outcome LIKE 'failed: RuntimeError%'")
        eventually(lambda: one(engine, failed))
        eventually(lambda: one(engine, select(Message.state)) == "sent")
    books.execute("UPDATE payout_attempt SET ask_at = clock_timestamp()")
    with scheduling(settings, partners):
        eventually(lambda: books.payout(payout_id).state == "settled")
    assert len(books.attempts(payout_id)) == 1


def test_finished_days_are_reconciled_with_the_bank(books: Books, place: Place, engine: Engine) -> None:
    settings = place.app.extensions["mapai.settings"]
    start = datetime.now(UTC)
    fast = Clock(origin_business=start, origin_real=start, factor=86_400.0)  # a day a second
    bank = FakeBank(BankOptions(key=settings.ecny_key, now=fast.now))
    for number in range(5):
        books.owed(f"W{number:04d}")
    partners = replace(place.app.extensions["mapai.partners"], operator=bank)
    with scheduling(replace(settings, clock=fast), partners):
        eventually(lambda: one(engine, text("SELECT count(*) FROM bank_statement")) >= 3)
    with Session(engine) as session:
        statements = list(session.scalars(select(BankStatement)))
    assert all(statement.findings["clean"] for statement in statements)
    assert sum(statement.settled_count for statement in statements) == 5
    assert one(engine, select(Case)) is None


def test_a_slot_is_taken_once_and_a_later_one_anew(engine: Engine) -> None:
    day, blink = timedelta(days=1), timedelta(milliseconds=10)
    slot = job_fence.enter(engine=engine, job="j", every=day, leader="a")
    assert slot is not None
    assert slot.timestamp() % 86_400 == 0
    assert job_fence.enter(engine=engine, job="j", every=day, leader="b") is None
    assert job_fence.enter(engine=engine, job="other", every=day, leader="b") is not None
    assert job_fence.enter(engine=engine, job="k", every=blink, leader="a") is not None
    time.sleep(0.02)
    assert job_fence.enter(engine=engine, job="k", every=blink, leader="a") is not None


def test_runs_long_over_are_forgotten(engine: Engine) -> None:
    with engine.begin() as connection:
        for job, age, outcome, finished in (
            ("idle", "3 hours", None, True),
            ("did", "3 hours", "1 sent", True),
            ("stuck", "3 hours", None, False),
            ("old", "8 days", "1 sent", True),
            ("fresh", "1 hour", None, True),
        ):
            connection.execute(
                text(
                    "INSERT INTO job_run (job, slot, leader, started_at, finished_at, outcome) VALUES"
                    " (:job, now(), 'a', clock_timestamp() - CAST(:age AS interval),"
                    " CASE WHEN :finished THEN now() END, :outcome)"
                ),
                {"job": job, "age": age, "finished": finished, "outcome": outcome},
            )
    assert job_fence.forget(engine=engine) == 2
    with engine.connect() as connection:
        assert set(connection.execute(text("SELECT job FROM job_run")).scalars()) == {"did", "stuck", "fresh"}


def test_the_pace_is_kept_by_many_threads() -> None:
    pace = Pace(per_second=50)
    started = time.monotonic()
    threads = [threading.Thread(target=lambda: [pace.wait() for _ in range(5)]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert 24 / 50 <= time.monotonic() - started < 5


@pytest.mark.parametrize(("factor", "seconds"), [(1.0, 60), (1440.0, 15), (17_280.0, 1), (1e6, 1)])
def test_statements_are_asked_for_at_a_pace_that_fits_the_clock(factor: float, seconds: int) -> None:
    [job] = [job for job in jobs_for(Clock(factor=factor)) if job.name == "statements"]
    assert job.every == timedelta(seconds=seconds)


def test_what_nobody_will_ask_for_again_is_forgotten(settings: Settings, place: Place, engine: Engine) -> None:
    """Old sign-in tries, first answers and job runs go; what is fresh stays."""
    with engine.begin() as connection:
        for age in ("3 days", "1 minute"):
            at = text(f"clock_timestamp() - interval '{age}'")
            connection.execute(
                text(f"INSERT INTO sign_in_attempt (login, address, at) VALUES ('a', '127.0.0.1', {at})")
            )
        for age in ("9 days", "1 minute"):
            connection.execute(
                text(
                    "INSERT INTO first_answer (actor, key, request_sha256, status, created_at)"
                    f" VALUES ('a', '{age}', 'x', 200, clock_timestamp() - interval '{age}')"
                )
            )
    scheduler = Scheduler(settings=settings, partners=place.app.extensions["mapai.partners"])
    assert clean_up(scheduler._equipment) == "1 first_answers, 1 sign_in_attempts"
    for table in ("sign_in_attempt", "first_answer"):
        assert one(engine, text(f"SELECT count(*) FROM {table}")) == 1
    scheduler._engine.dispose()


def test_a_list_that_was_sent_is_read_by_the_scheduler(place: Place, engine: Engine, settings: Settings) -> None:
    sent = place.as_role("operator").post(
        "/api/filing-imports",
        data={"file": (listed(filing(1), filing(2)), "list.csv")},
        content_type="multipart/form-data",
    )
    assert sent.status_code == 202
    with scheduling(settings, place.app.extensions["mapai.partners"]):
        state = select(ImportJob.state).where(ImportJob.no == sent.json["no"])
        eventually(lambda: one(engine, state) == "done")
    assert one(engine, select(func.count()).select_from(FiledBike)) == 2
