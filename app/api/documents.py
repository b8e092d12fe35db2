"""How the API tells what stands: plain dictionaries in the shapes of app/schemas/answers.py."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import String, and_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from registry.bikes import Bike
from registry.dealers import Dealer
from registry.filings import FiledBike
from registry.people import Person, mask_name, open_name
from registry.plates import Plate
from registry.sealing import Keyring
from registry.trade_ins import OVER, TRADE_IN, WAITS_FOR, TradeIn, TradeInPhoto, in_order
from subsidy.claims import CLAIM_WORDS, Claim
from subsidy.decision_record import waits_for_destruction
from subsidy.foreseen import foresee
from subsidy.live import LiveState
from subsidy.payouts import PAYOUT, Payout
from subsidy.returns import ReturnCase
from subsidy.rule_words import WAITS
from subsidy.wallets import Wallet

LOCAL = ZoneInfo("Asia/Shanghai")
STEPS = (
    "opened_at",
    "verified_at",
    "received_at",
    "old_plate_cancelled_at",
    "sold_at",
    "plate_applied_at",
    "plate_issued_at",
    "completed_at",
)
NEXT = {
    "opened": (
        "等交警核对旧车号牌；连不上时请稍后再核对一次。",
        "The police have to confirm the old plate; ask again if they could not be reached.",
    ),
    "old_bike_verified": (
        "代办点拍三张照片并收下旧车。",
        "The point takes three photos and receives the old bike.",
    ),
    "old_bike_received": ("代办点申请注销旧号牌。", "The point asks for the old plate to be cancelled."),
    "cancel_requested": (
        "等交警答复注销申请，我们会一直去问，不用再办。",
        "The police have to answer; we keep asking, there is nothing to do.",
    ),
    "old_plate_cancelled": ("车主在同一家代办点买新车。", "The owner buys the new bike at the same point."),
    "new_bike_sold": ("代办点申请新号牌。", "The point applies for the new plate."),
    "plate_applied": (
        "等交警核发新号牌，我们会一直去问，不用再办。",
        "The police have to issue the plate; we keep asking, there is nothing to do.",
    ),
    "completed": ("全部办完。补贴按排队次序决定。", "All done. The subsidy is decided in queue order."),
    "withdrawn": ("已撤回；需要时可以重新登记。", "Withdrawn; it can be opened again."),
}
# Told from the opening on, until there is a place: who only opens a trade-in stands in no queue.
NO_PLACE_KEPT = (
    "名额不预留：新号牌发下来、手续全部办完时才取得序号，有没有补贴、补多少以那时为准。旧车收下以后，有没有补贴都可以办完。",
    (
        "No place is kept: position and subsidy are decided when the new plate is issued. Once the old bike was"
        " received the trade-in may always be finished, subsidy or not."
    ),
)
# What stands beside a trade-in, in one question: a counter asks for it after every step.
BESIDE = (
    select(
        Dealer.name.label("point"),
        FiledBike.plate_no,
        Person,
        Bike,
        Wallet.tail.label("wallet_tail"),
        select(func.array_agg(TradeInPhoto.kind, type_=ARRAY(String)))
        .where(TradeInPhoto.trade_in_id == TradeIn.id)
        .scalar_subquery()
        .label("photos"),
    )
    .select_from(TradeIn)
    .join(Dealer, Dealer.id == TradeIn.dealer_id)
    .join(FiledBike, FiledBike.id == TradeIn.filed_bike_id)
    .join(Person, Person.id == TradeIn.owner_id)
    .outerjoin(Bike, Bike.id == TradeIn.bike_id)
    .outerjoin(Wallet, and_(Wallet.trade_in_id == TradeIn.id, Wallet.superseded_at.is_(None)))
    .where(TradeIn.id == bindparam("trade_in_id"))
)
# What a completed one has besides. One question for all would be planned anew, in milliseconds, after every step.
BEHIND = (
    select(Plate.plate_no.label("new_plate_no"), Claim, Payout, ReturnCase)
    .select_from(TradeIn)
    .outerjoin(Plate, Plate.application_no == TradeIn.application_no)
    .outerjoin(Claim, Claim.trade_in_id == TradeIn.id)
    .outerjoin(Payout, Payout.trade_in_id == TradeIn.id)
    .outerjoin(ReturnCase, and_(ReturnCase.trade_in_id == TradeIn.id, ReturnCase.state != "refused"))
    .where(TradeIn.id == bindparam("trade_in_id"))
)
NOTHING_YET = SimpleNamespace(new_plate_no=None, Claim=None, Payout=None, ReturnCase=None)


def instant(moment: datetime | None) -> str | None:
    """Return an instant as the API writes it: ISO 8601 in Asia/Shanghai, to the millisecond."""
    return None if moment is None else moment.astimezone(LOCAL).isoformat(timespec="milliseconds")


def trade_in_document(
    *, session: Session, keyring: Keyring, trade_in: TradeIn, repay_to: str | None = None
) -> dict[str, Any]:
    """Return everything about one trade-in that those entitled to it may see.

    ``repay_to`` names the bureau's payee and account, where a paid subsidy is to go back to.
    """
    beside = session.execute(BESIDE, {"trade_in_id": trade_in.id}).one()
    completed = trade_in.state == "completed"
    behind: Any = session.execute(BEHIND, {"trade_in_id": trade_in.id}).one() if completed else NOTHING_YET
    next_zh, next_en = NEXT[trade_in.state]
    is_open = trade_in.state not in OVER
    return {
        "reference": trade_in.reference,
        "state": trade_in.state,
        "state_zh": TRADE_IN.words[trade_in.state],
        "waiting_for": waiting_for(trade_in.state, trade_in.refusal),
        "next_zh": next_zh,
        "next_en": next_en,
        "place_note_zh": NO_PLACE_KEPT[0] if is_open else None,
        "place_note_en": NO_PLACE_KEPT[1] if is_open else None,
        "point": beside.point,
        "plate_no": beside.plate_no,
        "owner": mask_name(open_name(person=beside.Person, keyring=keyring)),
        "refusal": trade_in.refusal,
        "photos": list(in_order(beside.photos or ())),
        "steps": {step: instant(getattr(trade_in, step)) for step in STEPS},
        "recycling_certificate_no": trade_in.recycling_certificate_no,
        "bike": bike_document(beside.Bike) if beside.Bike else None,
        "new_plate_no": behind.new_plate_no,
        "new_plate_code": f"/api/plates/{behind.new_plate_no}/code" if behind.new_plate_no else None,
        "place": _place(behind.Claim),
        "payout": _payout(session, behind.Payout),
        "wallet_tail": beside.wallet_tail,
        "foreseen": _foreseen(session, trade_in),
        "repaying": _repaying(behind.ReturnCase, repay_to),
    }


def _foreseen(session: Session, trade_in: TradeIn) -> dict[str, Any] | None:
    foreseen = foresee(session=session, trade_in=trade_in)
    if foreseen is None:
        return None
    return {"code": foreseen.code, "no_subsidy": foreseen.certain, "zh": foreseen.zh, "en": foreseen.en}


def _repaying(case: ReturnCase | None, repay_to: str | None) -> dict[str, Any] | None:
    if case is None or case.state != "demanded" or case.due_on is None:
        return None
    return {
        "reference": case.reference,
        "amount_fen": case.amount_fen,
        "due_on": case.due_on.isoformat(),
        "repay_to": repay_to,
    }


def waiting_for(state: str, refusal: str | None) -> str:
    """Return who acts next: police, point or nobody. A refusal of the police is the point's to put right."""
    return "point" if state == "opened" and refusal else WAITS_FOR[state]


