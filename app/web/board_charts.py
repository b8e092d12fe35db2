"""The board's charts, drawn on the server: how a stage's money goes and will go, and the day by the hour.

Points are in SVG units of charts drawn at the width they are shown: one for the desk, a narrower one for a phone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.context import business_now
from app.db import db
from app.remembered import remembered
from app.web.board_budget import LEVELS, shown_first
from app.web.board_figures import day_began
from app.web.board_forecast import finding, outlook_of, stages_of
from app.web.language import _
from app.web.wording import count, day, local, money, stage_name, yuan
from subsidy.course import BurnDown, Hours, burn_down, hours_of
from subsidy.forecast import StageForecast
from subsidy.forecast_programme import ProgrammeForecast, forecast_programme
from subsidy.live import live_state
from subsidy.programme import ProgrammeNotFound, current_programme
from subsidy.rules import StageRules

SNAPSHOT = "mapai.board_charts"
# Hundreds of courses are drawn for the forecast: once a minute in a process is enough for what moves by hours.
FRESH_S = 60.0
DAY = timedelta(days=1)
TOP, FOOT, RIGHT = 16, 28, 10
HEIGHT = 300
FOURTHS = 4
MOST_TICKS = {"wide": 7, "narrow": 4}
BURN_WIDTHS = {"wide": 878, "narrow": 340}
HOUR_WIDTHS = {"wide": 406, "narrow": 340}
# The hours a counter is open, at least; the chart grows where there is more.
FIRST_HOUR, LAST_HOUR = 8, 20
LABEL_WIDTH = 74


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """The figures behind the charts, as of one instant. No words yet."""

    found: ProgrammeForecast
    stages: Sequence[StageRules]
    burn: BurnDown
    hours: Hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A horizontal line with its word."""

    y: str
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnChart:
    """The burn-down at one width: ``plan`` is spending evenly, ``band`` and ``guess`` are empty without a forecast."""

    kind: str
    width: int
    left: int
    grid: tuple[Level, ...]
    alarms: tuple[Level, ...]
    ticks: tuple[tuple[str, str], ...]
    plan: str
    line: str
    now: tuple[str, str]
    now_word_x: str
    band: str
    guess: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One hour: its bar, and the line of what is usual."""

    x: str
    y: str
    height: str
    usual_y: str | None
    now: bool
    word: str
    word_x: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HourChart:
    """The day by the hour at one width."""

    kind: str
    width: int
    bar: str
    grid: tuple[Level, ...]
    columns: tuple[Column, ...]


def show_charts() -> dict[str, Any]:
    """Return everything the charts' part of the board shows, usually at most a minute old; raises ProgrammeNotFound."""
    sketch = remembered(SNAPSHOT, read_sketch, fresh_s=FRESH_S, dear=True)
    burn, hours = sketch.burn, sketch.hours
    told = next((one.forecast for one in sketch.found.stages if one.number == burn.stage.number), None)
    return {
        "outlook": outlook_of(sketch.found, sketch.stages),
        "burn": burn,
        "burn_title": finding(sketch.found.stages),
        "burn_charts": [_burn_chart(burn, told, width, kind) for kind, width in BURN_WIDTHS.items()],
        "burn_aria": _burn_aria(burn),
        "burn_days": _burn_days(burn),
        "hours": hours,
        "hours_title": _hours_title(hours),
        "hour_charts": [_hour_chart(hours, width, kind) for kind, width in HOUR_WIDTHS.items()],
        "hour_rows": _hour_rows(hours),
    }


def read_sketch() -> Sketch:
    """Return the figures of the charts as of now, of one instant; raises ProgrammeNotFound."""
    db.session.rollback()
    db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    session, now = db.session(), business_now()
    programme = current_programme(session=session)
    live = live_state(session=session, programme=programme, now=now)
    if not live.stages:
        raise ProgrammeNotFound(programme=programme.code)
    stage = live.stages[shown_first(live) - 1]
    return Sketch(
        found=forecast_programme(session=session, programme=programme, now=now),
        stages=stages_of(programme),
        burn=burn_down(session=session, programme_id=programme.id, stage=stage, now=now),
        hours=hours_of(session=session, programme_id=programme.id, opened_at=live.stages[0].opens_at, now=now),
    )


