"""Consent (同意): which version of which wording a person agreed to, for what, and when. Nothing is overwritten.

What the trade-in itself needs rests on the law and asks for no consent; what goes beyond it does, and can be withdrawn.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Boolean, ForeignKey, Identity, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.audit import record
from registry.base import Base, Instant, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """One version of what is agreed to, as it is shown."""

    version: int
    zh: str
    en: str


# The newest version last; older ones stay, so that it can be shown what somebody agreed to.
WORDINGS: dict[str, tuple[Wording, ...]] = {
    "progress_messages": (
        Wording(
            version=1,
            zh="同意用我登记的手机号码，给我发送置换和补贴进度的短信。",
            en="Messages about my trade-in and subsidy may be sent to the phone I gave.",
        ),
    ),
    "survey": (
        Wording(
            version=1,
            zh="同意区市场监管局在补贴到账后打电话回访一次，了解办理是否顺利。",
            en="The bureau may call me once after the payment to ask how it went.",
        ),
    ),
}
PURPOSES = tuple(WORDINGS)


class Consent(Base):
    """One answer of a person, append-only: the newest for a purpose counts. ``at`` is a business instant."""

    __tablename__ = "consent"
    __table_args__ = (Index("ix_consent_person", "person_id", "purpose", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    purpose: Mapped[str] = mapped_column(String(24))
    version: Mapped[int]
    given: Mapped[bool] = mapped_column(Boolean)
    actor: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime] = mapped_column(Instant)


class WordingOutdated(Refusal):
    """Consent was given to a version that is not the current one: what was read is not what would be agreed to."""

    code = "wording_outdated"
    kind = "conflict"
    zh = "说明已经更新到第 {current} 版。"
    en = "The wording is now version {current}."
    remedy_zh = "请先读新的说明，再选择同意或者不同意。"
    remedy_en = "Read the current wording, then answer again."
    default_field = "version"


def answer_consent(
    *, session: Session, person_id: int, purpose: str, version: int, given: bool, actor: str, now: datetime
) -> Consent:
    """Write down that the person gives consent or withdraws it; the same answer again returns the one that stands.

    Withdrawing is taken for any version that ever was. Raises WordingOutdated; commits nothing.
    """
    current = WORDINGS[purpose][-1].version
    if version != current and (given or not 1 <= version < current):
        raise WordingOutdated(current=current)
    stands = standing_consents(session=session, person_id=person_id).get(purpose)
    if stands is not None and (stands.version, stands.given) == (version, given):
        return stands
    consent = Consent(person_id=person_id, purpose=purpose, version=version, given=given, actor=actor, at=now)
    session.add(consent)
    session.flush()
    detail = {
        "purpose": purpose,
        "old": None if stands is None else {"version": stands.version, "given": stands.given},
        "new": {"version": version, "given": given},
    }
    record(session=session, actor=actor, action="consent_answered", subject=f"person:{person_id}", detail=detail)
    return consent


def consents_of(*, session: Session, person_id: int) -> Sequence[Consent]:
    """Return every answer the person ever gave, oldest first."""
    return session.scalars(select(Consent).where(Consent.person_id == person_id).order_by(Consent.id)).all()


def standing_consents(*, session: Session, person_id: int) -> dict[str, Consent]:
    """Return the answer that counts now, by purpose; a purpose never answered is missing."""
    return {consent.purpose: consent for consent in consents_of(session=session, person_id=person_id)}


def answers_of(*, session: Session, person_ids: Collection[int]) -> dict[tuple[int, str], bool]:
    """Return what these people's answers that count now say, by person and purpose; one never given is missing."""
    if not person_ids:
        return {}
    query = select(Consent.person_id, Consent.purpose, Consent.given).where(Consent.person_id.in_(person_ids))
    return {(row.person_id, row.purpose): row.given for row in session.execute(query.order_by(Consent.id))}
