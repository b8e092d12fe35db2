"""A point's month: what it gave, where its customers' money stands, and that the sums are those of the books."""

from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine, func, select

from app.config import Settings
from registry.bikes import Sale
from registry.trade_ins import TradeIn
from subsidy.dealer_money import PointMoney, month_of, point_money
from subsidy.dealer_money_sheet import settlement_workbook
from subsidy.payouts import Payout
from subsidy.reconciliation import business_day
from tests.subsidy.paid_queue import PaidQueue
from tests.subsidy.payout_rows import AMOUNT_FEN


@pytest.fixture
def queue(settings: Settings, engine: Engine) -> PaidQueue:
    """Six sales: one paid, two owed, two that await a wallet, one waiting in the line."""
    queue = PaidQueue(settings, engine, count=6, places=5)
    first, second, third, *_ = queue.payouts()
    queue.confirm(first, "W1001")
    assert queue.pay() == "settled"
    queue.age(third, 2)
    queue.confirm(second, "W1002")
    queue.confirm(third, "W1003")
    return queue


def read(queue: PaidQueue) -> PointMoney:
    now = datetime.now(UTC)

    def ask(session):  # type: ignore[no-untyped-def]
        dealer_id = session.scalars(select(TradeIn.dealer_id).distinct()).one()
        sold_at = session.scalars(select(Sale.sold_at).limit(1)).one()
        return point_money(session=session, dealer_id=dealer_id, month=month_of(None, now=sold_at), now=now)

    money: PointMoney = queue.do(ask)
    return money


def test_each_customers_subsidy_is_told_and_the_sums_are_the_books(queue: PaidQueue) -> None:
    money = read(queue)
    assert [sale.state for sale in money.sales] == ["settled", "owed", "owed", *["awaiting_wallet"] * 2, "waiting"]
    assert [sale.waiting_since is not None for sale in money.sales] == [False, True, True, True, True, False]
    totals = money.totals
    assert totals["subsidy_paid_fen"] == queue.balances()["paid:1"] == AMOUNT_FEN
    assert totals["subsidy_owed_fen"] == queue.balances()["committed:1"] == 4 * AMOUNT_FEN
    rows = queue.do(lambda s: s.execute(select(func.sum(Sale.discount_fen), func.sum(Sale.deduction_fen))).one())
    assert (totals["discount_fen"], totals["deduction_fen"]) == tuple(rows)
    assert totals["fronted_fen"] == sum(rows)
    paid = queue.do(lambda s: s.scalar(select(func.sum(Payout.amount_fen)).where(Payout.state == "settled")))
    assert totals["subsidy_paid_fen"] == paid


def test_the_expected_day_follows_the_pace_and_the_order(queue: PaidQueue) -> None:
    money = read(queue)
    assert money.paid_per_day == 1
    today = business_day(money.as_of)
    expected = [sale.expected_on for sale in money.sales]
    assert expected[2] == today + timedelta(days=1), "owed longest"
    assert expected[1] == today + timedelta(days=2)
    assert expected[0] is expected[3] is expected[5] is None


def test_the_workbook_says_the_same_to_the_fen_and_runs_nothing(queue: PaidQueue) -> None:
    money = read(queue)
    body = settlement_workbook(money=money, point="=HYPERLINK(1)车行")
    rows = CalamineWorkbook.from_filelike(BytesIO(body)).get_sheet_by_index(0).to_python()
    assert rows[0][0].startswith("=HYPERLINK(1)车行")
    sales = rows[4 : 4 + len(money.sales)]
    assert [row[0] for row in sales] == [sale.reference for sale in money.sales]
    total = rows[4 + len(money.sales)]
    for place in (3, 4, 5, 8):
        assert round(total[place] * 100) == sum(round(row[place] * 100) for row in sales)
    assert [round(rows[5 + len(money.sales) + n][8] * 100) for n in range(2)] == [AMOUNT_FEN, 4 * AMOUNT_FEN]


def test_another_month_is_empty(queue: PaidQueue) -> None:
    def ask(session):  # type: ignore[no-untyped-def]
        dealer_id = session.scalars(select(TradeIn.dealer_id).distinct()).one()
        return point_money(
            session=session, dealer_id=dealer_id, month=month_of("2020-02", now=queue.now), now=queue.now
        )

    assert queue.do(ask).totals["sales"] == 0
