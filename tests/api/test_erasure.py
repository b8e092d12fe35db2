"""Owners have their data erased: what no law keeps goes, the rest is locked, and whoever comes back is let in again."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from app.erasing import ClaimsAndMoney
from registry.accounts import Account, SignIn
from registry.audit import AuditEntry
from registry.base import Refusal
from registry.consent import answer_consent, standing_consents
from registry.erasure import Erasure, ErasureMustWait, ask_erasure, restore
from registry.messages import Message
from registry.opening import open_trade_in
from registry.people import Person, PersonLocked, know_person
from registry.retention import RETAINED
from registry.trade_ins import TradeIn, TradeInPhoto
from registry.transferring import open_transfer, withdraw_transfer
from registry.unmasking import Unmasking
from subsidy.payouts import Payout
from subsidy.returns import open_return, refuse_return
from tests.api.conftest import Api, Place, faults, opening, photo, walk
from tests.registry.line import DISTRICT, Owner

YES = {"understood": True}
REASON = "审计抽查第 12 号申领"


@pytest.fixture
def me(place: Place, owner: Owner) -> Api:
    return place.as_role("owner", person_id=owner.person_id)


def person(place: Place, owner: Owner) -> Person:
    place.district.session.rollback()
    return place.district.session.get_one(Person, owner.person_id, populate_existing=True)


def paid(place: Place) -> None:
    place.district.session.execute(update(Payout).values(state="settled", settled_at=datetime.now(UTC)))
    place.district.session.commit()


def requests(place: Place) -> list[Erasure]:
    place.district.session.rollback()
    return list(place.district.session.scalars(select(Erasure).order_by(Erasure.id)))


def test_what_is_not_finished_comes_first(place: Place, point: Api, owner: Owner, me: Api, programme: None) -> None:
    reference = walk(point, place, owner, until="received")
    assert me.get("/api/my/erasure").json["waits_for"] == [reference]
    for _ in range(2):
        refused = me.post("/api/my/erasure", YES)
        assert (refused.status_code, faults(refused)) == (409, {None: "erasure_must_wait"})
        assert reference in refused.json["detail"]
    assert [(row.decision, row.blocked_by) for row in requests(place)] == [("refused", [reference])] * 2
    assert person(place, owner).locked_at is None
    assert me.get("/api/my/data").status_code == 200


def test_money_on_its_way_comes_first(place: Place, point: Api, owner: Owner, me: Api, programme: None) -> None:
    reference = walk(point, place, owner, until="applied")
    assert me.get("/api/my/erasure").json["waits_for"] == [reference]
    assert me.post("/api/my/erasure", YES).status_code == 409
    paid(place)
    outlook = me.get("/api/my/erasure").json
    assert (outlook["waits_for"], outlook["kept_until"]) == ([], f"{datetime.now(UTC).year + 30}-12-31")
    assert [each["code"] for each in outlook["kept"]] == [code for code in RETAINED if code != "appeals"]
    assert outlook["kept"][0]["years"] == 30
    assert "会计档案管理办法" in outlook["kept"][0]["source_zh"]
    answer = me.post("/api/my/erasure", YES)
    assert answer.status_code == 200, answer.text
    assert (answer.json["decision"], answer.json["kept_until"]) == ("carried_out", outlook["kept_until"])


def test_a_return_and_a_transfer_come_first(place: Place, point: Api, owner: Owner, me: Api, programme: None) -> None:
    reference = walk(point, place, owner, until="applied")
    paid(place)
    session, now = place.district.session, place.district.now
    returned = open_return(
        session=session,
        reference=reference,
        kind="bike_returned",
        reason="新车退了",
        proof_no="TH-2026-0001",
        actor="account:1",
        now=now,
    )
    session.commit()
    assert me.get("/api/my/erasure").json["waits_for"] == [reference]
    refuse_return(session=session, reference=returned.reference, reason="没有退", actor="account:2", now=now)
    session.commit()
    other = place.district.owner()
    transfer = open_transfer(
        session=session,
        keyring=place.district.keyring,
        plate_no=other.plate_no,
        seller_name=other.name,
        seller_id_no=other.id_no,
        seller_phone=other.phone,
        buyer_name=owner.name,
        buyer_id_no=owner.id_no,
        buyer_phone=owner.phone,
        dealer_id=None,
        actor="account:1",
        now=now,
    )
    session.commit()
    assert me.get("/api/my/erasure").json["waits_for"] == [transfer.transfer_no]
    withdraw_transfer(session=session, transfer_no=transfer.transfer_no, dealer_id=None, actor="account:1", now=now)
    session.commit()
    assert me.post("/api/my/erasure", YES).status_code == 200
    told = place.as_role("operator").get(f"/api/transfers/{transfer.transfer_no}").json
    assert (told["state"], told["buyer"]) == ("withdrawn", "***")


def test_what_goes_and_what_is_locked(place: Place, point: Api, owner: Owner, me: Api) -> None:
    withdrawn = walk(point, place, owner, until="opened")
    assert point.post(f"/api/trade-ins/{withdrawn}/photos", photo("plate")).status_code == 201
    assert point.post(f"/api/trade-ins/{withdrawn}/withdrawal").status_code == 200
    assert me.post("/api/my/consents", {"purpose": "survey", "version": 1, "given": True}).status_code == 201
    answer = me.post("/api/my/erasure", YES)
    assert answer.status_code == 200, answer.text
    removed = answer.json["removed"]
    assert removed["phone"] == removed["consents"] == removed["sign_ins"] == 1
    assert removed["photos_of_withdrawn_trade_ins"] == 1
    assert removed["message_texts"] >= 2
    session = place.district.session
    locked = person(place, owner)
    assert (locked.phone_sealed, locked.phone_index) == (None, None)
    assert locked.locked_at is not None
    assert set(session.scalars(select(Message.body))) == {""}
    assert "owed" not in set(session.scalars(select(Message.state)))
    assert session.scalar(select(func.count()).select_from(TradeInPhoto)) == 0
    assert not standing_consents(session=session, person_id=owner.person_id)["survey"].given
    assert me.get("/api/my/data").status_code == 401
    assert session.scalars(select(Account.display_name).where(Account.role == "owner")).all() == ["***"]
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "erasure.carried_out")).one()
    assert entry.detail["locked"] == [False, True]
    assert owner.phone not in str(entry.detail)


def test_nobody_but_an_auditor_sees_a_locked_person(place: Place, point: Api, owner: Owner, me: Api) -> None:
    reference = walk(point, place, owner, until="opened")
    assert point.post(f"/api/trade-ins/{reference}/withdrawal").status_code == 200
    assert me.post("/api/my/erasure", YES).status_code == 200
    staff = place.as_role("reviewer")
    query = {"plate_no": owner.plate_no, "reason": "车主来电查询"}
    [filing] = staff.post("/api/filings/search", query).json["filings"]
    assert (filing["owner_name"], filing["owner_id_no"], filing["owner_phone"]) == ("***", "*" * 18, None)
    assert point.get(f"/api/trade-ins/{reference}").json["owner"] == "***"
    path, wanted = f"/api/people/{owner.person_id}/unmaskings", {"field": "id_no", "reason": REASON}
    assert faults(staff.post(path, wanted)) == {None: "unmasked_by_auditors_only"}
    auditor = place.as_role("auditor")
    assert auditor.post(path, wanted).json["value"] == owner.id_no
    other = place.district.owner()
    assert auditor.post(f"/api/people/{other.person_id}/unmaskings", wanted).status_code == 403
    place.district.session.rollback()
    assert [look.reason for look in place.district.session.scalars(select(Unmasking))] == [REASON]


def test_nothing_new_begins_until_staff_restore(place: Place, point: Api, owner: Owner, me: Api) -> None:
    assert me.post("/api/my/erasure", YES).status_code == 200
    refused = point.post("/api/trade-ins", opening(owner))
    assert (refused.status_code, faults(refused)) == (409, {None: "person_locked"})
    staff = place.as_role("operator")
    body = {"id_no": owner.id_no, "phone": "13900000001", "reason": "本人持身份证到窗口"}
    assert faults(staff.post("/api/erasures/restorations", {**body, "id_no": "1"})) == {"id_no": "id_number_invalid"}
    answer = staff.post("/api/erasures/restorations", body)
    assert (answer.status_code, answer.json["person_id"]) == (200, owner.person_id)
    assert faults(staff.post("/api/erasures/restorations", body)) == {"id_no": "nothing_to_restore"}
    assert point.post("/api/trade-ins", opening(owner)).status_code == 201
    account = place.district.session.scalars(select(Account).where(Account.role == "owner")).one()
    place.district.session.refresh(account)
    assert (account.disabled_at, account.display_name) == (None, "陈*英")
    [row] = staff.get("/api/erasures").json["erasures"]
    assert (row["decision"], row["person_id"], row["restored_reason"]) == (
        "carried_out",
        owner.person_id,
        "本人持身份证到窗口",
    )
    assert row["restored_by"] == "operator-0"


def test_asking_again_is_asking_once(place: Place, owner: Owner) -> None:
    session = place.district.session
    asked = {"session": session, "person_id": owner.person_id, "elsewhere": ClaimsAndMoney(), "actor": "account:1"}
    first = ask_erasure(**asked, now=place.district.now)
    session.commit()
    assert ask_erasure(**asked, now=datetime.now(UTC)).id == first.id
    kept = {"id_no": owner.id_no, "phone": "13900000001", "reason": "本人回来办理"}
    restore(session=session, keyring=place.district.keyring, actor="account:2", now=place.district.now, **kept)
    session.commit()
    assert ask_erasure(**asked, now=datetime.now(UTC)).id != first.id
    session.commit()
    with pytest.raises(PersonLocked):
        know_person(session=session, keyring=place.district.keyring, id_no=owner.id_no, name=owner.name, phone=None)


def test_the_request_says_that_it_was_understood(me: Api, place: Place) -> None:
    assert faults(me.post("/api/my/erasure", {"understood": False})) == {"understood": "not_confirmed"}
    assert faults(me.post("/api/my/erasure", {})) == {"understood": "required"}
    assert requests(place) == []
    for role in ("operator", "auditor"):
        assert place.as_role(role).post("/api/my/erasure", YES).status_code == 403
    assert me.get("/api/erasures").status_code == 403


def test_a_list_of_filings_keeps_a_locked_person_locked(place: Place, owner: Owner) -> None:
    session = place.district.session
    answer_consent(
        session=session,
        person_id=owner.person_id,
        purpose="survey",
        version=1,
        given=True,
        actor="account:1",
        now=place.district.now,
    )
    ask_erasure(
        session=session,
        person_id=owner.person_id,
        elsewhere=ClaimsAndMoney(),
        actor="account:1",
        now=place.district.now,
    )
    session.commit()
    with pytest.raises(PersonLocked):
        know_person(
            session=session, keyring=place.district.keyring, id_no=owner.id_no, name=owner.name, phone=owner.phone
        )
    session.rollback()
    assert person(place, owner).phone_sealed is None


@pytest.mark.parametrize("attempt", range(2))
def test_an_erasure_and_an_opening_see_each_other(place: Place, owner: Owner, engine: Engine, attempt: int) -> None:
    """Whoever comes first: never a locked person with an open trade-in."""
    gate = threading.Barrier(2)
    outcomes: dict[str, str] = {}

    def open_one() -> None:
        with Session(engine) as session:
            gate.wait(timeout=20)
            try:
                open_trade_in(
                    session=session,
                    keyring=place.district.keyring,
                    plates=place.police,
                    district=DISTRICT,
                    dealer_id=place.dealer.id,
                    actor="account:1",
                    now=place.district.now,
                    **opening(owner),
                )
                session.commit()
                outcomes["opening"] = "done"
            except Refusal as refusal:
                outcomes["opening"] = refusal.code

    def erase() -> None:
        with Session(engine) as session:
            gate.wait(timeout=20)
            try:
                ask_erasure(
                    session=session,
                    person_id=owner.person_id,
                    elsewhere=ClaimsAndMoney(),
                    actor="account:2",
                    now=place.district.now,
                )
                session.commit()
                outcomes["erasure"] = "done"
            except ErasureMustWait as refusal:
                outcomes["erasure"] = refusal.code

    threads = [threading.Thread(target=each) for each in (open_one, erase)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    locked = person(place, owner).locked_at is not None
    opened = place.district.session.scalar(select(func.count()).select_from(TradeIn)) == 1
    assert locked != opened, outcomes
    expected = {"opening": "person_locked", "erasure": "done"}
    assert outcomes == (expected if locked else {"opening": "done", "erasure": "erasure_must_wait"})
    assert place.district.session.scalar(select(func.count()).select_from(SignIn)) == 0
