"""Completing trade-ins: what the police confirmed takes its position, its decision and its postings in one commit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.errors import UniqueViolation

from registry.base import Refusal
from subsidy import completion_sql as sql
from subsidy.business_clock import BusinessClock
from subsidy.completion_rows import Completed, Completion, claim_places, complete_unclaimed
from subsidy.faults import is_slip
from subsidy.queue_rows import named_rows
from subsidy.queue_turn import Turn, check_skew, open_turn

__all__ = [
    "ApplicationUnknown",
    "Completed",
    "Completion",
    "CompletionDiffers",
    "HeldQueue",
    "TradeInLocked",
    "admit",
    "admit_held",
    "hold_queue",
]


LONGEST_PLATE_NO = 16
# What the police may name a second time. Any other number that is there already is a fault of ours, no answer to them.
GIVEN_ONCE = ("claim", "plate")


class ApplicationUnknown(Refusal):
    """No trade-in applied for a plate under this number."""

    code = "application_unknown"
    kind = "not_found"
    zh = "没有编号为 {application_no} 的上牌申请。"
    en = "There is no plate application {application_no}."
    remedy_zh = "请核对申请编号。"
    remedy_en = "Check the application number."
    default_field = "application_no"


class CompletionDiffers(Refusal):
    """The police's word contradicts what stands: a person at the bureau looks at it, the queue is not touched."""

    code = "completion_differs"
    kind = "conflict"
    zh = "上牌申请 {application_no} 的回执和系统里的不一致，已转工作人员核对。"
    en = "The answer to plate application {application_no} contradicts what stands; staff will look at it."
    remedy_zh = "不用重发；核对以后由工作人员处理。"
    remedy_en = "Do not send it again; staff resolve it after checking."


class TradeInLocked(Refusal):
    """Somebody else holds this trade-in just now; sending again is safe."""

    code = "trade_in_locked"
    kind = "unavailable"
    zh = "这笔置换正在别处办理。"
    en = "This trade-in is being worked on elsewhere just now."
    remedy_zh = "请过几秒再试。"
    remedy_en = "Try again in a few seconds."


@dataclass(frozen=True, slots=True)
class HeldQueue:
    """The newest programme's row, locked on ``connection`` until it commits; ``head`` is None where there is none."""

    connection: Connection[Any]
    head: Any


def hold_queue(*, connection: Connection[Any]) -> HeldQueue:
    """Begin a transaction on ``connection`` (its own, idle) and wait for the queue's lock. One round trip."""
    try:
        with connection.pipeline(), named_rows(connection) as cursor:
            cursor.execute(sql.LOCK_NEWEST_PROGRAMME, prepare=True)
            return HeldQueue(connection, cursor.fetchone())
    except BaseException:
        connection.rollback()
        raise


def admit(
    *, connection: Connection[Any], completions: Sequence[Completion], clock: BusinessClock, district: str
) -> list[Completed | Refusal]:
    """Wait for the queue's lock and admit a batch; see ``admit_held``."""
    return admit_held(queue=hold_queue(connection=connection), completions=completions, clock=clock, district=district)


def admit_held(
    *, queue: HeldQueue, completions: Sequence[Completion], clock: BusinessClock, district: str
) -> list[Completed | Refusal]:
    """Admit a batch in the transaction that holds the queue and commit; outcomes in the order given, durable.

    Everything is checked under the programme's row lock. A completion that cannot stand is answered by its Refusal and
    never fails its neighbours. Raises psycopg.Error where it is not known to stand: the batch may be sent again.
    """
    connection = queue.connection
    try:
        return _admit_together(queue, completions, clock, district)
    except UniqueViolation as broken:
        connection.rollback()
        if broken.diag.table_name not in GIVEN_ONCE:
            raise
    except BaseException:
        connection.rollback()
        raise
    if len(completions) > 1:
        singly = [
            admit(connection=connection, completions=[completion], clock=clock, district=district)
            for completion in completions
        ]
        return [outcome for (outcome,) in singly]
    refusal = _contradiction(connection, completions[0], "uniqueness")
    connection.commit()
    return [refusal]


def _admit_together(
    queue: HeldQueue, completions: Sequence[Completion], clock: BusinessClock, district: str
) -> list[Completed | Refusal]:
    connection = queue.connection
    first_words: dict[str, Completion] = {}
    for completion in completions:
        first_words.setdefault(completion.application_no, completion)
    outcomes: dict[str, Completed | Refusal] = {}
    fresh: list[tuple[Completion, Any]] = []
    moment = _look(queue, list(first_words), clock)
    for number, completion in first_words.items():
        row = moment.facts.get(number)
        known = _known_outcome(connection, completion, row, moment.locked)
        if known is None:
            fresh.append((completion, row))
        else:
            outcomes[number] = known
    # One round trip writes, commits and waits for the disk; what fails before the commit undoes all of it.
    with connection.pipeline():
        if fresh and moment.turn is not None:
            outcomes.update(claim_places(turn=moment.turn, fresh=fresh, district=district))
        elif fresh:
            outcomes.update(complete_unclaimed(connection=connection, fresh=fresh, recorded_at=moment.recorded_at))
        answers = _answers(connection, completions, first_words, outcomes)
        connection.execute(sql.COMMIT_BEFORE_DISK)
        connection.execute(sql.COMMIT, prepare=False)
        connection.execute(sql.WAIT_FOR_DISK)
    return answers


