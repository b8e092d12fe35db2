"""What a point gave at its sales of a month, when its customers' money comes, and the month's statement as Excel."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

from flask import Response, abort, render_template, request

from app.access import requires
from app.api.bikes import workbook
from app.context import business_now
from app.db import db
from app.web.blueprint import web
from app.web.language import _, _l, in_english
from app.web.point import own_dealer
from app.web.wording import MONTHS, yuan
from subsidy.dealer_money import OWED_STATES, PointMoney, PointSale, month_of, point_money
from subsidy.dealer_money_sheet import settlement_workbook

TAGS = {"settled": "done", "awaiting_wallet": "wait", "owed": "wait", "in_flight": "wait", "frozen": "wait"}
STOPPED = ("declined", "returned", "forfeited")
SUMS = {"fronted": "fronted", "owed": "subsidy_owed", "paid": "subsidy_paid"}
STATE_WORDS = {
    "open": _l("置换还没办完"),
    "waiting": _l("排队等名额"),
    "held": _l("核对中，名额留着"),
    "awarded": _l("给予补贴"),
    "declined": _l("不予补贴"),
    "returned": _l("已退"),
    "forfeited": _l("逾期未领"),
    "awaiting_wallet": _l("等车主填钱包"),
    "owed": _l("待发放"),
    "in_flight": _l("等银行答复"),
    "settled": _l("已到账"),
    "frozen": _l("局里核对中"),
    "withdrawn": _l("发放已取消"),
}


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
        sales=[_shown(sale) for sale in (*first, *(each for each in money.sales if each.state not in OWED_STATES))],
        waiting=len(first),
        amounts={name: yuan(money.totals[f"{field}_fen"]) for name, field in SUMS.items()},
        month_title=_month_title(money.month),
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


def _shown(sale: PointSale) -> dict[str, Any]:
    tag = "stop" if sale.state in STOPPED else TAGS.get(sale.state, "")
    return {"row": sale, "tag": tag, "state_word": STATE_WORDS.get(sale.state, sale.state)}


def _month_title(month: date) -> str:
    if in_english():
        return f"Accounts of {MONTHS[month.month - 1]} {month.year}"
    return _("%(year)s 年 %(month)s 月的账", year=month.year, month=month.month)


def _money() -> PointMoney:
    return point_money(session=db.session(), dealer_id=own_dealer().id, month=_month(), now=business_now())


def _month() -> date:
    typed = request.args.get("month")
    if typed and not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", typed, re.ASCII):
        abort(404)
    return month_of(typed, now=business_now())
