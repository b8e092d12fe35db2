"""Proxies (代办人): somebody acts for an owner in one trade-in, on an authority the point has seen and recorded.

The point records it because it has both people's cards before it; nobody can name himself a proxy. The owner sees
every authority and ends it at any time. A proxy follows the trade-in; money goes to the owner's own wallet alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.audit import record
from registry.base import Base, Instant, Refusal
from registry.codes import clean_paper_number
from registry.inputs import Inputs
from registry.messages import owe_message
from registry.people import (
    PersonLocked,
    clean_id_number,
    clean_mobile,
    clean_name,
    find_person,
    know_person,
    open_name,
)
from registry.sealing import Keyring
from registry.trade_ins import OVER, Reach, TradeIn, lock_trade_in

RELATIONS = ("spouse", "parent", "child", "sibling", "other_relative", "point")


class Proxy(Base):
    """One authority for one trade-in. At most one is live (``ended_at`` is None); instants are business instants."""

    __tablename__ = "proxy"
    __table_args__ = (Index("uq_proxy_live", "trade_in_id", unique=True, postgresql_where=text("ended_at IS NULL")),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    trade_in_id: Mapped[int] = mapped_column(ForeignKey("trade_in.id"), index=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    relation: Mapped[str] = mapped_column(String(16))
    authority_no: Mapped[str] = mapped_column(String(32))
    recorded_by: Mapped[str] = mapped_column(String(60))
    recorded_at: Mapped[datetime] = mapped_column(Instant)
    ended_by: Mapped[str | None] = mapped_column(String(60))
    ended_at: Mapped[datetime | None] = mapped_column(Instant)


class ProxyIsOwner(Refusal):
    """The proxy named is the owner."""

    code = "proxy_is_owner"
    zh = "代办人就是车主本人。"
    en = "The proxy is the owner."
    remedy_zh = "车主本人来办的，不用登记代办人。"
    remedy_en = "An owner who comes in person needs no proxy."
    default_field = "id_no"


class ProxyNameDiffers(Refusal):
    """Somebody with this ID number is known under another name."""

    code = "proxy_name_differs"
    zh = "代办人的姓名和证件号码对不上。"
    en = "The proxy's name does not belong to this ID number."
    remedy_zh = "请对照代办人的证件，把姓名和号码再核对一遍。"
    remedy_en = "Compare name and number with the proxy's card."
    default_field = "name"


class ProxyTooLate(Refusal):
    """The trade-in is over."""

    code = "proxy_too_late"
    kind = "conflict"
    zh = "这笔置换已经结束，不能再登记代办人。"
    en = "This trade-in is over; no proxy can be recorded any more."
    remedy_zh = "不用再办。"
    remedy_en = "There is nothing left to do."


class ProxyNotFound(Refusal):
    """No live authority stands for this trade-in of the owner."""

    code = "proxy_not_found"
    kind = "not_found"
    zh = "这笔置换现在没有代办人。"
    en = "This trade-in has no proxy now."
    remedy_zh = "请刷新看看，代办也许已经结束。"
    remedy_en = "Reload; the authority may have ended already."


def record_proxy(
    *,
    session: Session,
    keyring: Keyring,
    reference: str,
    reach: Reach,
    name: str,
    id_no: str,
    phone: str,
    relation: str,
    authority_no: str,
    actor: str,
    now: datetime,
) -> Proxy:
    """Record who acts for the owner, by the number of the written authority; it ends the one before it.

    The same person and authority again return the one that stands. A known person's phone stays as it is. Raises the
    refusals of the cleaning functions, TradeInNotFound, ProxyTooLate, ProxyIsOwner, ProxyNameDiffers and PersonLocked;
    commits nothing.
    """
    inputs = Inputs()
    name = inputs.take("name", clean_name, name)
    id_no = inputs.take("id_no", clean_id_number, id_no)
    phone = inputs.take("phone", clean_mobile, phone)
    authority_no = inputs.take("authority_no", clean_paper_number, authority_no)
    inputs.check()
    trade_in = lock_trade_in(session=session, reference=reference, reach=reach)
    if trade_in.state in OVER:
        raise ProxyTooLate
    person_id = _known(session=session, keyring=keyring, name=name, id_no=id_no, phone=phone)
    if person_id == trade_in.owner_id:
        raise ProxyIsOwner
    stands = live_proxy(session=session, trade_in_id=trade_in.id)
    if stands is not None:
        if (stands.person_id, stands.authority_no, stands.relation) == (person_id, authority_no, relation):
            return stands
        _end(session=session, proxy=stands, trade_in=trade_in, actor=actor, now=now)
    proxy = Proxy(
        trade_in_id=trade_in.id,
        person_id=person_id,
        relation=relation,
        authority_no=authority_no,
        recorded_by=actor,
        recorded_at=now,
    )
    session.add(proxy)
    session.flush()
    detail = {"proxy": proxy.id, "person_id": person_id, "relation": relation, "authority_no": authority_no}
    record(session=session, actor=actor, action="proxy_recorded", subject=f"trade_in:{reference}", detail=detail)
    owe_message(
        session=session,
        person_id=trade_in.owner_id,
        dedupe_key=f"proxy:{proxy.id}",
        body=f"您的置换 {reference} 登记了代办人。不是您要办的，请马上拨打 12345。",
    )
    return proxy


def end_proxy(*, session: Session, reference: str, reach: Reach, actor: str, now: datetime) -> Proxy:
    """End the live authority for a trade-in and return it; raises TradeInNotFound and ProxyNotFound."""
    trade_in = lock_trade_in(session=session, reference=reference, reach=reach)
    proxy = live_proxy(session=session, trade_in_id=trade_in.id)
    if proxy is None:
        raise ProxyNotFound
    _end(session=session, proxy=proxy, trade_in=trade_in, actor=actor, now=now)
    return proxy


def proxies_for(*, session: Session, owner_id: int) -> Sequence[tuple[Proxy, str]]:
    """Return every authority ever recorded for the owner's trade-ins, oldest first, each with its reference."""
    rows = session.execute(
        select(Proxy, TradeIn.reference)
        .join(TradeIn, TradeIn.id == Proxy.trade_in_id)
        .where(TradeIn.owner_id == owner_id)
        .order_by(Proxy.id)
    )
    return [(proxy, reference) for proxy, reference in rows]


