"""Half-filled forms of an owner (草稿), kept under his trade-in until they are sent, so that he can come back to them.

A draft is sealed, holds no number of an identity document, and is forgotten after a week, once it is sent, and with
an erasure. It decides nothing: it is nobody's deed, so the audit trail does not tell of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    Identity,
    LargeBinary,
    String,
    UniqueConstraint,
    delete,
    exists,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.sql.elements import ColumnElement

from registry.base import Base, Instant, Refusal, table_of
from registry.key_rotation import SealedTable
from registry.people import clean_id_number, mask_id_number
from registry.sealing import Keyring
from registry.trade_ins import TradeIn

LASTS = timedelta(days=7)
CODES = frozenset({"vehicle_code", "battery_code"})
_FIELD = "owner_draft"
# What may be the number of an identity document within a text; whether it is one, its check character says.
_ID_LIKE = re.compile(r"(?<![0-9A-Za-z])(?:\d{17}[\dXx]|[A-Za-z]{3}\d{12})(?![0-9A-Za-z])", re.ASCII)


class OwnerDraft(Base):
    """One half-filled form. ``kind`` names the form, ``key`` this content of it; ``saved_at`` is real time."""

    __tablename__ = "owner_draft"
    __table_args__ = (UniqueConstraint("trade_in_id", "kind"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    trade_in_id: Mapped[int] = mapped_column(ForeignKey("trade_in.id"))
    kind: Mapped[str] = mapped_column(String(12))
    key: Mapped[str] = mapped_column(String(32))
    answers_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    saved_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp(), index=True)


class OwnerDraftPhoto(Base):
    """One picture that will be sent with the form."""

    __tablename__ = "owner_draft_photo"
    __table_args__ = (UniqueConstraint("draft_id", "sha256"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    draft_id: Mapped[int] = mapped_column(ForeignKey("owner_draft.id", ondelete="CASCADE"))
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    image: Mapped[bytes] = mapped_column(LargeBinary)


# Beside a draft's answers, its rows are found by the id alone.
OWNER_DRAFTS = SealedTable(
    table=table_of(OwnerDraft),
    fields={"answers_sealed": _FIELD},
)


class TooManyDraftPhotos(Refusal):
    """A form takes a bounded number of pictures."""

    code = "too_many_draft_photos"
    kind = "conflict"
    zh = "最多交 {most} 张照片。"
    en = "You can send {most} pictures at most."
    remedy_zh = "请去掉一些，留下要紧的几张。"
    remedy_en = "Remove some and keep the ones that matter."
    default_field = "photos"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A half-filled form: ``answers`` by question, ``photos`` the ids of its pictures, oldest first.

    ``key`` changes with every change of the content: whoever sends the form under it sends what it holds now.
    ``expires_at`` is real time.
    """

    id: int
    key: str
    answers: Mapping[str, str]
    photos: Sequence[int]
    expires_at: datetime


def find_draft(*, session: Session, keyring: Keyring, trade_in_id: int, kind: str) -> Draft | None:
    """Return the form as it was left, None where it was never begun or is older than a week. Changes nothing."""
    query = select(OwnerDraft).where(*_live(trade_in_id, kind)).execution_options(populate_existing=True)
    row = session.scalar(query)
    return None if row is None else _told(session, keyring, row)


def half_filled(*, session: Session, trade_in_id: int) -> list[str]:
    """Return which forms (their kinds) were begun for a trade-in and not sent, in the order they were begun."""
    fresh = OwnerDraft.saved_at > func.clock_timestamp() - LASTS
    mine = select(OwnerDraft.kind).where(OwnerDraft.trade_in_id == trade_in_id, fresh)
    return list(session.scalars(mine.order_by(OwnerDraft.id)))


def save_draft(*, session: Session, keyring: Keyring, trade_in_id: int, kind: str, answers: Mapping[str, str]) -> Draft:
    """Keep these answers beside those already given and return the form; numbers of identity documents are masked.

    The transaction is left to the caller.
    """
    row = _lock(session, keyring, trade_in_id=trade_in_id, kind=kind)
    before = _opened(keyring, row)
    # A battery's or a vehicle's code may look like a document's number, and is what the owner has to put right.
    after = before | {name: text if name in CODES else without_id_numbers(text) for name, text in answers.items()}
    if after != before:
        _change(keyring, row, after)
    row.saved_at = session.execute(select(func.clock_timestamp(type_=DateTime(timezone=True)))).scalar_one()
    session.flush()
    return _told(session, keyring, row)


