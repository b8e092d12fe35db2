"""Selling the new bike: from this point's stock, compliant on that day, to the old bike's owner, the price in full."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import audit
from registry.base import Refusal
from registry.bike_models import SOLD, ModelNotCertified, require_certified
from registry.bikes import BIKE, Bike, Sale
from registry.codes import clean_vehicle_code
from registry.compliance import COMPLIANT, Measured, require_compliant
from registry.inputs import Inputs
from registry.trade_ins import TRADE_IN, Reach, TradeIn, lock_trade_in
from registry.uniqueness import refusing_duplicates

LOCAL = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What the owner paid and why, in fen: paid = list price − discount (车企让利) − deduction (回收抵扣)."""

    list_price_fen: int
    discount_fen: int
    deduction_fen: int
    paid_fen: int


class BikeNotInStock(Refusal):
    """The point has no such bike in stock: unknown, another dealer's, or sold."""

    code = "bike_not_in_stock"
    zh = "本店库存里没有整车编码 {vehicle_code} 的车。"
    en = "This point has no bike {vehicle_code} in stock."
    remedy_zh = "请核对编码；新到的车请先入库赋码。已经卖掉的车不能再卖。"
    remedy_en = "Check the code; take a new bike into stock first. A bike that was sold cannot be sold again."
    default_field = "vehicle_code"


class BikeSoldBefore(Refusal):
    """The bike was sold in a trade-in and came back: it is stock, and no new bike any more (policy: eligibility)."""

    code = "bike_sold_before"
    zh = "整车编码 {vehicle_code} 的车卖出过又退回，不能再用于置换。"
    en = "The bike {vehicle_code} was sold before and came back; it cannot be sold in a trade-in again."
    remedy_zh = "请给车主换一辆没有卖过的新车。"
    remedy_en = "Sell the owner a bike that was never sold."
    default_field = "vehicle_code"


class PriceDoesNotAddUp(Refusal):
    """Paid is not list price less discount less deduction, or an amount is below zero."""

    code = "price_does_not_add_up"
    zh = "金额对不上：标价减让利减抵扣应是 {should_be_yuan} 元。"
    en = "The amounts do not add up: list price less discount less deduction is {should_be_yuan} yuan."
    remedy_zh = "请对照发票核对标价、让利、抵扣和实付四个金额。"
    remedy_en = "Compare all four amounts with the invoice."
    default_field = "paid_fen"


class PriceMissing(Refusal):
    """A list price or a price paid of zero: nobody displays or pays that."""

    code = "price_missing"
    zh = "{what_zh}不能是 0 元。"
    en = "The {what_en} cannot be 0 yuan."
    remedy_zh = "请照价签和发票填写，让利和抵扣另填。"
    remedy_en = "Copy it from the price tag and the invoice; discount and deduction have fields of their own."
    default_field = "list_price_fen"


class InvoiceInvalid(Refusal):
    """An invoice number has 8 to 24 letters and digits."""

    code = "invoice_invalid"
    zh = "发票号码不对。"
    en = "The invoice number is not valid."
    remedy_zh = "发票号码是 8 到 24 位字母或数字，请照发票填写。"
    remedy_en = "An invoice number has 8 to 24 letters or digits; copy it from the invoice."
    default_field = "invoice_no"


class InvoiceUsed(Refusal):
    """One invoice stands for one sale."""

    code = "invoice_used"
    zh = "发票号码 {invoice_no} 已经用过。"
    en = "The invoice {invoice_no} was used before."
    remedy_zh = "请核对发票号码；一张发票只能用于一辆车。"
    remedy_en = "Check the number; one invoice is for one bike."
    default_field = "invoice_no"


