"""Authenticator codes: taken once, counted, replaced by recovery codes, taken away by two; and sign-ins in a race."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pyotp
import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from app.auth import Known, known_account, open_sign_in
from app.commands_keys import TABLES
from app.config import Settings
from app.refusals import WrongCredentials
from registry.accounts import Account, SignIn
from registry.audit import AuditEntry
from registry.base import Refusal
from registry.key_rotation import rotate
from registry.sealing import Keyring
from registry.second_factor import (
    RecoveryCode,
    SecondFactor,
    SecondFactorStands,
    SecondFactorTooOften,
    SecondFactorUsed,
    SecondFactorWrong,
    begin_second_factor,
    confirm_second_factor,
    has_second_factor,
    prove_second_factor,
    recovery_codes_left,
    renew_recovery_codes,
)
from registry.staff_accounts import (
    LoginTaken,
    StaffNotFound,
    StaffUnchanged,
    add_staff,
    change_role,
    disable_staff,
    enable_staff,
    reset_staff_password,
)

NOW = datetime(2026, 6, 16, 6, 30, 10, tzinfo=UTC)
STEP = timedelta(seconds=30)


class Staff:
    """One account with an authenticator in its pocket."""

    def __init__(self, session: Session, keyring: Keyring, login: str = "wang", role: str = "finance") -> None:
        self.session, self.keyring = session, keyring
        account = Account(login=login, password_hash="as it was", display_name=login, role=role)
        session.add(account)
        session.commit()
        self.id, self.actor = account.id, f"account:{account.id}"
        self.codes: list[str] = []

    def set_up(self, now: datetime = NOW - 4 * STEP) -> Staff:
        self.secret = begin_second_factor(session=self.session, keyring=self.keyring, account_id=self.id)
        self.session.commit()
        self.codes = list(
            confirm_second_factor(
                session=self.session,
                keyring=self.keyring,
                account_id=self.id,
                code=self.code(now),
                actor=self.actor,
                real_now=now,
            )
        )
        self.session.commit()
        return self

    def code(self, now: datetime) -> str:
        return pyotp.TOTP(self.secret).at(now)

    def prove(self, code: str, now: datetime = NOW, *, session: Session | None = None) -> None:
        mine = session or self.session
        try:
            prove_second_factor(session=mine, keyring=self.keyring, account_id=self.id, code=code, real_now=now)
            mine.commit()
        except Refusal:
            mine.rollback()
            raise


@pytest.fixture
def staff(session: Session, settings: Settings) -> Staff:
    return Staff(session, settings.keyring).set_up()


def together(engine: Engine, *deeds: Callable[[Session], object]) -> list[object]:
    """Do the deeds at once, each in a session of its own; a refusal is an outcome."""
    start = Barrier(len(deeds))

    def do(deed: Callable[[Session], object]) -> object:
        with Session(engine, expire_on_commit=False) as session:
            start.wait()
            try:
                return deed(session)
            except Refusal as refusal:
                session.rollback()
                return refusal.code

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(do, deeds))


def test_a_code_is_good_half_a_minute_around_and_once(staff: Staff) -> None:
    for wrong in (NOW - 2 * STEP, NOW + 2 * STEP):
        with pytest.raises(SecondFactorWrong):
            staff.prove(staff.code(wrong))
    staff.prove(staff.code(NOW - STEP))
    staff.prove(f" {staff.code(NOW)[:3]} {staff.code(NOW)[3:]} ")
    for taken in (NOW, NOW - STEP):
        with pytest.raises(SecondFactorUsed):
            staff.prove(staff.code(taken))
    staff.prove(staff.code(NOW + STEP))


def test_of_two_who_type_the_same_code_at_once_one_gets_in(staff: Staff, engine: Engine) -> None:
    code = staff.code(NOW)
    deeds = [lambda session: staff.prove(code, session=session)] * 4
    assert sorted(together(engine, *deeds), key=str) == [None, *["second_factor_used"] * 3]


def test_of_two_who_type_the_same_recovery_code_one_gets_in(staff: Staff, engine: Engine) -> None:
    deeds = [lambda session: staff.prove(staff.codes[0].lower(), session=session)] * 2
    assert sorted(together(engine, *deeds), key=str) == [None, "second_factor_used"]
    assert recovery_codes_left(session=staff.session, account_id=staff.id) == 9


def test_after_five_wrong_codes_even_the_right_one_waits(staff: Staff) -> None:
    for _ in range(5):
        with pytest.raises(SecondFactorWrong):
            staff.prove("no code")
    with pytest.raises(SecondFactorTooOften):
        staff.prove(staff.code(NOW))
    later = NOW + timedelta(minutes=16)
    staff.prove(staff.code(later), later)
    with pytest.raises(SecondFactorWrong):
        staff.prove("000", later)


def test_nothing_stands_in_clear_and_new_codes_void_the_old(staff: Staff) -> None:
    session = staff.session
    factor = session.scalars(select(SecondFactor)).one()
    assert staff.secret.encode() not in factor.secret_sealed
    assert len(set(staff.codes)) == 10
    kept = session.scalars(select(RecoveryCode.code_index)).all()
    assert not any(code.replace("-", "").encode() in one for code in staff.codes for one in kept)
    fresh = renew_recovery_codes(
        session=session,
        keyring=staff.keyring,
        account_id=staff.id,
        code=staff.code(NOW),
        actor=staff.actor,
        real_now=NOW,
    )
    session.commit()
    assert not set(fresh) & set(staff.codes)
    with pytest.raises(SecondFactorWrong):
        staff.prove(staff.codes[1])
    staff.prove(fresh[0])


def test_a_second_factor_is_begun_again_until_confirmed_and_then_stands(session: Session, settings: Settings) -> None:
    staff = Staff(session, settings.keyring)
    abandoned = begin_second_factor(session=session, keyring=staff.keyring, account_id=staff.id)
    session.commit()
    assert not has_second_factor(session=session, account_id=staff.id)
    staff.set_up()
    assert staff.secret != abandoned
    with pytest.raises(SecondFactorStands):
        begin_second_factor(session=session, keyring=staff.keyring, account_id=staff.id)


def test_recovery_codes_of_one_account_open_no_other(staff: Staff) -> None:
    other = Staff(staff.session, staff.keyring, login="zhao").set_up()
    with pytest.raises(SecondFactorWrong):
        other.prove(staff.codes[0])


def test_the_secret_goes_with_the_data_keys(staff: Staff, engine: Engine) -> None:
    old = staff.keyring
    keys = {1: b"1" * 32, 2: b"2" * 32}
    first = Keyring(data_keys={1: keys[1]}, active=1, index_key=b"i" * 32)
    second = Keyring(data_keys=keys, active=2, index_key=b"i" * 32)
    factor = staff.session.scalars(select(SecondFactor)).one()
    factor.secret_sealed = first.seal(old.open(factor.secret_sealed, field="totp_secret"), field="totp_secret")
    staff.session.commit()
    sealed = [table for table in TABLES if table.table.name == "second_factor"]
    result = rotate(sessions=sessionmaker(engine), keyring=second, tables=sealed, actor="command:keys")
    assert result.rotated == {"second_factor": 1}
    staff.keyring = Keyring(data_keys={2: keys[2]}, active=2, index_key=b"i" * 32)
    staff.prove(staff.code(NOW))


class TestASignInBesideAnotherPassword:
    """Whoever changes a password ends every sign-in, also one that was on its way with the old one."""

    def known(self, staff: Staff) -> Known:
        return known_account(staff.session.get_one(Account, staff.id), session=staff.session)

    def reset(self, session: Session, staff: Staff) -> None:
        reset_staff_password(session=session, account_id=staff.id, password_hash="another", actor="account:99")

    def test_a_reset_that_came_first_stops_it(self, staff: Staff, engine: Engine) -> None:
        known = self.known(staff)
        with Session(engine) as resetting:
            self.reset(resetting, staff)
            resetting.commit()
        with pytest.raises(WrongCredentials):
            open_sign_in(session=staff.session, known=known)
        assert staff.session.scalar(select(func.count()).select_from(SignIn)) == 0

    def test_a_reset_under_way_is_waited_for(self, staff: Staff, engine: Engine) -> None:
        known = self.known(staff)
        staff.session.commit()
        with Session(engine) as resetting, Session(engine) as signing_in:
            self.reset(resetting, staff)
            signing_in.execute(text("SET LOCAL lock_timeout = '100ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                open_sign_in(session=signing_in, known=known)
            signing_in.rollback()
            resetting.commit()

    def test_at_once_no_sign_in_outlives_the_reset(self, staff: Staff, engine: Engine) -> None:
        for turn in range(6):
            known = self.known(staff)
            staff.session.commit()

            def reset(session: Session, turn: int = turn) -> str:
                reset_staff_password(
                    session=session, account_id=staff.id, password_hash=f"turn {turn}", actor="account:99"
                )
                session.commit()
                return "reset"

            told = together(engine, reset, lambda session, known=known: open_sign_in(session=session, known=known))
            assert told[0] == "reset"
            staff.session.expire_all()
            assert staff.session.scalar(select(func.count()).select_from(SignIn)) == 0


class TestStaffAccounts:
    def test_adding_changing_and_disabling_is_written_down(self, session: Session) -> None:
        admin = "account:99"
        with pytest.raises(Refusal, match="several_fields_wrong"):
            add_staff(session=session, login="A", display_name=" ", role="owner", password_hash="x", actor=admin)
        added = add_staff(
            session=session, login="sun.li", display_name="孙 丽", role="operator", password_hash="x", actor=admin
        )
        session.commit()
        with pytest.raises(LoginTaken):
            add_staff(
                session=session, login="sun.li", display_name="孙", role="finance", password_hash="x", actor=admin
            )
        with pytest.raises(StaffUnchanged):
            change_role(session=session, account_id=added.id, role="operator", actor=admin)
        change_role(session=session, account_id=added.id, role="finance", actor=admin)
        disable_staff(session=session, account_id=added.id, actor=admin, real_now=NOW)
        enable_staff(session=session, account_id=added.id, password_hash="y", actor=admin)
        session.commit()
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        assert [one.action for one in entries] == [
            "staff.added",
            "staff.role_changed",
            "staff.disabled",
            "staff.enabled",
        ]
        assert entries[1].detail == {"login": "sun.li", "old": "operator", "new": "finance"}
        assert (added.role, added.disabled_at, added.password_hash) == ("finance", None, "y")

    def test_a_dealers_account_is_none_of_the_staffs(self, session: Session, settings: Settings) -> None:
        from tests.registry.line import make_district

        dealer = make_district(session, settings.keyring).dealer()
        theirs = Account(login="shop", password_hash="x", display_name="店", role="dealer", dealer_id=dealer.id)
        session.add(theirs)
        session.commit()
        with pytest.raises(StaffNotFound):
            disable_staff(session=session, account_id=theirs.id, actor="account:99", real_now=NOW)

    def test_two_administrators_who_disable_each_other_leave_one(
        self, session: Session, settings: Settings, engine: Engine
    ) -> None:
        one, two = (Staff(session, settings.keyring, login=name, role="administrator") for name in ("qian", "zhou"))

        def disable(whom: Staff, who: Staff) -> Callable[[Session], object]:
            def deed(session: Session) -> object:
                disable_staff(session=session, account_id=whom.id, actor=who.actor, real_now=NOW)
                session.commit()
                return "disabled"

            return deed

        assert sorted(map(str, together(engine, disable(one, two), disable(two, one)))) == [
            "disabled",
            "staff_not_found",
        ]
        session.expire_all()
        assert [session.get_one(Account, each.id).disabled_at is None for each in (one, two)].count(True) == 1
