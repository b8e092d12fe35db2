"""The queue on a real database: completions take positions, boundaries fall due, and verify agrees with every row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from app.clock import Clock
from app.config import Settings
from app.db import psycopg_conninfo
from loadtests.ready import Ready, issued, make_ready, one_stage
from registry.sealing import Keyring
from subsidy.completion import ApplicationUnknown, Completed, Completion, CompletionDiffers, TradeInLocked, admit
from subsidy.events import EventKind
from subsidy.ledger_verification import verify
from subsidy.queue import append_due, append_event, create_programme

NOW = datetime(2026, 6, 10, 4, 0, tzinfo=UTC)
DISTRICT = "330105"


@pytest.fixture
def keyring(settings: Settings) -> Keyring:
    return settings.keyring


@pytest.fixture
def connection(settings: Settings) -> Iterator[psycopg.Connection]:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        yield connection


@pytest.fixture
def clock() -> Clock:
    return stopped_at(NOW)


def stopped_at(instant: datetime) -> Clock:
    """A clock whose business time starts at ``instant`` now and hardly moves."""
    return Clock(origin_business=instant, origin_real=datetime.now(UTC), factor=1e-6)


def police_word(ready: Ready, number: int, *, issued_at: datetime = NOW) -> Completion:
    return issued(ready, number=number, at=issued_at)


def programme(connection: psycopg.Connection, clock: Clock, *, places: int, limit: int = 1) -> int:
    programme_id = create_programme(
        connection=connection,
        code="GS-2026",
        name_zh="2026 年淘汰置换补贴",
        name_en="Trade-in 2026",
        rules=one_stage(now=NOW, places=places, per_person_limit=limit),
        clock=clock,
        drafted_by="a",
        approved_by="b",
    )
    connection.commit()
    return programme_id


def differences(connection: psycopg.Connection) -> list[str]:
    connection.rollback()
    return [str(difference) for difference in verify(connection=connection)]


def complete(connection: psycopg.Connection, clock: Clock, ready: list[Ready]) -> list[Completed]:
    words = [police_word(item, number) for number, item in enumerate(ready, start=1)]
    outcomes = admit(connection=connection, completions=words, clock=clock, district=DISTRICT)
    assert all(isinstance(outcome, Completed) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Completed)]


class TestAdmit:
    def test_places_go_by_position_until_they_are_gone(self, connection, clock, keyring):
        programme(connection, clock, places=3)
        ready = make_ready(connection=connection, keyring=keyring, count=5, now=NOW)
        outcomes = complete(connection, clock, ready)
        assert [outcome.position for outcome in outcomes] == [1, 2, 3, 4, 5]
        assert [outcome.state for outcome in outcomes] == ["awarded"] * 3 + ["waiting"] * 2
        assert [outcome.amount_fen for outcome in outcomes] == [30_000] * 3 + [0, 0]
        assert differences(connection) == []

    def test_the_same_word_again_is_the_same_place(self, connection, clock, keyring):
        programme(connection, clock, places=3)
        (ready,) = make_ready(connection=connection, keyring=keyring, count=1, now=NOW)
        word = police_word(ready, 1)
        first, repeat = admit(connection=connection, completions=[word, word], clock=clock, district=DISTRICT)
        (later,) = admit(connection=connection, completions=[word], clock=clock, district=DISTRICT)
        assert isinstance(first, Completed)
        assert first.first
        for answer in (repeat, later):
            assert isinstance(answer, Completed)
            assert not answer.first
            assert (answer.position, answer.amount_fen, answer.recorded_at) == (1, 30_000, first.recorded_at)
        assert connection.execute("SELECT count(*) FROM claim").fetchone() == (1,)
        assert differences(connection) == []

    @pytest.mark.parametrize(
        "change",
        [
            lambda word: {"plate_no": "K999999"},
            lambda word: {"issued_at": word.issued_at + timedelta(seconds=1)},
            lambda word: {"holder_index": b"x" * 32},
            lambda word: {"vehicle_code": "119322000000099"},
            lambda word: {"plate_no": "B" * 200},
            lambda word: {"plate_no": "Z1"},
        ],
    )
    def test_another_word_under_the_same_number_is_a_case(self, connection, clock, keyring, change: Callable):
        programme(connection, clock, places=3)
        (ready,) = make_ready(connection=connection, keyring=keyring, count=1, now=NOW)
        word = police_word(ready, 1)
        values = {name: getattr(word, name) for name in Completion.__slots__} | change(word)
        admit(connection=connection, completions=[word], clock=clock, district=DISTRICT)
        (answer,) = admit(connection=connection, completions=[Completion(**values)], clock=clock, district=DISTRICT)
        assert isinstance(answer, CompletionDiffers)
        assert connection.execute("SELECT count(*) FROM staff_case WHERE closed_at IS NULL").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM claim").fetchone() == (1,)

    @pytest.mark.parametrize("plate", ["Z1", "B" * 200])
    def test_a_plate_that_cannot_be_the_new_one_completes_nothing(self, connection, clock, keyring, plate):
        programme(connection, clock, places=3)
        (ready,) = make_ready(connection=connection, keyring=keyring, count=1, now=NOW)
        values = {name: getattr(police_word(ready, 1), name) for name in Completion.__slots__} | {"plate_no": plate}
        (answer,) = admit(connection=connection, completions=[Completion(**values)], clock=clock, district=DISTRICT)
        assert isinstance(answer, CompletionDiffers)
        assert connection.execute("SELECT count(*) FROM claim").fetchone() == (0,)

    def test_a_bad_neighbour_fails_alone(self, connection, clock, keyring):
        programme(connection, clock, places=9)
        ready = make_ready(connection=connection, keyring=keyring, count=3, now=NOW)
        words = [police_word(item, number) for number, item in enumerate(ready, start=1)]
        same_plate = Completion(
            **{name: getattr(words[2], name) for name in Completion.__slots__} | {"plate_no": words[0].plate_no}
        )
        unknown = Completion(application_no="nobody", plate_no="B1", issued_at=NOW, holder_index=b"", vehicle_code="x")
        outcomes = admit(
            connection=connection, completions=[words[0], unknown, same_plate, words[1]], clock=clock, district=DISTRICT
        )
        assert [type(outcome) for outcome in outcomes] == [Completed, ApplicationUnknown, CompletionDiffers, Completed]
        assert [outcome.position for outcome in outcomes if isinstance(outcome, Completed)] == [1, 2]
        assert differences(connection) == []

    def test_a_plate_issued_under_a_number_nobody_knows_is_a_case(self, connection, clock):
        word = Completion(
            application_no="A" * 300, plate_no="B1", issued_at=NOW, holder_index=b"", vehicle_code="x" * 300
        )
        (answer,) = admit(connection=connection, completions=[word], clock=clock, district=DISTRICT)
        assert isinstance(answer, ApplicationUnknown)
        assert connection.execute("SELECT detail ->> 'why' FROM staff_case").fetchall() == [("application_unknown",)]

    @pytest.mark.parametrize(
        "held",
        [
            "SELECT FROM trade_in WHERE application_no = %s FOR UPDATE",
            "SELECT FROM bike WHERE id = (SELECT bike_id FROM trade_in WHERE application_no = %s) FOR NO KEY UPDATE",
        ],
        ids=["trade-in", "bike"],
    )
    def test_a_locked_trade_in_is_skipped_and_stays_possible(self, settings, connection, clock, keyring, held):
        programme(connection, clock, places=9)
        connection.execute("SET lock_timeout = '1s'")
        connection.commit()
        ready = make_ready(connection=connection, keyring=keyring, count=2, now=NOW)
        words = [police_word(item, number) for number, item in enumerate(ready, start=1)]
        with psycopg.connect(psycopg_conninfo(settings)) as other:
            other.execute(held, (words[0].application_no,))
            outcomes = admit(connection=connection, completions=words, clock=clock, district=DISTRICT)
        assert [type(outcome) for outcome in outcomes] == [TradeInLocked, Completed]
        (again,) = admit(connection=connection, completions=words[:1], clock=clock, district=DISTRICT)
        assert isinstance(again, Completed)
        assert again.position == 2
        assert differences(connection) == []

    def test_the_queue_waits_for_nobody_at_work_on_a_filing_or_a_person(self, settings, connection, clock, keyring):
        programme(connection, clock, places=9)
        connection.execute("SET lock_timeout = '1s'")
        connection.commit()
        with psycopg.connect(psycopg_conninfo(settings)) as other:
            ready = make_ready(connection=connection, keyring=keyring, count=1, now=NOW)
            # As an import of filings does, and as whoever sees to a person's data does.
            other.execute("SELECT FROM filed_bike FOR UPDATE")
            other.execute("SELECT FROM person FOR NO KEY UPDATE")
            (outcome,) = complete(connection, clock, ready)
        assert isinstance(outcome, Completed)
        assert differences(connection) == []

    @pytest.mark.parametrize("named", ["person_id", "filed_bike_id", "bike_id"])
    def test_a_claim_names_its_own_trade_ins_owner_and_bikes(self, connection, clock, keyring, named):
        programme(connection, clock, places=9)
        complete(connection, clock, make_ready(connection=connection, keyring=keyring, count=1, now=NOW))
        make_ready(connection=connection, keyring=keyring, count=1, first=2, now=NOW)
        column = {"person_id": "owner_id"}.get(named, named)
        others = sql.SQL("UPDATE claim SET {} = (SELECT {} FROM trade_in ORDER BY id DESC LIMIT 1)")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute(others.format(sql.Identifier(named), sql.Identifier(column)))

    def test_the_limit_counts_neighbours_of_the_batch_and_claims_before(self, connection, clock, keyring):
        programme(connection, clock, places=9, limit=2)
        ready = make_ready(connection=connection, keyring=keyring, count=5, owners=1, now=NOW)
        first = complete(connection, clock, ready[:1])
        rest = admit(
            connection=connection,
            completions=[police_word(item, number) for number, item in enumerate(ready[1:], start=2)],
            clock=clock,
            district=DISTRICT,
        )
        reasons = [outcome.reason for outcome in [*first, *rest] if isinstance(outcome, Completed)]
        assert reasons == [None, None, "limit_reached", "limit_reached", "limit_reached"]
        assert differences(connection) == []

    def test_the_effective_instant_is_clamped(self, connection, clock, keyring):
        programme(connection, clock, places=9)
        ready = make_ready(connection=connection, keyring=keyring, count=2, now=NOW)
        early, late = admit(
            connection=connection,
            completions=[
                police_word(ready[0], 1, issued_at=NOW - timedelta(days=400)),
                police_word(ready[1], 2, issued_at=NOW + timedelta(days=400)),
            ],
            clock=clock,
            district=DISTRICT,
        )
        assert isinstance(early, Completed)
        assert isinstance(late, Completed)
        assert early.effective_at == NOW - timedelta(hours=1)
        assert late.effective_at == late.recorded_at

    def test_without_a_programme_the_trade_in_completes_unclaimed(self, connection, clock, keyring):
        ready = make_ready(connection=connection, keyring=keyring, count=1, now=NOW)
        (outcome,) = complete(connection, clock, ready)
        assert (outcome.position, outcome.state) == (None, "unclaimed")
        (repeat,) = complete(connection, clock, ready)
        assert not repeat.first
        assert connection.execute("SELECT state FROM trade_in").fetchone() == ("completed",)
        assert differences(connection) == []


class TestBoundaries:
    def test_a_stage_that_fell_due_is_closed_before_the_claim_that_found_it(self, connection, clock, keyring):
        programme(connection, clock, places=3)
        ready = make_ready(connection=connection, keyring=keyring, count=2, now=NOW)
        complete(connection, clock, ready[:1])
        after = stopped_at(NOW + timedelta(days=40))
        (late,) = admit(
            connection=connection,
            completions=[police_word(ready[1], 2, issued_at=NOW + timedelta(days=39))],
            clock=after,
            district=DISTRICT,
        )
        assert isinstance(late, Completed)
        assert (late.state, late.reason) == ("declined", "programme_over")
        kinds = connection.execute("SELECT kind FROM queue_event ORDER BY event_no").fetchall()
        assert [kind for (kind,) in kinds] == ["version", "opening", "claim", "closing", "settling", "end", "claim"]
        assert differences(connection) == []

    def test_the_tick_appends_what_is_due_once(self, connection, clock, keyring):
        programme(connection, clock, places=3)
        after = stopped_at(NOW + timedelta(days=40))
        assert append_due(connection=connection, clock=after) == 3
        assert append_due(connection=connection, clock=after) == 0
        assert differences(connection) == []

    def test_time_never_runs_back(self, connection, clock, keyring):
        programme(connection, clock, places=3)
        ready = make_ready(connection=connection, keyring=keyring, count=2, now=NOW)
        complete(connection, clock, ready[:1])
        (second,) = admit(
            connection=connection,
            completions=[police_word(ready[1], 2)],
            clock=stopped_at(NOW - timedelta(days=3)),
            district=DISTRICT,
        )
        assert isinstance(second, Completed)
        assert second.recorded_at >= NOW
        assert differences(connection) == []


class TestStaffEvents:
    def test_a_return_frees_the_place_for_who_waits(self, connection, clock, keyring):
        programme_id = programme(connection, clock, places=1)
        ready = make_ready(connection=connection, keyring=keyring, count=3, now=NOW)
        complete(connection, clock, ready)
        append_event(
            connection=connection,
            programme_id=programme_id,
            kind=EventKind.RETURN,
            position=1,
            reason="new bike returned",
            actor="staff:1",
            clock=clock,
        )
        connection.commit()
        states = connection.execute("SELECT state FROM claim ORDER BY position").fetchall()
        assert [state for (state,) in states] == ["returned", "awarded", "waiting"]
        payouts = connection.execute("SELECT position, state FROM payout ORDER BY position").fetchall()
        assert payouts == [(1, "withdrawn"), (2, "awaiting_wallet")]
        assert differences(connection) == []

    def test_a_hold_takes_the_payout_back_and_a_release_gives_it_again(self, connection, clock, keyring):
        programme_id = programme(connection, clock, places=2)
        complete(connection, clock, make_ready(connection=connection, keyring=keyring, count=1, now=NOW))
        for kind, claim, payout in (
            (EventKind.HOLD, "held", "withdrawn"),
            (EventKind.RELEASE, "awarded", "awaiting_wallet"),
        ):
            append_event(
                connection=connection,
                programme_id=programme_id,
                kind=kind,
                position=1,
                reason="check the photo",
                actor="staff:1",
                clock=clock,
            )
            connection.commit()
            assert connection.execute("SELECT state FROM claim").fetchone() == (claim,)
            assert connection.execute("SELECT state FROM payout").fetchone() == (payout,)
            assert differences(connection) == []

    def test_a_pause_costs_nobody_his_stage(self, connection, clock, keyring):
        programme_id = programme(connection, clock, places=2)
        ready = make_ready(connection=connection, keyring=keyring, count=1, now=NOW)
        append_event(
            connection=connection, programme_id=programme_id, kind=EventKind.PAUSE, actor="staff:1", clock=clock
        )
        connection.commit()
        (outcome,) = complete(connection, clock, ready)
        assert (outcome.state, outcome.reason) == ("waiting", "paused")
        append_event(
            connection=connection, programme_id=programme_id, kind=EventKind.RESUME, actor="staff:1", clock=clock
        )
        connection.commit()
        assert connection.execute("SELECT state, amount_fen FROM claim").fetchone() == ("awarded", 30_000)
        assert differences(connection) == []
