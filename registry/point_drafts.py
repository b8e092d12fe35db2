"""What a counter has typed into a step and not sent yet: kept, so that a closed page or another tablet goes on with it.

A draft is no fact and changes none: it is written over, dropped once the step is taken, and not in the audit. Fields of
people (names, numbers of identity documents, telephones) are not among those kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, String, delete
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.base import Base, Instant
from registry.trade_ins import Reach, get_trade_in

# Each step that has something to type: the state of the trade-in in which it is due, and the fields that are kept.
KEPT: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "receipt": ("old_bike_verified", ("frame_no", "recycling_certificate_no", "complete")),
    "sale": (
        "old_plate_cancelled",
        ("vehicle_code", "invoice_no", "list_price", "discount", "deduction", "paid"),
    ),
}
LONGEST = 120
# An invoice begun last week is another customer's by now.
LIVES = timedelta(days=7)


class PointDraft(Base):
    """What stands in one step's form of one trade-in. ``saved_at`` is a business instant."""

    __tablename__ = "point_draft"

    trade_in_id: Mapped[int] = mapped_column(ForeignKey("trade_in.id"), primary_key=True)
    step: Mapped[str] = mapped_column(String(16), primary_key=True)
    typed: Mapped[dict[str, str]] = mapped_column(JSONB)
    saved_by: Mapped[str] = mapped_column(String(60))
    saved_at: Mapped[datetime] = mapped_column(Instant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A draft as it comes back."""

    typed: Mapping[str, str]
    saved_at: datetime


def keep_draft(
    *, session: Session, reference: str, reach: Reach, step: str, typed: Mapping[str, str], actor: str, now: datetime
) -> bool:
    """Keep what was typed into ``step`` in place of what was kept before; False where that step is not due (any more).

    Empty fields are left out, so that a form emptied leaves no draft. The transaction is left to the caller. Raises
    TradeInNotFound.
    """
    trade_in = get_trade_in(session=session, reference=reference, reach=reach)
    state, fields = KEPT.get(step, ("", ()))
    if trade_in.state != state:
        return False
    kept = {name: typed[name][:LONGEST] for name in fields if typed.get(name)}
    if not kept:
        drop_draft(session=session, trade_in_id=trade_in.id, step=step, sent_at=now)
        return True
    values = {"typed": kept, "saved_by": actor, "saved_at": now}
    row = insert(PointDraft).values(trade_in_id=trade_in.id, step=step, **values)
    session.execute(row.on_conflict_do_update(index_elements=["trade_in_id", "step"], set_=values))
    return True


def read_draft(*, session: Session, trade_in_id: int, step: str, now: datetime) -> Kept | None:
    """Return what was kept of a step, None where nothing was in the last seven days."""
    draft = session.get(PointDraft, (trade_in_id, step), populate_existing=True)
    if draft is None or draft.saved_at < now - LIVES:
        return None
    return Kept(typed=draft.typed, saved_at=draft.saved_at)


def drop_draft(*, session: Session, trade_in_id: int, step: str, sent_at: datetime) -> None:
    """Forget what had been typed into a step when it was sent; after the step it is in the trade-in itself.

    What was typed since, and what was typed into another step, on another tablet, stays. ``sent_at`` is a business
    instant. The transaction is left to the caller.
    """
    mine = (PointDraft.trade_in_id == trade_in_id, PointDraft.step == step, PointDraft.saved_at <= sent_at)
    session.execute(delete(PointDraft).where(*mine))


def forget_point_drafts(*, session: Session, now: datetime) -> int:
    """Forget the drafts that were left for a week; return how many. The transaction is left to the caller."""
    old = delete(PointDraft).where(PointDraft.saved_at < now - LIVES)
    return len(session.execute(old.returning(PointDraft.trade_in_id)).all())
