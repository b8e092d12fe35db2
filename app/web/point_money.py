"""What a point gave at its sales of a month, when its customers' money comes, and the month's statement as Excel."""

from __future__ import annotations

import re
from datetime import date, timedelta

from flask import Response, abort, render_template, request

from app.access import requires
from app.api.bikes import workbook
from app.context import business_now
from app.db import db
from app.web.blueprint import web
from app.web.point import own_dealer
from subsidy.dealer_money import OWED_STATES, PointMoney, month_of, point_money
from subsidy.dealer_money_sheet import settlement_workbook

TAGS = {"settled": "done", "awaiting_wallet": "wait", "owed": "wait", "in_flight": "wait", "frozen": "wait"}
STOPPED = ("declined", "returned", "forfeited")


@web.get("/point/money", endpoint="point_money")
@requires("dealer")
def show_money() -> str:
    """The month's sums, and where each customer's subsidy stands; those who still wait first."""
    money = _money()
    first = [sale for sale in money.sales if sale.state in OWED_STATES]
    return render_template(
        "point_money.html",
        dealer=own_dealer(),
        money=money,
        sales=[*first, *(sale for sale in money.sales if sale.state not in OWED_STATES)],
        waiting=len(first),
        tags={**TAGS, **dict.fromkeys(STOPPED, "stop")},
        earlier=f"{money.month - timedelta(days=1):%Y-%m}",
        later=f"{(money.month + timedelta(days=32)).replace(day=1):%Y-%m}",
        is_present=money.month == month_of(None, now=business_now()),
    )


@web.get("/point/money/statement.xlsx", endpoint="point_statement")
@requires("dealer")
def download_statement() -> Response:
    """The month's settlement statement."""
    money = _money()
    body = settlement_workbook(money=money, point=own_dealer().name)
    return workbook(body, f"settlement-{money.month:%Y-%m}.xlsx")


def _money() -> PointMoney:
    return point_money(session=db.session(), dealer_id=own_dealer().id, month=_month(), now=business_now())


def _month() -> date:
    typed = request.args.get("month")
    if typed and not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", typed, re.ASCII):
        abort(404)
    return month_of(typed, now=business_now())
