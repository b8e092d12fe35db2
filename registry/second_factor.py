"""The second factor of staff: six digits of an authenticator app (TOTP, RFC 6238), or a recovery code. In real time.

The app's secret stands sealed; recovery codes stand as keyed hashes and are shown once. A code is good for one sign-in:
the step of the last one taken is kept under the row's lock, so that of two who type the same code one is refused.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

import pyotp
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ForeignKey,
    Identity,
    LargeBinary,
    UniqueConstraint,
    delete,
    func,
    select,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.accounts import Account, SignInAttempt
from registry.base import Base, Instant, Refusal, table_of
from registry.key_rotation import SealedTable
from registry.sealing import Keyring

ISSUER = "Mapai"
# A phone's clock may be half a minute off.
STEPS_AROUND = 1
RECOVERY_CODES = 10
# No 0, O, 1, I, L: people copy these codes from paper.
SIGNS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
RECOVERY_SIGNS = 10
TRIES = 5
TRIES_WINDOW = timedelta(minutes=15)
# In the place of a network address, which it can never be: whoever knows the password is counted wherever he is.
COUNTED_AS = "second factor"
FIELD = "totp_secret"
CODE_FIELD = "recovery_code"


class SecondFactor(Base):
    """The authenticator of one account; it counts once ``confirmed_at`` is set. ``last_step`` is the last one taken."""

    __tablename__ = "second_factor"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), unique=True)
    secret_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)


CONFIRMED = SecondFactor.confirmed_at.is_not(None)


class RecoveryCode(Base):
    """One code that stands in for the authenticator, once."""

    __tablename__ = "recovery_code"
    __table_args__ = (UniqueConstraint("account_id", "code_index"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    code_index: Mapped[bytes] = mapped_column(LargeBinary)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


SECOND_FACTORS = SealedTable(
    table=table_of(SecondFactor),
    fields={"secret_sealed": FIELD},
)


class SecondFactorStands(Refusal):
    """The account has a confirmed authenticator already."""

    code = "second_factor_stands"
    kind = "conflict"
    zh = "这个账号已经绑定了动态口令。"
    en = "This account has an authenticator already."
    remedy_zh = "换手机的，请管理员重置以后再绑定。"
    remedy_en = "If you changed your phone, ask an administrator for a reset, then set it up again."


class SecondFactorNotBegun(Refusal):
    """There is no authenticator to confirm or to ask."""

    code = "second_factor_not_begun"
    kind = "conflict"
    zh = "这个账号还没有开始绑定动态口令。"
    en = "Setting up the authenticator was not begun."
    remedy_zh = "请从头绑定。"
    remedy_en = "Begin again."


class SecondFactorWrong(Refusal):
    """The six digits are not those of now, or the recovery code is none of the account's. It never says which."""

    code = "second_factor_wrong"
    kind = "forbidden"
    zh = "动态口令不对。"
    en = "The authenticator code is wrong."
    remedy_zh = "请填验证器现在显示的 6 位数字，并看看手机的时间准不准；也可以填一个恢复码。"
    remedy_en = "Type the 6 digits the app shows now and check the phone's clock; a recovery code works too."
    default_field = "totp"


class SecondFactorUsed(Refusal):
    """The code, or a later one, has been taken before."""

    code = "second_factor_used"
    kind = "conflict"
    zh = "这个动态口令或者恢复码已经用过了。"
    en = "This code has been used already."
    remedy_zh = "请等验证器换成下一个口令再填，最多等半分钟；恢复码请换一个。"
    remedy_en = "Wait for the app's next code, half a minute at most, or use another recovery code."
    default_field = "totp"


class SecondFactorTooOften(Refusal):
    """Five wrong codes within a quarter of an hour, from wherever."""

    code = "second_factor_too_often"
    kind = "too_often"
    zh = "动态口令错的次数太多，请 15 分钟后再试。"
    en = "Too many wrong authenticator codes; try again in 15 minutes."
    remedy_zh = "不是您在试的，说明有人知道了您的密码，请马上联系平台管理员。"
    remedy_en = "If it was not you, somebody knows your password: tell an administrator at once."