def add_draft_photo(
    *, session: Session, keyring: Keyring, trade_in_id: int, kind: str, image: bytes, most: int
) -> None:
    """Keep a picture with the form, the same one once. The transaction is left to the caller.

    Raises TooManyDraftPhotos; whether it is a picture, and small enough, the caller has looked at.
    """
    row = _lock(session, keyring, trade_in_id=trade_in_id, kind=kind)
    fresh = insert(OwnerDraftPhoto).values(draft_id=row.id, sha256=hashlib.sha256(image).digest(), image=image)
    session.execute(fresh.on_conflict_do_nothing())
    if len(_photos(session, row.id)) > most:
        raise TooManyDraftPhotos(most=most)
    row.key = _new_key()
    session.flush()


def remove_draft_photos(*, session: Session, keyring: Keyring, trade_in_id: int, kind: str) -> None:
    """Remove the form's pictures. The transaction is left to the caller."""
    row = _lock(session, keyring, trade_in_id=trade_in_id, kind=kind)
    session.execute(delete(OwnerDraftPhoto).where(OwnerDraftPhoto.draft_id == row.id))
    row.key = _new_key()
    session.flush()


def draft_images(*, session: Session, draft: Draft) -> list[bytes]:
    """Return the form's pictures, oldest first."""
    query = select(OwnerDraftPhoto.image).where(OwnerDraftPhoto.draft_id == draft.id).order_by(OwnerDraftPhoto.id)
    return list(session.scalars(query))


def drop_draft(*, session: Session, trade_in_id: int, kind: str, key: str) -> None:
    """Forget the form as it was sent under this key; what was typed since, on another phone, stays.

    The transaction is left to the caller.
    """
    sent = (OwnerDraft.trade_in_id == trade_in_id, OwnerDraft.kind == kind, OwnerDraft.key == key)
    session.execute(delete(OwnerDraft).where(*sent))


def drop_drafts_of(*, session: Session, owner_id: int) -> int:
    """Forget every form of this owner and return how many; the transaction is left to the caller."""
    mine = exists().where(TradeIn.id == OwnerDraft.trade_in_id, TradeIn.owner_id == owner_id)
    return len(session.execute(delete(OwnerDraft).where(mine).returning(OwnerDraft.id)).all())


def forget_drafts(*, session: Session) -> int:
    """Forget the forms that were left for a week; return how many."""
    old = delete(OwnerDraft).where(OwnerDraft.saved_at < func.clock_timestamp() - LASTS)
    return len(session.execute(old.returning(OwnerDraft.id)).all())


def without_id_numbers(text: str) -> str:
    """Return the text with the numbers of identity documents masked; other numbers stay as they are."""
    return _ID_LIKE.sub(lambda found: _masked(found[0]), text)


def _masked(number: str) -> str:
    try:
        return mask_id_number(clean_id_number(number))
    except Refusal:
        return number


def _live(trade_in_id: int, kind: str) -> tuple[ColumnElement[bool], ...]:
    fresh = OwnerDraft.saved_at > func.clock_timestamp() - LASTS
    return (OwnerDraft.trade_in_id == trade_in_id, OwnerDraft.kind == kind, fresh)


def _lock(session: Session, keyring: Keyring, *, trade_in_id: int, kind: str) -> OwnerDraft:
    """Return the form's row, locked, made now where there is none; one left for a week begins anew."""
    session.execute(
        delete(OwnerDraft).where(
            OwnerDraft.trade_in_id == trade_in_id,
            OwnerDraft.kind == kind,
            OwnerDraft.saved_at < func.clock_timestamp() - LASTS,
        )
    )
    empty = keyring.seal("{}", field=_FIELD)
    row = insert(OwnerDraft).values(trade_in_id=trade_in_id, kind=kind, key=_new_key(), answers_sealed=empty)
    session.execute(row.on_conflict_do_nothing())
    query = select(OwnerDraft).where(OwnerDraft.trade_in_id == trade_in_id, OwnerDraft.kind == kind)
    return session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()


def _change(keyring: Keyring, row: OwnerDraft, answers: Mapping[str, str]) -> None:
    row.answers_sealed = keyring.seal(json.dumps(answers, ensure_ascii=False), field=_FIELD)
    row.key = _new_key()


def _opened(keyring: Keyring, row: OwnerDraft) -> dict[str, str]:
    answers: dict[str, str] = json.loads(keyring.open(row.answers_sealed, field=_FIELD))
    return answers


def _told(session: Session, keyring: Keyring, row: OwnerDraft) -> Draft:
    return Draft(
        id=row.id,
        key=row.key,
        answers=_opened(keyring, row),
        photos=_photos(session, row.id),
        expires_at=row.saved_at + LASTS,
    )


def _photos(session: Session, draft_id: int) -> list[int]:
    query = select(OwnerDraftPhoto.id).where(OwnerDraftPhoto.draft_id == draft_id).order_by(OwnerDraftPhoto.id)
    return list(session.scalars(query))


def _new_key() -> str:
    return secrets.token_urlsafe(18)
