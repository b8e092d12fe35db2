"""A point's stock: taking a new bike in from its certificate."""

from __future__ import annotations

from flask import flash, render_template, request, url_for

from app.access import requires
from app.api.documents import LOCAL
from app.auth import caller
from app.context import business_now
from app.db import db
from app.web.answering import Answer, take_form
from app.web.blueprint import web
from app.web.forms import Form
from app.web.language import _, _l
from app.web.point import count_stock, own_dealer
from registry.base import Refusal
from registry.codes import vehicle_code_in_certificate
from registry.compliance import known_standards
from registry.stocking import NewBike, list_stock, stock_in

FIELDS = (
    "certificate",
    "vehicle_code",
    "battery_code",
    "model",
    "standard",
    "made_on",
    "battery_kind",
    "weight",
    "top_speed",
    "motor",
    "voltage",
)
BATTERIES = (("lead_acid", _l("铅酸")), ("lithium", _l("锂")), ("sodium", _l("钠")), ("other", _l("其他")))
SHOWN = 50


@web.get("/point/stock", endpoint="point_stock")
@requires("dealer")
def stock() -> str:
    """The stock, and the form that takes a bike in, begun with what was scanned."""
    form = Form.read("certificate", "vehicle_code", source=request.args)
    form.fields = FIELDS
    return _page(form)


@web.post("/point/stock", endpoint="take_stock")
@requires("dealer")
def take_stock() -> Answer:
    """Take a bike into stock and show its registration code."""
    form = Form.read(*FIELDS)

    def work() -> str:
        bike = stock_in(
            session=db.session(),
            dealer_id=own_dealer().id,
            bike=_typed(form),
            actor=caller().actor,
            today=business_now().astimezone(LOCAL).date(),
        )
        flash(_("入库了，赋码 %(code)s。", code=bike.registration_code))
        return url_for("web.point_stock")

    names = {"certificate_no": "certificate", "certificate_url": "certificate"}
    return take_form(form=form, work=work, page=_page, names=names)


def _typed(form: Form) -> NewBike:
    """Return the bike as typed: the form speaks of kilograms, km/h and volts, the domain of g, m/h and mV."""
    form.text("certificate", _("还没有填合格证。"))
    form.text("battery_code", _("还没有填电池编码。"))
    form.text("model", _("还没有填品牌型号。"), longest=64)
    form.text("standard", _("还没有选执行标准。"))
    form.text("battery_kind", _("还没有选电池种类。"))
    if form.value("battery_kind") and form.value("battery_kind") not in dict(BATTERIES):
        form.blame("battery_kind", _("没有这种电池。"))
    address = "//" in form.value("certificate") or "?" in form.value("certificate")
    vehicle_code = form.value("vehicle_code") or _code_in(form.value("certificate") if address else "")
    made_on = form.day("made_on", _("生产日期"))
    measured = {
        "weight_g": form.scaled("weight", _("整车质量"), by=1000),
        "top_speed_m_h": form.scaled("top_speed", _("最高车速"), by=1000),
        "motor_w": form.scaled("motor", _("电机功率"), by=1),
        "voltage_mv": form.scaled("voltage", _("标称电压"), by=1000),
    }
    form.check()
    return NewBike(
        vehicle_code=vehicle_code,
        certificate_no=None if address else form.value("certificate"),
        certificate_url=form.value("certificate") if address else None,
        battery_code=form.value("battery_code"),
        battery_kind=form.value("battery_kind"),
        model=form.value("model"),
        standard=form.value("standard"),
        made_on=made_on,
        **measured,
    )


def _code_in(address: str) -> str:
    """Return the vehicle code in the certificate's address, empty where it has none: the domain says so itself."""
    try:
        return vehicle_code_in_certificate(address) if address else ""
    except Refusal:
        return ""


def _page(form: Form) -> str:
    dealer = own_dealer()
    return render_template(
        "point_stock.html",
        dealer=dealer,
        form=form,
        standards=[(standard, standard) for standard in known_standards(session=db.session())],
        batteries=BATTERIES,
        stock=list_stock(session=db.session(), dealer_id=dealer.id, limit=SHOWN),
        in_stock=count_stock(dealer),
    )
