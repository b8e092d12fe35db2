"""The plate card: what one glance at the stage must say. Pure, from the live state to words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.web.language import _, in_english
from app.web.wording import count, moment, money, stage_name, until, window, yuan
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


def _no_programme() -> StageCard:
    return StageCard(
        open=False,
        title=_("现在没有补贴活动"),
        figures=(),
        used=0,
        left=0,
        notes=(_("新的活动定下来以后，会写在这里。"),),
        stairs=(),
        rule="",
        as_of=None,
    )


def stage_card(live: LiveState | None) -> StageCard:
    """Return the card for the live state; without one, that there is no programme."""
    if live is None:
        return _no_programme()
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
        return False, _("补贴活动已经结束"), (_("现在办完的淘汰置换没有补贴。已经给予的补贴照常发放。"),)
    if live.paused:
        resumed = _("暂停期间办完的照样取得序号，恢复以后按序号补。")
        return False, _("补贴活动暂停中"), (*_why_paused(live), resumed)
    if stage is None:
        return False, _("最后一个阶段已经截止"), (_("截止以前办完的，正在按序号算完。现在办完的没有补贴。"),)
    name = stage_name(stage.number)
    if live.current is None:
        return False, _("%(stage)s还没有开始", stage=name), _not_open(live, stage)
    if stage.places_left == 0:
        return False, _("%(stage)s名额已经用完", stage=name), _run_out(live, stage)
    return True, _("%(stage)s，正在进行", stage=name), _open(live, stage)


def _open(live: LiveState, stage: LiveStage) -> tuple[str, ...]:
    """When it changes: the end, and what the next stage pays."""
    ends = _("%(when)s 结束。", when=until(stage.closes_at))
    following = next_stage(live)
    if following is None:
        return (ends,)
    return (ends, _("结束或者名额用完以后，每辆补 %(money)s。", money=money(following.amount_fen)))


def _why_paused(live: LiveState) -> tuple[str, ...]:
    if live.pause is None:
        return ()
    reason = live.pause.en if in_english() else live.pause.zh
    return (_("%(when)s 起暂停：%(reason)s", when=moment(live.pause.since), reason=reason),)


def _not_open(live: LiveState, stage: LiveStage) -> tuple[str, ...]:
    opens = _("%(when)s 开始，每辆补 %(money)s。", when=moment(stage.opens_at), money=money(stage.amount_fen))
    if stage.number == live.stages[0].number:
        return (opens, _("活动开始以前发的新号牌没有补贴。"))
    return (opens, _("现在办完的照样取得序号，开始以后先补给排队的人。"))


def _run_out(live: LiveState, stage: LiveStage) -> tuple[str, ...]:
    queue = _("现在办完的照样取得序号，前面有 %(n)s 人在排队。", n=count(live.waiting))
    following = next_stage(live)
    if following is None:
        return (queue, _("有人退出或者更正没有通过，名额按序号补上；没有名额了就不再补。"))
    then = _(
        "%(when)s %(stage)s开始，先补给排队的人，每辆 %(money)s。",
        when=moment(following.opens_at),
        stage=stage_name(following.number),
        money=money(following.amount_fen),
    )
    return (queue, then)


def _figures(stage: LiveStage, live: LiveState) -> tuple[Figure, ...]:
    label = _("现在每辆补") if live.current == stage.number and stage.places_left else _("每辆补")
    return (
        Figure(label=label, number=yuan(stage.amount_fen), unit=_("元")),
        Figure(label=_("名额还剩"), number=count(stage.places_left), unit=_("个")),
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
    return _(
        "%(stage)s名额用完以后才办完的，排队等%(next)s，每辆补 %(money)s。",
        stage=stage_name(live.current),
        next=stage_name(following.number),
        money=money(following.amount_fen),
    )
