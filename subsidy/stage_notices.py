"""Telling owners with an open trade-in what became of a stage: it closes soon, its places are gone, it has closed.

Each transition is noticed once: the row of ``stage_notice`` and the messages are written in one transaction, and a
message's ``dedupe_key`` makes telling one person twice the same as telling him once. Run often: every few seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import CheckConstraint, ForeignKey, Integer, String, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.base import Base, Instant
from subsidy.notices import yuan
from subsidy.programme import Programme
from subsidy.state import Phase, StageState, State

LOCAL = ZoneInfo("Asia/Shanghai")
CLOSING_SOON, RUN_OUT, CLOSED = "closing_soon", "run_out", "closed"
# Real time in which who was just opening a trade-in at the transition is told too: longer than a request lasts.
TELL_LATECOMERS = timedelta(seconds=120)
OWE = text(
    """
    INSERT INTO message (person_id, dedupe_key, body)
    SELECT DISTINCT owner_id, CAST(:subject AS text) || owner_id, CAST(:body AS text)
    FROM trade_in WHERE state NOT IN ('completed', 'withdrawn') AND opened_at <= :opened_by
    ON CONFLICT (dedupe_key) DO NOTHING
    """
)


class StageNotice(Base):
    """One transition that was noticed, and what owners were told of it.

    ``occasion`` tells one such transition of a stage from the next: what the stage was given for ``run_out`` (a version
    may bring places again), the closing instant for the other two (it may be moved). Who opened a trade-in later than
    ``opened_by`` knew. ``noticed_at`` and ``opened_by`` are business instants, ``created_at`` the real one.
    """

    __tablename__ = "stage_notice"
    __table_args__ = (CheckConstraint("kind IN ('closing_soon', 'run_out', 'closed')", name="known_kind"),)

    programme_id: Mapped[int] = mapped_column(ForeignKey("programme.id"), primary_key=True)
    stage_no: Mapped[int] = mapped_column(Integer, primary_key=True)
    kind: Mapped[str] = mapped_column(String(12), primary_key=True)
    occasion: Mapped[str] = mapped_column(String(32), primary_key=True)
    body: Mapped[str] = mapped_column(String(500))
    opened_by: Mapped[datetime] = mapped_column(Instant)
    noticed_at: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())


class Transition(NamedTuple):
    """What has happened to a stage, and the words for owners whose trade-in is open."""

    stage_no: int
    kind: str
    occasion: str
    opened_by: datetime
    body: str


def tell_transitions(*, session: Session, now: datetime, closing_soon: timedelta) -> int:
    """Notice what has happened to every stage and owe a message to each owner of an open trade-in; return how many.

    ``now`` is the business instant, ``closing_soon`` how long before its closing a stage counts as closing soon (0:
    nobody is told beforehand). The transaction is left to the caller.
    """
    told = 0
    for programme in session.scalars(select(Programme).where(Programme.head.is_not(None)).order_by(Programme.id)):
        for transition in transitions(programme=programme, now=now, closing_soon=closing_soon):
            told += _notice(session=session, programme=programme, transition=transition, now=now)
    return told + _tell_latecomers(session=session)


def transitions(*, programme: Programme, now: datetime, closing_soon: timedelta) -> Iterator[Transition]:
    """Yield what holds of the programme's stages now and owners should have heard of, each under a stable occasion."""
    assert programme.head is not None
    state = State.from_core_json(programme.head)
    for stage in state.stages:
        following = state.stages[stage.number] if stage.number < len(state.stages) else None
        closing = f"{stage.closes_at:%Y-%m-%dT%H:%M:%S}Z"
        if stage.phase in (Phase.CLOSED, Phase.SETTLED) or (stage.phase is Phase.OPEN and stage.closes_at <= now):
            yield Transition(stage.number, CLOSED, closing, stage.closes_at, closed_words(stage, following))
        elif stage.phase is Phase.OPEN and not stage.can_pay():
            yield Transition(stage.number, RUN_OUT, _given(state, stage), now, run_out_words(stage, following))
        elif stage.phase is Phase.OPEN and stage.closes_at - closing_soon <= now:
            yield Transition(stage.number, CLOSING_SOON, closing, now, closing_soon_words(stage, following))