def entrusted_to(*, session: Session, person_id: int) -> Sequence[TradeIn]:
    """Return the trade-ins in which this person acts for the owner now, newest first."""
    entrusted = (
        select(TradeIn)
        .join(Proxy, Proxy.trade_in_id == TradeIn.id)
        .where(Proxy.person_id == person_id, Proxy.ended_at.is_(None))
        .order_by(TradeIn.id.desc())
    )
    return session.scalars(entrusted).all()


def _known(*, session: Session, keyring: Keyring, name: str, id_no: str, phone: str) -> int:
    known = find_person(session=session, keyring=keyring, id_no=id_no)
    if known is None:
        return know_person(session=session, keyring=keyring, id_no=id_no, name=name, phone=phone)
    if known.locked_at is not None:
        raise PersonLocked
    if open_name(person=known, keyring=keyring) != name:
        raise ProxyNameDiffers
    # Whoever is known signs in with the phone on file: somebody else's paper must not change it.
    return known.id


def live_proxy(*, session: Session, trade_in_id: int) -> Proxy | None:
    """Return who acts for the owner in this trade-in now, None where nobody does."""
    return session.scalar(select(Proxy).where(Proxy.trade_in_id == trade_in_id, Proxy.ended_at.is_(None)))


def _end(*, session: Session, proxy: Proxy, trade_in: TradeIn, actor: str, now: datetime) -> None:
    proxy.ended_by, proxy.ended_at = actor, now
    session.flush()
    subject = f"trade_in:{trade_in.reference}"
    detail = {"proxy": proxy.id, "authority": ["live", "ended"]}
    record(session=session, actor=actor, action="proxy_ended", subject=subject, detail=detail)
