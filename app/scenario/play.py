"""The play from the empty database to the last check: ground, preparation, programme, money, and what it came to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
from sqlalchemy.orm import Session
from stamina.instrumentation import get_on_retry_hooks, set_on_retry_hooks

from app.clients.ecny.client import BankClient
from app.clients.signing import HmacSm3
from app.config import Settings
from app.db import engine_for, psycopg_conninfo
from app.scenario import ground
from app.scenario.acts import Acts
from app.scenario.back_office import BackOffice
from app.scenario.calls import ScenarioFailed, Server
from app.scenario.checks import Scene, check_all, paying_days
from app.scenario.counts import read_counts, read_deeds
from app.scenario.course import CODE, Course
from app.scenario.expected import expected, expected_deeds, fingerprint
from app.scenario.people import People, Walk
from app.scenario.plan import UNANSWERED, Plan, WalletPlan, make_plan
from app.scenario.published import published_events
from app.scenario.shops import POINTS
from app.scenario.showing import Show
from app.scenario.staff import ROLES, Staff
from subsidy.queue import event_no

STALLED_AFTER_S = 180.0
LOOK_S = 0.5
# A stage is announced for this many times what its wave should take, and never less.
WINDOW_FACTOR, LEAST_WINDOW_S = 6.0, 180.0
# What has no end yet: payouts under way, messages owed, days without a clean statement.
UNPAID = "SELECT count(*) FROM payout WHERE state NOT IN ('settled', 'withdrawn')"
UNSENT = "SELECT count(*) FROM message WHERE state = 'owed'"
CLEAN_DAYS = "SELECT day FROM bank_statement WHERE (findings->>'clean')::boolean"

# Called when all was checked, with the settings and with what checks once more and returns the exit code.
Afterwards = Callable[[Settings, Callable[[], int]], None]


class Play:
    """One performance. ``perform`` runs it in any thread; ``close`` from another makes it give up soon."""

    def __init__(self, *, settings: Settings, show: Show, seed: int, trade_ins: int, filings: int) -> None:
        self._settings = settings
        self._show = show
        self._seed = seed
        self._trade_ins = trade_ins
        self._filings = filings
        self._web = Server(settings.public_url)
        self._police = Server(settings.plates_url)
        self._bank = Server(settings.ecny_url)

    def close(self) -> None:
        """Have whatever still asks a server give up."""
        self._web.close()
        self._police.close()
        self._bank.close()

    def perform(self, *, afterwards: Afterwards | None) -> int:
        """Play it all and return the exit code. Raises ScenarioFailed where it cannot go on."""
        conninfo = psycopg_conninfo(self._settings, application="mapai-scenario")
        with psycopg.connect(conninfo) as connection:
            plan = self._plan()
            people = self._prepare(plan)
            tokens = {role: people.sign_in_as(role) for role in ROLES}
            staff = Staff(web=self._web, tokens=tokens, programme=CODE)
            course = self._course(connection, plan, people, staff)
            office = BackOffice(staff=staff, bank=self._bank, clock=self._settings.clock, conninfo=conninfo)
            with office:
                self._programme(plan, people, staff, course, office)
                self._money(connection, plan, people, office)
            self._publishing(connection, course)
            verdict = self._verdict(connection, plan, people, course, office)
            if afterwards is not None:
                afterwards(self._settings, lambda: self._verdict(connection, plan, people, course, office))
            return verdict

    def _plan(self) -> Plan:
        seed, count = self._seed, self._filings
        with self._show.phase(f"备案名单 {count:,} 条已生成、导入，号牌已告知交警"):
            rows = ground.filing_list(seed=seed, count=count)
            plan = make_plan(seed=seed, trade_ins=self._trade_ins, points=POINTS, filings=rows, count=count)
            folder, progress = self._settings.data_dir, self._show.progress
            rows = ground.filing_list(seed=seed, count=count)
            # The import mostly waits for the database: the police are told meanwhile.
            with ThreadPoolExecutor(max_workers=1, thread_name_prefix="police") as pool:
                told = pool.submit(
                    ground.tell_police,
                    self._police,
                    district=self._settings.district,
                    rows=rows,
                    count=count,
                    progress=progress,
                )
                ground.import_list(self._settings, seed=seed, count=count, folder=folder, progress=progress)
                told.result()
        return plan

    def _prepare(self, plan: Plan) -> People:
        many = len(plan.trade_ins)
        with self._show.phase(f"272 家商户、{POINTS} 个代办点、{many:,} 辆新车入库，账号已开"):
            made = ground.make_ground(self._settings, plan, police=self._police, progress=self._show.progress)
            people = People(web=self._web, ground=made)
            points = sorted({planned.point for planned in plan.trade_ins})
            people.open_counters(points, progress=self._show.progress)
        with self._show.phase(f"{many:,} 笔置换已办到买好新车"):
            begun_s, before = time.monotonic(), self._web.sent
            people.prepare(list(plan.trade_ins), progress=self._show.progress)
            self._request_s = (time.monotonic() - begun_s) / max(1, self._web.sent - before)
        return people

    def _course(self, connection: psycopg.Connection, plan: Plan, people: People, staff: Staff) -> Course:
        # A plate application costs about three times an ordinary request.
        window_s = max(LEAST_WINDOW_S, WINDOW_FACTOR * 3 * self._request_s * len(plan.trade_ins))
        course = Course(connection=connection, clock=self._settings.clock, staff=staff, window_s=window_s)
        course.create(stages=plan.sizes.stages, reserve_fen=plan.sizes.reserve_fen, staff_ids=people.ground.staff_ids)
        return course

    def _programme(self, plan: Plan, people: People, staff: Staff, course: Course, office: BackOffice) -> None:
        acts = Acts(
            plan=plan,
            people=people,
            staff=staff,
            course=course,
            police=self._police,
            back_office=office,
            show=self._show,
        )
        for words, act in (
            ("活动已公布；有人抢在开始前办完", acts.before),
            ("第一阶段：照片看不清的补交；名额用完，后面的排队等候", acts.first),
            ("第二阶段：先付排队的；复核、申诉、退回、暂停；最后一刻核发的号牌，关闭后才收到回执", acts.second),
            ("第三阶段：资金用完，活动结束", acts.third),
            ("结束后才办完的", acts.after),
        ):
            with self._show.phase(words):
                act()

    def _money(self, connection: psycopg.Connection, plan: Plan, people: People, office: BackOffice) -> None:
        failing = [planned for planned in plan.trade_ins if planned.wallet is WalletPlan.FAILING_FIRST]
        walks = [people.walks[planned.number] for planned in failing]
        with self._show.phase("补贴全部到账，退回的已换钱包重发"):
            self._settle(connection, people, walks, "发放中", UNPAID, office)
        with self._show.phase("通知全部发出"):
            self._settle(connection, people, [], "待发通知", UNSENT, office)
        with self._show.phase("每天的对账单已核对，错的一天已更正"):
            self._await_statements(connection, office)

    def _publishing(self, connection: psycopg.Connection, course: Course) -> None:
        """Wait until the public log holds every event."""
        with self._show.phase("全部事项已写入公开日志"):
            last = event_no(connection=connection, programme_id=course.programme_id)
            connection.rollback()
            deadline = time.monotonic() + STALLED_AFTER_S
            while (published := published_events(self._web, programme=CODE)) < last:
                self._show.progress("公开日志", published, last)
                if time.monotonic() > deadline:
                    raise ScenarioFailed(f"of {last} events {published} were published")
                self._web.pause(LOOK_S)

    def _settle(
        self,
        connection: psycopg.Connection,
        people: People,
        walks: list[Walk],
        what: str,
        query: str,
        office: BackOffice,
    ) -> None:
        """Wait until the query counts none; who is told that the wallet failed gives another."""
        at_first, least, moved_s = 0, None, time.monotonic()
        while left := _count(connection, query):
            office.check()
            at_first = max(at_first, left)
            if least is None or left < least:
                least, moved_s = left, time.monotonic()
            elif time.monotonic() - moved_s > STALLED_AFTER_S:
                raise ScenarioFailed(f"{what}: {left} are left and nothing moves")
            self._show.progress(what, at_first - left, at_first)
            failed = [walk for walk in walks if self._came_back(people, walk)]
            people.mend_wallets([walk.planned for walk in failed])
            walks = [walk for walk in walks if walk not in failed]
            self._web.pause(LOOK_S)

    def _came_back(self, people: People, walk: Walk) -> bool:
        """Ask as the owner whether the money came back."""
        token = people.ground.owner_tokens[walk.planned.filing.id_no]
        told = self._web.get(f"/api/trade-ins/{walk.reference}", token=token).data
        payout = told.get("payout")
        return bool(payout and payout["state"] == "awaiting_wallet" and payout["problem"])

    def _await_statements(self, connection: psycopg.Connection, office: BackOffice) -> None:
        deadline = time.monotonic() + STALLED_AFTER_S
        while True:
            days = set(paying_days(connection))
            clean = {row[0] for row in connection.execute(CLEAN_DAYS)}
            connection.rollback()
            office.check()
            if days <= clean and office.statement_over:
                return
            self._show.progress("对账单", len(days & clean), len(days))
            if time.monotonic() > deadline:
                missing = ", ".join(str(day) for day in sorted(days - clean)[:5])
                raise ScenarioFailed(f"no clean statement of {missing}")
            self._web.pause(LOOK_S)

    def _verdict(
        self, connection: psycopg.Connection, plan: Plan, people: People, course: Course, office: BackOffice
    ) -> int:
        engine = engine_for(self._settings, application="mapai-scenario")
        bank = BankClient(base_url=self._settings.ecny_url, signer=HmacSm3(self._settings.ecny_key))
        wanted = expected(plan)
        try:
            with self._show.phase("全部重算、逐条检查"), _quiet_retries():
                with Session(engine) as session:
                    found = read_counts(
                        connection=connection,
                        session=session,
                        programme_id=course.programme_id,
                        now=self._settings.clock.now(),
                    )
                unanswered = [planned for planned in plan.trade_ins if planned.magic in UNANSWERED]
                dealt = read_deeds(
                    connection=connection,
                    programme_id=course.programme_id,
                    unanswered=people.references(unanswered),
                )
                connection.rollback()
                checked = check_all(
                    Scene(
                        connection=connection,
                        programme_id=course.programme_id,
                        walks=list(people.walks.values()),
                        found=found,
                        wanted=wanted,
                        dealt=dealt,
                        dealt_wanted=expected_deeds(plan),
                        bank=bank,
                        web=self._web,
                    )
                )
        finally:
            bank.close()
            engine.dispose()
        self._show.table(found)
        self._show.deeds(dealt)
        self._show.say(
            f"付款批次：一人批准 {office.seen['by_one']:,} 个，两人批准 {office.seen['by_two']:,} 个；"
            f"付款中看到「状态不明」{len(office.unknown):,} 笔"
        )
        self._show.checks(checked)
        web = self._web
        self._show.say(
            f"请求 {web.sent:,} 次；因故障重发 {web.retried:,} 次；故意重发 {web.sent_twice:,} 次，答复都相同；"
            f"换钱包 {people.mended} 个"
        )
        self._show.say(f"counts sha256 {fingerprint(found, dealt)} · seed {self._seed}")
        broken = sum(bool(each.broken) for each in checked)
        self._show.say("[red]有规则被破坏[/red]" if broken else "[green]全部规则成立[/green]")
        return 1 if broken else 0


@contextmanager
def _quiet_retries() -> Iterator[None]:
    """Leave out of the verdict that the bank's door, which misbehaves on purpose, was knocked at twice."""
    hooks = get_on_retry_hooks()
    set_on_retry_hooks(())
    try:
        yield
    finally:
        set_on_retry_hooks(hooks)


def _count(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    connection.rollback()
    return int(row[0]) if row else 0
