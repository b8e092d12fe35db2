"""What gives powers to a staff account takes two: who asks, who decides, who never does, and two deciders at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from app.auth import known_account, open_sign_in
from app.config import Settings
from registry.accounts import Account, SignIn
from registry.audit import AuditEntry
from registry.base import Refusal
from registry.dealer_staff import LoginTaken
from registry.inputs import SeveralRefused
from registry.second_factor import SecondFactor, SecondFactorNotBegun, has_second_factor
from registry.staff_accounts import NotYourself, StaffUnchanged, disable_staff
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
from registry.staff_requests import (
    CHANGES,
    NOT_YET,
    StaffRequest,
    ask_to_add,
    ask_to_change,
    decide_staff_request,
    list_staff_requests,
    open_request_of,
    who_decides,
    withdraw_staff_request,
)
from tests.registry.test_dealer_races import together

NOW = datetime(2026, 6, 16, 4, 0, tzinfo=UTC)
FIRST, SECOND = "first-half-", "second-half"


class Office:
    """An office's accounts, and what its people ask for and decide."""

    def __init__(self, session: Session, settings: Settings) -> None:
        self.session = session
        self.keyring = settings.keyring

    def add(self, login: str, role: str) -> Account:
        account = Account(login=login, password_hash="old", display_name=login, role=role)
        self.session.add(account)
        self.session.commit()
        return account

    def ask(self, by: Account, account: Account, kind: str, *, role: str = "") -> int:
        asked = ask_to_change(
            session=self.session,
            keyring=self.keyring,
            account_id=account.id,
            kind=kind,
            role=role,
            first_half=FIRST,
            reason="本人来说的",
            actor=actor(by),
        )
        self.session.commit()
        return asked.id

    def ask_new(self, by: Account, login: str = "sun.li", role: str = "operator", half: str = FIRST) -> int:
        asked = ask_to_add(
            session=self.session,
            keyring=self.keyring,
            login=login,
            display_name="孙丽",
            role=role,
            first_half=half,
            reason="新同事",
            actor=actor(by),
        )
        self.session.commit()
        return asked.id

    def decide(
        self,
        by: Account | str,
        number: int,
        *,
        approved: bool = True,
        now: datetime = NOW,
        session: Session | None = None,
    ) -> StaffRequest:
        session = session or self.session
        decided = decide_staff_request(
            session=session,
            keyring=self.keyring,
            request_id=number,
            approved=approved,
            actor=by if isinstance(by, str) else actor(by),
            real_now=now,
            hash_password=lambda password: f"hash of {password}",
            second_half=SECOND,
        )
        session.commit()
        return decided

    def refused(self, refusal: type[Refusal], deed: Callable[[], object]) -> None:
        with pytest.raises(refusal):
            deed()
        self.session.rollback()

    def actions(self) -> list[str]:
        return list(self.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def actor(account: Account) -> str:
    return f"account:{account.id}"


@pytest.fixture
def office(session: Session, settings: Settings) -> Office:
    return Office(session, settings)


@pytest.fixture
def qian(office: Office) -> Account:
    return office.add("qian", "administrator")


@pytest.fixture
def lu(office: Office) -> Account:
    return office.add("lu", "administrator")


@pytest.fixture
def shen(office: Office) -> Account:
    return office.add("shen", "finance")


def test_an_account_is_there_once_another_administrator_approves(office: Office, qian: Account, lu: Account) -> None:
    number = office.ask_new(qian)
    assert office.session.scalar(select(Account).where(Account.login == "sun.li")) is None
    office.refused(StaffRequestNeedsAnother, lambda: office.decide(qian, number))
    asked = office.decide(lu, number)
    made = office.session.get_one(Account, asked.account_id)
    assert (made.login, made.role, made.password_hash) == ("sun.li", "operator", f"hash of {FIRST}{SECOND}")
    assert asked.half_sealed is None, "the half is not kept longer than it is needed"
    assert office.actions() == ["staff.change_asked", "staff.added", "staff.change_approved"]
    entry = office.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry is not None
    assert (entry.actor, entry.detail["asked_by"], entry.subject) == (actor(lu), actor(qian), actor(made))
    assert not any(FIRST in str(each.detail) for each in office.session.scalars(select(AuditEntry)))
    office.refused(StaffRequestNotOpen, lambda: office.decide(lu, number))


def test_what_is_wrong_with_a_new_account_is_said_when_it_is_asked_for(office: Office, qian: Account) -> None:
    with pytest.raises(SeveralRefused) as several:
        office.ask_new(qian, "A", "owner", "short")
    assert {each.code for each in several.value.each} == {
        PasswordHalfShort.code,
        "staff_login_invalid",
        "staff_role_invalid",
    }
    office.session.rollback()
    office.refused(LoginTaken, lambda: office.ask_new(qian, "qian"))
    office.ask_new(qian)
    office.refused(StaffRequestAsked, lambda: office.ask_new(qian))


def test_each_change_waits_and_then_is_made(office: Office, qian: Account, lu: Account, shen: Account) -> None:
    session = office.session
    open_sign_in(session=session, known=known_account(shen, session=session))
    office.decide(lu, office.ask(qian, shen, "role", role="reviewer"))
    assert shen.role == "reviewer"
    assert session.scalar(select(func.count()).select_from(SignIn)) == 0
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "staff.change_approved")).one()
    assert (entry.detail["old"], entry.detail["new"]) == ("finance", "reviewer")
    office.decide(lu, office.ask(qian, shen, "password"))
    assert shen.password_hash == f"hash of {FIRST}{SECOND}"
    disable_staff(session=session, account_id=shen.id, actor=actor(qian), real_now=NOW)
    office.decide(lu, office.ask(qian, shen, "enable"))
    assert shen.disabled_at is None
    session.add(SecondFactor(account_id=shen.id, secret_sealed=b"\1", confirmed_at=NOW))
    session.commit()
    office.decide(lu, office.ask(qian, shen, "authenticator"), approved=False)
    assert has_second_factor(session=session, account_id=shen.id), "refused, everything is as it was"
    office.decide(lu, office.ask(qian, shen, "authenticator"))
    assert not has_second_factor(session=session, account_id=shen.id)


