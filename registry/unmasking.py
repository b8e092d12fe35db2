"""Unmasking: staff see one field of one person in clear, for a reason that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import BigInteger, Boolean, ForeignKey, Identity, Index, String, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.accounts import Account
from registry.audit import AuditEntry
from registry.base import Base, Instant, Refusal
from registry.cases import open_case
from registry.people import Person, PersonNotFound, open_id_number, open_name, open_phone
from registry.sealing import Keyring

Field = Literal["name", "id_no", "phone"]
FIELDS: tuple[Field, ...] = ("name", "id_no", "phone")
# Who decides claims, who pays them and who runs the platform; an operator or an auditor works with what is masked.
MAY_UNMASK = ("reviewer", "finance", "administrator")
# What the law keeps of a locked person is opened for audits alone (registry/erasure.py).
MAY_UNMASK_LOCKED = ("auditor",)
SHORTEST_REASON = 4
HOUR = timedelta(hours=1)
CASE = "unmasking_often"


class Unmasking(Base):
    """One look at one field, append-only. The reason stands here and not in the audit trail: it may name people.

    ``in_list`` where it was one of a list taken out as a whole.
    """

    __tablename__ = "unmasking"
    __table_args__ = (Index("ix_unmasking_account_id_at", "account_id", "at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    field: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(45))
    in_list: Mapped[bool] = mapped_column(Boolean, server_default="false")


class NothingToUnmask(Refusal):
    """The person has given nothing for this field."""

    code = "nothing_to_unmask"
    kind = "not_found"
    zh = "这个人没有留这一项。"
    en = "This person has given nothing here."
    remedy_zh = "请选另一项。"
    remedy_en = "Choose another field."
    default_field = "field"


class UnmaskedByAuditorsOnly(Refusal):
    """The person is locked after an erasure, and whoever looks is no auditor; or the other way round."""

    code = "unmasked_by_auditors_only"
    kind = "forbidden"
    zh = "已经锁定的资料只有审计能看，其他人的资料审计只看脱敏的。"
    en = "Locked data is opened for auditors alone, and auditors open nothing else."
    remedy_zh = "确有需要的，请提出审计要求；本人回来办理的，请先恢复。"
    remedy_en = "Ask an auditor where it is needed; a person who comes back is restored first."


class UnmaskedTooOften(Refusal):
    """The account has seen as many fields in clear within the hour as one account may."""

    code = "unmasked_too_often"
    kind = "too_often"
    zh = "您这一小时看过的完整资料已经到了上限（{most} 项）。"
    en = "You have seen as many fields in clear as allowed within an hour ({most})."
    remedy_zh = "请过 {minutes} 分钟再看；这件事已经记下来，由工作人员核对。"
    remedy_en = "Try again in {wait_en}; this was noted for staff to look at."


def unmask(
    *,
    session: Session,
    keyring: Keyring,
    account_id: int,
    person_id: int,
    field: Field,
    reason: str,
    address: str,
    most_per_hour: int,
) -> str:
    """Return the field in clear, with the look written down in the caller's transaction: commit before you show it.

    ``address`` is where the account looks from; ``most_per_hour`` how many fields it may see so, lists not counted.
    Raises PersonNotFound, UnmaskedByAuditorsOnly and NothingToUnmask, which write nothing, and UnmaskedTooOften, whose
    case for staff is COMMITTED.
    """
    person = session.get(Person, person_id)
    if person is None:
        raise PersonNotFound
    _require_role(session, account_id, [person])
    _require_pace(session, account_id, most_per_hour)
    value = _open(person, keyring, field)
    if value is None:
        raise NothingToUnmask
    _write_down(session, account_id, [person], field=field, reason=reason, address=address)
    return value


def note_looks(
    *, session: Session, account_id: int, persons: Sequence[Person], field: Field, reason: str, address: str
) -> None:
    """Write down that the account sees one field of each of these persons, as one look each: for lists of many.

    The caller opens the fields itself and shows nothing before it has committed. ``address`` is where the account looks
    from. Raises UnmaskedByAuditorsOnly, which writes nothing, where the account may not look at one of them.
    """
    _require_role(session, account_id, persons)
    _write_down(session, account_id, persons, field=field, reason=reason, address=address, in_list=True)


def _require_pace(session: Session, account_id: int, most: int) -> None:
    """Let one look of an account at a time count; raises UnmaskedTooOften."""
    session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
    since = func.clock_timestamp() - HOUR
    looks = session.execute(
        select(Unmasking.at, func.clock_timestamp())
        .where(Unmasking.account_id == account_id, Unmasking.in_list.is_(False), Unmasking.at > since)
        .order_by(Unmasking.at.desc())
        .limit(most)
    ).all()
    if len(looks) < most:
        return
    earliest, now = looks[-1]
    wait: timedelta = earliest + HOUR - now
    open_case(session=session, kind=CASE, subject=f"account:{account_id}", detail={"most": most})
    session.commit()
    minutes = -(-wait // timedelta(minutes=1))
    raise UnmaskedTooOften(
        most=most,
        minutes=minutes,
        wait_en="1 minute" if minutes == 1 else f"{minutes} minutes",
        retry_after_s=-(-wait // timedelta(seconds=1)),
    )


def _require_role(session: Session, account_id: int, persons: Sequence[Person]) -> None:
    role = session.scalar(select(Account.role).where(Account.id == account_id))
    if any(role not in (MAY_UNMASK if one.locked_at is None else MAY_UNMASK_LOCKED) for one in persons):
        raise UnmaskedByAuditorsOnly


def _write_down(
    session: Session,
    account_id: int,
    persons: Sequence[Person],
    *,
    field: Field,
    reason: str,
    address: str,
    in_list: bool = False,
) -> None:
    """One row and one entry of the audit a person."""
    if not persons:
        return
    look = {"account_id": account_id, "field": field, "reason": reason, "address": address[:45], "in_list": in_list}
    written = session.execute(
        insert(Unmasking).returning(Unmasking.id, Unmasking.person_id),
        [look | {"person_id": one.id} for one in persons],
    )
    entries = [
        {
            "actor": f"account:{account_id}",
            "action": "unmasked",
            "subject": f"person:{person_id}",
            "detail": {"field": field, "unmasking": look_id},
        }
        for look_id, person_id in written
    ]
    session.execute(insert(AuditEntry), entries)


def _open(person: Person, keyring: Keyring, field: Field) -> str | None:
    if field == "name":
        return open_name(person=person, keyring=keyring, locked_too=True)
    if field == "id_no":
        return open_id_number(person=person, keyring=keyring, locked_too=True)
    return open_phone(person=person, keyring=keyring)
