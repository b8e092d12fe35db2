"""The district's shops, each by the list a bureau or a maker hands in: dealers, counter accounts, models, new bikes."""

from __future__ import annotations

import csv
import random
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.config import Settings
from app.district.dealers import import_made_dealers, made_bike, made_models
from app.district.filings import made_person
from app.district.programme import LOCAL
from app.scenario.calls import ScenarioFailed
from app.scenario.plan import Plan
from registry.bike_model_import import MODEL_COLUMNS, import_models
from registry.dealer_import import import_dealer_list
from registry.dealer_rows import ACCOUNT_HEADERS
from registry.dealers import Dealer
from registry.filing_file import look_through
from registry.stock_import import COLUMNS, import_stock
from registry.stock_sheet import KINDS, MOST_ROWS, Column

POINTS = 234
LICENSED_BEFORE = timedelta(days=60)
ACTOR = "scenario"
FIRST_ASSISTANT = 20_400_000
KIND_WORDS = {kind: word for word, kind in KINDS.items()}
# How a list writes what the platform keeps in thousandths.
IN_THOUSANDTHS = ("weight_g", "top_speed_m_h", "voltage_mv")

Progress = Callable[[str, int, int], None]


def open_shops(
    session: Session, settings: Settings, plan: Plan, *, password_hash: str, progress: Progress
) -> list[int]:
    """Import dealers and their accounts, models and stock; return the points' ids by plaque number.

    The accounts of the counters are ``point_login``'s, with this password. Raises ScenarioFailed for a refused row.
    """
    now = settings.clock.now()
    points = import_made_dealers(
        session=session,
        settings=settings,
        seed=plan.seed % 1_000,
        licensed_on=(now - LICENSED_BEFORE).astimezone(LOCAL).date(),
        actor=ACTOR,
        now=now,
    )
    if len(points) != POINTS:
        raise ScenarioFailed(f"{len(points)} points were licensed, not {POINTS}")
    progress("销售商户", len(points), len(points))
    with tempfile.TemporaryDirectory(prefix="mapai-lists-") as folder:
        _import_accounts(session, settings, Path(folder) / "accounts.csv", points, password_hash)
        _import_models(session, Path(folder) / "models.csv", plan, now.astimezone(LOCAL).date())
        _import_stock(session, settings, Path(folder) / "stock.csv", plan, points, progress)
    return points


def point_login(point: int) -> str:
    """Return the login of the counter at a point, counted from 0."""
    return f"point-{point + 1:04d}"


def _import_accounts(
    session: Session, settings: Settings, path: Path, points: Sequence[int], password_hash: str
) -> None:
    codes = {row[0]: row[1] for row in session.execute(select(Dealer.id, Dealer.credit_code))}
    dice = random.Random(len(points)).random  # noqa: S311  (made-up names, no secret)
    rows = [
        (point_login(point), made_person(FIRST_ASSISTANT + point, dice)[0], codes[dealer_id], "是")
        for point, dealer_id in enumerate(points)
    ]
    _write(path, list(ACCOUNT_HEADERS.values()), rows)
    report = import_dealer_list(
        session=session,
        keyring=settings.keyring,
        file=look_through(path),
        rules=settings.enrolment,
        actor=ACTOR,
        now=settings.clock.now(),
        password_hash=password_hash,
    )
    if report.stored != len(points):
        raise ScenarioFailed(f"of {len(points)} counter accounts {report.stored} were stored: {report.counts()}")
    session.commit()


def _import_models(session: Session, path: Path, plan: Plan, today: date) -> None:
    makers = sorted({planned.vehicle_code[:4] for planned in plan.trade_ins})
    rows = [_cells(model, MODEL_COLUMNS) for model in made_models(today=today, makers=makers)]
    headers = [column.header for column in MODEL_COLUMNS]
    for first in range(0, len(rows), MOST_ROWS):
        part = rows[first : first + MOST_ROWS]
        _write(path, headers, part)
        report = import_models(session=session, path=path, dry_run=False, actor=ACTOR)
        if report.added != len(part):
            raise ScenarioFailed(f"of {len(part)} models {report.added} were added: {report.findings[:3]}")
    session.commit()


def _import_stock(
    session: Session, settings: Settings, path: Path, plan: Plan, points: Sequence[int], progress: Progress
) -> None:
    """One list a point, as each hands in its own."""
    now = settings.clock.now()
    today = now.astimezone(LOCAL).date()
    lists: defaultdict[int, list[list[str]]] = defaultdict(list)
    for planned in plan.trade_ins:
        bike = replace(made_bike(planned.number, today=today), vehicle_code=planned.vehicle_code)
        lists[planned.point].append(_cells(bike, COLUMNS))
    for done, (point, rows) in enumerate(sorted(lists.items()), start=1):
        _write(path, [column.header for column in COLUMNS], rows)
        report = import_stock(
            session=session, path=path, dealer_id=points[point], dry_run=False, actor=ACTOR, today=today, now=now
        )
        if report.rows_stored != len(rows):
            raise ScenarioFailed(f"of {len(rows)} new bikes {report.rows_stored} were taken in: {report.problems[:3]}")
        session.commit()
        session.expunge_all()
        progress("新车入库（各代办点的清单）", done, len(lists))


def _cells(facts: Any, columns: Sequence[Column]) -> list[str]:
    """What a list says of a bike or a model, in the words and units of its columns."""
    cells = []
    for column in columns:
        value = getattr(facts, column.field)
        if column.field in IN_THOUSANDTHS:
            value = value / 1000
        cells.append(KIND_WORDS[value] if column.field == "battery_kind" else str(value))
    return cells


def _write(path: Path, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(headers)
        table.writerows(rows)
