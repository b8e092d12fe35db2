"""What may happen once a bike comes back: the return, its money asked of the bank or brought by hand, crashes between.

What the owner himself brings stands in ``World.papers``: as much as the bank has not taken already.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from registry.base import Refusal
from subsidy.notices import LOCAL
from subsidy.reclaiming import reclaim_next
from subsidy.reclaims import refuse_contested, request_reclaim
from subsidy.repayments import record_repayment
from subsidy.returns import KINDS, approve_return, open_return, refuse_return
from tests.simulation.world import FINANCE, OPERATOR, REVIEWER, World

RETURNABLE = """
SELECT t.reference, p.state = 'settled' AS is_paid
FROM trade_in t JOIN claim c ON c.trade_in_id = t.id LEFT JOIN payout p ON p.trade_in_id = t.id
WHERE NOT EXISTS (SELECT FROM return_case r WHERE r.trade_in_id = t.id AND r.state <> 'refused')
ORDER BY c.position
"""
CONTESTED = """
SELECT r.reference, r.state FROM reclaim_attempt b JOIN return_case r ON r.id = b.return_case_id
WHERE b.state = 'contested' ORDER BY b.id
"""
PROPOSED = "SELECT reference FROM return_case WHERE state = 'proposed' ORDER BY id"
DEMANDED = """
SELECT r.reference, r.amount_fen, a.bank_number AS transfer_number,
       (SELECT count(*) FROM reclaim_attempt b WHERE b.return_case_id = r.id) AS asked,
       (SELECT b.state FROM reclaim_attempt b WHERE b.return_case_id = r.id AND b.state <> 'rejected') AS reclaim
FROM return_case r JOIN payout p ON p.trade_in_id = r.trade_in_id
JOIN payout_attempt a ON a.payout_id = p.id AND a.state = 'settled'
WHERE r.state = 'demanded' ORDER BY r.id
"""
OPEN = "SELECT id FROM reclaim_attempt WHERE state IN ('due', 'sent', 'unknown') ORDER BY id"
USED = "SELECT document_no FROM repayment WHERE document_no LIKE 'PAPER%%' ORDER BY id"
PUT_OFF = text("UPDATE reclaim_attempt SET ask_at = '2999-01-01' WHERE state IN ('due', 'sent', 'unknown')")
MAKE_DUE = text("UPDATE reclaim_attempt SET ask_at = '2000-01-01' WHERE id = :id")


def take_bike_back(world: World) -> None:
    """A bike came back, or a claim was untrue: one person says so, rather of a paid one; another decides."""
    rows = world.ask(RETURNABLE)
    if rows and world.dice.random() < 0.7:
        row = world.dice.choice([row for row in rows if row.is_paid] or rows)
        with world.sessions.begin() as session:
            open_return(
                session=session,
                reference=row.reference,
                kind=world.dice.choice(tuple(KINDS)),
                reason="车主退车",
                proof_no="TH20260620",
                actor=OPERATOR,
                now=world.clock.instant,
            )
    for row in world.ask(PROPOSED):
        decide_on_return(world, row.reference, approve=world.dice.random() < 0.9)


def decide_on_return(world: World, reference: str, *, approve: bool) -> None:
    """The second person takes the claim back or lets it stand; while the bank has the money nothing happens."""
    try:
        with world.sessions.begin() as session:
            if approve:
                approve_return(
                    session=session, reference=reference, repayment_days=30, clock=world.clock, actor=REVIEWER
                )
            else:
                refuse_return(
                    session=session, reference=reference, reason="不成立", actor=REVIEWER, now=world.clock.instant
                )
    except Refusal:
        pass


def claim_back(world: World) -> None:
    """Finance has the bank asked for the money of one demand; what may not be asked is refused."""
    rows = world.ask(DEMANDED)
    if rows:
        request(world, world.dice.choice(rows).reference)


def request(world: World, reference: str) -> None:
    """Finance has the bank asked for the money of this return."""
    try:
        with world.sessions.begin() as session:
            request_reclaim(session=session, reference=reference, actor=FINANCE, now=world.clock.instant)
    except Refusal:
        pass


def ask_for_money(world: World) -> None:
    """The scheduler speaks to the bank about one reclaim; which one is due is drawn, not left to the real clock."""
    rows = world.ask(OPEN)
    if not rows:
        return
    with world.sessions.begin() as session:
        session.execute(PUT_OFF)
        session.execute(MAKE_DUE, {"id": world.dice.choice(rows).id})
    reclaim_next(sessions=world.sessions, operator=world.bank, clock=world.clock)


def hand_in_receipt(world: World) -> None:
    """An owner brings the money; finance enters the receipt: rightly, with another amount, or one that was used."""
    rows = world.ask(DEMANDED)
    if not rows:
        return
    row = world.dice.choice(rows)
    used = [paper.document_no for paper in world.ask(USED)] if world.dice.random() < 0.1 else []
    document_no = world.dice.choice(used) if used else None
    enter_receipt(world, row, document_no=document_no, short_fen=world.dice.choice((0, 0, 0, 0, 1)))


def enter_receipt(world: World, row: Any, *, document_no: str | None = None, short_fen: int = 0) -> None:
    """Finance enters a receipt for a demand (a row of DEMANDED); what the bank has taken need not be brought."""
    if document_no is None:
        document_no = f"PAPER{len(world.papers) + 1:04d}"
        # Before our process may end: a receipt that was committed counts, whether we heard of the commit or not.
        world.papers[document_no] = row.amount_fen - taken_fen(world, row.transfer_number)
    try:
        with world.sessions.begin() as session:
            record_repayment(
                session=session,
                reference=row.reference,
                document_no=document_no,
                amount_fen=row.amount_fen - short_fen,
                received_on=world.clock.instant.astimezone(LOCAL).date(),
                clock=world.clock,
                actor=FINANCE,
            )
    except Refusal:
        pass


def end_contradiction(world: World) -> None:
    """Finance looks into a reclaim about which the bank contradicted itself: is the money here, or given back again."""
    demands = {row.reference: row for row in world.ask(DEMANDED)}
    contested = [row.reference for row in world.ask(CONTESTED)]
    if not contested:
        return
    reference = world.dice.choice(contested)
    if reference in demands and world.dice.random() < 0.5:
        enter_receipt(world, demands[reference])
    else:
        _give_back(world, reference)


def _give_back(world: World, reference: str) -> None:
    """Finance writes down that what the bank took in contradiction was given back."""
    with world.sessions.begin() as session:
        refuse_contested(
            session=session,
            reference=reference,
            finding="银行已退还",
            document_no="B0001",
            actor=FINANCE,
            now=world.clock.instant,
        )


def end_returns(world: World) -> None:
    """Bring every return a step on: decided, asked of the bank twice at most, else paid by hand."""
    for row in world.ask(PROPOSED):
        decide_on_return(world, row.reference, approve=True)
    for row in world.ask(DEMANDED):
        if row.reclaim == "contested" or (row.reclaim is None and row.asked > 1):
            enter_receipt(world, row)
        elif row.reclaim is None:
            request(world, row.reference)
    for row in world.ask(CONTESTED):
        if row.state == "repaid":
            _give_back(world, row.reference)
    for _ in world.ask(OPEN):
        ask_for_money(world)
    world.bank.inner.pass_time()
    world.clock.instant += timedelta(minutes=1)


def taken_fen(world: World, transfer_number: str) -> int:
    """What the bank's own books say came back of a transfer."""
    known = world.bank.inner.bank.reclaims._known.values()
    return sum(one.taken_fen() for one in known if one.transfer_number == transfer_number and one.state == "settled")
