"""The forecast on the board: one row a stage with its window, the band in which its places run out, and the finding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import current_app

from app.context import business_now
from app.db import db
from app.snapshot import Snapshot
from app.web.wording import count, day, moment, stage_name
from subsidy.forecast_programme import ProgrammeForecast, StagePrediction, forecast_programme
from subsidy.programme import Programme, current_programme
from subsidy.rules import Rules, StageRules
from subsidy.state import Phase, State

SNAPSHOT = "mapai.board_forecast"
# Hundreds of courses are drawn for it: once a minute in a process is enough for what moves by hours.
FRESH_S = 60.0
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
    arrivals: int
    next_day: int
    charts: tuple[Chart, ...]
    table: tuple[tuple[str, str, str, str, str, str], ...]


def outlook() -> Outlook:
    """Return the forecast of the current programme, at most a minute old; raises ProgrammeNotFound."""
    extensions = current_app.extensions
    kept = extensions.get(SNAPSHOT) or extensions.setdefault(SNAPSHOT, Snapshot(_read, fresh_s=FRESH_S))
    seen: Outlook = kept.get()
    return seen


def _read() -> Outlook:
    session = db.session()
    programme = current_programme(session=session)
    found = forecast_programme(session=session, programme=programme, now=business_now())
    stages = _stages(programme)
    return Outlook(
        title=_title(found.stages),
        as_of=found.as_of,
        arrivals=found.arrivals,
        next_day=found.expected_next_day,
        charts=tuple(_chart(found, stages, width, kind) for width, kind in ((WIDE, "wide"), (NARROW, "narrow"))),
        table=tuple(_told(stage) for stage in found.stages),
    )


def _stages(programme: Programme) -> Sequence[StageRules]:
    state = State.from_core_json(programme.head) if programme.head is not None else State()
    rules: Rules | None = state.rules
    return rules.stages if rules else ()


def _title(stages: Sequence[StagePrediction]) -> str:
    """The finding about the stage that matters now: the open one, else the next."""
    shown = next((stage for stage in stages if stage.phase is Phase.OPEN), None)
    shown = shown or next((stage for stage in stages if stage.phase is Phase.FUTURE), None)
    if shown is None:
        return "各阶段都已经结束"
    name = stage_name(shown.number)
    if shown.ran_out_at is not None:
        return f"{name}的名额 {moment(shown.ran_out_at)} 用完了"
    if shown.forecast is None:
        return f"{name}还没有人办完，推算不了"
    if shown.forecast.likely is None:
        return f"照最近的速度，{name}的名额到截止也用不完"
    return f"照最近的速度，{name}的名额 {day(shown.forecast.likely)}前后用完"


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
        return f"{moment(told.ran_out_at)} 用完"
    if told.phase in (Phase.CLOSED, Phase.SETTLED):
        return "截止时还有名额"
    if told.forecast is None:
        return f"还有 {count(told.places_left)} 个名额"
    if told.forecast.earliest is None:
        return f"还有 {count(told.places_left)} 个名额，到截止用不完"
    if told.forecast.latest is None:
        return f"最早 {day(told.forecast.earliest)}用完，也可能用不完"
    first, last = day(told.forecast.earliest), day(told.forecast.latest)
    return f"{first}用完" if first == last else f"{first}—{last}用完"


def _told(told: StagePrediction) -> tuple[str, str, str, str, str, str]:
    guess = told.forecast

    def shown(instant: datetime | None) -> str:
        return moment(instant) if instant is not None else "到截止用不完"

    if told.ran_out_at is not None:
        return stage_name(told.number), "0", moment(told.ran_out_at), "已经用完", "已经用完", "—"
    if guess is None:
        return stage_name(told.number), count(told.places_left), "—", "—", "—", "—"
    chance = f"{guess.share * 100:.0f}%"
    ends = (shown(guess.earliest), shown(guess.likely), shown(guess.latest))
    return stage_name(told.number), count(told.places_left), *ends, chance
