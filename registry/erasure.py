"""Erasure (删除个人信息): what goes when a person asks for it, what the law keeps, and how that is locked away.

Personal Information Protection Law (个人信息保护法), article 47: what is not needed any more is deleted; where another
law's period has not run out, it may be stored and kept safe and nothing else. So a person is locked: no page and no
API shows name, ID number or phone any more, signing in has ended, and only an auditor sees the sealed name and number,
for a reason that is kept (registry/unmasking.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    String,
    and_,
    delete,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.accounts import Account, SignIn
from registry.audit import record
from registry.base import Base, Instant, Refusal
from registry.code_limits import OneTimeCode
from registry.consent import answer_consent, standing_consents
from registry.filings import FiledBike
from registry.inputs import Inputs
from registry.messages import Message
from registry.owner_drafts import drop_drafts_of
from registry.people import (
    LOCKED,
    Person,
    clean_id_number,
    clean_mobile,
    find_person,
    mask_name,
    open_name,
    phone_index,
)
from registry.plates import Plate
from registry.proxies import Proxy
from registry.retention import RETAINED, Retained
from registry.sealing import Keyring
from registry.trade_ins import OVER, TradeIn, TradeInPhoto
from registry.transfers import Transfer

SHORTEST_REASON = 4
LOCAL = ZoneInfo("Asia/Shanghai")
# As the opening of a trade-in locks a person: the two exclude each other, and rows that refer to a person pass.
LOCK = {"key_share": True}


class Erasure(Base):
    """One request for erasure and what was decided, instants of business time. ``decision``: carried_out or refused.

    ``blocked_by`` names the references a refused request has to wait for; ``removed`` counts what went; ``kept`` the
    codes of RETAINED that stay, ``kept_until`` the last day of the longest period, None where it has no end yet.
    """

    __tablename__ = "erasure"
    __table_args__ = (
        Index(
            "uq_erasure_standing",
            "person_id",
            unique=True,
            postgresql_where=text("decision = 'carried_out' AND restored_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    asked_by: Mapped[str] = mapped_column(String(60))
    asked_at: Mapped[datetime] = mapped_column(Instant)
    decision: Mapped[str] = mapped_column(String(12))
    blocked_by: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    removed: Mapped[dict[str, int]] = mapped_column(JSONB, server_default="{}")
    kept: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    kept_until: Mapped[date | None] = mapped_column(Date)
    restored_at: Mapped[datetime | None] = mapped_column(Instant)
    restored_by: Mapped[str | None] = mapped_column(String(60))
    restored_reason: Mapped[str | None] = mapped_column(String(200))


class ErasureMustWait(Refusal):
    """Something of the person's is not finished: what it needs cannot go yet."""

    code = "erasure_must_wait"
    kind = "conflict"
    zh = "还有没办完的：{references}。办完以前不能删除您的信息。"
    en = "Something is not finished yet: {references}. Until then your data is needed."
    remedy_zh = "等补贴到账、退款办完，或者撤回还没收旧车的置换和没办完的过户，再来申请；已经记下您今天申请过。"
    remedy_en = "Ask again once the money has arrived, or withdraw what can be withdrawn. Today's request is recorded."


class NothingToRestore(Refusal):
    """Nobody with this ID number is locked."""

    code = "nothing_to_restore"
    kind = "not_found"
    zh = "没有用这个证件号码锁定的资料。"
    en = "Nobody with this ID number is locked."
    remedy_zh = "请对照证件核对号码；没有申请过删除的，不用恢复。"
    remedy_en = "Compare the number with the card; who never asked for erasure needs no restoring."
    default_field = "id_no"


class RestoreReasonMissing(Refusal):
    """Whoever opens locked data again says why."""

    code = "restore_reason_missing"
    zh = "请写明恢复的原因。"
    en = "Say why access is restored."
    remedy_zh = "写一句话，例如「本人持身份证到窗口，要再办置换」。"
    remedy_en = "One sentence, for example «came with the ID card to trade in another bike»."
    default_field = "reason"


class Elsewhere(Protocol):
    """What other parts of Mapai hold on a person."""

    def unfinished(self, *, session: Session, person_id: int) -> Sequence[str]:
        """Return the references of trade-ins whose money is not finished."""

    def kept_since(self, *, session: Session, person_id: int) -> date | None:
        """Return the day of the person's last claim or payment, None where there is none."""

    def keeps(self, *, session: Session, person_id: int) -> Sequence[str]:
        """Return the codes of RETAINED that stay beside claims and payments."""

    def forget(self, *, session: Session, person_id: int, now: datetime) -> Mapping[str, int]:
        """Remove what no law keeps (any more, at ``now``); return how much of what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What asking for erasure would mean now: references to wait for, what stays and until when."""

    waits_for: Sequence[str]
    kept: Sequence[Retained]
    kept_until: date | None


