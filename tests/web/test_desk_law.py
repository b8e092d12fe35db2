"""Money claimed back, frozen payouts, commitments, personal data, hand-overs: seen before they are done, then done."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.erasing import ClaimsAndMoney
from registry.audit import AuditEntry
from registry.dealer_commitments import CommitmentVersion
from registry.dealers import Dealer
from registry.erasure import ask_erasure
from registry.people import Person
from registry.trade_ins import TradeIn
from registry.unmasking import Unmasking
from subsidy.dispatch import pay_next
from subsidy.payouts import Payout
from subsidy.programme_change import ProgrammeChange
from subsidy.programme_change_effect import reckon_next
from subsidy.reclaiming import reclaim_next
from subsidy.settlement import freeze
from tests.registry.line import NOW
from tests.subsidy.payout_rows import release
from tests.web.desk_scene import Bureau, typed
from tests.web.markup import check_page
from tests.web.scene import Browser, Scene, starting_at


@pytest.fixture
def bureau(scene: Scene) -> Bureau:
    return Bureau(scene)


def sessions_of(bureau: Bureau) -> sessionmaker[Session]:
    return sessionmaker(bureau.scene.session.get_bind(), expire_on_commit=False)


def in_english(browser: Browser, path: str) -> str:
    """The same page for somebody who reads English."""
    browser.client.set_cookie("mapai_look", "lang:en")
    check_page(browser.open(path), english=True)
    words = browser.text
    browser.client.delete_cookie("mapai_look")
    return words


def paid(bureau: Bureau, wallet_id: str) -> None:
    """A claim whose award has arrived in this wallet."""
    bureau.claim("owner")
    bureau.at_desk("owner").give_wallet(wallet_id)
    sessions, keyring = sessions_of(bureau), bureau.scene.settings.keyring
    release(sessions, bureau.scene.bank)
    assert pay_next(sessions=sessions, operator=bureau.scene.bank, keyring=keyring, now=lambda: NOW) == "settled"


def demanded(bureau: Bureau) -> str:
    """The return of the first claim, agreed to by a reviewer; the path of its page."""
    bureau.operator.open("/board/claims/1")
    said = {"deed": "return", "kind": "fraud", "proof_no": "TH2026001", "reason": "查实不是本人的车"}
    bureau.operator.send(action="/return", **said)
    with sessions_of(bureau)() as session:
        reference = session.connection().exec_driver_sql("SELECT reference FROM return_case").scalar_one()
    path = f"/desk/returns/{reference}"
    bureau.reviewer.open(path)
    bureau.reviewer.send(action="/decision", decision="approve")
    return path


def test_finance_has_the_bank_take_back_what_was_paid(bureau: Bureau) -> None:
    paid(bureau, "W1001.spent_once")
    case, finance = demanded(bureau), bureau.finance
    check_page(finance.open(case))
    assert "由银行征得车主同意后转出" in finance.text
    finance.send(action="/reclaim")
    assert "等着发给银行" in finance.text
    assert "请银行追回 300.00 元" not in finance.text
    work = {"sessions": sessions_of(bureau), "operator": bureau.scene.bank, "clock": starting_at(NOW)}
    assert reclaim_next(**work) == "rejected"
    check_page(finance.open(case))
    assert "没有追回" in finance.text
    assert "钱包里的钱不够" in finance.text
    assert "not enough money in the wallet" in in_english(finance, case)
    finance.open(case)
    finance.send(action="/reclaim")
    assert reclaim_next(**work) == "reclaimed"
    check_page(finance.open(case))
    assert "已退款" in finance.text
    assert bureau.state_at(1)[0] == "returned"


def test_a_frozen_payout_is_ended_by_two_who_see_before_what_will_change(bureau: Bureau) -> None:
    paid(bureau, "W1001")
    with sessions_of(bureau).begin() as session:
        payout = session.scalars(select(Payout)).one()
        freeze(session=session, payout=payout, kind="rejection_after_success", detail={})
        page = f"/desk/frozen/{payout.id}"
    finance = bureau.finance
    check_page(bureau.operator.open("/desk/frozen"))
    assert "银行说到账以后又退回" in bureau.operator.text
    check_page(bureau.operator.open(page))
    assert "等财务凭凭证提出了结" in bureau.operator.text
    check_page(finance.open(page))
    assert "不能这样了结" in finance.text, "the books call it paid"
    refused = finance.send(action="/resolution", resolution="", finding="", document_no="")
    assert refused.status_code == 422
    check_page(refused)
    finance.send(
        action="/resolution", resolution="settle_by_document", finding="银行回单说已到账", document_no="HD20260612"
    )
    assert "提出来了，要由另一位财务或者复核员批准" in finance.text
    check_page(bureau.reviewer.open("/desk/frozen"))
    check_page(bureau.reviewer.open(page))
    assert "银行回单说已到账" in bureau.reviewer.text
    assert "Look at the original document first" in in_english(bureau.reviewer, page)
    bureau.reviewer.open(page)
    short = bureau.reviewer.send(action="/decision", decision="approve", opinion="")
    assert short.status_code == 422
    check_page(short)
    check_page(bureau.reviewer.send(action="/decision", decision="approve", opinion="看过回单原件"))
    assert "这笔发放了结了" in bureau.reviewer.text
    check_page(finance.open(page))
    assert "已到账" in finance.text
    assert "Frozen payouts" in in_english(finance, "/desk/frozen")


def test_a_commitment_is_drafted_by_one_read_and_approved_by_another(bureau: Bureau) -> None:
    operator, reviewer = bureau.operator, bureau.reviewer
    check_page(operator.open("/desk/commitments"))
    short = operator.send(action="/commitments", text="太短", effective_on="2027-01-01", sign_by="2027-02-01")
    assert short.status_code == 422
    check_page(short)
    new = "\n".join(
        [
            "商户承诺书",
            *(f"第 {number} 条：收旧车当场拍照，不拆不换，照实登记。" for number in range(1, 9)),
        ]
    )
    operator.send(action="/commitments", text=new, effective_on="2027-01-01", sign_by="2027-02-01")
    assert "等起草人以外的复核员批准" in operator.text
    check_page(reviewer.open("/desk/commitments"))
    assert "第 7 条：收旧车当场拍照" in reviewer.text
    assert "新的一段" in reviewer.text
    assert "to sign again by 2027-02-01" in in_english(reviewer, "/desk/commitments")
    reviewer.open("/desk/commitments")
    reviewer.send(action="/approval")
    session = bureau.scene.session
    session.rollback()
    newest = session.scalars(select(CommitmentVersion).order_by(CommitmentVersion.version.desc())).first()
    assert newest is not None
    assert (newest.approved_by is not None, newest.text_zh.strip()) == (True, new)


def test_a_field_is_seen_in_clear_for_a_reason_that_is_kept(bureau: Bureau) -> None:
    owner, reviewer = bureau.claim(), bureau.reviewer
    session = bureau.scene.session
    reference = session.scalars(select(TradeIn.reference)).one()
    page = f"/desk/people/{reference}"
    check_page(bureau.operator.open(page))
    assert "由复核员、财务或者管理员查看" in bureau.operator.text
    assert owner.name not in bureau.operator.text
    check_page(reviewer.open(page))
    refused = reviewer.send(action=page, field="phone", reason="")
    assert refused.status_code == 422
    check_page(refused)
    assert owner.phone not in reviewer.text
    shown = reviewer.send(action=page, field="phone", reason="核对退款户名")
    check_page(shown)
    assert owner.phone in reviewer.text
    assert shown.headers["Cache-Control"] == "no-store"
    session.rollback()
    look = session.scalars(select(Unmasking)).one()
    assert (look.field, look.reason) == ("phone", "核对退款户名")
    reviewer.open(page)
    assert owner.phone not in reviewer.text
    assert "核对退款户名" in reviewer.text


def test_whoever_comes_back_after_an_erasure_is_let_in_again(bureau: Bureau) -> None:
    owner, operator, session = bureau.scene.owner("gone"), bureau.operator, bureau.scene.session
    check_page(operator.open("/desk/erasures/restoration"))
    said = {"id_no": owner.id_no, "phone": "13900000001", "reason": "本人持身份证来办理"}
    wrong = operator.send(action="/restoration", **{**said, "phone": "123"})
    assert wrong.status_code == 422
    check_page(wrong)
    asked = {"person_id": owner.person_id, "elsewhere": ClaimsAndMoney(), "actor": "account:1"}
    ask_erasure(session=session, now=NOW, **asked)
    session.commit()
    operator.open("/desk/erasures/restoration")
    operator.send(action="/restoration", **said)
    assert operator.at == "/desk/erasures"
    check_page(operator.open("/desk/erasures"))
    assert "本人持身份证来办理" in operator.text
    session.rollback()
    assert session.scalars(select(Person.locked_at).where(Person.id == owner.person_id)).one() is None


def test_open_trade_ins_go_to_another_licensed_point(bureau: Bureau) -> None:
    scene, operator = bureau.scene, bureau.operator
    owner = scene.owner()
    reference = bureau.counter.open_trade_in(owner)
    receiver = scene.district.dealer()
    scene.session.commit()
    page = f"/desk/dealers/{scene.dealer.id}"
    check_page(operator.open(page))
    assert "把没办完的移交给别家" in operator.text
    check_page(operator.open(f"{page}/handover"))
    assert reference in operator.text
    nothing = operator.send(action="/handover", to_dealer_id="", reason="停业装修两个月")
    assert nothing.status_code == 422
    check_page(nothing)
    operator.send(action="/handover", to_dealer_id=receiver.id, reference=reference, reason="停业装修两个月")
    assert "移交了 1 件" in operator.text
    scene.session.rollback()
    assert scene.session.scalars(select(TradeIn.dealer_id)).one() == receiver.id
    assert scene.session.scalars(select(Dealer.id).where(Dealer.id == receiver.id)).one()
    assert scene.session.scalar(select(AuditEntry.id).where(AuditEntry.action == "trade_in.handed_over")) is not None


def test_a_long_queue_is_reckoned_in_the_background(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subsidy.programme_change_effect.MOST_EVENTS_AT_ONCE", 0)
    operator, reviewer, session = bureau.operator, bureau.reviewer, bureau.scene.session
    work = {"sessions": sessions_of(bureau), "clock": starting_at(NOW)}
    operator.open("/desk/programme/draft")
    draft = {**typed(operator), "s1_places": "6", "s1_budget": "1800", "note": "名额不够，财政同意追加"}
    check_page(operator.send(action="/desk/programme/draft", **draft, what="look"))
    assert "正在推算" in operator.text
    assert 'value="1800"' in operator.page.text  # type: ignore[union-attr]
    looked = operator.page.request.full_path  # type: ignore[union-attr]
    assert reckon_next(**work) == "reckoned"
    check_page(operator.open(looked))
    assert "会有什么效果" in operator.text
    assert "财政同意追加" in operator.page.text  # type: ignore[union-attr]
    assert operator.open("/desk/programme/draft?run=99").status_code == 404
    operator.open("/desk/programme/draft")
    operator.send(action="/desk/programme/draft", **draft, what="keep")
    check_page(reviewer.open("/desk/programme/changes/1"))
    assert "效果推算完，才能批准" in reviewer.text
    waiting = reviewer.client.get("/desk/programme/changes/1/effect")
    assert "HX-Refresh" not in waiting.headers
    assert reckon_next(**work) == "reckoned"
    assert reviewer.client.get("/desk/programme/changes/1/effect").headers["HX-Refresh"] == "true"
    check_page(reviewer.open("/desk/programme/changes/1"))
    reviewer.send(action="/decision", decision="approve")
    session.rollback()
    assert session.scalars(select(ProgrammeChange.state)).one() == "approved"


def test_the_desk_speaks_english(bureau: Bureau) -> None:
    bureau.declined("late")
    for path in ("/desk", "/desk/programme", "/desk/overrules", "/desk/appeals", "/desk/held", "/desk/returns"):
        assert "To do" in in_english(bureau.reviewer, path)
