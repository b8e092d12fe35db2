"""The desk's queues worked by the bureau's people: two persons where the law asks for two, nothing paid before."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import func, select

from registry.audit import AuditEntry
from registry.dealers import Dealer
from subsidy.payouts import PaymentBatch
from subsidy.programme_change import ProgrammeChange
from tests.registry.dealer_walk import form
from tests.web.desk_scene import RESERVE_FEN, Bureau, typed
from tests.web.markup import check_page
from tests.web.scene import Browser, Scene


@pytest.fixture
def bureau(scene: Scene) -> Bureau:
    return Bureau(scene)


def forms_on(browser: Browser) -> list[str]:
    """Where the page's forms go, those of its head left out."""
    assert browser.page is not None
    actions = re.findall(r'<form\b[^>]*method="post"[^>]*action="([^"]*)"', browser.page.text)
    return [action for action in actions if action != "/sign-out"]


def is_page(link: str) -> bool:
    """Whether a link leads to a page of its own: no file, no picture, no other view of the same list."""
    return not any(part in link for part in (".pdf", ".xlsx", "photo", "/find", "?"))


def test_a_batch_is_cut_by_one_and_approved_by_two_others_with_its_total(scene: Scene) -> None:
    bureau = Bureau(scene, second_approval_fen=0)
    operator, finance, reviewer = bureau.operator, bureau.finance, bureau.reviewer
    bureau.owed(2)
    check_page(operator.open("/desk/batches"))
    assert "2 笔等着编入批次，共 600.00 元" in operator.text
    operator.send(action="/desk/batches")
    assert operator.at == "/desk/batches/1"
    assert forms_on(operator) == ["/desk/batches/1/cancellation"], "who cut it is offered no approval"

    check_page(reviewer.open("/desk/batches/1"))
    assert forms_on(reviewer) == [], "finance approves first"
    check_page(finance.open("/desk/batches/1"))
    assert "批准，付 600.00 元" in finance.text
    assert "逐笔相加等于总额" in finance.text
    stale = finance.send(action="/approval", total_fen="30000")
    assert stale.status_code == 409
    check_page(stale)
    finance.open("/desk/batches/1")
    finance.send(action="/approval")
    assert "还要另一位再批准一次" in finance.text
    assert "/desk/batches/1/approval" not in forms_on(finance), "nobody approves twice"
    reviewer.open("/desk/batches/1")
    target, hidden = reviewer.form(action="/approval")
    first, second = (reviewer.client.post(target, data=hidden) for _ in range(2))
    assert (first.status_code, second.status_code) == (303, 303), "a double tap is one approval"
    scene.session.rollback()
    batch = scene.session.scalars(select(PaymentBatch)).one()
    assert (batch.state, batch.total_fen) == ("approved", 60_000)
    assert len({batch.cut_by, batch.first_by, batch.second_by}) == 3


def test_a_batch_is_not_cancelled_without_a_reason(bureau: Bureau) -> None:
    bureau.owed(1)
    operator = bureau.operator
    operator.open("/desk/batches")
    operator.send(action="/desk/batches")
    page = operator.send(action="/cancellation", reason="")
    assert page.status_code == 422
    check_page(page)
    assert 'href="#f-reason"' in page.text
    operator.send(action="/cancellation", reason="金额要再核对一遍")
    assert "取消的原因：金额要再核对一遍" in operator.text
    operator.open("/desk/batches")
    assert "1 笔等着编入批次" in operator.text


def test_a_dealer_becomes_a_point_by_two_persons_and_loses_it_by_two(bureau: Bureau) -> None:
    operator, reviewer = bureau.operator, bureau.reviewer
    wrong, right = (bureau.enrolment.apply(form()) for _ in range(2))
    operator.open(f"/desk/applications/{wrong.reference}")
    page = operator.send(action="/refusal", reason="不")
    assert page.status_code == 422
    check_page(page)
    assert ">不</textarea>" in page.text, "what was typed stays"
    operator.send(action="/refusal", reason="执照上的地址和申请的不一样")
    check_page(operator.open(f"/desk/applications/{right.reference}"))
    operator.send(action="/acceptance")
    assert "商户接下来签承诺书" in operator.text

    trained = bureau.enrolment.dealer(until="trained").id
    operator.open(f"/desk/dealers/{trained}")
    operator.send(action="/enrolment")
    assert forms_on(operator) == []
    check_page(reviewer.open(f"/desk/dealers/{trained}"))
    reviewer.send(action="/licence")
    assert "现在可以接待车主" in reviewer.text
    operator.open(f"/desk/dealers/{trained}")
    page = operator.send(action="/revocation-proposal", reason="查实")
    assert page.status_code == 422
    check_page(page)
    assert page.text.count(">查实</textarea>") == 1, "kept in the form it was typed in, and in no other"
    operator.send(action="/revocation-proposal", reason="查实收旧车不开凭证")
    assert forms_on(operator) == [f"/desk/dealers/{trained}/suspension"]
    check_page(reviewer.open(f"/desk/dealers/{trained}"))
    reviewer.send(action="/revocation", approved="yes")
    bureau.scene.session.rollback()
    assert bureau.scene.session.get_one(Dealer, trained).state == "revoked"


