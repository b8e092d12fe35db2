"""A change of a programme (活动变更): one person drafts it, another approves it, and then it stands in the queue.

A change is a new version of the rules (programme_change_draft.py) or a pause or its end (pausing.py). Approving is the
only step that touches the queue; until then a draft changes nothing for anybody.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import Connection
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.transitions import Transitions
from subsidy.business_clock import BusinessClock
from subsidy.events import EventKind
from subsidy.programme import Programme
from subsidy.programme_change_grace import refuse_uncovered_grace
from subsidy.queue import append_event, publish_version
from subsidy.queue_turn import take_turn
from subsidy.rules import Rules

VERSION, PAUSE, RESUME = "version", "pause", "resume"
LONGEST_NOTE, LONGEST_DECISION_NOTE = 500, 300
CHANGE = Transitions(
    noun_zh="这份变更",
    noun_en="change",
    words={"drafted": "待批准", "approved": "已批准", "refused": "未批准", "withdrawn": "已撤回"},
    edges={
        "drafted": {"approve": "approved", "refuse": "refused", "withdraw": "withdrawn"},
        "approved": {},
        "refused": {},
        "withdrawn": {},
    },
)


class ProgrammeChange(Base):
    """One change as drafted and decided.

    ``kind``: version (with ``rules``, the whole of them), pause or resume (with the public reason). ``base_version_no``
    is the version it was drafted against; ``effect`` what it would do, as what_if.py told it;
    None until that is reckoned (programme_change_effect.py).
    ``grace_reserves`` is set where an open stage closes earlier: whether the money left covers every open trade-in.
    ``event_no`` is its event in the queue once approved.
    """

    __tablename__ = "programme_change"
    __table_args__ = (
        CheckConstraint("kind IN ('version', 'pause', 'resume')", name="known_kind"),
        CheckConstraint("state IN ('drafted', 'approved', 'refused', 'withdrawn')", name="known_state"),
        CheckConstraint("(kind = 'version') = (rules IS NOT NULL)", name="rules_of_a_version"),
        CheckConstraint(
            "(kind = 'version') = (reason_zh IS NULL) AND (kind = 'version') = (reason_en IS NULL)",
            name="public_reason",
        ),
        CheckConstraint("(state = 'drafted') = (decided_by IS NULL)", name="decided"),
        CheckConstraint("(state = 'approved') = (event_no IS NOT NULL)", name="in_the_queue"),
        CheckConstraint("state NOT IN ('approved', 'refused') OR decided_by <> drafted_by", name="two_persons"),
        Index("ix_programme_change_programme", "programme_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    programme_id: Mapped[int] = mapped_column(ForeignKey("programme.id"))
    kind: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(10), server_default="drafted")
    base_version_no: Mapped[int] = mapped_column(Integer)
    rules: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    grace_reserves: Mapped[bool | None] = mapped_column(Boolean)
    reason_zh: Mapped[str | None] = mapped_column(String(200))
    reason_en: Mapped[str | None] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(String(LONGEST_NOTE))
    effect: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    drafted_by: Mapped[str] = mapped_column(String(60))
    drafted_at: Mapped[datetime] = mapped_column(Instant)
    decided_by: Mapped[str | None] = mapped_column(String(60))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    decision_note: Mapped[str | None] = mapped_column(String(LONGEST_DECISION_NOTE))
    event_no: Mapped[int | None] = mapped_column(BigInteger)


class ChangeNotFound(Refusal):
    """The programme has no such change."""

    code = "change_not_found"
    kind = "not_found"
    zh = "没有找到这份变更。"
    en = "There is no such change."
    remedy_zh = "请从变更列表里进入。"
    remedy_en = "Start from the list of changes."
    default_field = "change_no"


class DrafterCannotDecide(Refusal):
    """Who drafted a change does not decide on it."""

    code = "drafter_cannot_decide"
    kind = "forbidden"
    zh = "这份变更是您自己起草的，要由另一个人决定。"
    en = "You drafted this change yourself: another person has to decide on it."
    remedy_zh = "请另一位审核人员来办；不想办了的，您可以撤回。"
    remedy_en = "Ask another reviewer; if you no longer want it, withdraw it."


class OnlyTheDrafterWithdraws(Refusal):
    """A draft is taken back by who wrote it; everybody else refuses it."""

    code = "only_the_drafter_withdraws"
    kind = "forbidden"
    zh = "只有起草的人可以撤回。"
    en = "Only who drafted a change can withdraw it."
    remedy_zh = "请起草人撤回，或者由审核人员不予批准。"
    remedy_en = "Ask the drafter, or have a reviewer refuse it."


class DraftOutdated(Refusal):
    """Another version was published since the draft was written: what it shows no longer holds."""

    code = "draft_outdated"
    kind = "conflict"
    zh = "起草时是第 {base} 版，现在已经是第 {current} 版，这份草稿过时了。"
    en = "It was drafted against version {base}; version {current} is in force, so the draft is out of date."
    remedy_zh = "请按现行规则重新起草。"
    remedy_en = "Draft it again against the rules in force."


class EffectPending(Refusal):
    """What a draft would do is still being reckoned: nobody approves what he cannot see."""

    code = "effect_pending"
    kind = "conflict"
    zh = "这份草稿的效果还在推算，推算完才能批准。"
    en = "The effect of this draft is still being reckoned; it can be approved once it is there."
    remedy_zh = "请稍后再打开这份变更。"
    remedy_en = "Open the change again in a while."


def approve_change(
    *, session: Session, programme: Programme, change_id: int, actor: str, clock: BusinessClock
) -> ProgrammeChange:
    """Approve a draft and put it into the queue, in the caller's transaction; it holds from now on.

    Everything is checked again under the programme's lock. Raises ChangeNotFound, StepNotAllowed, DrafterCannotDecide,
    DraftOutdated, EffectPending, and what the queue refuses: RulesRefused, GraceNotSaid, GraceNotCovered,
    NoPausePossible, NothingToResume, HostClockOff.
    """
    version_no = lock_programme(session=session, programme=programme)
    change = _take_for_decision(session=session, programme=programme, change_id=change_id, actor=actor, step="approve")
    if change.kind == VERSION and change.base_version_no != version_no:
        raise DraftOutdated(base=change.base_version_no, current=version_no)
    if change.kind == VERSION and change.effect is None:
        raise EffectPending
    connection = driver_connection(session=session)
    if change.kind == VERSION:
        assert change.rules is not None, "the table keeps rules with every version"
        rules = Rules.from_json(change.rules)
        # A stage may be due to open that was to come when this was drafted.
        take_turn(connection=connection, programme_id=programme.id, clock=clock)
        refuse_uncovered_grace(session=session, programme=programme, rules=rules, grace_reserves=change.grace_reserves)
        publish_version(
            connection=connection,
            programme_id=programme.id,
            rules=rules,
            clock=clock,
            drafted_by=change.drafted_by,
            approved_by=actor,
        )
        change.event_no = _version_event(connection, programme.id)
    else:
        kind = EventKind.PAUSE if change.kind == PAUSE else EventKind.RESUME
        append_event(connection=connection, programme_id=programme.id, kind=kind, clock=clock, actor=actor)
        change.event_no = _switch_event(connection, programme.id, kind)
    _decide(session=session, change=change, step="approve", actor=actor, at=clock.now(), note=None)
    session.refresh(programme)
    return change


def refuse_draft(
    *, session: Session, programme: Programme, change_id: int, actor: str, note: str, now: datetime
) -> ProgrammeChange:
    """Refuse a draft with a reason; raises ChangeNotFound, StepNotAllowed, DrafterCannotDecide."""
    change = _take_for_decision(session=session, programme=programme, change_id=change_id, actor=actor, step="refuse")
    _decide(session=session, change=change, step="refuse", actor=actor, at=now, note=note)
    return change


def withdraw_draft(
    *, session: Session, programme: Programme, change_id: int, actor: str, now: datetime
) -> ProgrammeChange:
    """Take back one's own draft; raises ChangeNotFound, StepNotAllowed, OnlyTheDrafterWithdraws."""
    change = _lock(session=session, programme=programme, change_id=change_id, step="withdraw")
    if change.drafted_by != actor:
        raise OnlyTheDrafterWithdraws
    _decide(session=session, change=change, step="withdraw", actor=actor, at=now, note=None)
    return change


