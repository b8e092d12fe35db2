"""Gives the demo's desk something to decide: an appeal, an overrule, a return, a claim held back, a changed stage.

Each is what staff and owners would do by hand, through the same domain calls, and waits for a second person.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import Clock
from registry.accounts import Account
from registry.trade_ins import EVERYBODYS, TradeIn
from subsidy.appeals import file_appeal
from subsidy.claims import Claim
from subsidy.holds import hold_claim
from subsidy.overrules import propose_overrule
from subsidy.programme import current_programme
from subsidy.programme_change_draft import draft_version
from subsidy.returns import open_return
from subsidy.rules import Rules

APPEAL_WORKING_DAYS = 15
MORE_PLACES, MORE_FEN = 500, 10_000_000


def furnish_desk(*, session: Session, rules: Rules, clock: Clock) -> None:
    """Put a case into each of the desk's queues, in the caller's transaction; ``rules`` are the programme's."""
    now = clock.now()
    operator = f"account:{session.scalars(select(Account.id).where(Account.login == 'operator')).one()}"
    appealed, overruled = _declined(session)
    file_appeal(
        session=session,
        reference=appealed,
        reach=EVERYBODYS,
        body="我的车前年就在老号牌点登记过，旧的登记单还在，请再查一次备案日期。",
        working_days=APPEAL_WORKING_DAYS,
        actor=operator,
        now=now,
    )
    propose_overrule(
        session=session,
        reference=overruled,
        reason="备案录入晚了：纸质备案表上是去年 3 月，扫描件已存档。",
        actor=operator,
        now=now,
    )
    returned, held = _awarded(session)
    open_return(
        session=session,
        reference=returned,
        kind="bike_returned",
        reason="车主七天内把新车退给了店里。",
        proof_no="TH-2026-0007",
        actor=operator,
        now=now,
    )
    hold_claim(
        session=session,
        reference=held,
        reason_code="sale",
        reason="发票金额和店里的标价差得多，请店里补说明。",
        clock=clock,
        actor=operator,
    )
    _draft(session, rules, operator, now)


def _declined(session: Session) -> list[str]:
    return _references(session, "declined")


def _awarded(session: Session) -> list[str]:
    """The last two awards: their owners have given no wallet yet or are about to be paid."""
    return _references(session, "awarded")


def _references(session: Session, state: str) -> list[str]:
    query = (
        select(TradeIn.reference)
        .join(Claim, Claim.trade_in_id == TradeIn.id)
        .where(Claim.state == state)
        .order_by(Claim.position.desc())
        .limit(2)
    )
    return list(session.scalars(query))


def _draft(session: Session, rules: Rules, actor: str, now: datetime) -> None:
    """The second stage gets more places and the money for them, if a reviewer agrees."""
    first, second, *others = rules.stages
    more = replace(second, places=second.places + MORE_PLACES, budget_fen=second.budget_fen + MORE_FEN)
    draft_version(
        session=session,
        programme=current_programme(session=session),
        rules=replace(rules, stages=(first, more, *others)),
        note="第二阶段报名的人多，财政同意追加 10 万元。",
        actor=actor,
        now=now,
    )
