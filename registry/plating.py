"""Applying for the new plate: asked of the police under our own number, answered at once, later or when polled.

An issued plate completes the trade-in; that takes its place in the queue and is not done here. No lock and no
transaction is open while the police are asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import audit
from registry.base import PartnerUnavailable, Refusal
from registry.bikes import Bike
from registry.cases import open_case
from registry.codes import new_message_no
from registry.messages import owe_message
from registry.people import Person, open_id_number, open_name
from registry.plate_authority import PlateAnswer, PlateAuthority
from registry.sealing import Keyring
from registry.trade_ins import EVERYBODYS, TRADE_IN, Reach, TradeIn, lock_trade_in

POLICE = "partner:plates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A plate application: the trade-in as it stands, and the police's answer, None where none came yet.

    An answer ``done`` is still to be completed by the caller; ``refused`` has been recorded.
    """

    trade_in: TradeIn
    answer: PlateAnswer | None


class ApplicationNotFound(Refusal):
    """No trade-in waits for this plate application; a case is opened."""

    code = "plate_application_unknown"
    kind = "not_found"
    zh = "没有以 {application_no} 申请过号牌。"
    en = "No plate was applied for under {application_no}."
    remedy_zh = "请核对申请编号。"
    remedy_en = "Check the application number."
    default_field = "application_no"


class RefusalContradicted(Refusal):
    """The police refuse an application whose plate they issued before; a case is opened."""

    code = "plate_refusal_contradicted"
    kind = "conflict"
    zh = "{application_no} 的号牌已经核发过，现在又说不受理，已转人工核对。"
    en = "The plate of {application_no} was issued before; its refusal goes to a person."
    remedy_zh = "请等区市场监管局核对。"
    remedy_en = "Wait for the bureau."
    default_field = "application_no"


def apply_for_plate(
    *,
    session: Session,
    keyring: Keyring,
    plates: PlateAuthority,
    reference: str,
    reach: Reach,
    actor: str,
    now: datetime,
) -> Application:
    """Apply for the new plate in the owner's name; commits before asking and leaves the last transaction to the caller.

    While it is applied for, the same request may be made again. Raises TradeInNotFound and StepNotAllowed.
    """
    trade_in = lock_trade_in(session=session, reference=reference, reach=reach)
    if trade_in.state != "plate_applied":
        trade_in.state = TRADE_IN.after(state=trade_in.state, step="apply_for_plate")
        trade_in.application_no = new_message_no("A")
        trade_in.plate_applied_at = now
        trade_in.refusal = None
        detail = {"application_no": trade_in.application_no}
        _note(session, actor, "trade_in.plate_applied", trade_in, detail)
    return _ask(session=session, keyring=keyring, plates=plates, trade_in=trade_in, sent_before=False, now=now)


def pending_applications(*, session: Session, before: datetime, limit: int) -> list[str]:
    """Return the references of trade-ins whose application was last asked about before that instant, oldest first."""
    query = (
        select(TradeIn.reference)
        .where(TradeIn.state == "plate_applied", TradeIn.asked_at < before)
        .order_by(TradeIn.asked_at)
        .limit(limit)
    )
    return list(session.scalars(query))


def ask_about_application(
    *, session: Session, keyring: Keyring, plates: PlateAuthority, reference: str, now: datetime
) -> Application:
    """Ask what became of an application, sending it again where the police never received it.

    Transactions and result as in ``apply_for_plate``; the answer is None where it is no longer pending.
    """
    trade_in = lock_trade_in(session=session, reference=reference, reach=EVERYBODYS)
    if trade_in.state != "plate_applied":
        session.rollback()
        return Application(trade_in=trade_in, answer=None)
    return _ask(session=session, keyring=keyring, plates=plates, trade_in=trade_in, sent_before=True, now=now)


def record_plate_refusal(*, session: Session, answer: PlateAnswer) -> TradeIn:
    """Record that the police refused an application; → ``new_bike_sold``, so that it can be made anew.

    The transaction is left to the caller. Raises ApplicationNotFound and RefusalContradicted, each with its case
    committed.
    """
    trade_in = session.scalar(
        select(TradeIn)
        .where(TradeIn.application_no == answer.application_no)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if trade_in is None:
        _open_case(session, "plate_application_unknown", answer)
        raise ApplicationNotFound(application_no=answer.application_no)
    if trade_in.state == "completed":
        _open_case(session, "plate_refusal_contradicted", answer)
        raise RefusalContradicted(application_no=answer.application_no)
    trade_in.state = TRADE_IN.after(state=trade_in.state, step="refuse_plate")
    trade_in.refusal = f"交警没有核发号牌：{answer.reason or '未说明原因'}"[:200]
    trade_in.application_no = None  # a new application is a new number
    detail = {"application_no": answer.application_no, "reason": answer.reason or ""}
    _note(session, POLICE, "trade_in.plate_refused", trade_in, detail)
    owe_message(
        session=session,
        person_id=trade_in.owner_id,
        dedupe_key=f"plate_refused:{answer.application_no}"[:64],
        body=f"您的新号牌申请没有通过，查询号 {trade_in.reference}。请联系代办点重新申请，您不用重新排队登记。",
    )
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
) -> Application:
    trade_in.asked_at = now
    application_no = trade_in.application_no
    assert application_no is not None, "an application that was made has its number"
    owner = session.get_one(Person, trade_in.owner_id)
    bike = session.get_one(Bike, trade_in.bike_id)
    session.commit()
    try:
        answer = plates.find_application(application_no=application_no) if sent_before else None
        if answer is None:
            answer = plates.apply(
                application_no=application_no,
                vehicle_code=bike.vehicle_code,
                holder_name=open_name(person=owner, keyring=keyring),
                holder_id_no=open_id_number(person=owner, keyring=keyring),
            )
    except PartnerUnavailable:
        return Application(trade_in=trade_in, answer=None)  # the application stands; the poll asks again
    if answer.state == "refused":
        trade_in = record_plate_refusal(session=session, answer=answer)
    return Application(trade_in=trade_in, answer=answer)


def _open_case(session: Session, kind: str, answer: PlateAnswer) -> None:
    detail = {"plate_no": answer.plate_no, "state": answer.state, "reason": answer.reason}
    open_case(session=session, kind=kind, subject=f"application:{answer.application_no[:40]}", detail=detail)
    session.commit()


def _note(session: Session, actor: str, action: str, trade_in: TradeIn, detail: dict[str, str]) -> None:
    facts = {**audit.changes_of(trade_in, "state"), **detail}
    audit.record(session=session, actor=actor, action=action, subject=f"trade_in:{trade_in.reference}", detail=facts)