def outlook(*, session: Session, person_id: int, elsewhere: Elsewhere) -> Outlook:
    """Return what an erasure would wait for and what it would leave. Changes nothing."""
    kept, until = _kept(session=session, person_id=person_id, elsewhere=elsewhere)
    waits_for = _unfinished(session=session, person_id=person_id, elsewhere=elsewhere)
    return Outlook(waits_for=waits_for, kept=[RETAINED[code] for code in kept], kept_until=until)


def ask_erasure(*, session: Session, person_id: int, elsewhere: Elsewhere, actor: str, now: datetime) -> Erasure:
    """Erase what no law keeps, lock the rest, end signing in; asking again returns what was done.

    The transaction is left to the caller. Raises ErasureMustWait while a trade-in, its money or a transfer is open:
    that request is recorded and COMMITTED before it is raised.
    """
    # Whichever of this and the opening of a trade-in comes second sees the other.
    person = session.get_one(Person, person_id, with_for_update=LOCK, populate_existing=True)
    standing = standing_erasure(session=session, person_id=person_id)
    if standing is not None:
        return standing
    waits_for = _unfinished(session=session, person_id=person_id, elsewhere=elsewhere)
    erasure = Erasure(person_id=person_id, asked_by=actor, asked_at=now, decision="refused", blocked_by=waits_for)
    session.add(erasure)
    if waits_for:
        _note(session, erasure, actor, "erasure.refused", {"waits_for": waits_for})
        session.commit()
        raise ErasureMustWait(references="、".join(waits_for))
    erasure.decision = "carried_out"
    erasure.removed = {
        **_remove(session=session, person=person, actor=actor, now=now),
        **elsewhere.forget(session=session, person_id=person_id, now=now),
    }
    erasure.kept, erasure.kept_until = _kept(session=session, person_id=person_id, elsewhere=elsewhere)
    changed = {"phone": ["held", "erased"], "locked": [False, True], "signing_in": ["open", "ended"]}
    _note(session, erasure, actor, "erasure.carried_out", {**changed, "removed": erasure.removed})
    session.flush()
    return erasure


def restore(
    *, session: Session, keyring: Keyring, id_no: str, phone: str, reason: str, actor: str, now: datetime
) -> Erasure:
    """Open a locked person again who stands there with the ID card, under the phone given now; commits nothing.

    ``reason`` is kept beside the request. What was erased stays erased. Raises the refusals of the cleaning
    functions, RestoreReasonMissing and NothingToRestore.
    """
    inputs = Inputs()
    id_no = inputs.take("id_no", clean_id_number, id_no)
    phone = inputs.take("phone", clean_mobile, phone)
    inputs.take("reason", _require_reason, reason)
    inputs.check()
    found = find_person(session=session, keyring=keyring, id_no=id_no)
    if found is None:
        raise NothingToRestore
    person = session.get_one(Person, found.id, with_for_update=LOCK, populate_existing=True)
    erasure = standing_erasure(session=session, person_id=person.id)
    if erasure is None or person.locked_at is None:
        raise NothingToRestore
    erasure.restored_at, erasure.restored_by, erasure.restored_reason = now, actor, reason.strip()
    person.locked_at = None
    person.phone_sealed = keyring.seal(phone, field="phone")
    person.phone_index = phone_index(keyring=keyring, phone=phone)
    shown = mask_name(open_name(person=person, keyring=keyring))
    mine = update(Account).where(Account.person_id == person.id)
    session.execute(mine.values(disabled_at=None, display_name=shown))
    changed = {"phone": ["erased", "held"], "locked": [True, False], "signing_in": ["ended", "open"]}
    _note(session, erasure, actor, "erasure.restored", changed)
    session.flush()
    return erasure


def standing_erasure(*, session: Session, person_id: int) -> Erasure | None:
    """Return the erasure under which the person is locked, None where none stands."""
    mine = (Erasure.person_id == person_id, Erasure.decision == "carried_out", Erasure.restored_at.is_(None))
    return session.scalar(select(Erasure).where(*mine))


def list_erasures(*, session: Session, before: int | None = None, limit: int = 50) -> Sequence[Erasure]:
    """Return every request, newest first; only those with a smaller id than ``before``."""
    query = select(Erasure).order_by(Erasure.id.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(Erasure.id < before)).all()


