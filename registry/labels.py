"""Which labels a dealer prints for its stock: of bikes or of their batteries, by code as typed or the newest."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from registry.base import Refusal
from registry.batteries import Battery
from registry.bikes import Bike

MOST_LABELS = 500


class LabelsNotInStock(Refusal):
    """Some codes are of no bike that this dealer has in stock. Another dealer's are told in the same words as none."""

    code = "labels_not_in_stock"
    zh = "这些赋码不在本店库存里：{codes}。"
    en = "These registration codes are not in your stock: {codes}."
    remedy_zh = "请照库存里的赋码核对；卖出的车不再印标签。"
    remedy_en = "Compare with your stock; no label is printed for a bike that was sold."
    default_field = "codes"


class TooManyLabels(Refusal):
    """One call prints a bounded number of labels."""

    code = "too_many_labels"
    zh = "一次最多印 {most} 张标签，这里有 {count} 张。"
    en = "At most {most} labels are printed at once; these are {count}."
    remedy_zh = "请分几次印。"
    remedy_en = "Print them in several goes."
    default_field = "codes"


class NoLabels(Refusal):
    """There is nothing in stock to print a label for."""

    code = "no_labels"
    kind = "conflict"
    zh = "库存里没有要印标签的车。"
    en = "There is no bike in stock to print a label for."
    remedy_zh = "先把新车入库，再印标签。"
    remedy_en = "Take the bikes into stock first."


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """The codes of one bike in stock and of the battery in it; ``battery_registration_code`` None without one."""

    registration_code: str
    vehicle_code: str
    battery_code: str
    battery_registration_code: str | None


def coded_in_stock(*, session: Session, dealer_id: int, codes: str, newest: int) -> list[Coded]:
    """Return the bikes with these registration codes, or those of their batteries, in the order named, each once.

    ``codes`` stand with commas, spaces or lines between them; without a code the ``newest`` in stock are returned,
    newest first. Raises TooManyLabels, LabelsNotInStock and NoLabels.
    """
    named = list(dict.fromkeys(code.upper() for code in re.split(r"[\s,，、;；]+", codes) if code))
    if len(named) > MOST_LABELS:
        raise TooManyLabels(most=MOST_LABELS, count=len(named))
    if not named:
        rows = session.execute(_stock(dealer_id).order_by(Bike.id.desc()).limit(min(newest, MOST_LABELS)))
        stock = [Coded(**row._mapping) for row in rows]
        if not stock:
            raise NoLabels
        return stock
    asked = or_(Bike.registration_code.in_(named), Battery.registration_code.in_(named))
    found: dict[str | None, Coded] = {}
    for row in session.execute(_stock(dealer_id).where(asked)):
        coded = Coded(**row._mapping)
        found |= {coded.registration_code: coded, coded.battery_registration_code: coded}
    unknown = [code for code in named if code not in found]
    if unknown:
        shown = "、".join(code[:12] for code in unknown[:5])
        raise LabelsNotInStock(codes=shown if len(unknown) <= 5 else f"{shown}……")
    return list(dict.fromkeys(found[code] for code in named))


def _stock(dealer_id: int) -> Select[str, str, str, str]:
    return (
        select(
            Bike.registration_code,
            Bike.vehicle_code,
            Bike.battery_code,
            Battery.registration_code.label("battery_registration_code"),
        )
        .outerjoin(Battery, Battery.bike_id == Bike.id)
        .where(Bike.dealer_id == dealer_id, Bike.state == "in_stock")
    )
