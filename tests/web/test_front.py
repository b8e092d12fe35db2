"""The public pages: the stage in each of its states, the check, the points."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import psycopg
import pytest

from app.db import psycopg_conninfo
from app.web.checking import TOLD
from app.web.stage_card import stage_card
from loadtests.ready import one_stage
from registry.filings import FiledBike
from subsidy.events import EventKind
from subsidy.foreseen import judge_filing
from subsidy.live import LiveStage, LiveState
from subsidy.queue import append_due, append_event
from tests.web.markup import check_page
from tests.web.scene import NOW, Browser, local, starting_at


def stage(number: int, **changed: object) -> LiveStage:
    """A stage of the policy's programme: 300, 200, 100 yuan in June, July, August."""
    amount_fen = (30_000, 20_000, 10_000)[number - 1]
    facts: dict[str, object] = {
        "number": number,
        "amount_fen": amount_fen,
        "places": 2_560,
        "places_left": 730,
        "budget_fen": 78_000_000,
        "total_fen": 78_000_000,
        "free_fen": 23_100_000,
        "held": 38,
        "held_fen": 1_140_000,
        "awarded": 1_792,
        "committed_fen": 6_060_000,
        "paid_fen": 47_700_000,
        "carried_in_fen": 0,
        "moved_fen": 0,
        "opens_at": local(2026, 5 + number, 1),
        "closes_at": local(2026, 6 + number, 1),
        "settles_at": local(2026, 6 + number, 2),
        "phase": "open" if number == 1 else "future",
    }
    return LiveStage(**{**facts, **changed})  # type: ignore[arg-type]


LIVE = LiveState(
    programme_code="GS-2026",
    name_zh="2026 年补贴",
    name_en="2026",
    as_of=NOW,
    paused=False,
    ended=False,
    stages=(stage(1), stage(2), stage(3)),
    current=1,
    next_opening=2,
    claims=1_844,
    waiting=0,
    held=38,
)


class TestStageCard:
    def test_an_open_stage(self):
        card = stage_card(LIVE)
        assert card.open
        assert card.title == "第一阶段，正在进行"
        assert [(figure.label, figure.number) for figure in card.figures] == [
            ("现在每辆补", "300"),
            ("名额还剩", "730"),
        ]
        assert (card.used, card.left) == (1_830, 730)
        assert card.notes == ("6 月 30 日 24:00 结束。", "结束或者名额用完以后，每辆补 200 元。")
        assert [(step.amount, step.window, step.now) for step in card.stairs] == [
            ("300", "6 月 1—30 日", True),
            ("200", "7 月 1—31 日", False),
            ("100", "8 月 1—31 日", False),
        ]
        assert "每辆补 200 元" in card.rule

    def test_a_stage_run_out_says_what_waiting_means(self):
        stages = (stage(1, places_left=0), stage(2), stage(3))
        card = stage_card(replace(LIVE, stages=stages, waiting=12))
        assert not card.open
        assert card.title == "第一阶段名额已经用完"
        assert card.notes[0] == "现在办完的照样取得序号，前面有 12 人在排队。"
        assert card.notes[1] == "7 月 1 日 00:00 第二阶段开始，先补给排队的人，每辆 200 元。"

    def test_the_last_stage_run_out_promises_nothing(self):
        stages = (stage(1, phase="settled"), stage(2, phase="settled"), stage(3, phase="open", places_left=0))
        card = stage_card(replace(LIVE, stages=stages, current=3, next_opening=None, waiting=4))
        assert "没有名额了就不再补" in card.notes[1]
        assert card.rule == ""

    def test_before_the_first_opening(self):
        stages = (stage(1, phase="future", awarded=0, held=0, places_left=2_560), stage(2), stage(3))
        card = stage_card(replace(LIVE, stages=stages, current=None, next_opening=1))
        assert not card.open
        assert card.title == "第一阶段还没有开始"
        assert "6 月 1 日 00:00 开始，每辆补 300 元。" in card.notes
        assert "没有补贴" in card.notes[1]

    def test_between_two_stages(self):
        stages = (stage(1, phase="closed"), stage(2), stage(3))
        card = stage_card(replace(LIVE, stages=stages, current=None, next_opening=2))
        assert card.title == "第二阶段还没有开始"
        assert "照样取得序号" in card.notes[1]

    def test_after_the_last_stage(self):
        stages = tuple(stage(number, phase="closed") for number in (1, 2, 3))
        card = stage_card(replace(LIVE, stages=stages, current=None, next_opening=None))
        assert (card.open, card.title) == (False, "最后一个阶段已经截止")

    @pytest.mark.parametrize(
        ("change", "title"), [({"paused": True}, "补贴活动暂停中"), ({"ended": True}, "补贴活动已经结束")]
    )
    def test_paused_and_ended(self, change, title):
        card = stage_card(replace(LIVE, **change))
        assert (card.open, card.title) == (False, title)

    def test_without_programme(self):
        card = stage_card(None)
        assert (card.open, card.title, card.figures, card.as_of) == (False, "现在没有补贴活动", (), None)