def _unfinished(*, session: Session, person_id: int, elsewhere: Elsewhere) -> list[str]:
    mine = select(TradeIn.reference).where(TradeIn.owner_id == person_id, TradeIn.state.not_in(OVER))
    party = or_(Transfer.seller_id == person_id, Transfer.buyer_id == person_id)
    changing = select(Transfer.transfer_no).where(party, Transfer.state == "opened")
    ours = [*session.scalars(mine.order_by(TradeIn.id)), *session.scalars(changing.order_by(Transfer.id))]
    return list(dict.fromkeys([*ours, *elsewhere.unfinished(session=session, person_id=person_id)]))


def _kept(*, session: Session, person_id: int, elsewhere: Elsewhere) -> tuple[list[str], date | None]:
    """The codes of what stays, and the last day of the longest period that is known."""
    kept: list[str] = []
    until = None
    since = elsewhere.kept_since(session=session, person_id=person_id)
    completed = session.scalar(select(func.max(TradeIn.completed_at)).where(TradeIn.owner_id == person_id))
    days = [day for day in (since, completed.astimezone(LOCAL).date() if completed else None) if day]
    if days:
        kept.append("claims_and_payments")
        until = date(max(days).year + (RETAINED["claims_and_payments"].years or 0), 12, 31)
    kept += elsewhere.keeps(session=session, person_id=person_id)
    held = (
        select(FiledBike.id).where(FiledBike.owner_id == person_id),
        select(Plate.id).where(Plate.holder_id == person_id),
    )
    if any(session.scalar(each.limit(1)) is not None for each in held):
        kept.append("filings_and_plates")
    kept.append("processing_records")
    return kept, until


def _remove(*, session: Session, person: Person, actor: str, now: datetime) -> dict[str, int]:
    """Remove what the registry holds and no law keeps; lock the rest. Returns how much of what went."""
    clock = func.clock_timestamp(type_=DateTime(timezone=True))
    withdrawn = select(TradeIn.id).where(TradeIn.owner_id == person.id, TradeIn.state == "withdrawn")
    codes = delete(OneTimeCode).where(OneTimeCode.phone_index == person.phone_index)
    owed = update(Message).where(Message.person_id == person.id, Message.state == "owed").values(state="withheld")
    texts = update(Message).where(Message.person_id == person.id, Message.body != "").values(body="")
    photos = delete(TradeInPhoto).where(TradeInPhoto.trade_in_id.in_(withdrawn))
    accounts = select(Account.id).where(Account.person_id == person.id)
    acting = update(Proxy).where(and_(Proxy.person_id == person.id, Proxy.ended_at.is_(None)))
    removed = {"phone": int(person.phone_sealed is not None)}
    if person.phone_index is not None:
        removed["one_time_codes"] = _rows(session, codes.returning(OneTimeCode.number))
    session.execute(owed)
    removed["message_texts"] = _rows(session, texts.returning(Message.id))
    removed["photos_of_withdrawn_trade_ins"] = _rows(session, photos.returning(TradeInPhoto.id))
    removed["authorities_to_act_for_others"] = _rows(
        session, acting.values(ended_at=now, ended_by=actor).returning(Proxy.id)
    )
    removed["sign_ins"] = _rows(
        session, delete(SignIn).where(SignIn.account_id.in_(accounts)).returning(SignIn.account_id)
    )
    removed["half_filled_forms"] = drop_drafts_of(session=session, owner_id=person.id)
    removed["consents"] = _withdraw_consents(session=session, person_id=person.id, actor=actor, now=now)
    session.execute(
        update(Account).where(Account.person_id == person.id).values(disabled_at=clock, display_name=LOCKED)
    )
    person.phone_sealed = person.phone_index = None
    person.locked_at = now
    return removed


def _rows(session: Session, statement: object) -> int:
    return len(session.execute(statement).all())  # type: ignore[call-overload]


def _withdraw_consents(*, session: Session, person_id: int, actor: str, now: datetime) -> int:
    given = [each for each in standing_consents(session=session, person_id=person_id).values() if each.given]
    for consent in given:
        answer_consent(
            session=session,
            person_id=person_id,
            purpose=consent.purpose,
            version=consent.version,
            given=False,
            actor=actor,
            now=now,
        )
    return len(given)


def _require_reason(text: str) -> str:
    if len(text.strip()) < SHORTEST_REASON:
        raise RestoreReasonMissing
    return text.strip()


def _note(session: Session, erasure: Erasure, actor: str, action: str, detail: dict[str, object]) -> None:
    session.flush()
    facts = {"erasure": erasure.id, **detail}
    record(session=session, actor=actor, action=action, subject=f"person:{erasure.person_id}", detail=facts)