def test_an_overrule_shows_what_it_changes_and_changes_just_that(bureau: Bureau) -> None:
    operator, reviewer = bureau.operator, bureau.reviewer
    position = bureau.declined()
    operator.open(f"/board/claims/{position}")
    page = operator.send(action="/overrule", deed="overrule", reason="")
    assert page.status_code == 422
    check_page(page)
    operator.send(action="/overrule", deed="overrule", reason="档案里的备案日期是 2021 年")
    overrule = re.search(r'href="(/desk/overrules/[^"]+)"', operator.page.text)[1]  # type: ignore[union-attr,index]
    check_page(operator.open(overrule))
    assert forms_on(operator) == [], "who proposed it does not decide"
    check_page(reviewer.open(overrule))
    for words in ("300.00 元", f"{RESERVE_FEN // 100}.00 元", f"{RESERVE_FEN // 100 - 300}.00 元", "给予补贴"):
        assert words in reviewer.text, words
    assert bureau.state_at(position) == ("declined", 0)
    reviewer.send(action="/decision", decision="approve")
    assert bureau.state_at(position) == ("awarded", 30_000)


def test_an_appeal_is_answered_and_a_return_decided(bureau: Bureau) -> None:
    operator, reviewer = bureau.operator, bureau.reviewer
    position = bureau.declined("late")
    reference = bureau.appeal(position)
    check_page(operator.open(f"/desk/appeals/{reference}"))
    operator.send(action="/answer", decision="uphold", answer="档案查过了，备案日期是 2021 年，支持。")
    assert operator.at.startswith("/desk/overrules/")
    reviewer.open(operator.at)
    reviewer.send(action="/decision", decision="refuse", reason="档案复印件要先补上")
    check_page(operator.open(f"/desk/appeals/{reference}"))
    operator.send(action="/answer", decision="reject", answer="档案里没有 2021 年的备案。")
    assert "未支持" in operator.text

    bureau.claim()
    operator.open("/board/claims/2")
    said = {"deed": "return", "kind": "bike_returned", "proof_no": "TH2026001", "reason": "车主把车退了"}
    operator.send(action="/return", **said)
    case = re.search(r'href="(/desk/returns/[^"]+)"', operator.page.text)[1]  # type: ignore[union-attr,index]
    check_page(reviewer.open(case))
    assert "放出来给后面的人" in reviewer.text
    reviewer.send(action="/decision", decision="approve")
    assert bureau.state_at(2)[0] == "returned"


def test_rules_are_looked_at_drafted_by_one_and_approved_by_another(bureau: Bureau) -> None:
    operator, reviewer, session = bureau.operator, bureau.reviewer, bureau.scene.session
    check_page(operator.open("/desk/programme/draft"))
    draft = {**typed(operator), "s1_places": "6", "s1_budget": "1800", "note": "名额不够，财政同意追加"}
    page = operator.send(action="/desk/programme/draft", **{**draft, "s1_budget": "一千八", "what": "look"})
    assert page.status_code == 422
    check_page(page)
    assert 'value="一千八"' in page.text
    check_page(operator.send(action="/desk/programme/draft", **draft, what="look"))
    assert "会有什么效果" in operator.text
    assert session.scalar(select(func.count()).select_from(ProgrammeChange)) == 0, "looking keeps nothing"
    operator.send(action="/desk/programme/draft", **draft, what="keep")
    assert operator.at == "/desk/programme/changes/1"
    assert forms_on(operator) == ["/desk/programme/changes/1/withdrawal"]
    check_page(reviewer.open("/desk/programme/changes/1"))
    for words in ("第一阶段，名额", "5 个", "6 个", "1,500.00 元", "1,800.00 元"):
        assert words in reviewer.text, words
    reviewer.send(action="/decision", decision="approve")
    assert "现行规则第 2 版" in reviewer.open("/desk/programme").text


