"""The queue: one append-only order of events a programme. Boundaries that are due, and what staff decide, go in here.

Completed trade-ins enter through subsidy/completion.py, under the same lock and by the same turn.
"""

from __future__ import annotations

import json
from typing import Any

from psycopg import Connection

from registry.base import Refusal
from subsidy.business_clock import BusinessClock
from subsidy.events import Effect, Event, EventKind
from subsidy.payouts import PAYOUT
from subsidy.queue_turn import take_turn
from subsidy.rules import Rules

PROGRAMMES_DUE = "SELECT id FROM programme WHERE next_due_at <= %s ORDER BY id"
INSERT_PROGRAMME = "INSERT INTO programme (code, name_zh, name_en) VALUES (%s, %s, %s) RETURNING id"
PAYOUT_STATE = "SELECT state FROM payout WHERE programme_id = %s AND position = %s FOR UPDATE"
INSERT_VERSION = """
INSERT INTO programme_version (programme_id, version_no, rules, sha256, event_no, drafted_by, approved_by)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""


class MoneyAtTheBank(Refusal):
    """The award's money is on its way or gone: the claim cannot be changed as if it were still here."""

    code = "money_at_the_bank"
    kind = "conflict"
    zh = "序号 {position} 的钱已经交给银行（{state}），这一步现在办不了。"
    en = "The money of position {position} has gone to the bank ({state_en}); «{step}» is not possible now."
    remedy_zh = "先等银行答复；已到账的，收回款项以后再办。"
    remedy_en = "Wait for the bank's answer; once it was paid, get the money back first."


def append_due(*, connection: Connection[Any], clock: BusinessClock) -> int:
    """Append every boundary and expiry that is due, of every programme, and commit; return how many.

    Whoever admits a claim does the same first, so a late, doubled or dead caller changes nobody's place.
    """
    appended = 0
    now = clock.now()
    for (programme_id,) in connection.execute(PROGRAMMES_DUE, (now,)).fetchall():
        before = event_no(connection=connection, programme_id=programme_id)
        turn = take_turn(connection=connection, programme_id=programme_id, clock=clock)
        appended += turn.state.event_no - before
        connection.commit()
    connection.commit()
    return appended


def event_no(*, connection: Connection[Any], programme_id: int) -> int:
    """Return the number of the programme's last event."""
    row = connection.execute("SELECT event_no FROM programme WHERE id = %s", (programme_id,)).fetchone()
    assert row is not None
    return int(row[0])


def create_programme(
    *,
    connection: Connection[Any],
    code: str,
    name_zh: str,
    name_en: str,
    rules: Rules,
    clock: BusinessClock,
    drafted_by: str,
    approved_by: str,
) -> int:
    """Create a programme with its first version, in the caller's transaction; return its id. Raises RulesRefused.

    Boundaries that lie in the past already are appended at once.
    """
    row = connection.execute(INSERT_PROGRAMME, (code, name_zh, name_en)).fetchone()
    assert row is not None
    publish_version(
        connection=connection,
        programme_id=row[0],
        rules=rules,
        clock=clock,
        drafted_by=drafted_by,
        approved_by=approved_by,
    )
    return int(row[0])


def publish_version(
    *,
    connection: Connection[Any],
    programme_id: int,
    rules: Rules,
    clock: BusinessClock,
    drafted_by: str,
    approved_by: str,
) -> int:
    """Put ``rules`` in force from now on, in the caller's transaction; return the version number.

    Raises RulesRefused where they make no sense or touch what has already happened.
    """
    rules.validate()
    turn = take_turn(connection=connection, programme_id=programme_id, clock=clock)
    turn.version_no += 1
    if not turn.state.loaded:
        turn.load(positions=())
    version = Event(turn.state.event_no + 1, EventKind.VERSION, turn.recorded_at, rules=rules)
    turn.append([version], actor=approved_by)
    connection.execute(
        INSERT_VERSION,
        (
            programme_id,
            turn.version_no,
            json.dumps(rules.to_json()),
            bytes.fromhex(rules.hash()),
            version.event_no,
            drafted_by,
            approved_by,
        ),
    )
    turn.append_due()
    return turn.version_no


def append_event(
    *,
    connection: Connection[Any],
    programme_id: int,
    kind: EventKind,
    clock: BusinessClock,
    actor: str,
    position: int | None = None,
    reason: str | None = None,
    refusal: str | None = None,
    was_paid: bool = False,
) -> list[Effect]:
    """Append one event that a person (``actor``) caused, in the caller's transaction; return its effects.

    ``was_paid`` says that a returned or forfeited award had been paid and the money is back. Raises ClaimNotInState
    where the claim's standing does not allow it, MoneyAtTheBank where its payout does not, HostClockOff.
    """
    turn = take_turn(connection=connection, programme_id=programme_id, clock=clock)
    turn.load(positions=() if position is None else (position,))
    if position is not None:
        _check_money(connection, programme_id, position, kind, was_paid)
    event = Event(
        turn.state.event_no + 1,
        kind,
        turn.recorded_at,
        position=position,
        reason=reason,
        refusal=refusal,
        was_paid=was_paid,
    )
    effects = turn.append([event], actor=actor)
    turn.append_due()
    return effects


def _check_money(
    connection: Connection[Any], programme_id: int, position: int, kind: EventKind, was_paid: bool
) -> None:
    """A hold comes before the first payout attempt (law 9); a return of paid money only once the money is back."""
    row = connection.execute(PAYOUT_STATE, (programme_id, position)).fetchone()
    state = row[0] if row else "withdrawn"
    allowed = {"settled"} if was_paid else {"awaiting_wallet", "owed", "withdrawn"}
    if kind in (EventKind.HOLD, EventKind.RETURN, EventKind.FORFEITURE) and state not in allowed:
        words, named = PAYOUT.words.get(state, state), state.replace("_", " ")
        raise MoneyAtTheBank(position=position, state=words, state_en=named, step=kind.value)
