"""Label sheets for what is coded in stock: A4, 24 labels a sheet, each with its registration code as text and QR."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from app.print.qr import qr_for_label
from app.print.typesetting import typeset
from registry.labels import Coded, NoLabels

TEMPLATE = "labels.typ"
LABELS_A_SHEET = 24
QR_MM = 26

Kind = Literal["bike", "battery"]


def labels_pdf(*, coded: Sequence[Coded], kind: Kind, now: datetime) -> bytes:
    """Return one label for each bike, or for the battery in each, in their order, as PDF.

    Raises NoLabels where there is none to print, FontsMissing and PrinterBusy.
    """
    return typeset(TEMPLATE, labels_data(coded=coded, kind=kind), now=now)[0]


def labels_data(*, coded: Sequence[Coded], kind: Kind) -> dict[str, Any]:
    """Return what the template prints. The QR holds the registration code: what a scanner types at the counter."""
    labels = [_of_bike(each) for each in coded] if kind == "bike" else _of_batteries(coded)
    if not labels:
        raise NoLabels
    return {"title": f"赋码标签 {len(labels)} 张", "labels": labels}


def _of_bike(coded: Coded) -> dict[str, Any]:
    facts = [("整车编码", coded.vehicle_code), ("电池编码", coded.battery_code)]
    if coded.battery_registration_code:
        facts.append(("电池赋码", coded.battery_registration_code))
    return _label("车辆赋码", coded.registration_code, facts)


def _of_batteries(coded: Sequence[Coded]) -> list[dict[str, Any]]:
    return [
        _label(
            "电池赋码",
            each.battery_registration_code,
            [("电池编码", each.battery_code), ("装在车辆", each.registration_code)],
        )
        for each in coded
        if each.battery_registration_code
    ]


def _label(name: str, code: str, facts: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "name": name,
        "code": code,
        "qr": qr_for_label(code, side_mm=QR_MM),
        "facts": [{"name": fact, "value": value} for fact, value in facts],
    }
