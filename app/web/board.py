"""The bureau's board: each stage's places and money adding up, what just happened, what needs a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import render_template
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.context import settings
from app.db import db
from app.web.blueprint import web
from app.web.board_figures import CASE_WORDS, RECENT, Figures, claims_page, figures, open_cases, sub_districts
from app.web.board_forecast import outlook
from app.web.front import tagged
from app.web.remembered import remembered
from app.web.stage_card import stage_card
from app.web.wording import count, moment, percent, share, stage_name, window, yuan
from subsidy.claims import CLAIM_WORDS
from subsidy.live import LiveStage, LiveState, live_state
from subsidy.programme import ProgrammeNotFound, current_programme

SNAPSHOT = "mapai.board_snapshot"
LEVELS = (95, 85, 70)
PHASES = {
    "future": ("", "还没有开始"),
    "open": ("done", "正在进行"),
    "closed": ("wait", "已截止，待结转"),
    "settled": ("", "已结转"),
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


def budget_of(stage: LiveStage) -> Budget:
    """Return the stage's money in its four parts."""
    total_fen = stage.budget_fen + stage.carried_in_fen - stage.moved_fen
    amounts = (
        ("paid", "已发放", stage.paid_fen, percent(stage.paid_fen, total_fen)),
        ("committed", "已决定，待发放", stage.committed_fen, percent(stage.committed_fen, total_fen)),
        ("reserved", "预留给更正", stage.held_fen, f"{count(stage.held)} 笔"),
        ("free", "可用", stage.free_fen, f"够 {count(stage.free_fen // stage.amount_fen)} 笔"),
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
        phase_word=word,
        stage=stage,
        parts=tuple(parts),
        total_fen=total_fen,
        adds_up=before_fen == total_fen,
        aria="，".join(f"{part.word} {yuan(part.fen)} 元" for part in parts),
        note=f"占用 {percent(used_fen, total_fen)}",
    )


@web.get("/board")
@requires(*STAFF)
def board() -> str:
    """The board."""
    seen = _seen()
    return render_template("board.html", **seen, outlook=outlook() if seen["live"] else None)


@web.get("/board/live")
@requires(*STAFF)
def board_live() -> Response:
    """The board's figures alone, for the page that is already open."""
    return tagged(render_template("board_live.html", **_seen()))


def steady() -> None:
    """Begin a transaction that sees one instant of the database, so that sums of several queries agree."""
    db.session.rollback()
    db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def _seen() -> dict[str, Any]:
    return remembered(SNAPSHOT, _read)


def _read() -> dict[str, Any]:
    steady()
    clock = settings().clock
    now = clock.now()
    try:
        programme = current_programme(session=db.session())
    except ProgrammeNotFound:
        return {"live": None}
    live = live_state(session=db.session(), programme=programme, now=now)
    counted = figures(session=db.session(), programme_id=programme.id, now=now)
    budgets = [budget_of(stage) for stage in live.stages]
    return {
        "live": live,
        "card": stage_card(live),
        "budgets": sorted(budgets, key=lambda budget: (budget.number != _shown(live), budget.number)),
        "totals": _totals(budgets),
        "figures": counted,
        "outcomes": [(CLAIM_WORDS.get(state, state), number) for state, number in sorted(counted.outcomes.items())],
        "recent": claims_page(session=db.session(), programme_id=programme.id, state=None, before=None, limit=RECENT),
        "districts": sub_districts(session=db.session(), programme_id=programme.id, now=now),
        "alerts": _alerts(live, budgets, counted),
        "cases": [
            {
                "word": CASE_WORDS.get(case.kind, case.kind),
                "subject": case.subject,
                "at": clock.business(case.opened_at),
            }
            for case in open_cases(session=db.session())
        ],
    }


def _shown(live: LiveState) -> int:
    """The stage whose money is drawn large: the open one, else the next, else the last."""
    return live.current or live.next_opening or live.stages[-1].number


def _totals(budgets: list[Budget]) -> dict[str, int]:
    by_part = {part.key: sum(b.parts[i].fen for b in budgets) for i, part in enumerate(budgets[0].parts)}
    return by_part | {
        "total": sum(budget.total_fen for budget in budgets),
        "awarded": sum(budget.stage.awarded for budget in budgets),
        "held": sum(budget.stage.held for budget in budgets),
    }


def _alerts(live: LiveState, budgets: list[Budget], counted: Figures) -> list[dict[str, Any]]:
    alerts = []
    if not all(budget.adds_up for budget in budgets):
        alerts.append(
            {"kind": "stop", "title": "台账加不起来", "lines": ("请马上运行 mapai verify，找出差在哪一笔。",)}
        )
    if live.paused:
        alerts.append({"kind": "you", "title": "活动暂停中", "lines": ("办完的照样取得序号，恢复以后按序号补。",)})
    stage = live.current_stage
    if stage is not None and not stage.places_left:
        line = f"现在有 {count(live.waiting)} 人排队，{moment(stage.closes_at)} 截止。"
        alerts.append({"kind": "you", "title": f"{stage_name(stage.number)}名额已经用完", "lines": (line,)})
    elif stage is not None and (level := _level(stage)) is not None:
        line = f"还剩 {count(stage.places_left)} 个，{moment(stage.closes_at)} 截止。"
        kind = "you" if level == LEVELS[0] else "wait"
        alerts.append({"kind": kind, "title": f"{stage_name(stage.number)}名额用了 {level}% 以上", "lines": (line,)})
    if counted.silent_since is not None:
        lines = (f"{yuan(counted.silent_fen)} 元，最早 {moment(counted.silent_since)}。系统只查询，不重发。",)
        alerts.append({"kind": "wait", "title": f"银行 {count(counted.silent)} 笔没有答复", "lines": lines})
    return alerts


def _level(stage: LiveStage) -> int | None:
    """Return the highest of LEVELS, in per cent of its places, that the stage has reached; None below all of them."""
    used = stage.places - stage.places_left
    return next((level for level in LEVELS if used * 100 >= level * stage.places), None)