def get_change(*, session: Session, programme: Programme, change_id: int) -> ProgrammeChange:
    """Return one change of the programme; raises ChangeNotFound."""
    return _one(session=session, programme=programme, change_id=change_id, lock=False)


def list_changes(*, session: Session, programme: Programme, limit: int = 100) -> list[ProgrammeChange]:
    """Return the programme's changes, newest first."""
    query = select(ProgrammeChange).where(ProgrammeChange.programme_id == programme.id)
    return list(session.scalars(query.order_by(ProgrammeChange.id.desc()).limit(limit)))


def is_outdated(*, change: ProgrammeChange, programme: Programme) -> bool:
    """Say whether an open draft of a version can no longer be approved because another was published since."""
    return change.kind == VERSION and change.state == "drafted" and change.base_version_no != programme.version_no


def keep_draft(
    *, session: Session, change: ProgrammeChange, differences: dict[str, list[Any]] | None = None
) -> ProgrammeChange:
    """Write a new draft and who wrote it; the audit keeps ``differences`` (old → new) with it."""
    session.add(change)
    session.flush()
    detail = {"change": change.id, "kind": change.kind, "base_version_no": change.base_version_no}
    detail |= {"differences": differences} if differences else {}
    _note(session=session, change=change, actor=change.drafted_by, action="drafted", detail=detail)
    return change