def sell_new_bike(
    *,
    session: Session,
    reference: str,
    reach: Reach,
    vehicle_code: str,
    invoice_no: str,
    price: Price,
    actor: str,
    now: datetime,
) -> TradeIn:
    """Sell a bike of the point's stock to the trade-in's owner; → ``new_bike_sold``.

    The transaction is left to the caller. Raises TradeInNotFound, StepNotAllowed, VehicleCodeInvalid, InvoiceInvalid,
    InvoiceUsed, PriceMissing, PriceDoesNotAddUp, BikeNotInStock, BikeSoldBefore, BikeNotCompliant and
    ModelNotCertified; several at once where several are wrong.
    """
    trade_in = lock_trade_in(session=session, reference=reference, reach=reach)
    following = TRADE_IN.after(state=trade_in.state, step="sell")
    inputs = Inputs()
    vehicle_code = inputs.take("vehicle_code", clean_vehicle_code, vehicle_code)
    invoice_no = inputs.take("invoice_no", clean_invoice_no, invoice_no)
    _check_price(inputs, price)
    inputs.check()
    bike = _take_from_stock(session=session, dealer_id=trade_in.dealer_id, vehicle_code=vehicle_code, now=now)
    sale = _book(session=session, trade_in=trade_in, bike=bike, invoice_no=invoice_no, price=price, now=now)
    trade_in.state = following
    trade_in.bike_id, trade_in.sale_id, trade_in.sold_at = bike.id, sale.id, now
    trade_in.compliance = COMPLIANT
    facts = {"vehicle_code": vehicle_code, "invoice_no": invoice_no, "paid_fen": price.paid_fen}
    detail = {**audit.changes_of(trade_in, "state"), **facts}
    audit.record(session=session, actor=actor, action="trade_in.sold", subject=f"trade_in:{reference}", detail=detail)
    session.flush()
    return trade_in


def clean_invoice_no(text: str) -> str:
    """Return the invoice number in capitals without spaces; raises InvoiceInvalid."""
    number = re.sub(r"[\s-]", "", text).upper()
    if not re.fullmatch(r"[A-Z0-9]{8,24}", number, re.ASCII):
        raise InvoiceInvalid
    return number


def _check_price(inputs: Inputs, price: Price) -> None:
    if price.list_price_fen == 0:
        inputs.refuse(PriceMissing(what_zh="标价", what_en="list price"))
    should_be = price.list_price_fen - price.discount_fen - price.deduction_fen
    if price.paid_fen != should_be or min(price.list_price_fen, price.discount_fen, price.deduction_fen, should_be) < 0:
        inputs.refuse(PriceDoesNotAddUp(should_be_yuan=f"{should_be / 100:.2f}"))
    elif price.paid_fen == 0 and price.list_price_fen:
        inputs.refuse(PriceMissing(field="paid_fen", what_zh="实付", what_en="price paid"))


def _take_from_stock(*, session: Session, dealer_id: int, vehicle_code: str, now: datetime) -> Bike:
    bike = session.scalar(
        select(Bike)
        .where(Bike.vehicle_code == vehicle_code, Bike.dealer_id == dealer_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if bike is None or not BIKE.allows(state=bike.state, step="sell"):
        raise BikeNotInStock(vehicle_code=vehicle_code)
    measured = Measured(**{name: getattr(bike, name) for name in Measured.__slots__})
    sold_on = now.astimezone(LOCAL).date()
    require_compliant(session=session, bike=measured, sold_on=sold_on)
    try:
        require_certified(
            session=session,
            vehicle_code=vehicle_code,
            model=bike.model,
            standard=bike.standard,
            day=sold_on,
            moment=SOLD,
        )
    except ModelNotCertified as refusal:
        refusal.field = "vehicle_code"  # what the sale was asked with: the model stands in the stock entry
        raise
    return bike


def _book(*, session: Session, trade_in: TradeIn, bike: Bike, invoice_no: str, price: Price, now: datetime) -> Sale:
    sale = Sale(
        bike_id=bike.id,
        buyer_id=trade_in.owner_id,
        invoice_no=invoice_no,
        sold_at=now,
        list_price_fen=price.list_price_fen,
        discount_fen=price.discount_fen,
        deduction_fen=price.deduction_fen,
        paid_fen=price.paid_fen,
    )
    duplicates: dict[str, Refusal] = {
        "uq_sale_invoice_no": InvoiceUsed(invoice_no=invoice_no),
        "uq_sale_bike_id": BikeSoldBefore(vehicle_code=bike.vehicle_code),
    }
    with refusing_duplicates(session, duplicates):
        session.add(sale)
    bike.state = BIKE.after(state=bike.state, step="sell")
    return sale
