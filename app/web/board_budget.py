"""A stage's money in its four parts, and what of it is worth an alert. Pure, from the live state to words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.web.board_figures import Figures
from app.web.language import _, _l, ngettext
from app.web.wording import count, moment, money, percent, share, stage_name, window
from subsidy.live import LiveStage, LiveState

# Per cent of a stage's places or money, whichever has gone further, from which on the board speaks up.
LEVELS = (95, 85, 70)
PHASES = {
    "future": ("", _l("还没有开始")),
    "open": ("done", _l("正在进行")),
    "closed": ("wait", _l("已截止，待结转")),
    "settled": ("", _l("已结转")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of the four parts of a stage's money; ``x`` and ``width`` draw the bar and are rounded, ``fen`` is exact."""

    key: str
    word: str
    fen: int
    note: str
    x: str
    width: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A stage's money: paid + committed + reserved + free = budget + carried in − moved on, to the fen."""

    number: int
    name: str
    window: str
    phase_tag: str
    phase_word: str
    stage: LiveStage
    parts: tuple[Part, ...]
    total_fen: int
    adds_up: bool
    aria: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One notice of the board. ``kind`` is the notice's colour."""

    kind: Literal["you", "wait", "stop"]
    title: str
    lines: tuple[str, ...]


def budget_of(stage: LiveStage) -> Budget:
    """Return the stage's money in its four parts, in the reader's language."""
    total_fen = stage.budget_fen + stage.carried_in_fen - stage.moved_fen
    amounts = (
        ("paid", _("已发放"), stage.paid_fen, percent(stage.paid_fen, total_fen)),
        ("committed", _("已决定，待发放"), stage.committed_fen, percent(stage.committed_fen, total_fen)),
        (
            "reserved",
            _("预留给更正和核对"),
            stage.held_fen,
            ngettext("%(n)s 笔申领", "%(n)s 笔申领", stage.held, n=count(stage.held)),
        ),
        ("free", _("可用"), stage.free_fen, _("够 %(n)s 笔", n=count(stage.free_fen // stage.amount_fen))),
    )
    parts, before_fen = [], 0
    for key, word, fen, note in amounts:
        parts.append(
            Part(key=key, word=word, fen=fen, note=note, x=share(before_fen, total_fen), width=share(fen, total_fen))
        )
        before_fen += fen
    tag, word = PHASES[stage.phase]
    used_fen = total_fen - stage.free_fen
    return Budget(
        number=stage.number,
        name=stage_name(stage.number),
        window=window(stage.opens_at, stage.closes_at),
        phase_tag=tag,
        phase_word=str(word),
        stage=stage,
        parts=tuple(parts),
        total_fen=total_fen,
        adds_up=before_fen == total_fen,
        aria=_("，").join(f"{part.word} {money(part.fen)}" for part in parts),
        note=_("占用 %(share)s", share=percent(used_fen, total_fen)),
    )


def shown_first(live: LiveState) -> int:
    """Return the number of the stage whose money is drawn large: the open one, else the next, else the last."""
    return live.current or live.next_opening or live.stages[-1].number


def totals_of(budgets: list[Budget]) -> dict[str, int]:
    """Return the sums over all stages: each part, the total, the places awarded and kept."""
    by_part = {part.key: sum(b.parts[i].fen for b in budgets) for i, part in enumerate(budgets[0].parts)}
    return by_part | {
        "total": sum(budget.total_fen for budget in budgets),
        "awarded": sum(budget.stage.awarded for budget in budgets),
        "held": sum(budget.stage.held for budget in budgets),
    }


def alerts_of(live: LiveState, budgets: list[Budget], counted: Figures) -> list[Alert]:
    """Return what the reader should know now, the gravest first."""
    alerts = []
    if not all(budget.adds_up for budget in budgets):
        lines: tuple[str, ...] = (_("请马上运行 mapai verify，找出差在哪一笔。"),)
        alerts.append(Alert(kind="stop", title=_("台账加不起来"), lines=lines))
    if live.paused:
        lines = (_("办完的照样取得序号，恢复以后按序号补。"),)
        alerts.append(Alert(kind="you", title=_("活动暂停中"), lines=lines))
    if live.current_stage is not None and (told := _used_up(live, live.current_stage)) is not None:
        alerts.append(told)
    if counted.silent_since is not None:
        since, amount = moment(counted.silent_since), money(counted.silent_fen)
        lines = (_("%(amount)s，最早 %(since)s。系统只查询，不重发。", amount=amount, since=since),)
        alerts.append(Alert(kind="wait", title=_("银行 %(n)s 笔没有答复", n=count(counted.silent)), lines=lines))
    return alerts


def level_of(stage: LiveStage) -> int | None:
    """Return the highest of LEVELS the stage's places or money have reached; None below all of them."""
    places = (stage.places - stage.places_left, stage.places)
    fen = (stage.total_fen - stage.free_fen, stage.total_fen)
    return next(
        (level for level in LEVELS if any(used * 100 >= level * whole > 0 for used, whole in (places, fen))), None
    )


def _used_up(live: LiveState, stage: LiveStage) -> Alert | None:
    name, closes = stage_name(stage.number), moment(stage.closes_at)
    if not stage.places_left:
        line = _("现在有 %(n)s 人排队，%(closes)s 截止。", n=count(live.waiting), closes=closes)
        return Alert(kind="you", title=_("%(stage)s名额已经用完", stage=name), lines=(line,))
    level = level_of(stage)
    if level is None:
        return None
    line = _("还剩 %(n)s 个，%(closes)s 截止。", n=count(stage.places_left), closes=closes)
    kind: Literal["you", "wait"] = "you" if level == LEVELS[0] else "wait"
    title = _("%(stage)s用了 %(level)s%% 以上", stage=name, level=level)
    return Alert(kind=kind, title=title, lines=(line,))
