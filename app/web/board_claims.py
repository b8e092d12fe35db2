"""Claims as the bureau reads them: a page of them, their sums by stage, sub-district or point, and one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, case, func, select
from sqlalchemy.orm import Session

from app.web.board_filter import NO_STAGE, ClaimFilter
from app.web.language import _
from app.web.standing import standing
from registry.bikes import Bike
from registry.dealers import Dealer
from registry.filings import FiledBike
from registry.people import Person
from registry.plates import Plate
from registry.trade_ins import TradeIn
from subsidy.claims import Claim
from subsidy.holds import ClaimHold
from subsidy.payouts import Payout

Level = Literal["stage", "sub_district", "point"]
LEVELS: tuple[Level, ...] = ("stage", "sub_district", "point")
# What one round trip brings while an export walks through all of them.
A_FETCH = 500

OF_CLAIM = and_(Payout.programme_id == Claim.programme_id, Payout.position == Claim.position)
STAFF_HELD = and_(
    ClaimHold.programme_id == Claim.programme_id,
    ClaimHold.position == Claim.position,
    ClaimHold.released_at.is_(None),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The claims of one stage, sub-district or point. The counts by outcome add up to ``claims``; money in fen.

    ``granted_fen`` is what awards and holds stand for, ``paid_fen`` what has arrived.
    """

    key: str
    name: str
    claims: int
    awarded: int
    held: int
    waiting: int
    declined: int
    undone: int
    granted_fen: int
    paid_fen: int


def claims_page(
    *, session: Session, programme_id: int, chosen: ClaimFilter, before: int | None, limit: int
) -> Sequence[Any]:
    """Return claims with their point, payout and staff hold, newest position first."""
    query = (
        claims_joined(
            Claim.position,
            Claim.recorded_at,
            Claim.state,
            Claim.stage_no,
            Claim.amount_fen,
            Claim.reason,
            TradeIn.reference,
            Dealer.sub_district,
            Dealer.point_no,
            Dealer.name.label("dealer"),
            Payout.state.label("payout_state"),
            ClaimHold.id.is_not(None).label("staff_held"),
        )
        .outerjoin(ClaimHold, STAFF_HELD)
        .where(Claim.programme_id == programme_id, *chosen.conditions())
        .order_by(Claim.position.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(Claim.position < before)
    return session.execute(query).all()


def row_standing(row: Any) -> tuple[str, str]:
    """Return the tag of one of ``claims_page``: what staff hold waits for the bureau, a fault for its correction."""
    if row.state == "held":
        return "wait", _("扣下核对，名额保留") if row.staff_held else _("等更正，名额保留")
    return standing(row.state, row.payout_state)


def counts_by_state(*, session: Session, programme_id: int, chosen: ClaimFilter) -> dict[str, int]:
    """Return how many claims stand in each state, within the filter."""
    query = claims_joined(Claim.state, func.count()).where(Claim.programme_id == programme_id, *chosen.conditions())
    return dict(session.execute(query.group_by(Claim.state)).all())


def groups(*, session: Session, programme_id: int, chosen: ClaimFilter, by: Level) -> list[Group]:
    """Return the claims' sums by stage in their order, by sub-district or by point with the most claims first."""
    key: ColumnElement[Any]
    name: ColumnElement[Any]
    if by == "stage":
        key = name = func.coalesce(Claim.stage_no, NO_STAGE)
    elif by == "sub_district":
        key = name = Dealer.sub_district.expression
    else:
        key, name = func.coalesce(Dealer.point_no, ""), Dealer.name.expression
    query = (
        claims_joined(
            key.label("key"),
            name.label("name"),
            func.count().label("claims"),
            *(_count(state).label(state) for state in ("awarded", "held", "waiting", "declined")),
            _count("returned", "forfeited").label("undone"),
            sum_where(Claim.amount_fen, Claim.state.in_(("awarded", "held"))).label("granted_fen"),
            sum_where(Payout.amount_fen, Payout.state == "settled").label("paid_fen"),
        )
        .where(Claim.programme_id == programme_id, *chosen.conditions())
        .group_by(key, name)
    )
    rows = [Group(**{**row._mapping, "key": str(row.key), "name": str(row.name)}) for row in session.execute(query)]
    if by == "stage":
        return sorted(rows, key=lambda row: (int(row.key) == NO_STAGE, int(row.key)))
    return sorted(rows, key=lambda row: (-row.claims, row.key))


def every_claim(*, session: Session, programme_id: int, chosen: ClaimFilter) -> Iterator[Any]:
    """Yield the claims within the filter in the order of their positions, a few hundred in memory at a time."""
    query = (
        claims_joined(
            Claim.position,
            Claim.state,
            Claim.stage_no,
            Claim.amount_fen,
            Claim.reason,
            Claim.effective_at,
            Claim.recorded_at,
            Claim.person_id,
            TradeIn.reference,
            Dealer.sub_district,
            Dealer.point_no,
            Dealer.name.label("dealer"),
            FiledBike.plate_no.label("old_plate"),
            Bike.vehicle_code,
            Plate.plate_no.label("new_plate"),
            Payout.state.label("payout_state"),
            ClaimHold.id.is_not(None).label("staff_held"),
            Person,
        )
        .join(FiledBike, FiledBike.id == Claim.filed_bike_id)
        .join(Bike, Bike.id == Claim.bike_id)
        .join(Person, Person.id == Claim.person_id)
        .outerjoin(Plate, Plate.bike_id == Claim.bike_id)
        .outerjoin(ClaimHold, STAFF_HELD)
        .where(Claim.programme_id == programme_id, *chosen.conditions())
        .order_by(Claim.position)
        .execution_options(yield_per=A_FETCH)
    )
    yield from session.execute(query)


def claims_joined(*columns: Any) -> Select[Any]:
    """Select from claims with their trade-in, point and payout."""
    return (
        select(*columns)
        .select_from(Claim)
        .join(TradeIn, TradeIn.id == Claim.trade_in_id)
        .join(Dealer, Dealer.id == TradeIn.dealer_id)
        .outerjoin(Payout, OF_CLAIM)
    )


def _count(*states: str) -> ColumnElement[int]:
    return func.count(case((Claim.state.in_(states), 1)))


def sum_where(column: Any, condition: ColumnElement[bool]) -> ColumnElement[int]:
    """The sum of what meets the condition, 0 where nothing does."""
    return func.coalesce(func.sum(case((condition, column))), 0)
