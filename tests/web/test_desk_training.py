"""The training material at the desk: written by a clerk, seen as dealers will see it, changed until it counts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from app.web import question_bank
from registry.audit import AuditEntry
from registry.dealer_training import TrainingAttempt, TrainingVersion
from registry.dealers import local_day
from registry.training_material import Question, questions_of
from tests.registry.line import NOW
from tests.web.markup import check_page
from tests.web.scene import STAFF, Browser, Scene

FIRST_DAY = (local_day(NOW) + timedelta(days=10)).isoformat()
TEXT = "\n".join(["一、先核对", *(f"{number}. 收旧车以前先和交警核对，照实登记。" for number in range(8))])
BANK = "\n\n".join(f"第 {number} 问该怎么办？\n先核对\n* 照实登记{number}\n不管" for number in range(1, 11))


def typed(**changed: str) -> dict[str, str]:
    return {"title": "第二版业务培训", "text": TEXT, "questions": BANK, "effective_on": FIRST_DAY, **changed}


@pytest.fixture
def clerk(running: Scene) -> Browser:
    return at_desk(running, STAFF)


def at_desk(running: Scene, login: str, role: str = "") -> Browser:
    if role:
        running.account(login, role=role)
    browser = Browser(running.app())
    browser.sign_in(login)
    return browser


def kept(running: Scene) -> list[TrainingVersion]:
    running.session.rollback()
    return list(running.session.scalars(select(TrainingVersion).order_by(TrainingVersion.version)))


def test_a_version_is_looked_at_kept_and_changed_until_it_counts(running: Scene, clerk: Browser) -> None:
    check_page(clerk.open("/desk/training"))
    assert "现行第 1 版" in clerk.text
    check_page(clerk.open("/desk/training/draft"))
    assert "* 办结的先后" in clerk.text, "the newest version is filled in, with what is right"
    check_page(clerk.send(action="/draft", what="look", **typed()))
    assert "可以存" in clerk.text
    assert "照实登记7 对" in clerk.text
    assert len(kept(running)) == 1, "looking keeps nothing"
    check_page(clerk.send(action="/draft", what="keep", **typed()))
    assert clerk.at == "/desk/training/2"
    assert "第 2 版存好了" in clerk.text
    assert "预告" in clerk.text
    check_page(clerk.open("/desk/training/2/draft"))
    better = typed(title="第二版，改过", questions=f"{BANK}\n\n多一问？\n＊ 对的\n错的")
    check_page(clerk.send(action="/draft", what="keep", **better))
    newest = kept(running)[-1]
    assert (newest.version, newest.title, newest.text_zh) == (2, "第二版，改过", f"{TEXT}\n")
    bank = questions_of(session=running.session, version=2)
    assert [(each.options, each.answer) for each in bank][-2:] == [
        (["先核对", "照实登记10", "不管"], 1),
        (["对的", "错的"], 0),
    ]
    actions = select(AuditEntry.action).where(AuditEntry.subject == "training_version:2").order_by(AuditEntry.id)
    assert list(running.session.scalars(actions)) == ["training.version_added", "training.version_changed"]


def test_dealers_read_it_from_its_day_on_and_then_it_stands(running: Scene, clerk: Browser) -> None:
    clerk.open("/desk/training/draft")
    clerk.send(action="/draft", what="keep", **typed())
    point = Browser(running.app())
    point.sign_in("point")
    assert "第二版业务培训" not in point.open("/point/enrolment/training").text
    later = running.app(at=NOW + timedelta(days=11))
    point = Browser(later)
    point.sign_in("point")
    check_page(point.open("/point/enrolment/training"))
    assert "第二版业务培训" in point.text
    assert "收旧车以前先和交警核对" in point.text
    assert "照实登记7" not in point.text, "no question before the test"
    clerk = Browser(later)
    clerk.sign_in(STAFF)
    check_page(clerk.open("/desk/training/2"))
    assert "已经起用，不能再改" in clerk.text
    assert "已经换成后面的一版" in Browser.open(clerk, "/desk/training/1").text
    assert clerk.open("/desk/training/2/draft").status_code == 409
    target, hidden = "/desk/training/2/draft", clerk_form(clerk)
    refused = clerk.client.post(target, data={**hidden, "what": "keep", **typed()})
    assert (refused.status_code, "已经生效，不能再改" in refused.text) == (409, True)


def clerk_form(clerk: Browser) -> dict[str, str]:
    clerk.open("/desk/training/draft")
    return clerk.form(action="/draft")[1]


def test_every_fault_is_told_at_its_field_and_what_was_typed_stays(running: Scene, clerk: Browser) -> None:
    clerk.open("/desk/training/draft")
    bad = "一问？\n甲\n乙\n\n二问？\n* 甲\n* 乙\n\n三问？\n* 甲\n甲\n\n四问？"
    answer = clerk.send(action="/draft", what="keep", **typed(title="", questions=bad, effective_on="下周"))
    check_page(answer)
    assert answer.status_code == 422
    for said in (
        "还没有写名称",
        "第 1 题要在对的那一项前面打 *",
        "第 2 题要在对的那一项前面打 *",
        "第 3 题有两个选项一样",
        "第 4 题有 0 个选项，要 2 到 8 个",
        "起用日期不对",
    ):
        assert said in clerk.text
    assert "四问？" in clerk.text
    few = clerk.send(action="/draft", what="look", **typed(questions="一问？\n* 甲\n乙", text="太短"))
    assert (few.status_code, "正文太短" in clerk.text) == (422, True)
    few = clerk.send(action="/draft", what="look", **typed(questions="一问？\n* 甲\n乙"))
    assert (few.status_code, "一次测试要 10 道" in clerk.text) == (422, True)
    past = clerk.send(action="/draft", what="look", **typed(effective_on=local_day(NOW).isoformat()))
    assert (past.status_code, "生效的日子要在以后" in clerk.text) == (422, True)
    assert len(kept(running)) == 1


def test_staff_read_it_and_clerks_alone_write(running: Scene, clerk: Browser) -> None:
    running.session.add(
        TrainingAttempt(
            dealer_id=running.dealer.id,
            actor="account:1",
            version=1,
            question_ids=[1, 2],
            pass_mark=1,
            drawn_at=NOW,
            answers=[0, 0],
            correct=1,
            passed=True,
            submitted_at=NOW,
        )
    )
    running.session.commit()
    auditor = at_desk(running, "auditor", "auditor")
    check_page(auditor.open("/desk/training"))
    assert "写新的一版" not in auditor.text
    check_page(auditor.open("/desk/training/1"))
    assert "交卷 1 次，合格 1 次" in auditor.text
    assert auditor.open("/desk/training/draft").status_code == 403
    assert clerk.open("/desk/training/99").status_code == 404
    assert clerk.open(f"/desk/training/{2**31}").status_code == 404
    clerk.client.set_cookie("mapai_look", "lang:en")
    clerk.open("/desk/training/draft")
    check_page(clerk.send(action="/draft", what="look", **typed()), english=True)
    assert "Ready to save" in clerk.text
    assert "Each test draws 10 questions; 8 right answers pass." in clerk.text


@pytest.mark.parametrize("mark", ["*", "＊", "√", "✓", "* "])
def test_a_bank_is_read_as_it_is_written(mark: str) -> None:
    bank = (
        Question(question="一问？", options=("甲", "乙"), answer=1),
        Question(question="二问？", options=("丙", "丁", "戊"), answer=0),
    )
    text = question_bank.written(bank).replace("* ", mark).replace("*", mark)
    assert question_bank.read(f"\n\n{text}\n  \n\n") == (bank, [])