def _answers(
    connection: Connection[Any],
    completions: Sequence[Completion],
    first_words: dict[str, Completion],
    outcomes: dict[str, Completed | Refusal],
) -> list[Completed | Refusal]:
    """Answer everybody in the batch: the first word under a number decides, the same again repeats its answer."""
    answers: list[Completed | Refusal] = []
    answered: set[str] = set()
    for completion in completions:
        number = completion.application_no
        outcome = outcomes[number]
        if number in answered and isinstance(outcome, Completed):
            same = completion == first_words[number]
            outcome = replace(outcome, first=False) if same else _contradiction(connection, completion, "two_at_once")
        answered.add(number)
        answers.append(outcome)
    return answers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """What one look under the locks saw. ``turn`` is None where no programme exists."""

    turn: Turn | None
    recorded_at: datetime
    locked: frozenset[int]
    facts: dict[str, Any]


def _look(queue: HeldQueue, numbers: list[str], clock: BusinessClock) -> _Moment:
    """One round trip under the lock: the clock, the trade-ins' own locks, and every fact."""
    connection, host_before = queue.connection, clock.real_for(clock.now())
    with (
        connection.pipeline(),
        named_rows(connection) as instants,
        connection.cursor() as locks,
        named_rows(connection) as facts,
    ):
        instants.execute("SELECT clock_timestamp() AS now", prepare=True)
        locks.execute(sql.LOCK_TRADE_INS, (numbers,), prepare=True)
        facts.execute(sql.FACTS, (numbers,), prepare=True)
        instant = instants.fetchone()
        locked = frozenset(trade_in_id for (trade_in_id,) in locks.fetchall())
        rows = {row.application_no: row for row in facts.fetchall()}
    assert instant is not None
    check_skew(database_now=instant.now, host_before=host_before, host_after=clock.real_for(clock.now()))
    if queue.head is None:
        return _Moment(turn=None, recorded_at=clock.business(instant.now), locked=locked, facts=rows)
    turn = open_turn(connection=connection, head=queue.head, database_now=instant.now, clock=clock)
    return _Moment(turn=turn, recorded_at=turn.recorded_at, locked=locked, facts=rows)


def _known_outcome(
    connection: Connection[Any], completion: Completion, row: Any, locked: frozenset[int]
) -> Completed | Refusal | None:
    """Return the answer to a completion that needs no new claim; None where it must take its position now."""
    if row is None:
        # Perhaps a plate issued after all, under an application refused before: a person has to know.
        _contradiction(connection, completion, "application_unknown")
        return ApplicationUnknown(application_no=completion.application_no)
    if row.trade_in_id not in locked:
        return TradeInLocked()
    if row.state == "completed":
        if _same(completion, row):
            return _standing(row)
        return _contradiction(connection, completion, "already_completed_otherwise")
    if row.state != "plate_applied":
        return _contradiction(connection, completion, f"trade_in_is_{row.state}")
    if completion.holder_index != row.owner_index:
        return _contradiction(connection, completion, "plate_of_another_person")
    if completion.vehicle_code != row.vehicle_code and not _mistyped(connection, completion, row):
        return _contradiction(connection, completion, "plate_for_another_bike")
    if completion.plate_no == row.old_plate_no:
        return _contradiction(connection, completion, "plate_is_the_old_one")
    if len(completion.plate_no) > LONGEST_PLATE_NO:
        return _contradiction(connection, completion, "plate_no_too_long")
    return _contradiction(connection, completion, "bike_claimed_before") if row.claimed_before else None


def _mistyped(connection: Connection[Any], completion: Completion, row: Any) -> bool:
    """Say whether the police named our bike by a code that differs as by a slip, and that no other bike carries."""
    if not is_slip(typed=row.vehicle_code, seen=completion.vehicle_code):
        return False
    values = {"vehicle_code": completion.vehicle_code}
    return connection.execute(sql.CODE_OF_ANOTHER_BIKE, values).fetchone() == (False,)


def _same(completion: Completion, row: Any) -> bool:
    return bool(
        completion.plate_no == row.issued_plate_no
        and completion.issued_at == row.plate_issued_at
        and completion.holder_index == row.owner_index
        and completion.vehicle_code in (row.vehicle_code, row.seen_vehicle_code)
    )


def _standing(row: Any) -> Completed:
    return Completed(
        reference=row.reference,
        position=row.position,
        state=row.claim_state or "unclaimed",
        stage_no=row.stage_no,
        amount_fen=row.amount_fen or 0,
        reason=row.reason if row.claim_state else "no_programme",
        effective_at=row.effective_at or row.plate_issued_at,
        recorded_at=row.recorded_at or row.completed_at,
        first=False,
    )


def _contradiction(connection: Connection[Any], completion: Completion, why: str) -> Refusal:
    """Open a case for staff, committed with the batch, and return the refusal."""
    detail = {"why": why, "plate_no": completion.plate_no[:40], "vehicle_code": completion.vehicle_code[:40]}
    connection.execute(
        "INSERT INTO staff_case (kind, subject, detail) VALUES ('completion_differs', %s, %s)"
        " ON CONFLICT (kind, subject) WHERE closed_at IS NULL DO NOTHING",
        (f"application:{completion.application_no}"[:60], json.dumps(detail)),
    )
    return CompletionDiffers(application_no=completion.application_no)
