"""What a scanned or typed code opens at the counter: a trade-in, the form of a new one, the stock, or an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import requires
from app.context import keyring, settings
from app.db import db
from app.plate_keys import plate_keys
from app.web.blueprint import web
from app.web.forms import LONGEST, said
from app.web.language import _
from app.web.place import place_of
from app.web.point import own_dealer
from app.web.point_list import shown_item
from app.web.trade_in_record import read_record
from registry import finding
from registry.base import Refusal
from registry.bikes import Bike
from registry.codes import clean_reference, clean_vehicle_code, is_checked, vehicle_code_in_certificate
from registry.dealers import Dealer
from registry.filings import FilingNotFound
from registry.plate_codes import clean_code, verify_code

PLATE = re.compile(r"(?<![A-Z0-9])([A-Z])[ ·-]?(\d{6})(?![A-Z0-9])")
VEHICLE_CODE = re.compile(r"(?<!\d)\d{15}(?!\d)", re.ASCII)
REGISTRATION_CODE_LENGTH = 10
# One chooser shows so many; who waits for a bike at a counter stands in the shop.
SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An answer in words. ``choices`` are trade-ins to choose among, ``way_on`` an address and its word.

    ``here`` says that the code is known and this point's own.
    """

    title: str
    lines: tuple[str, ...] = ()
    choices: list[dict[str, Any]] = field(default_factory=list)
    vehicle_code: str = ""
    here: bool = False
    way_on: tuple[str, str] | None = None


@web.get("/point/scan", endpoint="point_scan")
@requires("dealer")
def scan() -> Response | str | tuple[str, int]:
    """Lead a scanned or typed text to the step it belongs to, or say in words what it is."""
    text = request.args.get("text", "").strip()[:LONGEST]
    dealer = own_dealer()
    found = decide(dealer, text)
    if isinstance(found, str):
        return redirect(found, 303)
    page = render_template("point_scanned.html", dealer=dealer, found=found, text=text[:80])
    return page if found.here else (page, 404)


def decide(dealer: Dealer, text: str) -> str | Found:
    """Return the address the text opens, or what to say; the most specific kind of code is tried first."""
    if not text:
        return Found(title=_("没有扫到内容"), lines=(_("请再扫一次，或者照着手工填。"),))
    for opened in (_by_plate_code, _by_reference, _by_registration_code, _by_vehicle_code, _by_plate):
        found = opened(dealer, text)
        if found is not None:
            return found
    return Found(
        title=_("认不出这个码"),
        lines=(_("能认的有：旧号牌、我们印的号牌二维码和赋码、合格证二维码或 15 位整车编码、查询号。"),),
    )


def _by_plate_code(dealer: Dealer, text: str) -> str | Found | None:
    """The signed code on a plate we issued: it stands on a new bike."""
    try:
        clean_code(text)
    except Refusal:
        return None
    try:
        facts = verify_code(text=text, keys=plate_keys(settings()).public)
    except Refusal as refusal:
        return _refused(refusal)
    return _new_plate(dealer, facts.plate_no)


def _by_reference(dealer: Dealer, text: str) -> str | Found | None:
    try:
        reference = clean_reference(text.rstrip("/").rpartition("/")[2])
    except Refusal:
        return None
    if finding.trade_in_here(session=db.session(), reference=reference, dealer_id=dealer.id) is not None:
        return _page_of(reference)
    return Found(
        title=_("本店没有这一单"),
        lines=(_("查询号 %(reference)s 不是本店登记的。请车主到登记的那家代办点办。", reference=reference),),
    )


def _by_registration_code(dealer: Dealer, text: str) -> str | Found | None:
    """A registration code, of a bike or of the battery in one."""
    code = text.rstrip("/").rpartition("/")[2].upper()
    if len(code) != REGISTRATION_CODE_LENGTH or not is_checked(code):
        return None
    bike = finding.bike_by_registration_code(session=db.session(), code=code)
    if bike is None:
        return Found(title=_("没有这个赋码"), lines=(_("%(code)s 没有登记过，请再扫一次。", code=code),))
    return _bike(dealer, bike)


