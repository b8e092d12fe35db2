"""Unmasking: staff see one field of one person in clear, for a reason that is kept."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import BigInteger, ForeignKey, Identity, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.accounts import Account
from registry.audit import record
from registry.base import Base, Instant, Refusal
from registry.people import Person, PersonNotFound, open_id_number, open_name, open_phone
from registry.sealing import Keyring

Field = Literal["name", "id_no", "phone"]
FIELDS: tuple[Field, ...] = ("name", "id_no", "phone")
# Who decides claims, who pays them and who runs the platform; an operator or an auditor works with what is masked.
MAY_UNMASK = ("reviewer", "finance", "administrator")
# What the law keeps of a locked person is opened for audits alone (registry/erasure.py).
MAY_UNMASK_LOCKED = ("auditor",)
SHORTEST_REASON = 4


class Unmasking(Base):
    """One look at one field, append-only. The reason stands here and not in the audit trail: it may name people."""

    __tablename__ = "unmasking"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    field: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(45))


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


def unmask(
    *, session: Session, keyring: Keyring, account_id: int, person_id: int, field: Field, reason: str, address: str
) -> str:
    """Return the field in clear, with the look written down in the caller's transaction: commit before you show it.

    ``address`` is where the account looks from. Raises PersonNotFound, UnmaskedByAuditorsOnly and
    NothingToUnmask, which write nothing.
    """
    person = session.get(Person, person_id)
    if person is None:
        raise PersonNotFound
    role = session.scalar(select(Account.role).where(Account.id == account_id))
    if role not in (MAY_UNMASK if person.locked_at is None else MAY_UNMASK_LOCKED):
        raise UnmaskedByAuditorsOnly
    value = _open(person, keyring, field)
    if value is None:
        raise NothingToUnmask
    look = Unmasking(account_id=account_id, person_id=person_id, field=field, reason=reason, address=address[:45])
    session.add(look)
    session.flush()
    record(
        session=session,
        actor=f"account:{account_id}",
        action="unmasked",
        subject=f"person:{person_id}",
        detail={"field": field, "unmasking": look.id},
    )
    return value


def _open(person: Person, keyring: Keyring, field: Field) -> str | None:
    if field == "name":
        return open_name(person=person, keyring=keyring, locked_too=True)
    if field == "id_no":
        return open_id_number(person=person, keyring=keyring, locked_too=True)
    return open_phone(person=person, keyring=keyring)
