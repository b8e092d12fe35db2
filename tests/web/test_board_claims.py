"""From the programme down to one event, and out as a file: figures agree on the way, nothing leaves unseen."""

from __future__ import annotations

import csv
import html
import io
import re
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import func, select, update

from app.clock import Clock
from app.db import psycopg_conninfo
from app.web import board, board_charts, claims
from loadtests.ready import Ready, make_ready, one_stage, plate_no
from registry.audit import AuditEntry
from registry.dealers import Dealer
from registry.people import Person
from registry.trade_ins import TradeIn
from registry.unmasking import Unmasking
from subsidy.claims import Claim
from subsidy.completion import Completion, admit
from subsidy.holds import hold_claim
from subsidy.ledger import balances
from subsidy.queue import create_programme
from tests.web.markup import check_page
from tests.web.scene import STAFF, Browser, Scene

PLACES, CLAIMS = 10, 12
OWNER = "陈建英"
MASKED = "陈*英"
REASON = "财政局要核对六月的发放"
NASTY = "=HYPERLINK(1)车行"


class Bench:
    """A programme of ten places and twelve completed trade-ins at two points, and more that wait to be admitted."""

    def __init__(self, scene: Scene, *, claims: int = CLAIMS, spare: int = 0) -> None:
        self.scene, self.now = scene, datetime.now(UTC)
        self.conninfo = psycopg_conninfo(scene.settings)
        with psycopg.connect(self.conninfo) as connection:
            self.programme_id = create_programme(
                connection=connection,
                code="GS",
                name_zh="淘汰置换补贴",
                name_en="Trade-in subsidy",
                rules=one_stage(now=self.now, places=PLACES),
                clock=Clock(),
                drafted_by="a",
                approved_by="b",
            )
            connection.commit()
            self.waiting = make_ready(
                connection=connection, keyring=scene.settings.keyring, count=claims + spare, now=self.now
            )
            connection.execute("UPDATE dealer SET point_no = '0900' WHERE point_no IS NULL")
            connection.execute("UPDATE trade_in SET dealer_id = %s WHERE id %% 3 = 0", [scene.dealer.id])
        self.admitted = 0
        self.admit(claims)
        for role in ("reviewer", "auditor"):
            scene.account(role, role=role)
        self.app = scene.app(at=self.now)

    def admit(self, number: int) -> None:
        """Complete the next ones."""
        first, self.admitted = self.admitted, self.admitted + number
        self.complete(list(enumerate(self.waiting[first : self.admitted], start=first + 1)))

    def complete(self, numbered: Sequence[tuple[int, Ready]]) -> None:
        """Complete these, in one transaction."""
        words = [
            Completion(
                application_no=ready.application_no,
                plate_no=plate_no(number),
                issued_at=self.now,
                holder_index=ready.holder_index,
                vehicle_code=ready.vehicle_code,
            )
            for number, ready in numbered
        ]
        with psycopg.connect(self.conninfo) as connection:
            admit(connection=connection, completions=words, clock=Clock(), district=self.scene.settings.district)

    def browser(self, login: str = STAFF) -> Browser:
        browser = Browser(self.app)
        browser.sign_in(login)
        return browser


@pytest.fixture
def bench(scene: Scene) -> Bench:
    return Bench(scene)


def rows_of(page: str) -> list[tuple[str, str, list[int]]]:
    """Link, name and figures of each row of the page's table, the total last."""
    found = []
    for row in re.findall(r'<tr><th scope="row">.*?</tr>', page, re.S):
        link = re.search(r'<th scope="row"><a[^>]* href="([^"]+)"', row) or re.search(r'<a href="([^"]+)"', row)
        name = re.sub(r"<[^>]+>", "", re.search(r"<th.*?</th>", row, re.S)[0])  # type: ignore[index]
        cells = [cell.replace(",", "") for cell in re.findall(r'<td class="n">([^<]*)</td>', row)]
        if cells and all(cell.isdecimal() for cell in cells):
            found.append((html.unescape(link[1]) if link else "", name, [int(cell) for cell in cells]))
    return found


