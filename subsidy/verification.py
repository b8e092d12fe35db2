"""Verification: the whole queue replayed from its events alone, and every row compared with what the law says.

Nothing is repaired and no partner is asked. Reads one snapshot; memory holds one programme's claims.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from psycopg import Connection

from subsidy.allocation import OutOfOrder, allocate, check_invariants
from subsidy.eligibility import evidence_hash
from subsidy.events import Decision, Effect, Event, EventKind, Movement
from subsidy.queue_rows import CLAIM_STATE, STATE_AFTER, named_rows, read_decision, read_event, stream_rows
from subsidy.rules import Rules
from subsidy.state import State

EVENTS = "SELECT * FROM queue_event WHERE programme_id = %s ORDER BY event_no"
# Columns in the order of Decision's and Movement's fields: a row that agrees is equal to what was replayed, as a tuple.
DECISIONS = """
SELECT event_no, position, outcome, stage_no, amount_fen, reason, account, fault, expires_at, overruled FROM decision
WHERE programme_id = %s ORDER BY event_no, position
"""
POSTINGS = """
SELECT event_no, debit, credit, amount_fen, position, kind FROM ledger_posting
WHERE programme_id = %s AND event_no IS NOT NULL ORDER BY event_no, id
"""
# The evidence as text: read one by one it is hashed while it is still in the processor's cache.
CLAIMS = """
SELECT position, trade_in_id, person_id, effective_at, recorded_at, state, stage_no, amount_fen, reason,
       evidence::text AS evidence
FROM claim WHERE programme_id = %s ORDER BY position
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as the replay says. ``subject`` names it, e.g. ``claim 1284`` or ``account paid:1``."""

    subject: str
    what: str
    stored: Any
    replayed: Any

    def __str__(self) -> str:
        return f"{self.subject}: {self.what} 库中 {self.stored!r}，重算 {self.replayed!r}"


@dataclass(slots=True)
class Replay:
    """One programme's replay: the state it ends in, and what every claim came to."""

    state: State
    claims: dict[int, Decision]
    facts: dict[int, Any]
    ended: dict[int, str]


def verify_programme(*, connection: Connection[Any], programme: Any) -> Iterator[Difference]:
    """Yield every difference of one programme (a row of the programme table, by name)."""
    replay = Replay(State(), {}, {}, {})
    try:
        yield from _replay_events(connection, programme.id, replay)
    except (OutOfOrder, LookupError, ValueError, TypeError) as broken:
        subject = f"event {replay.state.event_no}"
        yield Difference(subject=subject, what="replay stopped", stored=str(broken), replayed="a log that can stand")
        return
    for sentence in check_invariants(replay.state):
        yield Difference(subject=programme.code, what="invariant", stored=sentence, replayed="holds")
    yield from _compare_head(programme, replay.state)
    yield from _compare_claims(connection, programme.id, replay)
    yield from _compare_versions(connection, programme.id)


def _replay_events(connection: Connection[Any], programme_id: int, replay: Replay) -> Iterator[Difference]:
    decisions = rows_by_event(connection, "verify_decisions", DECISIONS, programme_id)
    postings = rows_by_event(connection, "verify_postings", POSTINGS, programme_id)
    next(decisions), next(postings)
    expected_no = 1
    for row in stream_rows(connection, "verify_events", EVENTS, programme_id):
        if row.event_no != expected_no:
            yield Difference(
                subject=f"event {expected_no}", what="number", stored=f"next is {row.event_no}", replayed="gap-free"
            )
            raise OutOfOrder(f"event {expected_no} is missing")
        expected_no += 1
        event = read_event(row)
        if event.kind is EventKind.CLAIM and (row.due_at, row.stage_no, row.detail) != (None, None, None):
            added = (row.due_at, row.stage_no, row.detail)
            yield Difference(subject=f"claim {row.position}", what="due, stage, detail", stored=added, replayed=None)
        effects = allocate(replay.state, [event])
        _note(replay, event, row, effects)
        decided, posted = decisions.send(event.event_no), postings.send(event.event_no)
        if decided != [effect for effect in effects if type(effect) is Decision]:
            yield from _compare_decisions(event, effects, decided)
        if posted != [effect for effect in effects if type(effect) is Movement]:
            yield from _compare_postings(event, effects, posted)
    for name, rest in (("decision", decisions.send(None)), ("posting", postings.send(None))):
        for row in rest:
            yield Difference(subject=f"event {row.event_no}", what=f"{name} without event", stored=row, replayed=None)


def _note(replay: Replay, event: Event, row: Any, effects: list[Effect]) -> None:
    """Keep what the claims' rows will be compared with."""
    if event.kind is EventKind.CLAIM:
        replay.facts[row.position] = row
    for effect in effects:
        if isinstance(effect, Decision):
            replay.claims[effect.position] = effect
            replay.ended.pop(effect.position, None)  # an overrule pays a forfeited claim after all
    if event.kind in STATE_AFTER and event.position is not None:
        replay.ended[event.position] = STATE_AFTER[event.kind]