class TestFront:
    def test_it_shows_the_stage_and_its_own_time(self, running):
        page = Browser(running.app()).open("/")
        check_page(page)
        for words in (
            "第一阶段，正在进行",
            '<b class="num">300</b>',
            '<b class="num">5</b>',
            "截至",
            "6 月 20 日 10:0",
        ):
            assert words in page.text
        assert 'data-state="closed"' not in page.text

    def test_pausing_turns_the_plate_grey(self, running):
        with psycopg.connect(psycopg_conninfo(running.settings)) as connection:
            append_event(
                connection=connection,
                programme_id=1,
                kind=EventKind.PAUSE,
                actor="account:1",
                clock=starting_at(NOW),
                reason="核对",
            )
            connection.commit()
        page = Browser(running.app()).open("/")
        check_page(page)
        assert "补贴活动暂停中" in page.text
        assert 'data-state="closed"' in page.text

    @pytest.mark.parametrize(
        ("at", "title"),
        [
            (local(2026, 5, 31, 12), "第一阶段还没有开始"),
            (local(2026, 7, 10), "第二阶段，正在进行"),
            (local(2026, 12, 1), "补贴活动已经结束"),
        ],
    )
    def test_it_follows_the_calendar(self, scene, at, title):
        scene.programme(at=min(at, local(2026, 5, 30)))
        with psycopg.connect(psycopg_conninfo(scene.settings)) as connection:
            append_due(connection=connection, clock=starting_at(at))
        page = Browser(scene.app(at=at)).open("/")
        check_page(page)
        assert title in page.text

    def test_a_reader_who_has_it_gets_304_until_the_figures_move(self, running, monkeypatch):
        client = running.app().test_client()
        frozen = stage_card(LIVE)
        monkeypatch.setattr("app.web.front.stage_card", lambda live: frozen)
        first = client.get("/live/stage")
        tag = first.headers["ETag"]
        assert client.get("/live/stage", headers={"If-None-Match": tag}).status_code == 304
        monkeypatch.setattr("app.web.front.stage_card", lambda live: replace(frozen, left=729))
        moved = client.get("/live/stage", headers={"If-None-Match": tag})
        assert moved.status_code == 200
        assert "还剩 729 个" in moved.text

    def test_a_visitor_gets_no_cookie(self, running):
        assert "Set-Cookie" not in running.app().test_client().get("/").headers

    def test_the_points_are_listed_by_sub_district(self, running):
        other = running.district.dealer()
        other.sub_district = "祥符街道"
        running.session.commit()
        browser = Browser(running.app())
        page = browser.open("/points?sub_district=祥符街道")
        check_page(page)
        assert other.name in page.text
        assert running.dealer.name not in page.text
        assert "这里还没有代办点" in browser.open("/points?sub_district=月球街道").text


class TestCheck:
    def ask(self, scene, plate_no: str):
        page = Browser(scene.app()).open(f"/check?plate_no={plate_no}")
        check_page(page)
        return page

    def test_an_eligible_bike_and_never_its_owner(self, running):
        owner = running.owner()
        page = self.ask(running, f"{owner.plate_no[0].lower()} {owner.plate_no[1:]}")
        assert page.status_code == 200
        assert "这辆车可以换" in page.text
        assert "现在办完，补 300 元。名额还剩 5 个。" in page.text
        for secret in (owner.name, "陈*英", owner.id_no):
            assert secret not in page.text

    def test_every_rule_about_a_filing_can_be_told(self):
        bike = FiledBike(filed_on=date(2030, 1, 1), transferred_on=date(2030, 1, 2), owner_id=1)
        found = judge_filing(bike=bike, opened_at=NOW, rules=one_stage(now=NOW, places=1))
        assert {finding.code for finding in found} == TOLD.keys()
        assert {finding.code for finding in found if not finding.passed} == TOLD.keys() - {"filed_too_long_ago"}

    def test_what_was_typed_wrongly_is_kept_and_explained(self, running):
        page = self.ask(running, "B38261")
        assert page.status_code == 422
        assert 'value="B38261"' in page.text
        assert "1 个字母加 6 位数字" in page.text
        assert 'href="#f-plate_no"' in page.text

    @pytest.mark.parametrize("form", ["杭州{}", "杭州 {}", "杭州·{}"], ids=["as shown", "as read", "as printed"])
    def test_a_plate_copied_with_its_city(self, running, form):
        owner = running.owner()
        page = self.ask(running, form.format(owner.plate_no))
        assert page.status_code == 200
        assert "这辆车可以换" in page.text

    def test_a_plate_typed_with_wide_signs(self, running):
        owner = running.owner()
        wide = "".join(chr(ord(sign) + 0xFEE0) for sign in owner.plate_no)
        assert wide != owner.plate_no
        page = self.ask(running, wide)
        assert page.status_code == 200
        assert "这辆车可以换" in page.text

    def test_another_citys_name_is_not_dropped(self, running):
        assert self.ask(running, f"宁波{running.owner().plate_no}").status_code == 422

    def test_nothing_typed_is_said_to_be_nothing(self, running):
        page = self.ask(running, "")
        assert page.status_code == 422
        assert "还没有填号牌号码。" in page.text
        assert "「」" not in page.text

    def test_a_plate_never_filed(self, running):
        assert "备案名单里没有号牌 Z999999" in self.ask(running, "Z999999").text

    @pytest.mark.parametrize(
        ("years", "words"), [(8, "备案超过 7 年"), (0, "备案太晚")], ids=["too old", "after the cut-off"]
    )
    def test_the_rule_that_fails_is_named(self, running, years, words):
        owner = running.owner()
        bike = running.session.get(FiledBike, owner.filed_bike_id)
        bike.filed_on = (NOW - timedelta(days=366 * years)).date()
        running.session.commit()
        page = self.ask(running, owner.plate_no)
        assert "这辆车领不了补贴" in page.text
        assert words in page.text

    def test_a_bike_traded_in_before(self, running, point):
        owner = running.owner()
        point.open_trade_in(owner)
        assert "正在一家代办点办" in self.ask(running, owner.plate_no).text

    def test_script_in_a_plate_stays_words(self, running):
        page = self.ask(running, "<script>alert(1)</script>")
        assert "<script>alert" not in page.text