def has_second_factor(*, session: Session, account_id: int) -> bool:
    """Say whether the account has a confirmed authenticator."""
    return confirmed_factor(session=session, account_id=account_id) is not None


def confirmed_factor(*, session: Session, account_id: int) -> SecondFactor | None:
    """Return the account's confirmed authenticator, None where it has none."""
    return session.scalar(select(SecondFactor).where(SecondFactor.account_id == account_id, CONFIRMED))


def secured_accounts(*, session: Session) -> set[int]:
    """Return the ids of the accounts that have a confirmed authenticator."""
    return set(session.scalars(select(SecondFactor.account_id).where(CONFIRMED)))


def begin_second_factor(*, session: Session, keyring: Keyring, account_id: int) -> str:
    """Return the secret of a new authenticator in base 32, to be confirmed; an unconfirmed one before it is gone.

    The transaction is left to the caller. Raises SecondFactorStands.
    """
    _lock_account(session, account_id)
    if has_second_factor(session=session, account_id=account_id):
        raise SecondFactorStands
    session.execute(delete(SecondFactor).where(SecondFactor.account_id == account_id))
    secret = pyotp.random_base32()
    session.add(SecondFactor(account_id=account_id, secret_sealed=keyring.seal(secret, field=FIELD)))
    session.flush()
    return secret


def begun_secret(*, session: Session, keyring: Keyring, account_id: int) -> str:
    """Return the secret that waits to be confirmed, to show its page again; raises SecondFactorNotBegun."""
    factor = session.scalar(
        select(SecondFactor).where(SecondFactor.account_id == account_id, SecondFactor.confirmed_at.is_(None))
    )
    if factor is None:
        raise SecondFactorNotBegun
    return keyring.open(factor.secret_sealed, field=FIELD)


def provisioning_uri(*, secret: str, login: str) -> str:
    """Return what an authenticator app reads from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def confirm_second_factor(
    *, session: Session, keyring: Keyring, account_id: int, code: str, actor: str, real_now: datetime
) -> Sequence[str]:
    """Confirm the authenticator by its first code; return ten recovery codes, which are shown to nobody again.

    COMMITS the try before it looks at the code; the rest is left to the caller's transaction. Raises
    SecondFactorNotBegun, SecondFactorStands, SecondFactorWrong and SecondFactorTooOften.
    """
    _count_try(session, account_id, real_now)
    _lock_account(session, account_id)
    factor = _locked(session, account_id)
    if factor is None:
        raise SecondFactorNotBegun
    if factor.confirmed_at is not None:
        raise SecondFactorStands
    _take_step(keyring, factor, _plain(code), real_now)
    factor.confirmed_at = real_now
    _forget_tries(session, account_id)
    audit.record(session=session, actor=actor, action="second_factor.confirmed", subject=f"account:{account_id}")
    return _fresh_recovery_codes(session, keyring, account_id)


def prove_second_factor(*, session: Session, keyring: Keyring, account_id: int, code: str, real_now: datetime) -> None:
    """Take a code of the authenticator, or a recovery code, once.

    COMMITS the try before it looks at the code; the rest is left to the caller's transaction. Raises
    SecondFactorNotBegun, SecondFactorWrong, SecondFactorUsed and SecondFactorTooOften.
    """
    _count_try(session, account_id, real_now)
    _lock_account(session, account_id)
    factor = _locked(session, account_id)
    if factor is None or factor.confirmed_at is None:
        raise SecondFactorNotBegun
    typed = _plain(code)
    if len(typed) == RECOVERY_SIGNS:
        _take_recovery_code(session, keyring, account_id, typed, real_now)
    else:
        _take_step(keyring, factor, typed, real_now)
    session.flush()
    _forget_tries(session, account_id)


def renew_recovery_codes(
    *, session: Session, keyring: Keyring, account_id: int, code: str, actor: str, real_now: datetime
) -> Sequence[str]:
    """Return ten new recovery codes for one good code; the old ones are void. Commits and raises as the proof does."""
    prove_second_factor(session=session, keyring=keyring, account_id=account_id, code=code, real_now=real_now)
    audit.record(session=session, actor=actor, action="second_factor.codes_renewed", subject=f"account:{account_id}")
    return _fresh_recovery_codes(session, keyring, account_id)


def recovery_codes_left(*, session: Session, account_id: int) -> int:
    """Return how many recovery codes are unused."""
    unused = (RecoveryCode.account_id == account_id, RecoveryCode.used_at.is_(None))
    return session.scalar(select(func.count()).select_from(RecoveryCode).where(*unused)) or 0


def forget_second_factor(*, session: Session, account_id: int) -> None:
    """Take authenticator and recovery codes away. The transaction, and who may ask for it, are the caller's."""
    session.execute(delete(SecondFactor).where(SecondFactor.account_id == account_id))
    session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))


