"""Dealers' money: what a point gave at each sale, and where the subsidy of each of its customers stands.

Under this programme the point fronts the maker's discount and the deduction for the old bike; the subsidy goes from the
bureau to the owner's wallet, never through the point. So a point is owed nothing by the bureau; what it needs to know
is when the money that it promised its customers arrives.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Date, cast, func, select
from sqlalchemy.orm import Session

from registry.bikes import Sale
from registry.trade_ins import TradeIn
from subsidy.claims import CLAIM_WORDS, Claim
from subsidy.payouts import PAYOUT, Payout

SHANGHAI = ZoneInfo("Asia/Shanghai")
OPEN = "open"
OPEN_WORDS = "置换还没办完"
# The pace is the average over the last PACE_DAYS days on which money arrived, none of them older than LOOK_BACK.
PACE_DAYS, LOOK_BACK = 7, timedelta(days=30)
OWED_STATES = ("awaiting_wallet", "owed", "in_flight", "frozen")


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSale:
    """One sale to an owner who trades in. Amounts in fen; ``state`` is open, a claim's state or a payout's."""

    reference: str
    sold_at: datetime
    list_price_fen: int
    discount_fen: int
    deduction_fen: int
    paid_fen: int
    position: int | None
    subsidy_fen: int
    state: str
    waiting_since: datetime | None
    expected_on: date | None
    settled_at: datetime | None

    @property
    def fronted_fen(self) -> int:
        """What the point gave beyond the list price: discount and deduction."""
        return self.discount_fen + self.deduction_fen

    @property
    def state_zh(self) -> str:
        """The state in Chinese."""
        return PAYOUT.words.get(self.state) or CLAIM_WORDS.get(self.state, OPEN_WORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PointMoney:
    """A point's sales of one month (Asia/Shanghai), oldest first, as of an instant. ``month`` is its first day.

    ``paid_per_day`` is the pace at which subsidies arrive in the district, None where none has of late.
    """

    month: date
    as_of: datetime
    paid_per_day: int | None
    sales: tuple[PointSale, ...]

    @property
    def totals(self) -> dict[str, int]:
        """Sums over the sales, in fen: what was given, what owners still wait for, what has arrived."""
        return {
            "sales": len(self.sales),
            "discount_fen": sum(sale.discount_fen for sale in self.sales),
            "deduction_fen": sum(sale.deduction_fen for sale in self.sales),
            "fronted_fen": sum(sale.fronted_fen for sale in self.sales),
            "subsidy_owed_fen": sum(sale.subsidy_fen for sale in self.sales if sale.state in OWED_STATES),
            "subsidy_paid_fen": sum(sale.subsidy_fen for sale in self.sales if sale.state == "settled"),
        }


def month_of(text: str | None, *, now: datetime) -> date:
    """Return the first day of a month written YYYY-MM, of the present one (Asia/Shanghai) for None."""
    return date.fromisoformat(f"{text}-01") if text else now.astimezone(SHANGHAI).date().replace(day=1)


def point_money(*, session: Session, dealer_id: int, month: date, now: datetime) -> PointMoney:
    """Return the point's sales of the month whose first day is ``month``, with each customer's subsidy."""
    per_day = paid_per_day(session=session, now=now)
    line = list(session.scalars(select(Payout.owed_since).where(Payout.state == "owed").order_by(Payout.owed_since)))
    begins = datetime.combine(month, time(), tzinfo=SHANGHAI)
    ends = datetime.combine((month + timedelta(days=32)).replace(day=1), time(), tzinfo=SHANGHAI)
    rows = session.execute(
        select(TradeIn.reference, Sale, Claim, Payout)
        .join(Sale, Sale.id == TradeIn.sale_id)
        .outerjoin(Claim, Claim.trade_in_id == TradeIn.id)
        .outerjoin(Payout, Payout.trade_in_id == TradeIn.id)
        .where(TradeIn.dealer_id == dealer_id, Sale.sold_at >= begins, Sale.sold_at < ends)
        .order_by(Sale.sold_at, Sale.id)
    )
    sales = tuple(_sale(*row, line=line, per_day=per_day, now=now) for row in rows)
    return PointMoney(month=month, as_of=now, paid_per_day=per_day, sales=sales)


def paid_per_day(*, session: Session, now: datetime) -> int | None:
    """Return how many subsidies arrive a day, on average of the last PACE_DAYS days with any; None where none did."""
    local_day = cast(func.timezone("Asia/Shanghai", Payout.settled_at), Date)
    days = session.execute(
        select(local_day, func.count())
        .where(Payout.state == "settled", Payout.settled_at > now - LOOK_BACK)
        .group_by(local_day)
        .order_by(local_day.desc())
        .limit(PACE_DAYS)
    ).all()
    return max(1, round(sum(count for _, count in days) / len(days))) if days else None


def _sale(
    reference: str,
    sale: Sale,
    claim: Claim | None,
    payout: Payout | None,
    *,
    line: list[datetime],
    per_day: int | None,
    now: datetime,
) -> PointSale:
    # A payout that was withdrawn says less than its claim: held, returned or forfeited.
    live = payout if payout is not None and payout.state != "withdrawn" else None
    awarded = live is not None and (claim is None or claim.state == "awarded")
    state = live.state if live is not None and awarded else claim.state if claim is not None else OPEN
    owed = live if live is not None and state in OWED_STATES else None
    return PointSale(
        reference=reference,
        sold_at=sale.sold_at,
        list_price_fen=sale.list_price_fen,
        discount_fen=sale.discount_fen,
        deduction_fen=sale.deduction_fen,
        paid_fen=sale.paid_fen,
        position=claim.position if claim is not None else None,
        subsidy_fen=live.amount_fen if live is not None and awarded else 0,
        state=state,
        waiting_since=owed.owed_since if owed is not None else None,
        expected_on=_expected_on(owed, line=line, per_day=per_day, now=now) if owed is not None else None,
        settled_at=live.settled_at if live is not None and state == "settled" else None,
    )


def _expected_on(payout: Payout, *, line: list[datetime], per_day: int | None, now: datetime) -> date | None:
    """The day by which it arrives at the present pace, those owed longer first; None where a person acts first."""
    today = now.astimezone(SHANGHAI).date()
    if payout.state == "in_flight":
        return today + timedelta(days=1)  # the day's statement says what became of it
    if payout.state != "owed" or per_day is None:
        return None
    ahead = bisect_left(line, payout.owed_since)
    return today + timedelta(days=-(-(ahead + 1) // per_day))