def bike_document(bike: Bike) -> dict[str, Any]:
    """Return a new bike."""
    names = ("vehicle_code", "registration_code", "battery_code", "certificate_no", "model", "state")
    return {name: getattr(bike, name) for name in names}


def rows_document(*, session: Session, keyring: Keyring, trade_ins: list[TradeIn]) -> list[dict[str, Any]]:
    """Return one row for each trade-in, in the order given."""
    query = (
        select(TradeIn.id, FiledBike.plate_no, Person, Claim.position, Claim.amount_fen)
        .join(FiledBike, FiledBike.id == TradeIn.filed_bike_id)
        .join(Person, Person.id == TradeIn.owner_id)
        .outerjoin(Claim, Claim.trade_in_id == TradeIn.id)
        .where(TradeIn.id.in_([trade_in.id for trade_in in trade_ins]))
    )
    beside = {row.id: row for row in session.execute(query)}
    return [
        {
            "reference": trade_in.reference,
            "state": trade_in.state,
            "state_zh": TRADE_IN.words[trade_in.state],
            "waiting_for": waiting_for(trade_in.state, trade_in.refusal),
            "plate_no": beside[trade_in.id].plate_no,
            "owner": mask_name(open_name(person=beside[trade_in.id].Person, keyring=keyring)),
            "opened_at": instant(trade_in.opened_at),
            "refusal": trade_in.refusal,
            "position": beside[trade_in.id].position,
            "amount_fen": beside[trade_in.id].amount_fen,
        }
        for trade_in in trade_ins
    ]


def live_document(state: LiveState) -> dict[str, Any]:
    """Return the programme's live state; the schema leaves out what the public is not told."""
    return {
        "code": state.programme_code,
        "name_zh": state.name_zh,
        "name_en": state.name_en,
        "as_of": instant(state.as_of),
        "paused": state.paused,
        "ended": state.ended,
        "pause_reason_zh": state.pause.zh if state.pause else None,
        "pause_reason_en": state.pause.en if state.pause else None,
        "paused_since": instant(state.pause.since) if state.pause else None,
        "current": state.current,
        "next_opening": state.next_opening,
        "claims": state.claims,
        "waiting": state.waiting,
        "stages": [
            {name: _shown(getattr(stage, name)) for name in stage.__dataclass_fields__} for stage in state.stages
        ],
    }


def _shown(value: Any) -> Any:
    return instant(value) if isinstance(value, datetime) else value


def _place(claim: Claim | None) -> dict[str, Any] | None:
    if claim is None:
        return None
    return {
        "position": claim.position,
        "state": claim.state,
        "state_zh": CLAIM_WORDS[claim.state],
        "stage_no": claim.stage_no,
        "amount_fen": claim.amount_fen,
        "reason": claim.reason,
        "effective_at": instant(claim.effective_at),
        "recorded_at": instant(claim.recorded_at),
    }


def _payout(session: Session, payout: Payout | None) -> dict[str, Any] | None:
    if payout is None:
        return None
    waits = payout.state == "owed" and waits_for_destruction(session=session, payout=payout)
    return {
        "state": payout.state,
        "state_zh": PAYOUT.words[payout.state],
        "amount_fen": payout.amount_fen,
        "owed_since": instant(payout.owed_since),
        "settled_at": instant(payout.settled_at),
        "problem": payout.problem,
        "waits_for": "destruction" if waits else None,
        "waits_for_zh": WAITS["destruction"][0] if waits else None,
    }
