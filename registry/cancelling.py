"""Cancelling the old plate (注销): asked of the police under our own number, answered at once, later or when polled.

No lock and no transaction is open while the police are asked. The request stands in the database before the call, so
that a lost answer is only a question to ask again; asking twice under one number is asking once.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from registry import audit
from registry.base import PartnerUnavailable, Refusal
from registry.cases import open_case
from registry.codes import new_message_no
from registry.destruction import finish_destruction
from registry.filings import FILED_BIKE, FiledBike
from registry.messages import owe_message
from registry.people import Person, open_id_number
from registry.plate_authority import CancelAnswer, PlateAuthority
from registry.sealing import Keyring
from registry.trade_ins import EVERYBODYS, TRADE_IN, Reach, TradeIn, lock_trade_in

POLICE = "partner:plates"
# Every cancellation runs it: made once, because putting a statement together takes longer than running it.
_ASKED_UNDER = (
    select(TradeIn)
    .where(TradeIn.cancellation_no == bindparam("message_no"))
    .with_for_update()
    .execution_options(populate_existing=True)
)


class CancellationUnknown(Refusal):
    """No trade-in waits for this cancellation; a case is opened."""

    code = "cancellation_unknown"
    kind = "not_found"
    zh = "没有以 {message_no} 申请过注销。"
    en = "No cancellation was asked for under {message_no}."
    remedy_zh = "请核对消息号。"
    remedy_en = "Check the message number."
    default_field = "message_no"


class CancellationDiffers(Refusal):
    """The answer under our number names another plate, or contradicts the first answer; a case is opened."""

    code = "cancellation_differs"
    kind = "conflict"
    zh = "{message_no} 的答复和以前的不一致，已转人工核对。"
    en = "The answer to {message_no} contradicts what stands; people look into it."
    remedy_zh = "请等区市场监管局核对。"
    remedy_en = "Wait for the bureau."
    default_field = "message_no"


def cancel_old_plate(
    *,
    session: Session,
    keyring: Keyring,
    plates: PlateAuthority,
    reference: str,
    reach: Reach,
    actor: str,
    now: datetime,
) -> TradeIn:
    """Ask the police to cancel the old plate; commits before asking and leaves the last transaction to the caller.

    Returns the trade-in ``old_plate_cancelled``, still ``cancel_requested`` where the answer is pending or did not
    come (we keep asking), or back at ``old_bike_received`` with the police's reason in ``refusal``. While it is
    requested, the same request may be made again. Raises TradeInNotFound and StepNotAllowed.
    """
    trade_in = lock_trade_in(session=session, reference=reference, reach=reach)
    if trade_in.state != "cancel_requested":
        trade_in.state = TRADE_IN.after(state=trade_in.state, step="request_cancellation")
        trade_in.cancellation_no = new_message_no("C")
        trade_in.refusal = None
        detail = {"message_no": trade_in.cancellation_no}
        _note(session, actor, "trade_in.cancellation_requested", trade_in, detail)
    return _ask(session=session, keyring=keyring, plates=plates, trade_in=trade_in, sent_before=False, now=now)


def pending_cancellations(*, session: Session, before: datetime, limit: int) -> list[str]:
    """Return the references of trade-ins whose cancellation was last asked about before that instant, oldest first."""
    query = (
        select(TradeIn.reference)
        .where(TradeIn.state == "cancel_requested", TradeIn.asked_at < before)
        .order_by(TradeIn.asked_at)
        .limit(limit)
    )
    return list(session.scalars(query))


def ask_about_cancellation(
    *, session: Session, keyring: Keyring, plates: PlateAuthority, reference: str, now: datetime
) -> TradeIn:
    """Ask what became of a cancellation, sending it again where the police never received it.

    Transactions as in ``cancel_old_plate``. Nothing happens where it is no longer pending.
    """
    trade_in = lock_trade_in(session=session, reference=reference, reach=EVERYBODYS)
    if trade_in.state != "cancel_requested":
        session.rollback()
        return trade_in
    return _ask(session=session, keyring=keyring, plates=plates, trade_in=trade_in, sent_before=True, now=now)


def record_cancellation(*, session: Session, answer: CancelAnswer, now: datetime) -> TradeIn:
    """Record what the police say of a cancellation, whichever way it came; the same answer again changes nothing.

    The transaction is left to the caller. Raises CancellationUnknown and CancellationDiffers, each with its case
    committed.
    """
    trade_in = session.scalar(_ASKED_UNDER, {"message_no": answer.message_no})
    if trade_in is None:
        _open_case(session, "cancellation_unknown", answer)
        raise CancellationUnknown(message_no=answer.message_no)
    bike = session.get_one(FiledBike, trade_in.filed_bike_id, with_for_update=True)
    requested = trade_in.state == "cancel_requested"
    if bike.plate_no != answer.plate_no or (answer.state == "refused" and not requested):
        _open_case(session, "cancellation_differs", answer)
        raise CancellationDiffers(message_no=answer.message_no)
    if requested and answer.state == "done":
        _confirm(session=session, trade_in=trade_in, bike=bike, answer=answer)
    elif requested and answer.state == "refused":
        _refuse(session=session, trade_in=trade_in, answer=answer)
    session.flush()
    return trade_in


def _ask(
    *,
    session: Session,
    keyring: Keyring,
    plates: PlateAuthority,
    trade_in: TradeIn,
    sent_before: bool,
    now: datetime,
) -> TradeIn:
    trade_in.asked_at = now
    message_no = trade_in.cancellation_no
    assert message_no is not None, "a requested cancellation has its number"
    bike = session.get_one(FiledBike, trade_in.filed_bike_id)
    owner_id_no = open_id_number(person=session.get_one(Person, trade_in.owner_id), keyring=keyring)
    session.commit()
    try:
        answer = plates.find_cancellation(message_no=message_no) if sent_before else None
        if answer is None:
            answer = plates.cancel(message_no=message_no, plate_no=bike.plate_no, owner_id_no=owner_id_no)
    except PartnerUnavailable:
        return trade_in  # the request stands; the poll asks again
    return record_cancellation(session=session, answer=answer, now=now)


def _confirm(*, session: Session, trade_in: TradeIn, bike: FiledBike, answer: CancelAnswer) -> None:
    trade_in.state = TRADE_IN.after(state=trade_in.state, step="confirm_cancellation")
    trade_in.old_plate_cancelled_at = answer.cancelled_at
    _note(session, POLICE, "trade_in.old_plate_cancelled", trade_in, {"message_no": answer.message_no})
    bike.state = FILED_BIKE.after(state=bike.state, step="cancel_plate")
    finish_destruction(session=session, trade_in=trade_in, bike=bike, actor=POLICE)
    owe_message(
        session=session,
        person_id=trade_in.owner_id,
        dedupe_key=f"cancelled:{trade_in.reference}",
        kind="step",
        body=f"您的旧号牌 {bike.plate_no} 已注销，查询号 {trade_in.reference}。现在可以在同一家代办点买新车了。",
    )


def _refuse(*, session: Session, trade_in: TradeIn, answer: CancelAnswer) -> None:
    trade_in.state = TRADE_IN.after(state=trade_in.state, step="refuse_cancellation")
    trade_in.refusal = f"交警没有受理注销：{answer.reason or '未说明原因'}"[:200]
    trade_in.cancellation_no = None  # a new request is a new number
    detail = {"message_no": answer.message_no, "reason": answer.reason or ""}
    _note(session, POLICE, "trade_in.cancellation_refused", trade_in, detail)


def _open_case(session: Session, kind: str, answer: CancelAnswer) -> None:
    detail = {"plate_no": answer.plate_no, "state": answer.state, "reason": answer.reason}
    open_case(session=session, kind=kind, subject=f"cancellation:{answer.message_no[:40]}", detail=detail)
    session.commit()


def _note(session: Session, actor: str, action: str, trade_in: TradeIn, detail: dict[str, str]) -> None:
    facts = {**audit.changes_of(trade_in, "state"), **detail}
    audit.record(session=session, actor=actor, action=action, subject=f"trade_in:{trade_in.reference}", detail=facts)