def forget_unconfirmed(*, session: Session, account_id: int) -> None:
    """Take away an authenticator that was never confirmed: who knew the old password may hold its secret.

    The transaction is the caller's.
    """
    session.execute(
        delete(SecondFactor).where(SecondFactor.account_id == account_id, SecondFactor.confirmed_at.is_(None))
    )


def _take_step(keyring: Keyring, factor: SecondFactor, typed: str, real_now: datetime) -> None:
    totp = pyotp.TOTP(keyring.open(factor.secret_sealed, field=FIELD))
    now = totp.timecode(real_now)
    steps = range(now - STEPS_AROUND, now + STEPS_AROUND + 1)
    # All of them are worked out, so that the time taken tells nothing.
    fitting = [step for step in steps if hmac.compare_digest(totp.generate_otp(step).encode(), typed.encode())]
    if not fitting:
        raise SecondFactorWrong
    if fitting[-1] <= factor.last_step:
        raise SecondFactorUsed
    factor.last_step = fitting[-1]


def _take_recovery_code(session: Session, keyring: Keyring, account_id: int, typed: str, real_now: datetime) -> None:
    # The factor's row is locked: two who type the same code come one after the other.
    found = session.scalar(
        select(RecoveryCode)
        .where(RecoveryCode.account_id == account_id, RecoveryCode.code_index == _index(keyring, account_id, typed))
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise SecondFactorWrong
    if found.used_at is not None:
        raise SecondFactorUsed
    found.used_at = real_now


def _fresh_recovery_codes(session: Session, keyring: Keyring, account_id: int) -> Sequence[str]:
    session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))
    codes: set[str] = set()
    while len(codes) < RECOVERY_CODES:
        codes.add("".join(secrets.choice(SIGNS) for _ in range(RECOVERY_SIGNS)))
    session.add_all(RecoveryCode(account_id=account_id, code_index=_index(keyring, account_id, code)) for code in codes)
    session.flush()
    half = RECOVERY_SIGNS // 2
    return [f"{code[:half]}-{code[half:]}" for code in sorted(codes)]


def _plain(typed: str) -> str:
    return re.sub(r"[\s-]", "", typed).upper()[:20]


def _index(keyring: Keyring, account_id: int, code: str) -> bytes:
    return keyring.index(f"{account_id}:{code}", field=CODE_FIELD)


def _lock_account(session: Session, account_id: int) -> None:
    """Hold the account, always before its factor: whoever changes its password, role or factor waits, or we do."""
    session.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))


def _locked(session: Session, account_id: int) -> SecondFactor | None:
    return session.scalar(
        select(SecondFactor)
        .where(SecondFactor.account_id == account_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _count_try(session: Session, account_id: int, real_now: datetime) -> None:
    # Written down before the code is looked at: tries that run side by side count each other.
    session.add(SignInAttempt(login=str(account_id), address=COUNTED_AS, at=real_now))
    session.commit()
    recent = session.scalar(
        select(func.count())
        .select_from(SignInAttempt)
        .where(*_tries(account_id), SignInAttempt.at > real_now - TRIES_WINDOW)
    )
    if (recent or 0) > TRIES:
        session.rollback()
        raise SecondFactorTooOften(retry_after_s=int(TRIES_WINDOW.total_seconds()))


def _forget_tries(session: Session, account_id: int) -> None:
    session.execute(delete(SignInAttempt).where(*_tries(account_id)))


def _tries(account_id: int) -> tuple[ColumnElement[bool], ...]:
    return (SignInAttempt.login == str(account_id), SignInAttempt.address == COUNTED_AS)
