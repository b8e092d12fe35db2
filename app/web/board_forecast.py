"""The forecast on the board: one row a stage with its window, the band in which its places run out, and the finding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.web.language import _
from app.web.wording import count, day, moment, stage_name
from subsidy.forecast_programme import ProgrammeForecast, StagePrediction
from subsidy.programme import Programme
from subsidy.rules import Rules, StageRules
from subsidy.state import Phase, State

LABEL, TOP, ROW, FOOT = 84, 26, 40, 24
WIDE, NARROW = 1100, 340
LONGEST_WORDS = 270


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One stage in the chart and in the table behind it. Horizontal places are SVG units of its chart."""

    name: str
    words: str
    y: int
    x: str
    width: str
    band_x: str | None
    band_width: str | None
    likely_x: str | None
    text_x: str
    text_end: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The chart at one width: its rows, the line of now, and the days below."""

    width: int
    height: int
    rows: tuple[Row, ...]
    now_x: str
    ticks: tuple[tuple[str, str], ...]
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The forecast for the page: the finding as title, the chart at two widths, the table behind it."""

    title: str
    as_of: datetime
    next_day: int
    charts: tuple[Chart, ...]
    table: tuple[tuple[str, str, str, str, str, str], ...]


def outlook_of(found: ProgrammeForecast, stages: Sequence[StageRules]) -> Outlook:
    """Return the forecast drawn and in words, in the reader's language."""
    return Outlook(
        title=finding(found.stages),
        as_of=found.as_of,
        next_day=found.expected_next_day,
        charts=tuple(_chart(found, stages, width, kind) for width, kind in ((WIDE, "wide"), (NARROW, "narrow"))),
        table=tuple(_told(stage) for stage in found.stages),
    )


def stages_of(programme: Programme) -> Sequence[StageRules]:
    """Return the stages by the rules in force; none where no version is."""
    state = State.from_core_json(programme.head) if programme.head is not None else State()
    rules: Rules | None = state.rules
    return rules.stages if rules else ()


def finding(stages: Sequence[StagePrediction]) -> str:
    """The finding about the stage that matters now: the open one, else the next."""
    shown = next((stage for stage in stages if stage.phase is Phase.OPEN), None)
    shown = shown or next((stage for stage in stages if stage.phase is Phase.FUTURE), None)
    if shown is None:
        return _("各阶段都已经结束")
    name = stage_name(shown.number)
    if shown.ran_out_at is not None:
        return _("%(stage)s的名额 %(at)s 用完了", stage=name, at=moment(shown.ran_out_at))
    if shown.forecast is None:
        return _("%(stage)s还没有人办完，推算不了", stage=name)
    if shown.forecast.likely is None:
        return _("照最近的速度，%(stage)s的名额到截止也用不完", stage=name)
    return _("照最近的速度，%(stage)s的名额 %(day)s前后用完", stage=name, day=day(shown.forecast.likely))


def _chart(found: ProgrammeForecast, stages: Sequence[StageRules], width: int, kind: str) -> Chart:
    if not stages:
        return Chart(width=width, height=TOP + FOOT, rows=(), now_x="0", ticks=(), kind=kind)
    first, last = stages[0].opens_at, stages[-1].closes_at
    left = LABEL if kind == "wide" else 8
    span = (last - first).total_seconds()

    def at(instant: datetime) -> float:
        share = (instant - first).total_seconds() / span
        return left + max(0.0, min(1.0, share)) * (width - left - 8)

    predictions = {stage.number: stage for stage in found.stages}
    rows = tuple(
        _row(stage, predictions[stage.number], place, at, width, kind)
        for place, stage in enumerate(stages)
        if stage.number in predictions
    )
    ends = [stage.opens_at for stage in stages] if kind == "wide" else [first]
    ticks = tuple((f"{at(end):.1f}", day(end)) for end in ends)
    return Chart(
        width=width,
        height=TOP + ROW * len(rows) + FOOT,
        rows=rows,
        now_x=f"{at(found.as_of):.1f}",
        ticks=ticks,
        kind=kind,
    )


def _row(
    stage: StageRules, told: StagePrediction, place: int, at: Callable[[datetime], float], width: int, kind: str
) -> Row:
    opens, closes = at(stage.opens_at), at(stage.closes_at)
    band = told.forecast if told.forecast is not None and told.forecast.earliest is not None else None
    begins = at(band.earliest) if band is not None and band.earliest is not None else None
    ends = at(band.latest) if band is not None and band.latest is not None else closes
    likely = at(band.likely) if band is not None and band.likely is not None else None
    words = _words(told)
    late = closes + LONGEST_WORDS > width
    return Row(
        name=stage_name(stage.number),
        words=words,
        y=TOP + ROW * place,
        x=f"{opens:.1f}",
        width=f"{closes - opens:.1f}",
        band_x=None if begins is None else f"{begins:.1f}",
        band_width=None if begins is None else f"{max(3.0, ends - begins):.1f}",
        likely_x=None if likely is None else f"{likely:.1f}",
        text_x=f"{opens - 8:.1f}" if late and kind == "wide" else f"{closes + 8:.1f}" if kind == "wide" else "8",
        text_end=late and kind == "wide",
    )


def _words(told: StagePrediction) -> str:
    if told.ran_out_at is not None:
        return _("%(at)s 用完", at=moment(told.ran_out_at))
    if told.phase in (Phase.CLOSED, Phase.SETTLED):
        return _("截止时还有名额")
    left = count(told.places_left)
    if told.forecast is None:
        return _("还有 %(n)s 个名额", n=left)
    if told.forecast.earliest is None:
        return _("还有 %(n)s 个名额，到截止用不完", n=left)
    first = day(told.forecast.earliest)
    if told.forecast.latest is None:
        return _("最早 %(day)s用完，也可能用不完", day=first)
    last = day(told.forecast.latest)
    return _("%(day)s用完", day=first) if first == last else _("%(first)s—%(last)s用完", first=first, last=last)


def _told(told: StagePrediction) -> tuple[str, str, str, str, str, str]:
    guess = told.forecast

    def shown(instant: datetime | None) -> str:
        return moment(instant) if instant is not None else _("到截止用不完")

    if told.ran_out_at is not None:
        return stage_name(told.number), "0", moment(told.ran_out_at), _("已经用完"), _("已经用完"), "—"
    if guess is None:
        return stage_name(told.number), count(told.places_left), "—", "—", "—", "—"
    chance = f"{guess.share * 100:.0f}%"
    ends = (shown(guess.earliest), shown(guess.likely), shown(guess.latest))
    return stage_name(told.number), count(told.places_left), *ends, chance