def test_the_way_down_adds_up_at_every_level(bench):
    """Each level's rows make its total, and that total is the row one came from; at the bottom stands the event."""
    browser = bench.browser()
    page = browser.open("/board/breakdown")
    check_page(page)
    *stages, total = rows_of(page.text)
    assert total[2][0] == CLAIMS
    assert [name for _, name, _ in stages] == ["第一阶段", "还没有阶段"], "two wait and have no stage"
    for _step in ("sub-districts", "points"):
        link, _name, came_from = stages[0]
        page = browser.open(link)
        check_page(page)
        *stages, total = rows_of(page.text)
        assert [sum(column) for column in zip(*(figures for _, _, figures in stages), strict=True)] == total[2]
        assert total[2] == came_from
    link, name, figures = stages[0]
    page = browser.open(link)
    assert browser.at == "/board/claims"
    check_page(page)
    positions = re.findall(r'id="claim-(\d+)"', page.text)
    assert len(positions) == figures[0]
    page = browser.open(f"/board/claims/{positions[-1]}")
    check_page(page)
    crumbs = re.search(r'<ol class="crumbs">.*?</ol>', page.text, re.S)[0]
    for words in ("看板", "淘汰置换补贴", "第一阶段", name.split()[0], f"序号 {positions[-1]}"):
        assert words in crumbs, words
    event = re.search(r'href="(/board/events/\d+)"', page.text)[1]
    page = browser.open(event)
    check_page(page)
    for words in (f"序号 {positions[-1]}", "给予补贴，第一阶段 300 元", "第一阶段可用", "第一阶段已决定"):
        assert words in page.text, words


def test_every_page_of_a_narrowed_list_continues_the_one_before(bench, monkeypatch):
    monkeypatch.setattr(claims, "A_PAGE", 3)
    browser, seen = bench.browser(), []
    address = "/board/claims?state=awarded&stage=1"
    while address:
        page = browser.open(address)
        seen += [int(position) for position in re.findall(r'id="claim-(\d+)"', page.text)]
        older = re.search(r'<a class="go" href="([^"]+before=\d+)"', page.text)
        address = html.unescape(older[1]) if older else ""
    assert seen == list(range(PLACES, 0, -1))


def test_a_filter_nobody_could_have_chosen_is_not_there_and_a_wrong_day_is_told(bench):
    browser = bench.browser()
    for query in ("state=lost", "stage=one", "point=..%2F1", "stage=9999"):
        assert browser.client.get(f"/board/claims?{query}").status_code == 404, query
    assert browser.client.get("/board/breakdown?by=owner").status_code == 404
    assert browser.client.get("/board/events/99999").status_code == 404
    assert browser.client.get("/board/events/99999999999999999999").status_code == 404
    page = browser.open("/board/claims?from_day=2026-02-30")
    check_page(page)
    assert "日期不对" in browser.text
    for day, expected in ((f"{bench.now:%Y}-01-01", CLAIMS), ("2099-01-01", 0)):
        page = browser.open(f"/board/claims?from_day={day}")
        assert len(re.findall(r'id="claim-(\d+)"', page.text)) == expected


