"""What an erasure leaves of an appeal: the fact, its dates and its outcome; text and pictures go in time.

An owner's own words and pictures are personal data. They are needed as long as the answer can be brought to court,
six months from the day it was known (行政诉讼法, article 46; an administrative review takes less). The decision the
appeal was about, its rule and any overrule stay with the claim they belong to.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from registry.audit import record
from registry.people import Person
from registry.trade_ins import TradeIn
from subsidy.appeals import OPEN, Appeal, AppealPhoto

# Six months, the longest that six months can be.
MAY_BE_BROUGHT_TO_COURT = timedelta(days=184)
ACTOR = "retention"


def keeps_appeal_text(*, session: Session, person_id: int) -> bool:
    """Say whether text or pictures of an appeal of this person are still held."""
    pictures = select(AppealPhoto.id).where(AppealPhoto.appeal_id == Appeal.id).exists()
    held = select(Appeal.id).where(Appeal.person_id == person_id, or_(Appeal.body != "", pictures)).limit(1)
    return session.scalar(held) is not None


def forget_appeals_of(*, session: Session, person_id: int, now: datetime) -> int:
    """Empty the appeals of somebody who asks for erasure, where they were answered six months ago or longer.

    An open appeal is left alone: the erasure waits for its answer. Returns how many; commits nothing.
    """
    return _forget(session, now, Appeal.person_id == person_id)


def forget_appeals_of_locked(*, session: Session, now: datetime) -> int:
    """Empty the appeals of everybody who is locked once their six months are over; commits nothing."""
    return _forget(session, now, Appeal.person_id.in_(select(Person.id).where(Person.locked_at.is_not(None))))


def _forget(session: Session, now: datetime, *whose: object) -> int:
    over = (Appeal.state.not_in(OPEN), Appeal.answered_at <= now - MAY_BE_BROUGHT_TO_COURT, Appeal.body != "")
    query = select(Appeal).where(*over, *whose).with_for_update(skip_locked=True)  # type: ignore[arg-type]
    appeals = session.scalars(query).all()
    for appeal in appeals:
        pictures = delete(AppealPhoto).where(AppealPhoto.appeal_id == appeal.id).returning(AppealPhoto.id)
        gone = len(session.execute(pictures).all())
        session.execute(update(Appeal).where(Appeal.id == appeal.id).values(body="", answer=None))
        reference = session.get_one(TradeIn, appeal.trade_in_id).reference
        detail = {"appeal": appeal.reference, "text": ["held", "erased"], "pictures": [gone, 0]}
        record(session=session, actor=ACTOR, action="appeal.erased", subject=f"trade_in:{reference}", detail=detail)
    session.flush()
    return len(appeals)
