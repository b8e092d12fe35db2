"""How the scenario speaks: a line for each phase, a bar while it lasts, then one table and a line for each rule."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table

from app.scenario.checks import Checked
from app.scenario.expected import AFTER, BEFORE, DEALT_WITH, LINES, RESERVE, Counts, Dealt, Line
from subsidy.eligibility import WORDING

WIDTH = 160
BREACHES_SHOWN = 12
NAMES = {BEFORE: "开始前", "1": "第一阶段", "2": "第二阶段", "3": "第三阶段", AFTER: "结束后", RESERVE: "复核备用金"}
REASONS = {
    "filed_too_long_ago": "备案超年限",
    "filed_after_cut_off": "备案太晚",
    "transferred_after_cut_off": "过户太晚",
    "limit_reached": "超出份数",
    "not_open_yet": "尚未开始",
    "programme_over": "已经结束",
    "correction_expired": "逾期未更正",
    "no_money": "资金用完",
}
DEEDS = {
    "handed_over": "过户 {0} 辆（双方验证码确认）",
    "fault_marked": "照片看不清 {0} 笔",
    "held_by_staff": "扣下核对后放行 {0} 笔",
    "overruled": "改判 {0} 笔",
    "appeals_granted": "其中车主申诉成立 {0} 件",
    "taken_back": "未付退回 {0} 笔",
    "paid_back": "已付追回 {0} 笔",
    "paused": "暂停后恢复 {0} 次",
    "waited_in_pause": "暂停期间办完排队 {0} 笔",
    "closed_early": "提前截止 {0} 次",
    "left_unanswered": "银行不答复的付款 {0} 笔（各查到结果，只付一次）",
    "statement_lines": "对账单差异 {0} 条（已查明，更正后一致）",
}


class Show:
    """Everything the scenario prints."""

    def __init__(self) -> None:
        wide = None if sys.stdout.isatty() else WIDTH
        self._console = Console(width=wide, highlight=False)
        self._begun_s = time.monotonic()
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}

    @contextmanager
    def phase(self, what: str) -> Iterator[None]:
        """Show bars while it lasts, then one line with the seconds it took."""
        begun_s = time.monotonic()
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn())
        with Bars(*columns, console=self._console, transient=True, disable=not self._console.is_terminal) as bars:
            self._bars, self._tasks = bars, {}
            yield
        self._bars = None
        now_s = time.monotonic()
        self._console.print(
            f"[green]✓[/green] {what} [dim]{now_s - begun_s:.1f} s（累计 {now_s - self._begun_s:.0f} s）[/dim]"
        )

    def progress(self, what: str, done: int, total: int) -> None:
        """Move a bar of the present phase."""
        if self._bars is None:
            return
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)

    def say(self, words: str) -> None:
        """Print a line."""
        self._console.print(words)

    def table(self, counts: Counts) -> None:
        """Print the one table: per stage places, budget, awards, waiting, held, paid, returned, declined by reason."""
        table = Table(title="拱墅区电动自行车淘汰置换补贴：全程结果", title_justify="left")
        table.add_column("阶段", no_wrap=True)
        for name in (
            "名额",
            "预算（元）",
            "办结",
            "补贴",
            "曾等候",
            "曾冻结",
            "已更正",
            "已付",
            "已付（元）",
            "退回",
            "其中追回",
            "逾期",
            "转出（元）",
        ):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("不予补贴")
        for name in LINES:
            table.add_row(NAMES[name], *_cells(counts[name]))
        table.add_section()
        table.add_row("合计", *_cells(total(counts)), style="bold")
        self._console.print(table)

    def deeds(self, dealt: Dealt) -> None:
        """Print below the table what was dealt with besides."""
        self._console.print("办理：" + "；".join(words.format(f"{dealt[name]:,}") for name, words in DEEDS.items()))

    def checks(self, checked: Sequence[Checked]) -> None:
        """Print a line for each rule, and the breaches below it."""
        for each in checked:
            mark = "[red]✗[/red]" if each.broken else "[green]✓[/green]"
            self._console.print(f"{mark} {each.name}")
            for sentence in each.broken[:BREACHES_SHOWN]:
                self._console.print(f"    {sentence}", markup=False)
            if len(each.broken) > BREACHES_SHOWN:
                self._console.print(f"    … {len(each.broken) - BREACHES_SHOWN} more")


def total(counts: Counts) -> Line:
    """Return the sum of all lines. Money carried from stage to stage is left out: only what went back counts."""
    whole = Line()
    for line in counts.values():
        for name in (
            "completed",
            "waited",
            "held",
            "corrected",
            "budget_fen",
            "awarded",
            "paid",
            "paid_fen",
            "returned",
            "repaid",
            "forfeited",
        ):
            setattr(whole, name, getattr(whole, name) + getattr(line, name))
        for reason, number in line.declined.items():
            whole.declined[reason] = whole.declined.get(reason, 0) + number
        whole.carried_out_fen += line.carried_out_fen - line.carried_in_fen
    return whole


def _cells(line: Line) -> list[str]:
    declined = "，".join(f"{REASONS.get(reason, reason)} {number:,}" for reason, number in line.declined.items())
    numbers = (
        line.places,
        line.budget_fen // 100,
        line.completed,
        line.awarded,
        line.waited,
        line.held,
        line.corrected,
        line.paid,
        line.paid_fen // 100,
        line.returned,
        line.repaid,
        line.forfeited,
        line.carried_out_fen // 100,
    )
    return [f"{number:,}" if number else "" for number in numbers] + [declined]


assert REASONS.keys() <= WORDING.keys(), "a reason nobody declines for"
assert DEEDS.keys() == set(DEALT_WITH), "something is dealt with and not told"
