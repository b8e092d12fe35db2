"""The plate card: what one glance at the stage must say. Pure, from the live state to words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.web.wording import count, moment, stage_name, until, window, yuan
from subsidy.live import LiveStage, LiveState


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure on the card: its label, the number, its unit."""

    label: str
    number: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stair:
    """One of the falling steps: 300, 200, 100."""

    amount: str
    name: str
    window: str
    now: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCard:
    """What the card shows. ``used`` and ``left`` draw the bar; both are 0 where there is nothing to draw."""

    open: bool
    title: str
    figures: tuple[Figure, ...]
    used: int
    left: int
    notes: tuple[str, ...]
    stairs: tuple[Stair, ...]
    rule: str
    as_of: datetime | None


NO_PROGRAMME = StageCard(
    open=False,
    title="现在没有补贴活动",
    figures=(),
    used=0,
    left=0,
    notes=("新的活动定下来以后，会写在这里。",),
    stairs=(),
    rule="",
    as_of=None,
)


def stage_card(live: LiveState | None) -> StageCard:
    """Return the card for the live state, ``NO_PROGRAMME`` where there is none."""
    if live is None:
        return NO_PROGRAMME
    stage = _stage(live)
    is_open, title, notes = _say(live, stage)
    used = stage.awarded + stage.held if stage else 0
    left = stage.places_left if stage else 0
    return StageCard(
        open=is_open,
        title=title,
        figures=_figures(stage, live) if stage else (),
        used=used,
        left=left,
        notes=notes,
        stairs=_stairs(live),
        rule=_rule(live),
        as_of=live.as_of,
    )


def next_stage(live: LiveState) -> LiveStage | None:
    """Return the stage that opens next, None where none is to come."""
    return None if live.next_opening is None else live.stages[live.next_opening - 1]


def _stage(live: LiveState) -> LiveStage | None:
    return live.current_stage or (None if live.ended else next_stage(live))


def _say(live: LiveState, stage: LiveStage | None) -> tuple[bool, str, tuple[str, ...]]:
    if live.ended:
        return False, "补贴活动已经结束", ("现在办完的淘汰置换没有补贴。已经给予的补贴照常发放。",)
    if live.paused:
        return False, "补贴活动暂停中", (*_why_paused(live), "暂停期间办完的照样取得序号，恢复以后按序号补。")
    if stage is None:
        return False, "最后一个阶段已经截止", ("截止以前办完的，正在按序号算完。现在办完的没有补贴。",)
    if live.current is None:
        return False, f"{stage_name(stage.number)}还没有开始", _not_open(live, stage)
    if stage.places_left == 0:
        return False, f"{stage_name(stage.number)}名额已经用完", _run_out(live, stage)
    return True, f"{stage_name(stage.number)}，正在进行", (f"{until(stage.closes_at)} 结束。",)


def _why_paused(live: LiveState) -> tuple[str, ...]:
    return (f"{moment(live.pause.since)} 起暂停：{live.pause.zh}",) if live.pause else ()


def _not_open(live: LiveState, stage: LiveStage) -> tuple[str, ...]:
    opens = f"{moment(stage.opens_at)} 开始，每辆补 {yuan(stage.amount_fen)} 元。"
    if stage.number == live.stages[0].number:
        return (opens, "活动开始以前发的新号牌没有补贴。")
    return (opens, "现在办完的照样取得序号，开始以后先补给排队的人。")


def _run_out(live: LiveState, stage: LiveStage) -> tuple[str, ...]:
    queue = f"现在办完的照样取得序号，前面有 {count(live.waiting)} 人在排队。"
    following = next_stage(live)
    if following is None:
        return (queue, "有人退出或者更正没有通过，名额按序号补上；没有名额了就不再补。")
    opens = f"{moment(following.opens_at)} {stage_name(following.number)}开始"
    return (queue, f"{opens}，先补给排队的人，每辆 {yuan(following.amount_fen)} 元。")


def _figures(stage: LiveStage, live: LiveState) -> tuple[Figure, ...]:
    label = "现在每辆补" if live.current == stage.number and stage.places_left else "每辆补"
    return (
        Figure(label=label, number=yuan(stage.amount_fen), unit="元"),
        Figure(label="名额还剩", number=count(stage.places_left), unit="个"),
    )


def _stairs(live: LiveState) -> tuple[Stair, ...]:
    return tuple(
        Stair(
            amount=yuan(stage.amount_fen),
            name=stage_name(stage.number),
            window=window(stage.opens_at, stage.closes_at),
            now=stage.number == live.current,
        )
        for stage in live.stages
    )


def _rule(live: LiveState) -> str:
    following = next_stage(live)
    if live.current is None or following is None:
        return ""
    return (
        f"{stage_name(live.current)}名额用完以后才办完的，"
        f"排队等{stage_name(following.number)}，每辆补 {yuan(following.amount_fen)} 元。"
    )