def test_what_cannot_be_asked_for(office: Office, qian: Account, shen: Account) -> None:
    for kind in CHANGES:
        office.refused(NotYourself, lambda kind=kind: office.ask(qian, qian, kind, role="finance"))
    office.refused(StaffUnchanged, lambda: office.ask(qian, shen, "enable"))
    office.refused(StaffUnchanged, lambda: office.ask(qian, shen, "role", role="finance"))
    office.refused(SecondFactorNotBegun, lambda: office.ask(qian, shen, "authenticator"))
    office.refused(StaffRequestNotFound, lambda: office.decide(qian, 2**63))
    office.ask(qian, shen, "password")
    office.refused(StaffRequestAsked, lambda: office.ask(qian, shen, "role", role="operator"))


def test_a_request_is_withdrawn_by_whoever_asked_and_leaves_everything(
    office: Office, qian: Account, lu: Account, shen: Account
) -> None:
    number, session = office.ask(qian, shen, "password"), office.session
    withdraw = {"session": session, "request_id": number, "real_now": NOW}
    office.refused(StaffRequestNotYours, lambda: withdraw_staff_request(actor=actor(lu), **withdraw))
    withdraw_staff_request(actor=actor(qian), **withdraw)
    session.commit()
    assert (shen.password_hash, open_request_of(session=session, account_id=shen.id)) == ("old", None)
    assert office.actions()[-1] == "staff.change_withdrawn"
    office.refused(StaffRequestNotOpen, lambda: office.decide(lu, number))
    assert [one.outcome for one in list_staff_requests(session=session, open_only=False)] == ["withdrawn"]