def _burn_chart(burn: BurnDown, told: StageForecast | None, width: int, kind: str) -> BurnChart:
    stage = burn.stage
    highest = max(1, stage.total_fen, *(fen for _at, fen in burn.points))
    # A stage that has closed may still pay late records: the axis goes as far as the line does.
    first, last = stage.opens_at, max(stage.closes_at, burn.points[-1][0])
    at_x = _scale(first, last, LABEL_WIDTH, width - RIGHT)

    def at_y(fen: float) -> str:
        return f"{TOP + (HEIGHT - TOP - FOOT) * (1 - fen / highest):.1f}"

    now_x, now_y = at_x(burn.points[-1][0]), at_y(burn.left_fen)
    band, guess = _cone(told, stage.closes_at, (now_x, now_y), at_x, at_y)
    return BurnChart(
        kind=kind,
        width=width,
        left=LABEL_WIDTH,
        grid=tuple(
            Level(y=at_y(highest * part / FOURTHS), word=yuan(highest * part // FOURTHS // 100 * 100))
            for part in range(FOURTHS + 1)
        ),
        alarms=tuple(
            Level(y=at_y(stage.total_fen * (100 - level) / 100), word=_("用到 %(level)s%%", level=level))
            for level in LEVELS
        ),
        ticks=_day_ticks(first, last, at_x, MOST_TICKS[kind]),
        plan=f"{at_x(first):.1f},{at_y(stage.total_fen)} {at_x(stage.closes_at):.1f},{at_y(0)}",
        line=_stairs([(at_x(at), at_y(fen)) for at, fen in burn.points]),
        now=(f"{now_x:.1f}", now_y),
        now_word_x=f"{now_x - 10:.1f}" if now_x > width / 2 else f"{now_x + 10:.1f}",
        band=band,
        guess=guess,
    )


def _cone(
    told: StageForecast | None,
    closes_at: datetime,
    now: tuple[float, str],
    at_x: Callable[[datetime], float],
    at_y: Callable[[float], str],
) -> tuple[str, str]:
    """The band between the earliest and the latest end, and the likely course; empty where none is foretold."""
    if told is None or told.earliest is None:
        return "", ""
    here = f"{now[0]:.1f},{now[1]}"
    latest = at_x(told.latest or closes_at)
    band = f"{here} {latest:.1f},{at_y(0)} {at_x(told.earliest):.1f},{at_y(0)}"
    return band, "" if told.likely is None else f"{here} {at_x(told.likely):.1f},{at_y(0)}"


def _scale(first: datetime, last: datetime, left: float, right: float) -> Callable[[datetime], float]:
    span = max(1.0, (last - first).total_seconds())

    def at(instant: datetime) -> float:
        return left + max(0.0, min(1.0, (instant - first).total_seconds() / span)) * (right - left)

    return at


def _stairs(points: Sequence[tuple[float, str]]) -> str:
    return " ".join(f"{x:.1f},{y}" for x, y in points)


def _day_ticks(
    first: datetime, last: datetime, at_x: Callable[[datetime], float], most: int
) -> tuple[tuple[str, str], ...]:
    days = max(1, round((last - first) / DAY))
    step = -(-days // most)
    return tuple((f"{at_x(first + DAY * number):.1f}", day(first + DAY * number)) for number in range(0, days, step))


def _burn_aria(burn: BurnDown) -> str:
    stage = burn.stage
    return _(
        "%(stage)s可用的钱：%(opens)s %(total)s，现在 %(left)s",
        stage=stage_name(stage.number),
        opens=day(stage.opens_at),
        total=money(stage.total_fen),
        left=money(burn.left_fen),
    )


def _burn_days(burn: BurnDown) -> list[tuple[str, str, str]]:
    """The table behind the chart: each day since the opening, what it used, and what was left at its end."""
    rows = []
    before = burn.points[0][1]
    begins = day_began(burn.stage.opens_at)
    while begins <= burn.as_of:
        ends = begins + DAY
        fen = next((fen for at, fen in reversed(burn.points) if at <= ends), before)
        rows.append((day(begins), yuan(before - fen), yuan(fen)))
        begins, before = ends, fen
    return rows


def _hours_title(hours: Hours) -> str:
    most = max(hours.today)
    if not most:
        return _("今天还没有人办完")
    return _("今天 %(hour)s 时最忙", hour=hours.today.index(most))


def _shown_hours(hours: Hours) -> range:
    busy = [hour for hour, number in enumerate(hours.today) if number]
    busy += [hour for hour, number in enumerate(hours.usual or ()) if number]
    return range(min([FIRST_HOUR, *busy]), max([LAST_HOUR, *busy]) + 1)


def _hour_chart(hours: Hours, width: int, kind: str) -> HourChart:
    shown = _shown_hours(hours)
    left = 34
    highest = max(FOURTHS, *hours.today, *(hours.usual or ()))
    highest = -(-int(highest) // FOURTHS) * FOURTHS
    slot = (width - left - RIGHT) / len(shown)
    floor = HEIGHT - FOOT

    def at_y(number: float) -> float:
        return TOP + (floor - TOP) * (1 - number / highest)

    every = 2 if len(shown) <= 14 else 4
    columns = []
    for place, hour in enumerate(shown):
        x, y = left + place * slot, at_y(hours.today[hour])
        columns.append(
            Column(
                x=f"{x + slot * 0.14:.1f}",
                y=f"{y:.1f}",
                height=f"{floor - y:.1f}",
                usual_y=f"{at_y(hours.usual[hour]):.1f}" if hours.usual else None,
                now=hour == local(hours.as_of).hour,
                word=_("%(hour)s 时", hour=hour) if place % every == 0 else "",
                word_x=f"{x + slot / 2:.1f}",
            )
        )
    grid = tuple(
        Level(y=f"{at_y(highest * part / FOURTHS):.1f}", word=count(highest * part // FOURTHS))
        for part in range(FOURTHS + 1)
    )
    return HourChart(kind=kind, width=width, bar=f"{slot * 0.72:.1f}", grid=grid, columns=tuple(columns))


def _hour_rows(hours: Hours) -> list[tuple[str, str, str]]:
    return [
        (
            _("%(hour)s 时", hour=hour),
            count(hours.today[hour]) if hour <= local(hours.as_of).hour else "",
            f"{hours.usual[hour]:.1f}" if hours.usual else "—",
        )
        for hour in _shown_hours(hours)
    ]