def rows_by_event(connection: Connection[Any], name: str, query: str, *parameters: Any) -> Any:
    """A coroutine: send an event number, get that event's rows; None gets whatever rows no event asked for."""
    rows = stream_rows(connection, name, query, *parameters)
    row, strays = next(rows, None), []
    wanted = yield []
    while wanted is not None:
        while row is not None and row.event_no < wanted:
            strays.append(row)
            row = next(rows, None)
        found = []
        while row is not None and row.event_no == wanted:
            found.append(row)
            row = next(rows, None)
        wanted = yield found
    yield strays if row is None else [*strays, row, *rows]


def _compare_decisions(event: Event, effects: list[Effect], rows: list[Any]) -> Iterator[Difference]:
    replayed = {effect.position: effect for effect in effects if isinstance(effect, Decision)}
    stored = {row.position: read_decision(row) for row in rows}
    for position in sorted(replayed.keys() | stored.keys()):
        if stored.get(position) != replayed.get(position):
            yield Difference(
                subject=f"claim {position}",
                what=f"decision of event {event.event_no}",
                stored=_brief(stored.get(position)),
                replayed=_brief(replayed.get(position)),
            )


def _brief(decision: Decision | None) -> Any:
    if decision is None:
        return None
    return (decision.outcome.value, decision.stage, decision.amount_fen, decision.reason, decision.account)


def _compare_postings(event: Event, effects: list[Effect], rows: list[Any]) -> Iterator[Difference]:
    stored = sorted((row.debit, row.credit, row.amount_fen, row.position or 0, row.kind) for row in rows)
    moved = (effect for effect in effects if isinstance(effect, Movement))
    replayed = sorted((m.debit, m.credit, m.amount_fen, m.position or 0, m.kind) for m in moved)
    if stored != replayed:
        positions = {row.position for row in rows if row.position}
        subject = f"claim {', '.join(map(str, sorted(positions)))}" if positions else f"event {event.event_no}"
        yield Difference(subject=subject, what=f"postings of event {event.event_no}", stored=stored, replayed=replayed)


def _compare_head(programme: Any, state: State) -> Iterator[Difference]:
    replayed = state.core_to_json()
    for key, value in replayed.items():
        stored = (programme.head or {}).get(key)
        if stored != value:
            yield Difference(subject=programme.code, what=f"head.{key}", stored=stored, replayed=value)


def _compare_claims(connection: Connection[Any], programme_id: int, replay: Replay) -> Iterator[Difference]:
    seen = 0
    for row in stream_rows(connection, "verify_claims", CLAIMS, programme_id):
        seen += 1
        subject, event, decision = f"claim {row.position}", replay.facts.get(row.position), None
        if event is None:
            yield Difference(subject=subject, what="claim without event", stored=row.trade_in_id, replayed=None)
            continue
        decision = replay.claims[row.position]
        state = replay.ended.get(row.position, CLAIM_STATE[decision.outcome])
        stored = (row.state, row.stage_no, row.amount_fen, row.reason)
        replayed = (state, decision.stage, decision.amount_fen, decision.reason)
        if stored != replayed:
            yield Difference(subject=subject, what="state, stage, amount, reason", stored=stored, replayed=replayed)
        stored = (row.trade_in_id, row.person_id, row.effective_at, row.recorded_at)
        replayed = (event.trade_in_id, event.person_id, event.effective_at, event.recorded_at)
        if stored != replayed:
            yield Difference(subject=subject, what="trade-in, person, instants", stored=stored, replayed=replayed)
        if evidence_hash(orjson.loads(row.evidence)) != event.evidence_sha256:
            yield Difference(subject=subject, what="evidence", stored="changed", replayed="as hashed in the event")
        del replay.facts[row.position]
    for position in sorted(replay.facts):
        yield Difference(subject=f"claim {position}", what="row", stored="missing", replayed="claimed in the log")


def _compare_versions(connection: Connection[Any], programme_id: int) -> Iterator[Difference]:
    """The versions kept beside the programme are those the log carries, and carry their own hash."""
    events = defaultdict(list)
    with named_rows(connection) as cursor:
        rows = cursor.execute(
            "SELECT event_no, detail -> 'rules' AS rules FROM queue_event WHERE programme_id = %s AND kind = 'version'",
            (programme_id,),
        ).fetchall()
        for row in rows:
            events[row.event_no] = row.rules
        versions = cursor.execute(
            "SELECT version_no, event_no, rules, sha256 FROM programme_version WHERE programme_id = %s", (programme_id,)
        ).fetchall()
    for version in versions:
        if events.pop(version.event_no, None) != version.rules or bytes(version.sha256) != _hash(version.rules):
            subject = f"version {version.version_no}"
            yield Difference(subject=subject, what="rules", stored="changed", replayed=f"event {version.event_no}")
    for event_no in events:
        yield Difference(subject=f"event {event_no}", what="version", stored="missing", replayed="published")


def _hash(rules: Any) -> bytes:
    return bytes.fromhex(Rules.from_json(rules).hash())