def _by_vehicle_code(dealer: Dealer, text: str) -> str | Found | None:
    """The 15 digits of a vehicle code, or the address in a certificate's QR that holds them."""
    typed = VEHICLE_CODE.search(re.sub(r"(?<=\d)[ -](?=\d)", "", text))
    try:
        code = vehicle_code_in_certificate(text)
    except Refusal:
        if typed is None:
            return None
        code = typed[0]
    try:
        clean_vehicle_code(code)
    except Refusal as refusal:
        return _refused(refusal)
    bike = finding.bike_by_vehicle_code(session=db.session(), vehicle_code=code)
    if bike is not None:
        return _bike(dealer, bike)
    certificate = text if "//" in text or "?" in text else None
    return url_for("web.point_stock", vehicle_code=code, certificate=certificate)


def _by_plate(dealer: Dealer, text: str) -> str | Found | None:
    """A filed bike's plate: its trade-in here, or the form that opens one."""
    found = PLATE.search(text.upper().removeprefix(place_of(settings().district).city).strip())
    if found is None:
        return None
    plate_no = found[1] + found[2]
    session = db.session()
    bike = finding.filed_bike_by_plate(session=session, plate_no=plate_no)
    if bike is None:
        return _new_plate(dealer, plate_no)
    here = finding.trade_in_of_filed_bike(session=session, filed_bike_id=bike.id, dealer_id=dealer.id)
    return _page_of(here.reference) if here else url_for("web.point_open", plate_no=plate_no)


def _new_plate(dealer: Dealer, plate_no: str) -> str | Found:
    bike = finding.bike_by_plate(session=db.session(), plate_no=plate_no)
    if bike is None:
        return _refused(FilingNotFound(plate_no=plate_no))
    return _bike(dealer, bike)


def _bike(dealer: Dealer, bike: Bike) -> str | Found:
    """A bike we know: the trade-in it was sold in, those that wait for a bike, or why it cannot be sold here."""
    if bike.dealer_id != dealer.id:
        return Found(
            title=_("这辆车登记在别的店"),
            lines=(_("整车编码 %(code)s 不在本店的库里，本店不能卖。", code=bike.vehicle_code),),
        )
    if bike.state != "in_stock":
        sold_in = finding.trade_in_of_bike(session=db.session(), bike_id=bike.id)
        if sold_in is not None:
            return _page_of(sold_in.reference)
        return Found(title=_("这辆车已经卖出"), lines=(bike.model,), here=True)
    waiting = finding.waiting_for_a_bike(session=db.session(), dealer_id=dealer.id, limit=SHOWN)
    if len(waiting) == 1:
        return url_for("web.point_trade_in", reference=waiting[0].reference, vehicle_code=bike.vehicle_code)
    if waiting:
        records = [read_record(session=db.session(), keyring=keyring(), trade_in=each) for each in waiting]
        return Found(
            title=_("卖给哪一位？"),
            lines=(_("%(model)s 在库。这几位的旧号牌已注销，等着买新车。", model=bike.model),),
            choices=[shown_item(record) for record in records],
            vehicle_code=bike.vehicle_code,
            here=True,
        )
    return Found(
        title=_("%(model)s，在库", model=bike.model),
        lines=(
            _("整车编码 %(code)s，赋码 %(mark)s。", code=bike.vehicle_code, mark=bike.registration_code),
            _("现在没有等买新车的置换。旧号牌注销以后再扫，就能卖这一辆。"),
        ),
        way_on=(url_for("web.point_open"), _("登记一辆旧车")) if dealer.may_open_trade_ins else None,
        here=True,
    )


def _refused(refusal: Refusal) -> Found:
    """A refusal as a page: what is wrong is the heading, which ends in no full stop."""
    title, remedy = said(refusal)
    return Found(title=re.sub(r"[\u3002.]$", "", title), lines=(remedy,))


def _page_of(reference: str) -> str:
    return url_for("web.point_trade_in", reference=reference)
