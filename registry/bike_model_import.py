"""The catalogue of models from a file, as stock-in reads its own (registry/stock_sheet.py)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from registry.base import Refusal
from registry.bike_models import ModelFacts, keep_model
from registry.stock_sheet import (
    MEASURE_COLUMNS,
    Column,
    RowFinding,
    clean_row,
    findings_of,
    read_day,
    read_kind,
    read_sheet,
    read_text,
)

MODEL_COLUMNS = (
    Column(header="企业代码", field="maker_code", read=read_text, example="1182"),
    Column(header="型号", field="name", read=read_text, example="TDT2601Z"),
    Column(header="CCC证书编号", field="ccc_no", read=read_text, example="2026011119000001"),
    Column(header="执行标准", field="standard", read=read_text, example="GB 17761-2024"),
    Column(header="有效期起", field="valid_from", read=read_day, example="2025-09-01"),
    Column(header="有效期止", field="valid_until", read=read_day, example="2030-08-31"),
    Column(header="电池种类", field="battery_kind", read=read_kind, example="锂"),
    *MEASURE_COLUMNS,
)
MODEL_HEADERS = {column.field: column.header for column in MODEL_COLUMNS}


@dataclass(slots=True, kw_only=True)
class ModelImport:
    """How an import went: rows read = added + changed + unchanged + those with findings."""

    read: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    findings: list[RowFinding] = field(default_factory=list)


def import_models(*, session: Session, path: Path, dry_run: bool, actor: str) -> ModelImport:
    """Add or correct the catalogue entries of a file; the same file again changes nothing. A dry run only says so.

    The transaction is left to the caller. Raises FilingFileUnreadable, FilingColumnsMissing and TooManyRows.
    """
    report = ModelImport()
    rows = list(read_sheet(path, MODEL_COLUMNS))
    report.read = len(rows)
    trial = session.begin_nested()
    for row in rows:
        try:
            with session.begin_nested():
                facts = ModelFacts(**clean_row(row, MODEL_COLUMNS))
                _, became = keep_model(session=session, facts=facts, actor=actor)
        except Refusal as refusal:
            report.refused += 1
            report.findings += findings_of(line=row.line, refusal=refusal, headers=MODEL_HEADERS)
            continue
        setattr(report, became, getattr(report, became) + 1)
    if dry_run:
        trial.rollback()
    else:
        trial.commit()
    return report