class TestExport:
    def test_needs_a_reason_and_a_kind(self, bench):
        browser = bench.browser()
        browser.open("/board/claims?state=waiting")
        browser.send(action="export?state=waiting", kind="", reason="短")
        check_page(browser.page)
        assert browser.page.status_code == 422
        assert "还没有选文件的种类" in browser.text
        assert "写得太短了" in browser.text
        assert exports(bench) == []

    def test_csv_holds_what_the_filter_shows_and_the_audit_says_so(self, bench):
        session = bench.scene.session
        session.execute(update(Dealer).where(Dealer.point_no == "0900").values(name=NASTY))
        session.commit()
        answer = export(bench.browser(), "state=awarded", kind="csv", reason=REASON)
        assert answer.headers["Content-Disposition"].endswith('.csv"')
        assert answer.data.startswith(b"\xef\xbb\xbf"), "Excel reads Chinese by this mark"
        header, *rows = csv.reader(io.StringIO(answer.data.decode("utf-8-sig")))
        assert header[0] == "序号"
        assert [row[0] for row in rows] == [str(position) for position in range(1, PLACES + 1)]
        assert {row[3] for row in rows} == {"300.00"}
        names = {row[9] for row in rows}
        assert f"'{NASTY}" in names, "a name that a spreadsheet would run is told to be text"
        assert NASTY not in names
        assert {row[14] for row in rows} == {MASKED}
        assert OWNER not in answer.data.decode()
        (entry,) = exports(bench)
        assert entry.subject == "programme:GS"
        assert entry.detail["reason"] == REASON
        assert entry.detail["rows"] == PLACES
        assert entry.detail["filter"] == {"state": "awarded"}
        assert entry.detail["names"] == "masked"

    def test_a_workbook_runs_nothing(self, bench):
        session = bench.scene.session
        session.execute(update(Dealer).where(Dealer.point_no == "0900").values(name=NASTY))
        session.commit()
        answer = export(bench.browser("auditor"), "", kind="xlsx", reason=REASON)
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(answer.data)).get_sheet_by_index(0).to_python()
        assert len(sheet) == CLAIMS + 1
        assert NASTY in {row[9] for row in sheet}
        assert sum(row[3] for row in sheet[1:]) == PLACES * 300
        with zipfile.ZipFile(io.BytesIO(answer.data)) as parts:
            written = parts.read("xl/worksheets/sheet1.xml").decode()
        assert "<f>" not in written

    def test_names_in_clear_are_for_those_who_may_and_each_look_is_kept(self, bench):
        session = bench.scene.session
        someone = session.scalars(select(Claim.person_id).where(Claim.position == 2)).one()
        session.execute(update(Person).where(Person.id == someone).values(locked_at=func.now()))
        session.commit()
        answer = export(bench.browser("reviewer"), "", kind="csv", reason=REASON, names="clear")
        told = [row[14] for row in csv.reader(io.StringIO(answer.data.decode("utf-8-sig")))][1:]
        assert told.count(OWNER) == CLAIMS - 1
        assert OWNER not in told[1], "a locked person's name is nobody's but the auditors'"
        looks = session.scalars(select(Unmasking)).all()
        assert len({look.person_id for look in looks}) == len(looks) == CLAIMS - 1
        assert {look.reason for look in looks} == {REASON}
        assert someone not in {look.person_id for look in looks}
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action == "unmasked")).all()
        told = {(entry.subject, entry.detail["unmasking"]) for entry in entries}
        assert told == {(f"person:{look.person_id}", look.id) for look in looks}, "each look stands in the audit too"
        assert exports(bench)[0].detail["names"] == "clear"

    @pytest.mark.parametrize("login", [STAFF, "auditor"])
    def test_others_cannot_ask_for_names(self, bench, login):
        browser = bench.browser(login)
        browser.open("/board/claims")
        assert 'name="names"' not in browser.page.text
        browser.send(action="/export", kind="csv", reason=REASON, names="clear")
        assert browser.page.status_code == 422
        assert "只能导出脱敏的姓名" in browser.text
        assert exports(bench) == []


def export(browser: Browser, query: str, **typed: str) -> Any:
    browser.open(f"/board/claims?{query}")
    answer = browser.send(action=f"export?{query}" if query else "/export", **typed)
    assert answer.status_code == 200, browser.text
    return answer


def exports(bench: Bench) -> Sequence[AuditEntry]:
    bench.scene.session.rollback()
    return bench.scene.session.scalars(select(AuditEntry).where(AuditEntry.action == "claims.exported")).all()


