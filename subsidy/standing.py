"""How one claim stands, read or locked, and what staff and owners may append to the queue about it.

Lock order everywhere: the case that is decided, the programme, then the payout, the trade-in and the bike.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.base import Refusal
from registry.trade_ins import EVERYBODYS, Reach, TradeIn, get_trade_in
from subsidy.business_clock import BusinessClock
from subsidy.claims import Claim, Decision, QueueEvent
from subsidy.events import EventKind
from subsidy.programme import Programme, ProgrammeVersion
from subsidy.queue import append_event
from subsidy.rules import Rules


class NoClaim(Refusal):
    """The trade-in has no claim: it is not complete, or no programme ran when it was."""

    code = "no_claim"
    kind = "conflict"
    zh = "置换 {reference} 还没有补贴申领。"
    en = "The trade-in {reference} has no claim."
    remedy_zh = "全部手续办完以后才有申领；没有补贴活动时办完的，不产生申领。"
    remedy_en = "A claim exists once every step is done, and only where a programme ran."
    default_field = "reference"


class AnotherPersonNeeded(Refusal):
    """Two persons stand behind such a step: who began it cannot finish it."""

    code = "another_person_needed"
    kind = "forbidden"
    zh = "这一步要换一个人办：{what}是您自己提的。"
    en = "Another person has to take this step: {what_en} was your own."
    remedy_zh = "请另一位有权限的同事登录办理。"
    remedy_en = "Have a colleague with the right role sign in and do it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A trade-in's claim as it stands, with its latest decision."""

    trade_in: TradeIn
    claim: Claim
    decision: Decision


def read_claim(*, session: Session, reference: str, reach: Reach) -> Standing:
    """Return how the claim of this (clean) reference stands; raises TradeInNotFound and NoClaim."""
    trade_in = get_trade_in(session=session, reference=reference, reach=reach)
    claim = session.scalar(
        select(Claim).where(Claim.trade_in_id == trade_in.id), execution_options={"populate_existing": True}
    )
    if claim is None:
        raise NoClaim(reference=reference)
    decision = session.scalars(
        select(Decision)
        .where(Decision.programme_id == claim.programme_id, Decision.position == claim.position)
        .order_by(Decision.event_no.desc())
        .limit(1)
    ).one()
    return Standing(trade_in=trade_in, claim=claim, decision=decision)


def lock_claim(*, session: Session, reference: str, reach: Reach = EVERYBODYS) -> Standing:
    """Take the queue's lock until the transaction ends and return how the claim stands then.

    Raises TradeInNotFound and NoClaim.
    """
    standing = read_claim(session=session, reference=reference, reach=reach)
    programme_id = standing.claim.programme_id
    session.execute(select(Programme.id).where(Programme.id == programme_id).with_for_update())
    return read_claim(session=session, reference=reference, reach=reach)


def append_to_queue(
    *,
    session: Session,
    claim: Claim,
    kind: EventKind,
    clock: BusinessClock,
    actor: str,
    reason: str | None = None,
    was_paid: bool = False,
) -> None:
    """Append one event about the claim in the session's own transaction and read the claim again.

    ``reason`` is a code, never free text: the log is append-only and holds nothing personal. Raises what
    subsidy.queue.append_event raises.
    """
    session.flush()
    append_event(
        connection=queue_connection(session=session),
        programme_id=claim.programme_id,
        kind=kind,
        clock=clock,
        actor=actor,
        position=claim.position,
        reason=reason,
        was_paid=was_paid,
    )
    session.refresh(claim)


def queue_connection(*, session: Session) -> Connection[Any]:
    """Return the driver's connection of the session's transaction: what is done on it commits with the session."""
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, Connection), "the queue is kept in PostgreSQL through psycopg"
    return connection


def rules_at(*, session: Session, programme_id: int, event_no: int) -> Rules:
    """Return the rules in force when the event ``event_no`` was decided."""
    query = (
        select(ProgrammeVersion.rules)
        .where(ProgrammeVersion.programme_id == programme_id, ProgrammeVersion.event_no <= event_no)
        .order_by(ProgrammeVersion.event_no.desc())
        .limit(1)
    )
    return Rules.from_json(session.scalars(query).one())


def decided_at(*, session: Session, decision: Decision) -> datetime:
    """Return the instant of the event that made this decision."""
    query = select(QueueEvent.recorded_at).where(
        QueueEvent.programme_id == decision.programme_id, QueueEvent.event_no == decision.event_no
    )
    return session.scalars(query).one()


def require_another(*, first: str, second: str, what_zh: str, what_en: str) -> None:
    """Raise AnotherPersonNeeded where both steps would be one account's."""
    if first == second:
        raise AnotherPersonNeeded(what=what_zh, what_en=what_en)
