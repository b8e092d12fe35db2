"""What a point gave at its sales, where its customers' subsidies stand, and the month as a workbook."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.access import requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant
from app.auth import caller
from app.context import business_now
from app.db import db
from app.schemas.payouts import MonthQuery, PointMoneyAnswer
from registry.dealers import Dealer
from subsidy.dealer_money import PointMoney, PointSale, month_of, point_money
from subsidy.dealer_money_sheet import settlement_workbook

blueprint = ApiBlueprint("dealer_money", __name__, url_prefix="/api/my-point", description="Dealers' money")

EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PLAIN = (
    "reference",
    "list_price_fen",
    "discount_fen",
    "deduction_fen",
    "fronted_fen",
    "paid_fen",
    "position",
    "subsidy_fen",
    "state",
    "state_zh",
)


@blueprint.route("/money", methods=["GET"])
@requires("dealer")
@described(blueprint, 422, 503)
@blueprint.arguments(MonthQuery, location="query")
@blueprint.response(200, PointMoneyAnswer)
def show_money(query: dict[str, Any]) -> dict[str, Any]:
    """My point's sales of a month, and where each customer's subsidy stands

    The subsidy goes to the owner's wallet, never through the point.
    """
    money = _money(query)
    return {
        "month": f"{money.month:%Y-%m}",
        "as_of": instant(money.as_of),
        "paid_per_day": money.paid_per_day,
        "totals": money.totals,
        "sales": [_sale(sale) for sale in money.sales],
    }


@blueprint.route("/statement.xlsx", methods=["GET"])
@requires("dealer")
@described(blueprint, 422, 503)
@blueprint.arguments(MonthQuery, location="query")
@blueprint.response(200, content_type=EXCEL, description="one sale a row, sums below; amounts in yuan to the fen")
def download_statement(query: dict[str, Any]) -> Response:
    """My point's settlement statement of a month, as Excel"""
    money = _money(query)
    point = db.session().get_one(Dealer, caller().dealer_id)
    body = settlement_workbook(money=money, point=point.name)
    headers = {
        "Content-Disposition": f'attachment; filename="settlement-{money.month:%Y-%m}.xlsx"',
        "Cache-Control": "private, no-store",
    }
    return Response(body, content_type=EXCEL, headers=headers)


def _money(query: dict[str, Any]) -> PointMoney:
    dealer_id, now = caller().dealer_id, business_now()
    assert dealer_id is not None, "a dealer's account has its dealer"
    return point_money(session=db.session(), dealer_id=dealer_id, month=month_of(query.get("month"), now=now), now=now)


def _sale(sale: PointSale) -> dict[str, Any]:
    return {
        **{name: getattr(sale, name) for name in PLAIN},
        "sold_at": instant(sale.sold_at),
        "waiting_since": instant(sale.waiting_since),
        "expected_on": sale.expected_on.isoformat() if sale.expected_on else None,
        "settled_at": instant(sale.settled_at),
    }
