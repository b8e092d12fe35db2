"""Stock-in from a file: good rows go in, bad ones are told by row and column; the same file again changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, Identity, Integer, LargeBinary, String, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.batteries import Battery, clean_battery_code
from registry.bike_models import models_of
from registry.bikes import Bike
from registry.codes import clean_paper_number, clean_vehicle_code, new_registration_code
from registry.compliance import known_standards
from registry.filing_earlier import PlatedEarlier, plated_earlier
from registry.inputs import Inputs
from registry.stock_sheet import (
    MEASURE_COLUMNS,
    Column,
    RowFinding,
    SheetRow,
    findings_of,
    read_cells_of,
    read_day,
    read_kind,
    read_sheet,
    read_text,
)
from registry.stocking import (
    BatteryAlreadyCoded,
    BikeAlreadyCoded,
    NewBike,
    StockRules,
    check_bike,
    check_facts,
    maker_of,
    note_stocked,
    stock_in,
)

COLUMNS = (
    Column(header="整车编码", field="vehicle_code", read=read_text, example="118222612345678"),
    Column(header="合格证编号", field="certificate_no", read=read_text, example="2026011119000001"),
    Column(header="电池编码", field="battery_code", read=read_text, example="LI4826010000001"),
    Column(header="电池种类", field="battery_kind", read=read_kind, example="锂"),
    Column(header="型号", field="model", read=read_text, example="TDT2601Z"),
    Column(header="执行标准", field="standard", read=read_text, example="GB 17761-2024"),
    Column(header="生产日期", field="made_on", read=read_day, example="2026-01-15"),
    *MEASURE_COLUMNS,
)
HEADERS = {column.field: column.header for column in COLUMNS}
_PLACES = {column.header: place for place, column in enumerate(COLUMNS)}
# What a bike already in stock is compared by; its battery may have been swapped since.
_BATTERY = next(place for place, column in enumerate(COLUMNS) if column.field == "battery_code")
_COMPARED = tuple(each.name for each in fields(NewBike) if each.name not in ("certificate_url", "battery_code"))


class StockImport(Base):
    """One file taken in, or tried. ``problems`` holds the rows that did not go in, as typed, with their findings.

    ``[{"line": int, "cells": [str], "findings": [{"field", "header", "code", "zh", "en", "remedy_zh", "remedy_en"}]}]``
    """

    __tablename__ = "stock_import"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    dealer_id: Mapped[int] = mapped_column(ForeignKey("dealer.id"), index=True)
    actor: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime] = mapped_column(Instant)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    dry_run: Mapped[bool] = mapped_column(Boolean)
    rows_read: Mapped[int] = mapped_column(Integer)
    rows_stored: Mapped[int] = mapped_column(Integer)
    rows_unchanged: Mapped[int] = mapped_column(Integer)
    rows_refused: Mapped[int] = mapped_column(Integer)
    problems: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")


class StockDiffers(Refusal):
    """The bike is in this dealer's stock, and this row says something else of it."""

    code = "stock_differs"
    kind = "conflict"
    zh = "这辆车已经入库，「{header}」和这一行不同，没有改。"
    en = "This bike was taken in before with another «{field_en}»; nothing was changed."
    remedy_zh = "请对照合格证；入库时写错的，请联系区市场监管局更正。"
    remedy_en = "Compare with the certificate; the bureau corrects what was taken in wrongly."


