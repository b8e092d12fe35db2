"""What gives somebody the powers of another staff account: asked for by one administrator, decided by another person.

Adding an account, enabling one, another role, another password, an authenticator taken away. Were one person enough,
an administrator could be both persons of every step that takes two. For the same reason a first password comes in two
halves: whoever asks gives one, whoever decides gives the other, and the account's owner alone hears both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Exists,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    String,
    exists,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.accounts import Account
from registry.base import LARGEST_ID, Base, Instant, table_of
from registry.dealer_staff import LoginTaken
from registry.inputs import Inputs
from registry.key_rotation import SealedTable
from registry.sealing import Keyring
from registry.second_factor import SecondFactorNotBegun, forget_second_factor, has_second_factor
from registry.staff_accounts import (
    MANAGES,
    NotYourself,
    StaffUnchanged,
    add_staff,
    change_role,
    check_role,
    check_staff,
    enable_staff,
    end_sign_ins,
    get_staff,
    lock_staff,
    reset_staff_password,
)
from registry.staff_request_refusals import (
    PasswordHalfShort,
    StaffAskerGone,
    StaffDecisionNotYours,
    StaffRequestAsked,
    StaffRequestNeedsAnother,
    StaffRequestNotFound,
    StaffRequestNotOpen,
    StaffRequestNotYours,
)
from registry.uniqueness import refusing_duplicates

STANDS_IN = "reviewer"
KINDS = ("add", "enable", "role", "password", "authenticator")
CHANGES = KINDS[1:]
GIVES_PASSWORD = ("add", "enable", "password")
OUTCOMES = ("approved", "refused", "withdrawn")
# Whom an administrator has just brought in decides on nothing that administrator asks for.
NOT_YET = timedelta(days=7)
SHORTEST_HALF = 8
ASKED_AS = {"add": "uq_staff_request_open_login", "change": "uq_staff_request_open_account"}
_HALF = "staff_request_half"
# How records name whoever acts by an account.
_acting_as = func.concat("account:", Account.id)


class StaffRequest(Base):
    """One request. At most one is open for an account, and one for a login that is to be added.

    ``account_id`` is empty while an account to be added is not there; ``login`` and ``display_name`` are its.
    ``old_role`` and ``role`` are what a change of role is from and to. ``asked_at`` and ``decided_at`` are real time.
    """

    __tablename__ = "staff_request"
    __table_args__ = (
        CheckConstraint("(outcome IS NULL) = (decided_at IS NULL)", name="outcome_has_its_time"),
        CheckConstraint("(outcome = 'withdrawn') = (decided_by = asked_by)", name="decided_by_another"),
        CheckConstraint("kind = 'add' OR account_id IS NOT NULL", name="has_its_account"),
        Index(ASKED_AS["change"], "account_id", unique=True, postgresql_where=text("outcome IS NULL")),
        Index(ASKED_AS["add"], "login", unique=True, postgresql_where=text("outcome IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    login: Mapped[str | None] = mapped_column(String(40))
    display_name: Mapped[str | None] = mapped_column(String(40))
    old_role: Mapped[str | None] = mapped_column(String(16))
    role: Mapped[str | None] = mapped_column(String(16))
    half_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    reason: Mapped[str] = mapped_column(String(200))
    asked_by: Mapped[str] = mapped_column(String(60))
    asked_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    decided_by: Mapped[str | None] = mapped_column(String(60))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    outcome: Mapped[str | None] = mapped_column(String(12))


STAFF_REQUESTS = SealedTable(
    table=table_of(StaffRequest),
    fields={"half_sealed": _HALF},
)


def list_staff_requests(*, session: Session, open_only: bool = True, limit: int = 200) -> Sequence[StaffRequest]:
    """Return the requests, newest first: those that wait for somebody, or all."""
    query = select(StaffRequest).order_by(StaffRequest.id.desc()).limit(limit)
    if open_only:
        query = query.where(StaffRequest.outcome.is_(None))
    return session.scalars(query, execution_options={"populate_existing": True}).all()


def open_request_of(*, session: Session, account_id: int) -> StaffRequest | None:
    """Return the request about this account that waits for somebody, None where there is none."""
    query = select(StaffRequest).where(StaffRequest.account_id == account_id, StaffRequest.outcome.is_(None))
    return session.scalar(query)


def get_staff_request(*, session: Session, request_id: int) -> StaffRequest:
    """Return one request as it stands now; raises StaffRequestNotFound."""
    asked = session.get(StaffRequest, request_id, populate_existing=True) if request_id <= LARGEST_ID else None
    if asked is None:
        raise StaffRequestNotFound
    return asked


def ask_to_add(
    *,
    session: Session,
    keyring: Keyring,
    login: str,
    display_name: str,
    role: str,
    first_half: str,
    reason: str,
    actor: str,
) -> StaffRequest:
    """Ask for a new account and return the request; nothing else changes. The transaction is left to the caller.

    Raises StaffLoginInvalid, StaffNameInvalid, StaffRoleInvalid and PasswordHalfShort, together, LoginTaken, and
    StaffRequestAsked where somebody has asked for that login.
    """
    inputs = Inputs()
    if len(first_half) < SHORTEST_HALF:
        inputs.refuse(PasswordHalfShort(least=SHORTEST_HALF))
    login, display_name, role = check_staff(login=login, display_name=display_name, role=role, inputs=inputs)
    if session.scalar(select(exists().where(Account.login == login))):
        raise LoginTaken(login=login)
    asked = StaffRequest(kind="add", login=login, display_name=display_name, role=role, reason=reason, asked_by=actor)
    asked.half_sealed = keyring.seal(first_half, field=_HALF)
    return _ask(session, asked, actor)


def ask_to_change(
    *,
    session: Session,
    keyring: Keyring,
    account_id: int,
    kind: str,
    reason: str,
    actor: str,
    role: str = "",
    first_half: str = "",
) -> StaffRequest:
    """Ask for one of CHANGES to an account and return the request; nothing else changes.

    ``role`` is the new one of a change of role, ``first_half`` that of the password where the change gives one. The
    transaction is left to the caller. Raises StaffNotFound, NotYourself, StaffRoleInvalid, PasswordHalfShort,
    StaffUnchanged where there is nothing to change, SecondFactorNotBegun where there is no authenticator, and
    StaffRequestAsked.
    """
    account = lock_staff(session=session, account_id=account_id, actor=actor)
    asked = StaffRequest(kind=kind, account_id=account.id, reason=reason, asked_by=actor)
    if kind == "role":
        asked.old_role, asked.role = account.role, check_role(role)
    if kind == "authenticator" and not has_second_factor(session=session, account_id=account.id):
        raise SecondFactorNotBegun
    if (kind == "enable") != (account.disabled_at is not None) or (kind == "role" and account.role == role):
        raise StaffUnchanged
    if kind in GIVES_PASSWORD:
        if len(first_half) < SHORTEST_HALF:
            raise PasswordHalfShort(least=SHORTEST_HALF)
        asked.half_sealed = keyring.seal(first_half, field=_HALF)
    return _ask(session, asked, actor)


def who_decides(*, session: Session, asked: StaffRequest, real_now: datetime) -> Sequence[Account]:
    """Return who may decide: the other administrators, or the reviewers where there is no other administrator.

    Never who asked, whose account it is, or whose account was itself changed at the asker's request in the last
    seven days.
    """
    made = exists().where(
        StaffRequest.account_id == Account.id,
        StaffRequest.asked_by == asked.asked_by,
        StaffRequest.outcome == "approved",
        StaffRequest.decided_at > real_now - NOT_YET,
    )
    able = select(Account).where(Account.disabled_at.is_(None), ~made, Account.id != (asked.account_id or 0))
    able = able.where(_acting_as != asked.asked_by).order_by(Account.id)
    found = session.scalars(able.where(Account.role == MANAGES)).all()
    return found or session.scalars(able.where(Account.role == STANDS_IN)).all()


def decide_staff_request(
    *,
    session: Session,
    keyring: Keyring,
    request_id: int,
    approved: bool,
    actor: str,
    real_now: datetime,
    hash_password: Callable[[str], str],
    second_half: str = "",
) -> StaffRequest:
    """Carry out what was asked, or leave everything as it is, and return the request.

    Where it gives a password, the whole of it is the asker's half followed by ``second_half``; it is kept as
    ``hash_password`` makes it. The transaction is left to the caller. Raises StaffRequestNotFound,
    StaffRequestNotOpen, StaffRequestNeedsAnother, StaffDecisionNotYours, StaffAskerGone, PasswordHalfShort, and what
    the change itself refuses: StaffNotFound, NotYourself, StaffUnchanged, SecondFactorNotBegun, LoginTaken.
    """
    asked = _lock(session, request_id, actor)
    if asked.asked_by == actor:
        raise StaffRequestNeedsAnother
    if actor not in {f"account:{one.id}" for one in who_decides(session=session, asked=asked, real_now=real_now)}:
        raise StaffDecisionNotYours
    if approved and session.scalar(select(_is_administrator(asked.asked_by))) is not True:
        raise StaffAskerGone
    if approved:
        _carry_out(session, keyring, asked, actor=actor, hash_password=hash_password, second_half=second_half)
    return _end(session, asked, "approved" if approved else "refused", actor, real_now)


def withdraw_staff_request(*, session: Session, request_id: int, actor: str, real_now: datetime) -> StaffRequest:
    """Take a request of one's own back and return it. The transaction is left to the caller.

    Raises StaffRequestNotFound, StaffRequestNotOpen and StaffRequestNotYours.
    """
    asked = _lock(session, request_id, actor)
    if asked.asked_by != actor:
        raise StaffRequestNotYours
    return _end(session, asked, "withdrawn", actor, real_now)


def _carry_out(
    session: Session,
    keyring: Keyring,
    asked: StaffRequest,
    *,
    actor: str,
    hash_password: Callable[[str], str],
    second_half: str,
) -> None:
    password_hash = ""
    if asked.kind in GIVES_PASSWORD:
        if len(second_half) < SHORTEST_HALF:
            raise PasswordHalfShort(least=SHORTEST_HALF)
        password_hash = hash_password(keyring.open(asked.half_sealed or b"", field=_HALF) + second_half)
    role, number = asked.role or "", asked.account_id or 0
    if asked.kind == "add":
        login, name = asked.login or "", asked.display_name or ""
        made = add_staff(
            session=session, login=login, display_name=name, role=role, password_hash=password_hash, actor=actor
        )
        asked.account_id = made.id
    elif asked.kind == "enable":
        enable_staff(session=session, account_id=number, password_hash=password_hash, actor=actor)
    elif asked.kind == "role":
        change_role(session=session, account_id=number, role=role, actor=actor)
    elif asked.kind == "password":
        reset_staff_password(session=session, account_id=number, password_hash=password_hash, actor=actor)
    else:
        if not has_second_factor(session=session, account_id=number):
            raise SecondFactorNotBegun
        forget_second_factor(session=session, account_id=number)
        end_sign_ins(session=session, account=get_staff(session=session, account_id=number))


def _ask(session: Session, asked: StaffRequest, actor: str) -> StaffRequest:
    taken = StaffRequestAsked()
    with refusing_duplicates(session, dict.fromkeys(ASKED_AS.values(), taken)):
        session.add(asked)
    session.refresh(asked)
    _note(session, asked, "staff.change_asked", actor)
    return asked


def _lock(session: Session, request_id: int, actor: str) -> StaffRequest:
    """Lock the accounts first, as everything does that changes one, then the request; an ended one is refused.

    Who asked and who decides stay what they are until the transaction ends.
    """
    asked = get_staff_request(session=session, request_id=request_id)
    if actor == f"account:{asked.account_id}":
        raise NotYourself
    named = or_(Account.id == asked.account_id, _acting_as.in_([actor, asked.asked_by]))
    session.execute(select(Account.id).where(named).order_by(Account.id).with_for_update(key_share=True))
    query = select(StaffRequest).where(StaffRequest.id == asked.id).with_for_update()
    asked = session.scalars(query, execution_options={"populate_existing": True}).one()
    if asked.outcome is not None:
        raise StaffRequestNotOpen
    return asked


def _is_administrator(actor: str) -> Exists:
    return exists().where(_acting_as == actor, Account.role == MANAGES, Account.disabled_at.is_(None))


def _end(session: Session, asked: StaffRequest, outcome: str, actor: str, real_now: datetime) -> StaffRequest:
    asked.decided_by, asked.decided_at, asked.outcome, asked.half_sealed = actor, real_now, outcome, None
    _note(session, asked, f"staff.change_{outcome}", actor)
    return asked


def _note(session: Session, asked: StaffRequest, action: str, actor: str) -> None:
    subject = f"account:{asked.account_id}" if asked.account_id else f"staff_request:{asked.id}"
    login = asked.login or get_staff(session=session, account_id=asked.account_id or 0).login
    detail: dict[str, object] = {"request": asked.id, "kind": asked.kind, "login": login, "asked_by": asked.asked_by}
    if asked.role:
        detail |= {"old": asked.old_role, "new": asked.role}
    audit.record(session=session, actor=actor, action=action, subject=subject, detail=detail)
    session.flush()
