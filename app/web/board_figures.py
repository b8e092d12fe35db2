"""What the bureau's board counts beside the live state: today, sub-districts, the bank's silence, open cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from app.web.board_claims import claims_joined, sum_where
from app.web.language import _l
from app.web.wording import local
from registry.cases import Case
from registry.dealers import Dealer
from subsidy.claims import Claim
from subsidy.payouts import Payout, PayoutAttempt

RECENT = 8
CASES_SHOWN = 8
CASE_WORDS = {
    "unmasking_often": _l("一个账号一小时里看了很多人的完整资料"),
    "completion_differs": _l("交警发牌的回执和系统不一致"),
    "cancellation_unknown": _l("交警说的注销，系统里没有"),
    "cancellation_differs": _l("交警注销的回执和系统不一致"),
    "plate_application_unknown": _l("交警说的上牌，系统里没有"),
    "plate_refusal_contradicted": _l("交警先发牌又说没有发"),
    "wallet_shared": _l("几个人用同一个钱包"),
    "transfer_refused": _l("银行不收这笔付款"),
    "success_after_rejection": _l("银行退回以后又说到账"),
    "rejection_after_success": _l("银行说到账以后又退回"),
    "amount_differs": _l("银行付的金额不对"),
    "settled_out_of_turn": _l("银行说到账，可是系统没有在付"),
    "transfer_unanswered": _l("银行一直没有答复这笔付款"),
    "reclaim_unanswered": _l("通过银行追回，一直没有答复"),
    "reclaimed_after_rejection": _l("没有追回以后，银行又说追回了"),
    "reclaimed_other_amount": _l("银行追回的金额和要的不一样"),
    "rejected_after_reclaim": _l("银行说追回以后又说没有"),
    "reclaim_refused": _l("银行说追回的编号用过"),
    "fund_short": _l("运营机构账户里的钱不够付这个批次"),
    "statement_overdue": _l("对账单过时没有到"),
    "statement_totals": _l("对账单总数不对"),
    "statement_missing_here": _l("对账单上有，我方没有"),
    "statement_missing_there": _l("我方有，对账单上没有"),
    "statement_amount_differs": _l("对账单上的金额和我方不同"),
    "statement_state_differs": _l("对账单上的状态和我方不同"),
    "statement_listed_twice": _l("对账单重复列出一笔"),
    "message_undelivered": _l("短信发不出去"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The claims of one sub-district in one state, those of today among them, and what has been paid out on them."""

    sub_district: str
    state: str
    done: int
    today: int
    paid_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubDistrict:
    """One row of the table: counts of claims by outcome add up to ``done``."""

    name: str
    points: int
    done: int
    today: int
    held: int
    paid_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The board's counts. ``outcomes`` are claims by state; they add up to ``done``. Money in fen."""

    done: int
    done_today: int
    outcomes: dict[str, int]
    silent: int
    silent_fen: int
    silent_since: datetime | None
    awaiting_wallet: int
    awaiting_wallet_fen: int
    owed: int
    cases: int


def tallies(*, session: Session, programme_id: int, now: datetime) -> Sequence[Tally]:
    """Count every claim of the programme as of ``now``, in one pass: however many there are, all else is sums of it."""
    rows = session.execute(
        claims_joined(
            Dealer.sub_district.label("sub_district"),
            Claim.state,
            func.count().label("done"),
            func.count(case((Claim.recorded_at >= day_began(now), 1))).label("today"),
            sum_where(Payout.amount_fen, Payout.state == "settled").label("paid_fen"),
        )
        .where(Claim.programme_id == programme_id)
        .group_by(Dealer.sub_district, Claim.state)
    )
    return [Tally(**{**row._mapping, "paid_fen": int(row.paid_fen)}) for row in rows]


def figures(*, session: Session, programme_id: int, counted: Sequence[Tally]) -> Figures:
    """Return what the board's tiles show, from one programme's counted claims and its payouts."""
    outcomes: Counter[str] = Counter()
    for tally in counted:
        outcomes[tally.state] += tally.done
    silent, silent_fen, silent_since = session.execute(
        select(func.count(), func.coalesce(func.sum(PayoutAttempt.amount_fen), 0), func.min(PayoutAttempt.sent_at))
        .join(Payout, Payout.id == PayoutAttempt.payout_id)
        .where(Payout.programme_id == programme_id, PayoutAttempt.state == "unknown")
    ).one()
    payouts = {
        state: (number, total)
        for state, number, total in session.execute(
            select(Payout.state, func.count(), func.sum(Payout.amount_fen))
            .where(Payout.programme_id == programme_id, Payout.state.in_(("awaiting_wallet", "owed")))
            .group_by(Payout.state)
        )
    }
    waiting = payouts.get("awaiting_wallet", (0, 0))
    return Figures(
        done=outcomes.total(),
        done_today=sum(tally.today for tally in counted),
        outcomes=dict(outcomes),
        silent=silent,
        silent_fen=int(silent_fen),
        silent_since=silent_since,
        awaiting_wallet=waiting[0],
        awaiting_wallet_fen=int(waiting[1]),
        owed=payouts.get("owed", (0, 0))[0],
        cases=session.scalar(select(func.count()).where(Case.closed_at.is_(None))) or 0,
    )


def day_began(now: datetime) -> datetime:
    """Return the instant at which the day of ``now`` began in the district."""
    return local(now).replace(hour=0, minute=0, second=0, microsecond=0)


def sub_districts(*, session: Session, counted: Sequence[Tally]) -> list[SubDistrict]:
    """Return one row a sub-district, the one with most completions first."""
    points = dict(
        session.execute(
            select(Dealer.sub_district, func.count()).where(Dealer.state == "licensed").group_by(Dealer.sub_district)
        ).all()
    )
    of: dict[str, list[Tally]] = {name: [] for name in points}
    for tally in counted:
        of.setdefault(tally.sub_district, []).append(tally)
    rows = [
        SubDistrict(
            name=name,
            points=points.get(name, 0),
            done=sum(tally.done for tally in each),
            today=sum(tally.today for tally in each),
            held=sum(tally.done for tally in each if tally.state == "held"),
            paid_fen=sum(tally.paid_fen for tally in each),
        )
        for name, each in of.items()
    ]
    return sorted(rows, key=lambda row: (-row.done, -row.points, row.name))


def open_cases(*, session: Session) -> Sequence[Case]:
    """Return the oldest open cases."""
    return session.scalars(select(Case).where(Case.closed_at.is_(None)).order_by(Case.id).limit(CASES_SHOWN)).all()