class StockImportNotFound(Refusal):
    """There is no such import of this dealer."""

    code = "stock_import_not_found"
    kind = "not_found"
    zh = "没有找到这次导入。"
    en = "There is no such import."
    remedy_zh = "请从导入结果里的地址打开。"
    remedy_en = "Open it from the answer of the import."


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What came of the rows so far."""

    read: int = 0
    stored: int = 0
    unchanged: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)


def import_stock(
    *, session: Session, path: Path, dealer_id: int, dry_run: bool, actor: str, today: date, now: datetime
) -> StockImport:
    """Take the bikes of a file into this dealer's stock, at most MOST_ROWS; return how it went.

    A dry run says the same and stores no bike. A good row goes in as by ``stock_in``, whatever the others say. The
    transaction is left to the caller. Raises FilingFileUnreadable, FilingColumnsMissing and TooManyRows: then nothing
    went in.
    """
    rows = list(read_sheet(path, COLUMNS))
    trial = session.begin_nested()
    tally = _take_all(session, rows, dealer_id=dealer_id, actor=actor, today=today)
    if dry_run:
        trial.rollback()
    else:
        trial.commit()
    done = StockImport(
        dealer_id=dealer_id,
        actor=actor,
        at=now,
        sha256=hashlib.sha256(path.read_bytes()).digest(),
        dry_run=dry_run,
        rows_read=tally.read,
        rows_stored=tally.stored,
        rows_unchanged=tally.unchanged,
        rows_refused=len(tally.problems),
        problems=tally.problems,
    )
    session.add(done)
    session.flush()
    counts = {name: getattr(done, name) for name in ("rows_read", "rows_stored", "rows_unchanged", "rows_refused")}
    detail = {**counts, "dry_run": dry_run, "sha256": done.sha256.hex()}
    audit.record(session=session, actor=actor, action="stock.imported", subject=f"dealer:{dealer_id}", detail=detail)
    session.flush()
    return done


def get_stock_import(*, session: Session, import_id: int, dealer_id: int | None) -> StockImport:
    """Return an import of this dealer, of any for None (bureau staff); raises StockImportNotFound."""
    found = session.get(StockImport, import_id) if import_id < 2**63 else None
    if found is None or dealer_id not in (None, found.dealer_id):
        raise StockImportNotFound
    return found


def _take_all(session: Session, rows: list[SheetRow], *, dealer_id: int, actor: str, today: date) -> _Tally:
    """Take the good rows in together, in a few statements; where another counter was faster, each by itself."""
    together = session.begin_nested()
    shelf = _Shelf.of(session, rows, dealer_id=dealer_id, today=today)
    tally = _sort(rows, shelf.take)
    if shelf.store(session, actor=actor):
        together.commit()
        return tally
    together.rollback()

    def alone(row: SheetRow) -> bool:
        with session.begin_nested():
            fresh = _Shelf.of(session, [row], dealer_id=dealer_id, today=today)
            stored = fresh.take(row)
            for bike in fresh.good:
                stock_in(session=session, dealer_id=dealer_id, bike=bike, actor=actor, today=today)
            return stored

    return _sort(rows, alone)


def _sort(rows: list[SheetRow], take: Callable[[SheetRow], bool]) -> _Tally:
    """Count what ``take`` says of each row: True stored, False unchanged, or a refusal."""
    tally = _Tally(read=len(rows))
    for row in rows:
        try:
            stored = take(row)
        except Refusal as refusal:
            tally.problems.append(_problem(row, findings_of(line=row.line, refusal=refusal, headers=HEADERS)))
            continue
        tally.stored += stored
        tally.unchanged += not stored
    return tally


@dataclass(slots=True, kw_only=True)
class _Shelf:
    """What the database holds about the bikes of a list, read in a few questions, and the good rows so far."""

    dealer_id: int
    today: date
    rules: StockRules
    bikes: dict[str, Bike]
    batteries: set[str]
    codes: set[str] = field(default_factory=set)
    good: list[NewBike] = field(default_factory=list)
    values: list[dict[str, object]] = field(default_factory=list)

    @classmethod
    def of(cls, session: Session, rows: list[SheetRow], *, dealer_id: int, today: date) -> _Shelf:
        """Read what is known of the bikes and batteries named in these rows."""
        codes = {_bare(row.cells[0]) for row in rows}
        batteries = {"".join(row.cells[_BATTERY].split()).upper() for row in rows}
        done = plated_earlier(session=session, vehicle_codes=codes)

        def require_unplated(vehicle_code: str) -> None:
            if vehicle_code in done:
                raise PlatedEarlier(vehicle_code=vehicle_code, done_on=done[vehicle_code].isoformat())

        return cls(
            dealer_id=dealer_id,
            today=today,
            rules=StockRules(
                standards=known_standards(session=session),
                models=models_of(session=session, maker_codes={maker_of(code) for code in codes}),
                require_unplated=require_unplated,
            ),
            bikes={
                bike.vehicle_code: bike for bike in session.scalars(select(Bike).where(Bike.vehicle_code.in_(codes)))
            },
            batteries=set(session.scalars(select(Battery.battery_code).where(Battery.battery_code.in_(batteries)))),
        )

    def take(self, row: SheetRow) -> bool:
        """Set a good row aside to be stored; False where the bike is in this stock. Raises all that is wrong."""
        inputs = Inputs()
        given = read_cells_of(row, COLUMNS, inputs=inputs)
        stands = self.bikes.get(_bare(row.cells[0]))
        if stands is not None and stands.dealer_id == self.dealer_id:
            inputs.check()
            _require_same(stands, NewBike(**given))
            return False
        self._check(inputs, given, stands)
        inputs.check()
        typed = NewBike(**given)
        values = check_bike(bike=typed, rules=self.rules, today=self.today)
        self.codes.add(str(values["vehicle_code"]))
        self.batteries.add(str(values["battery_code"]))
        self.good.append(typed)
        self.values.append({**values, "dealer_id": self.dealer_id})
        return True

    def _check(self, inputs: Inputs, given: Mapping[str, Any], stands: Bike | None) -> None:
        """Add everything that is wrong with a row, so that a person corrects it once."""
        for name, clean in (
            ("vehicle_code", clean_vehicle_code),
            ("battery_code", clean_battery_code),
            ("certificate_no", clean_paper_number),
        ):
            if name in given:
                inputs.take(name, clean, given[name])
        check_facts(inputs=inputs, given=given, rules=self.rules, today=self.today)
        vehicle_code = _bare(given.get("vehicle_code", ""))
        if stands is not None or vehicle_code in self.codes:
            inputs.refuse(BikeAlreadyCoded(vehicle_code=vehicle_code))
        battery_code = "".join(given.get("battery_code", "").split()).upper()
        if battery_code in self.batteries:
            inputs.refuse(BatteryAlreadyCoded(battery_code=battery_code))

    def store(self, session: Session, *, actor: str) -> bool:
        """Store the rows set aside; False where another counter took in one of their bikes or batteries meanwhile."""
        if not self.values:
            return True
        # In one order everywhere, so that two lists with the same bikes never wait for each other.
        ordered = sorted(self.values, key=lambda values: str(values["vehicle_code"]))
        rows = [{**values, "registration_code": new_registration_code()} for values in ordered]
        inserted = session.scalars(insert(Bike).on_conflict_do_nothing().returning(Bike), rows).all()
        coded = [
            {
                "battery_code": bike.battery_code,
                "registration_code": new_registration_code(),
                "kind": bike.battery_kind,
                "bike_id": bike.id,
            }
            for bike in inserted
        ]
        if len(inserted) != len(rows):
            return False
        fitted = session.scalars(insert(Battery).on_conflict_do_nothing().returning(Battery.id), coded).all()
        for bike in inserted:
            note_stocked(session=session, bike=bike, actor=actor)
        return len(fitted) == len(rows)


def _require_same(stands: Bike, typed: NewBike) -> None:
    for name in _COMPARED:
        old, new = getattr(stands, name), getattr(typed, name)
        if name in ("vehicle_code", "certificate_no"):
            new = _bare(str(new))
        if old != new:
            raise StockDiffers(field=name, header=HEADERS[name], field_en=name)


def _bare(typed: str) -> str:
    try:
        return clean_vehicle_code(typed)
    except Refusal:
        return "".join(typed.split()).upper()


def _problem(row: SheetRow, findings: list[RowFinding]) -> dict[str, Any]:
    told = [
        {
            "field": each.refusal.field,
            "header": each.header,
            "code": each.refusal.code,
            "zh": each.refusal.message_zh,
            "en": each.refusal.message_en,
            "remedy_zh": each.refusal.help_zh,
            "remedy_en": each.refusal.help_en,
        }
        for each in sorted(findings, key=lambda each: _PLACES.get(each.header, len(COLUMNS)))
    ]
    # Neither a row of JSONB nor a cell of Excel holds control characters.
    cells = ["".join(letter for letter in cell if letter >= " ")[:200] for cell in row.cells]
    return {"line": row.line, "cells": cells, "findings": told}
