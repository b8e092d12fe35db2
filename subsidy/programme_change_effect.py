"""What a draft would do, reckoned at once for a short queue and in the background for a long one.

Reading and folding a queue takes seconds from some ten thousands of events on. Whoever asks about such a queue gets a
run; the scheduler takes runs one by one, and the page looks again until the effect is there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    String,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column, sessionmaker

from registry.base import Base, Instant, Refusal
from subsidy.business_clock import BusinessClock
from subsidy.claims import QueueEvent
from subsidy.forecast import expected_arrivals
from subsidy.forecast_programme import arrivals_before, outlooks_of
from subsidy.programme import Programme
from subsidy.programme_change import ProgrammeChange, driver_connection
from subsidy.rules import Rules
from subsidy.state import State
from subsidy.what_if import WhatIf, what_if_from_now

MOST_NEWCOMERS = 20_000
# What a web thread may read and fold while somebody waits: well under a second.
MOST_EVENTS_AT_ONCE = 10_000
MOST_TRIES = 3
# A run that took longer belongs to a process that is gone.
GIVEN_UP_AFTER = timedelta(minutes=10)
KEPT_FOR = timedelta(days=7)


class EffectRun(Base):
    """One what-if asked for on a long queue: of a kept draft (``change_id``), or to look at only.

    ``said`` is what else stood in the form that asked, ``effect`` what came out (effect_json), ``refusal_zh`` and
    ``refusal_en`` why nothing did. ``asked_at`` is a business instant, ``begun_at`` a real one by the database's clock.
    """

    __tablename__ = "effect_run"
    __table_args__ = (
        CheckConstraint("effect IS NULL OR refusal_zh IS NULL", name="one_outcome"),
        Index("ix_effect_run_open", "id", postgresql_where=text("effect IS NULL AND refusal_zh IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    programme_id: Mapped[int] = mapped_column(ForeignKey("programme.id"))
    change_id: Mapped[int | None] = mapped_column(ForeignKey("programme_change.id"), unique=True)
    rules: Mapped[dict[str, Any]] = mapped_column(JSONB)
    said: Mapped[dict[str, str]] = mapped_column(JSONB, server_default="{}")
    asked_by: Mapped[str] = mapped_column(String(60))
    asked_at: Mapped[datetime] = mapped_column(Instant)
    begun_at: Mapped[datetime | None] = mapped_column(Instant)
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0", default=0)
    effect: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    refusal_zh: Mapped[str | None] = mapped_column(String(400))
    refusal_en: Mapped[str | None] = mapped_column(String(400))

    @property
    def is_open(self) -> bool:
        """Whether nothing has come out yet."""
        return self.effect is None and self.refusal_zh is None


class QueueTooLong(Refusal):
    """A what-if on a long queue is not reckoned while the caller waits."""

    code = "queue_too_long"
    kind = "conflict"
    zh = "队列里有 {events} 件事，不能当场推算。"
    en = "The queue holds {events} events, too many to reckon while you wait."
    remedy_zh = "请把规则提交成草稿，效果会在后台推算，算好了在变更里看；没有批准以前什么都不变。"
    remedy_en = "Draft the rules: their effect is reckoned in the background and shown with the change."


class RunNotFound(Refusal):
    """There is no such what-if, or it was asked for by somebody else, or it is over a week old."""

    code = "effect_run_not_found"
    kind = "not_found"
    zh = "没有找到这次推算。"
    en = "There is no such what-if."
    remedy_zh = "请在起草页面重新看效果。"
    remedy_en = "Ask for the effect again on the draft's page."


def is_reckoned_at_once(*, session: Session, programme: Programme) -> bool:
    """Say whether the queue is short enough to be folded while somebody waits."""
    return _events(session, programme) <= MOST_EVENTS_AT_ONCE


def refuse_long_queue(*, session: Session, programme: Programme) -> None:
    """Raise QueueTooLong where the queue cannot be folded while the caller waits."""
    events = _events(session, programme)
    if events > MOST_EVENTS_AT_ONCE:
        raise QueueTooLong(events=f"{events:,}")


def effect_from_now(*, session: Session, programme: Programme, rules: Rules, now: datetime) -> WhatIf:
    """Return what the rules would do from now on, with the arrivals to be expected; raises RulesRefused."""
    return what_if_from_now(
        connection=driver_connection(session=session),
        programme_id=programme.id,
        rules=rules,
        now=now,
        arrivals=_newcomers(session=session, programme=programme, rules=rules, now=now),
    )


def effect_json(effect: WhatIf) -> dict[str, Any]:
    """Return a what-if as plain JSON: instants as UTC ISO 8601, ranges as pairs."""

    def plain(value: object) -> str:
        assert isinstance(value, datetime)
        return value.astimezone(UTC).isoformat()

    document: dict[str, Any] = json.loads(json.dumps(asdict(effect), default=plain))
    return document


def begin_run(
    *,
    session: Session,
    programme: Programme,
    rules: Rules,
    actor: str,
    now: datetime,
    change_id: int | None = None,
    said: dict[str, str] | None = None,
) -> EffectRun:
    """Have the effect of these rules reckoned in the background; the transaction is left to the caller."""
    run = EffectRun(
        programme_id=programme.id,
        change_id=change_id,
        rules=rules.to_json(),
        said=said or {},
        asked_by=actor,
        asked_at=now,
    )
    session.add(run)
    session.flush()
    return run


def get_run(*, session: Session, programme: Programme, run_id: int, actor: str) -> EffectRun:
    """Return a what-if that ``actor`` asked for to look at; raises RunNotFound."""
    run = session.get(EffectRun, run_id)
    if run is None or run.programme_id != programme.id or run.asked_by != actor or run.change_id is not None:
        raise RunNotFound
    return run


def run_of_change(*, session: Session, change_id: int) -> EffectRun | None:
    """Return the what-if of a kept draft, None where it was reckoned at once."""
    return session.scalar(select(EffectRun).where(EffectRun.change_id == change_id))


def reckon_next(*, sessions: sessionmaker[Session], clock: BusinessClock) -> str | None:
    """Reckon the run asked for longest; return ``reckoned``, ``refused`` or ``given_up``, None where there is none.

    A run whose process died is taken up again, three times at most. Writes the run, and its draft's effect.
    """
    with sessions.begin() as session:
        run = _take(session)
        if run is None:
            return None
        run_id, programme_id, rules = run.id, run.programme_id, Rules.from_json(run.rules)
        if run.tries > MOST_TRIES:
            run.refusal_zh, run.refusal_en = "推算了几次都没有算完", "It could not be reckoned in several tries"
            return "given_up"
    effect, words = None, ("", "")
    with sessions() as session:
        try:
            programme = session.get_one(Programme, programme_id)
            found = effect_from_now(session=session, programme=programme, rules=rules, now=clock.now())
            effect = effect_json(found)
        except Refusal as refusal:
            words = (refusal.message_zh, refusal.message_en)
    with sessions.begin() as session:
        run = session.get_one(EffectRun, run_id, with_for_update=True)
        run.effect = effect
        if effect is None:
            run.refusal_zh, run.refusal_en = (text[:400] for text in words)
            return "refused"
        if run.change_id is not None:
            change = session.get_one(ProgrammeChange, run.change_id, with_for_update=True)
            if change.state == "drafted":
                change.effect = effect
    return "reckoned"


def forget_runs(*, session: Session) -> int:
    """Delete what was asked for to look at and is over a week old; return how many. Drafts keep theirs."""
    old = func.clock_timestamp() - KEPT_FOR
    found: Sequence[EffectRun] = session.scalars(
        select(EffectRun).where(EffectRun.change_id.is_(None), EffectRun.begun_at < old)
    ).all()
    for run in found:
        session.delete(run)
    return len(found)


def _take(session: Session) -> EffectRun | None:
    given_up = EffectRun.begun_at < func.clock_timestamp() - GIVEN_UP_AFTER
    run = session.scalars(
        select(EffectRun)
        .where(EffectRun.effect.is_(None), EffectRun.refusal_zh.is_(None), EffectRun.begun_at.is_(None) | given_up)
        .order_by(EffectRun.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if run is not None:
        run.begun_at = func.clock_timestamp()
        run.tries += 1
        session.flush()
    return run


def _events(session: Session, programme: Programme) -> int:
    """Event numbers have no gaps: the last one is how many there are."""
    last = select(func.max(QueueEvent.event_no)).where(QueueEvent.programme_id == programme.id)
    return session.scalar(last) or 0


def _newcomers(*, session: Session, programme: Programme, rules: Rules, now: datetime) -> list[datetime]:
    """The arrivals to be expected until the last stage closes, under the rules in force or the others."""
    state = State.from_core_json(programme.head) if programme.head is not None else State()
    arrivals = arrivals_before(session=session, programme_id=programme.id, state=state, now=now)
    outlooks = outlooks_of(state=state, now=now)
    if not outlooks or not sum(arrivals.by_hour):
        return []
    until = max(rules.stages[-1].closes_at, outlooks[-1].closes_at)
    return list(islice(expected_arrivals(arrivals=arrivals, stages=outlooks, until=until), MOST_NEWCOMERS))