def closing_soon_words(stage: StageState, following: StageState | None) -> str:
    """Return the notice that a stage closes soon."""
    return (
        f"第 {stage.number} 阶段（每辆 {yuan(stage.amount_fen)}）{moment(stage.closes_at)} 截止。"
        f"{_afterwards(following)}名额不预留，新号牌发下来才排上队。请抓紧办完剩下的手续。"
    )


def run_out_words(stage: StageState, following: StageState | None) -> str:
    """Return the notice that a stage's places are gone."""
    return (
        f"第 {stage.number} 阶段的名额已经用完。您还没办完，现在办完会取得序号排队。{_afterwards(following)}"
        "旧车已经交了的可以照常办完，有没有补贴要看排队的结果；旧车没交的可以撤回。"
    )


def closed_words(stage: StageState, following: StageState | None) -> str:
    """Return the notice that a stage has closed."""
    return (
        f"第 {stage.number} 阶段已经截止。您还没办完。{_afterwards(following)}"
        "旧车已经交了的可以照常办完，有没有补贴要看排队的结果；旧车没交的可以撤回。"
    )


def moment(instant: datetime) -> str:
    """Return an instant for owners, in Asia/Shanghai."""
    local = instant.astimezone(LOCAL)
    return f"{local.month} 月 {local.day} 日 {local:%H:%M}"


def _given(state: State, stage: StageState) -> str:
    """Places and money (fen) the stage has been given so far: more of them, and it can run out once more."""
    assert state.rules is not None
    rules = state.rules.stages[stage.number - 1]
    return f"{rules.places + stage.carried_places}:{rules.budget_fen + stage.carried_in_fen}"


def _afterwards(following: StageState | None) -> str:
    if following is None:
        return "以后没有新的阶段。"
    if following.phase is Phase.FUTURE:
        opens = f"{moment(following.opens_at)} 开始"
        return f"第 {following.number} 阶段 {opens}，每辆 {yuan(following.amount_fen)}，先补给排队的人。"
    if following.phase is Phase.OPEN:
        return f"第 {following.number} 阶段正在进行，每辆 {yuan(following.amount_fen)}。"
    return ""


def _notice(*, session: Session, programme: Programme, transition: Transition, now: datetime) -> int:
    row = insert(StageNotice).values(**transition._asdict(), programme_id=programme.id, noticed_at=now)
    fresh = session.execute(row.on_conflict_do_nothing().returning(StageNotice.stage_no)).scalar() is not None
    if not fresh:
        return 0
    return _owe(session=session, programme_id=programme.id, transition=transition)


def _tell_latecomers(*, session: Session) -> int:
    """Tell those whose trade-in was being opened, not yet committed, when the transition was noticed."""
    recent = select(StageNotice).where(
        StageNotice.created_at > func.clock_timestamp() - text(f"interval '{TELL_LATECOMERS.total_seconds()} s'")
    )
    told = 0
    for notice in session.scalars(recent):
        transition = Transition(notice.stage_no, notice.kind, notice.occasion, notice.opened_by, notice.body)
        told += _owe(session=session, programme_id=notice.programme_id, transition=transition)
    return told


def _owe(*, session: Session, programme_id: int, transition: Transition) -> int:
    stage_no, kind, occasion, opened_by, body = transition
    subject = f"stage:{programme_id}:{stage_no}:{kind}:{occasion}:"
    owed = session.execute(OWE, {"subject": subject, "opened_by": opened_by, "body": body})
    return int(owed.rowcount)  # type: ignore[attr-defined]