def test_a_reviewer_decides_only_where_there_is_no_other_administrator(
    office: Office, qian: Account, shen: Account
) -> None:
    hai = office.add("hai", "reviewer")
    first = office.ask_new(qian, "lu.min", "administrator")
    office.refused(StaffDecisionNotYours, lambda: office.decide(shen, first))
    lu = office.session.get_one(Account, office.decide(hai, first).account_id)
    later = office.ask(qian, shen, "password")
    # Whom she has just brought in cannot be her second person.
    office.refused(StaffDecisionNotYours, lambda: office.decide(lu, later))
    asked = office.session.get_one(StaffRequest, later)
    assert [one.id for one in who_decides(session=office.session, asked=asked, real_now=NOW)] == [hai.id]
    week = NOW + NOT_YET + timedelta(seconds=1)
    office.refused(StaffDecisionNotYours, lambda: office.decide(hai, later, now=week))
    office.decide(lu, later, now=week)


def test_the_account_itself_never_decides(office: Office, qian: Account, lu: Account) -> None:
    number = office.ask(qian, lu, "role", role="operator")
    office.refused(NotYourself, lambda: office.decide(lu, number))


def test_nothing_is_approved_for_somebody_who_is_no_administrator_any_more(
    office: Office, qian: Account, lu: Account, shen: Account
) -> None:
    """Two administrators ask to demote each other: only one of the two is approved, so that one stays."""
    hai = office.add("hai", "reviewer")
    one, other = office.ask(qian, lu, "role", role="operator"), office.ask(lu, qian, "role", role="operator")
    office.decide(hai, one)
    office.refused(StaffAskerGone, lambda: office.decide(hai, other))
    office.decide(hai, other, approved=False)
    assert qian.role == "administrator"


def test_the_table_itself_wants_two(office: Office, qian: Account, shen: Account) -> None:
    office.ask(qian, shen, "password")
    alone = "UPDATE staff_request SET decided_by = asked_by, decided_at = now(), outcome = 'approved'"
    with pytest.raises(Exception, match="decided_by_another"):
        office.session.execute(text(alone))
    office.session.rollback()


def test_of_two_deciders_at_once_one_decides(
    office: Office, engine: Engine, qian: Account, lu: Account, shen: Account
) -> None:
    one, other = actor(lu), actor(office.add("third", "administrator"))
    for turn in range(4):
        kind = "password" if turn % 2 else "add"
        number = office.ask(qian, shen, kind) if kind == "password" else office.ask_new(qian, f"new-{turn}")

        def decided(by: str, *, approved: bool, number: int = number) -> Callable[[Session], object]:
            return lambda session: office.decide(by, number, approved=approved, session=session).outcome

        told = together(engine, decided(one, approved=True), decided(other, approved=False))
        assert sorted(told, key=str)[-1] == StaffRequestNotOpen.code
        office.session.expire_all()
        asked = office.session.get_one(StaffRequest, number)
        assert asked.outcome in told
        if kind == "add":
            made = office.session.scalar(select(Account).where(Account.login == f"new-{turn}"))
            assert (made is not None) == (asked.outcome == "approved")


def test_without_the_lock_both_would_have_decided(
    office: Office, engine: Engine, qian: Account, lu: Account, shen: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: two who both saw the request open. It proves that the race above can be lost."""
    third, number = office.add("third", "administrator"), office.ask(qian, shen, "password")
    with Session(engine) as one, Session(engine) as other:
        seen = [session.get_one(StaffRequest, number) for session in (one, other)]
        assert [asked.outcome for asked in seen] == [None, None]
        monkeypatch.setattr("registry.staff_requests._lock", lambda session, request_id, actor: seen[session is other])
        assert office.decide(lu, number, session=one).outcome == "approved"
        assert office.decide(third, number, approved=False, session=other).outcome == "refused"