def lock_programme(*, session: Session, programme: Programme) -> int:
    """Lock the programme's row, before every other row, and return the number of the version in force."""
    query = select(Programme.version_no).where(Programme.id == programme.id).with_for_update()
    return session.execute(query).scalar_one()


def driver_connection(*, session: Session) -> Connection[Any]:
    """Return the psycopg connection of the session's own transaction: the queue is written through it."""
    session.flush()
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, Connection)
    return connection


def _take_for_decision(
    *, session: Session, programme: Programme, change_id: int, actor: str, step: str
) -> ProgrammeChange:
    change = _lock(session=session, programme=programme, change_id=change_id, step=step)
    if change.drafted_by == actor:
        raise DrafterCannotDecide
    return change


def _lock(*, session: Session, programme: Programme, change_id: int, step: str) -> ProgrammeChange:
    change = _one(session=session, programme=programme, change_id=change_id, lock=True)
    CHANGE.after(state=change.state, step=step)
    return change


def _one(*, session: Session, programme: Programme, change_id: int, lock: bool) -> ProgrammeChange:
    query = select(ProgrammeChange).where(ProgrammeChange.id == change_id, ProgrammeChange.programme_id == programme.id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    change = session.scalar(query)
    if change is None:
        raise ChangeNotFound
    return change


def _decide(
    *, session: Session, change: ProgrammeChange, step: str, actor: str, at: datetime, note: str | None
) -> None:
    before = change.state
    change.state = CHANGE.after(state=before, step=step)
    change.decided_by, change.decided_at, change.decision_note = actor, at, note
    session.flush()
    detail = {"change": change.id, "kind": change.kind, "from": before, "to": change.state, "event_no": change.event_no}
    _note(session=session, change=change, actor=actor, action=change.state, detail=detail)


def _note(*, session: Session, change: ProgrammeChange, actor: str, action: str, detail: dict[str, Any]) -> None:
    audit.record(
        session=session,
        actor=actor,
        action=f"programme_change.{action}",
        subject=f"programme:{change.programme_id}",
        detail=detail,
    )


def _version_event(connection: Connection[Any], programme_id: int) -> int:
    row = connection.execute(
        "SELECT max(event_no) FROM programme_version WHERE programme_id = %s", (programme_id,)
    ).fetchone()
    assert row is not None
    return int(row[0])


def _switch_event(connection: Connection[Any], programme_id: int, kind: EventKind) -> int:
    row = connection.execute(
        "SELECT max(event_no) FROM queue_event WHERE programme_id = %s AND kind = %s", (programme_id, kind.value)
    ).fetchone()
    assert row is not None
    return int(row[0])