def test_a_pause_is_told_to_the_public_once_a_second_person_agrees(bureau: Bureau) -> None:
    operator, reviewer, anybody = bureau.operator, bureau.reviewer, Browser(bureau.web)
    check_page(operator.open("/desk/programme"))
    why = {"reason_zh": "停机核对台账", "reason_en": "The books are being checked"}
    operator.send(action="/switch", **why, note="对账差异查清以前先停")
    change = operator.at
    assert "停机核对台账" not in anybody.open("/").text
    check_page(reviewer.open(change))
    reviewer.send(action="/decision", decision="approve")
    check_page(operator.open("/desk/programme"))
    assert "暂停中，公众看到的理由" in operator.text
    assert "恢复活动" in operator.text


def test_a_difference_is_written_off_by_two(bureau: Bureau) -> None:
    operator, finance = bureau.operator, bureau.finance
    bureau.differing_statement()
    check_page(operator.open("/desk/statements"))
    day = re.search(r'href="(/desk/statements/[^"]+)"', operator.page.text)[1]  # type: ignore[union-attr,index]
    check_page(operator.open(day))
    line = re.search(r'href="(/desk/statement-lines/[^"]+)"', operator.page.text)[1]  # type: ignore[union-attr,index]
    check_page(operator.open(line))
    page = operator.send(action="/resolution", resolution="", finding="")
    assert page.status_code == 422
    check_page(page)
    operator.send(action="/resolution", resolution="write_off", finding="银行书面答复是它自己的测试")
    assert forms_on(operator) == []
    check_page(finance.open(line))
    finance.send(action="/decision", decision="approve", finding="同意银行的说法")
    assert "了结了" in finance.text


def test_a_search_keeps_who_and_why_and_shows_nobody_whole(bureau: Bureau) -> None:
    owner = bureau.claim()
    auditor = bureau.at_desk("auditor")
    check_page(auditor.open("/desk/search"))
    page = auditor.send(action="/desk/search", wanted=owner.id_no, reason="")
    assert page.status_code == 422
    check_page(auditor.send(action="/desk/search", wanted=owner.id_no, reason="车主来电查询"))
    assert owner.plate_no in auditor.text
    assert "陈*英" in auditor.text
    assert owner.name not in auditor.text
    check_page(auditor.open("/desk/audit?action=filings.searched"))
    assert "车主来电查询" in auditor.text
    entry = bureau.scene.session.scalars(select(AuditEntry).where(AuditEntry.action == "filings.searched")).one()
    assert owner.id_no not in str(entry.detail)


def test_an_auditor_sees_every_queue_and_is_offered_nothing_to_change(bureau: Bureau) -> None:
    bureau.furnish()
    auditor = bureau.at_desk("auditor")
    seen, waiting = set(), ["/desk"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        markup = check_page(auditor.open(path))
        assert set(forms_on(auditor)) <= {"/desk/search"}, path
        waiting += [link for link in markup.links if link.startswith(("/desk", "/board/claims/")) and is_page(link)]
    for part in (
        "batches/1",
        "applications/",
        "overrules/GP",
        "appeals/SS",
        "returns/TH",
        "changes/1",
        "statement-lines/",
    ):
        assert any(part in path for path in seen), (part, sorted(seen))


def test_a_photo_nobody_can_read_is_marked_and_holds_the_claim(bureau: Bureau) -> None:
    operator, owner = bureau.operator, bureau.scene.owner()
    reference = bureau.counter.open_trade_in(owner)
    bureau.counter.send_photos()
    operator.open("/desk/search")
    check_page(operator.send(action="/desk/search", wanted=reference))
    check_page(operator.open(f"/desk/trade-ins/{reference}"))
    assert operator.client.get(f"/desk/trade-ins/{reference}/photos/plate").content_type == "image/png"
    page = operator.send(action="/faults", field="", note="")
    assert page.status_code == 422
    check_page(page)
    operator.send(action="/faults", field="photo:plate", note="号牌反光看不清")
    bike = bureau.scene.district.stock(bureau.scene.dealer)
    bureau.counter.open(f"/point/trade-ins/{reference}")
    bureau.counter.receive(owner)
    bureau.counter.send(action="/cancellation")
    bureau.counter.sell(bike.vehicle_code, owner)
    bureau.counter.send(action="/application")
    assert bureau.claim_of(reference).state == "held"
    check_page(operator.open("/desk/held"))
    assert reference in operator.text
