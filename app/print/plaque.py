"""The plaque (代办点标牌) that hangs at a licensed point's door: its number, who it is, until when, and a QR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.print.qr import qr_for_wall
from app.print.typesetting import typeset
from registry.base import Refusal
from registry.points import PublicPoint

if TYPE_CHECKING:
    from app.web.place import Place

TEMPLATE = "plaque.typ"
QR_MM = 74


class PlaqueNotDue(Refusal):
    """A plaque is printed for a point that is licensed, and for no other."""

    code = "plaque_not_due"
    kind = "conflict"
    zh = "{name}现在没有有效的授牌，标牌和海报不能印。"
    en = "{name} is not licensed now; its plaque and poster are not printed."
    remedy_zh = "恢复授牌或者续期以后再印。"
    remedy_en = "Print them once the licence is restored or renewed."


def require_licence(*, point: PublicPoint) -> None:
    """Raise PlaqueNotDue unless the point's licence is in force at the instant it was read."""
    if not point.licensed:
        raise PlaqueNotDue(name=point.name)


def plaque_pdf(*, point: PublicPoint, place: Place, public_url: str) -> bytes:
    """Return the plaque as PDF: A4 across, 3 mm of bleed. Raises PlaqueNotDue, FontsMissing and PrinterBusy."""
    require_licence(point=point)
    return typeset(TEMPLATE, plaque_data(point=point, place=place, public_url=public_url), now=point.as_of)[0]


def plaque_data(*, point: PublicPoint, place: Place, public_url: str) -> dict[str, Any]:
    """Return what the template prints."""
    facts = [
        {"label": "统一社会信用代码", "value": point.credit_code},
        {"label": "授牌有效期至", "value": _day(point)},
        {"label": "监督电话", "value": "12345"},
    ]
    return {
        "title": f"代办点标牌 {point.point_no}",
        "bureau": place.bureau,
        "heading": "电动自行车淘汰置换代办点",
        "number_label": "代办点编号",
        "point_no": point.point_no,
        "name": point.name,
        "qr": qr_for_wall(point_link(public_url=public_url, point_no=point.point_no), side_mm=QR_MM),
        "scan": "微信扫一扫，核对本店",
        "scan_what": "是不是授牌的、现在能不能办",
        "facts": facts,
    }


def point_link(*, public_url: str, point_no: str) -> str:
    """Return the address of the point's public page."""
    return f"{public_url}/points/{point_no}"


def _day(point: PublicPoint) -> str:
    until = point.licensed_until
    return "长期" if until is None else f"{until.year} 年 {until.month} 月 {until.day} 日"