def test_a_claim_that_staff_hold_waits_for_no_correction(bench):
    session = bench.scene.session
    held = select(TradeIn.reference).join(Claim, Claim.trade_in_id == TradeIn.id).where(Claim.position == 9)
    hold_claim(
        session=session,
        reference=session.scalars(held).one(),
        reason_code="sale",
        reason="发票金额要核对",
        clock=Clock(),
        actor="account:1",
    )
    session.commit()
    browser = bench.browser()
    for address in ("/board/claims?state=held", "/board/claims/9", "/board"):
        page = browser.open(address)
        check_page(page)
        assert "扣下核对，名额保留" in page.text, address
        assert "等更正，名额保留" not in page.text, address


def test_each_reader_gets_the_board_in_his_own_language(bench):
    """Figures are remembered for a second between readers; words are not."""
    chinese, english = bench.browser(), bench.browser("auditor")
    english.open("/look?lang=en&back=/board")
    told = {reader: reader.open("/board").text for reader in (chinese, english)}
    assert "四项之和等于总额" in told[chinese]
    assert "The four parts make the total" in told[english]
    assert "Trade-in subsidy" in told[english]
    main = told[english][told[english].index("<main") : told[english].index("</main>")]
    known = {"米市巷街道", "祥符街道", "压测车行", bench.scene.dealer.name}
    for name in known:
        main = main.replace(name, "")
    assert re.findall(r"[\u4e00-\u9fff]+", main) == []


def agree(seen: board.Seen) -> bool:
    """Whether everything on the board speaks of one instant."""
    (stage,) = seen.live.stages
    money = stage.paid_fen + stage.committed_fen + stage.held_fen + stage.free_fen
    return (
        money == stage.total_fen == stage.budget_fen + stage.carried_in_fen - stage.moved_fen
        and stage.committed_fen + stage.paid_fen == stage.awarded * stage.amount_fen
        and seen.live.claims == seen.figures.done == sum(seen.figures.outcomes.values())
        and seen.figures.outcomes.get("awarded", 0) == stage.awarded
        and sum(row.done for row in seen.districts) == seen.live.claims
        and (not seen.recent or seen.recent[0].position == seen.live.claims)
    )


class TestOneInstant:
    """While completions come in, the board's sums are those of one instant of the ledger."""

    @pytest.fixture
    def busy(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Bench:
        """A board that is overtaken while it is being read: two more complete after its first figures."""
        bench = Bench(scene, claims=4, spare=2)
        read = board.live_state

        def overtaken(**asked: Any) -> Any:
            live = read(**asked)
            bench.admit(2)
            return live

        monkeypatch.setattr(board, "live_state", overtaken)
        return bench

    def test_what_completes_meanwhile_is_not_half_there(self, busy):
        with busy.app.app_context():
            seen = board.read_board()
        assert seen is not None
        assert agree(seen)
        assert seen.live.claims == 4
        busy.scene.session.rollback()
        assert balances(session=busy.scene.session, programme_id=busy.programme_id)["committed:1"] == 6 * 30_000

    def test_without_the_one_instant_this_test_sees_the_difference(self, busy, monkeypatch):
        monkeypatch.setattr(board, "steady", lambda: None)
        with busy.app.app_context():
            seen = board.read_board()
        assert seen is not None
        assert not agree(seen)

    def test_with_four_counters_at_once(self, scene):
        bench = Bench(scene, claims=0, spare=40)
        numbered = list(enumerate(bench.waiting, start=1))

        def counter(mine: int) -> None:
            for one in numbered[mine::4]:
                bench.complete([one])

        with ThreadPoolExecutor(4) as threads, bench.app.app_context():
            counters = [threads.submit(counter, mine) for mine in range(4)]
            looks = []
            while True:
                done = all(each.done() for each in counters)
                seen = board.read_board()
                assert seen is not None
                assert agree(seen)
                looks.append(seen.live.claims)
                if done:
                    break
            for each in counters:
                each.result()
            sketch = board_charts.read_sketch()
        assert looks == sorted(looks)
        assert looks[-1] == 40
        assert sketch.burn.left_fen == 0, "ten places for forty: the ledger's free money ends at nothing"
        assert sum(sketch.hours.today) == 40
