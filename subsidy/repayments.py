"""Money that came back for a return: entered from a receipt by a person, or told by the bank; then the law frees it."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy.orm import Session

from registry.base import Refusal
from registry.inputs import Inputs
from registry.trade_ins import TradeIn
from registry.uniqueness import refusing_duplicates
from subsidy.business_clock import BusinessClock
from subsidy.events import EventKind
from subsidy.notices import LOCAL
from subsidy.reclaims import give_way_to_receipt
from subsidy.returns import RETURN, Repayment, ReturnCase, clean_document_no, lock_return, note_return
from subsidy.standing import append_to_queue, lock_claim, require_another


class RepaymentDiffers(Refusal):
    """The whole amount comes back in one receipt: the queue knows no half subsidy."""

    code = "repayment_differs"
    zh = "应退 {due_yuan} 元，收到 {got_yuan} 元，不能只收一部分，也不能多收。"
    en = "{due_yuan} yuan are due and {got_yuan} yuan came: neither a part nor more can be taken."
    remedy_zh = "不足的请车主补齐成一笔再登记，多出的请退还车主。"
    remedy_en = "Have the owner make it up to one payment of the whole amount, and give back what is too much."
    default_field = "amount_fen"


class ReceivedOnWrong(Refusal):
    """Money arrives between the demand and today."""

    code = "received_on_wrong"
    zh = "到账日期 {received_on} 不对。"
    en = "The money cannot have arrived on {received_on}."
    remedy_zh = "请照银行回单填写：不早于要求退款的那天，不晚于今天。"
    remedy_en = "Copy it from the bank's receipt: not before the demand and not after today."
    default_field = "received_on"


class RepaymentDocumentUsed(Refusal):
    """One bank document stands for one repayment."""

    code = "repayment_document_used"
    zh = "银行回单 {document_no} 已经登记过。"
    en = "The bank's document {document_no} was entered before."
    remedy_zh = "请核对回单编号；一张回单只能登记一笔退款。"
    remedy_en = "Check the number; one document is for one repayment."
    default_field = "document_no"


def record_repayment(
    *,
    session: Session,
    reference: str,
    document_no: str,
    amount_fen: int,
    received_on: date,
    clock: BusinessClock,
    actor: str,
) -> ReturnCase:
    """Enter the receipt for money that came back by hand, and free it (law 8): the books balance with this event.

    ``reference`` is the return's own number, ``received_on`` a day in Asia/Shanghai. A reclaim the bank has not heard
    of yet is taken back; one it contradicted itself about ends with the receipt. The transaction is left to the caller.
    Raises ReturnNotFound, StepNotAllowed, AnotherPersonNeeded, ReclaimUnderWay, CodeInvalid, RepaymentDiffers,
    ReceivedOnWrong and RepaymentDocumentUsed, several at once where several are wrong, and MoneyAtTheBank.
    """
    case = lock_return(session=session, reference=reference)
    RETURN.after(state=case.state, step="repay")
    require_another(first=case.opened_by, second=actor, what_zh="退回申请", what_en="the return")
    document_no = _check_receipt(case, document_no, amount_fen, received_on, clock.now())
    give_way_to_receipt(session=session, case=case, document_no=document_no, actor=actor, now=clock.now())
    free_repaid(session=session, case=case, document_no=document_no, received_on=received_on, clock=clock, actor=actor)
    return case


def free_repaid(
    *, session: Session, case: ReturnCase, document_no: str, received_on: date, clock: BusinessClock, actor: str
) -> None:
    """Write down that the whole amount of a (locked) demand is here, and append the return to the queue.

    Raises StepNotAllowed, RepaymentDocumentUsed and MoneyAtTheBank.
    """
    following = RETURN.after(state=case.state, step="repay")
    trade_in = session.get_one(TradeIn, case.trade_in_id)
    claim = lock_claim(session=session, reference=trade_in.reference).claim
    append_to_queue(
        session=session,
        claim=claim,
        kind=EventKind.RETURN,
        clock=clock,
        actor=actor,
        reason=case.kind,
        was_paid=True,
    )
    with refusing_duplicates(session, {"uq_repayment_document_no": RepaymentDocumentUsed(document_no=document_no)}):
        session.add(
            Repayment(
                return_case_id=case.id,
                document_no=document_no,
                amount_fen=case.amount_fen,
                received_on=received_on,
                entered_by=actor,
                entered_at=clock.now(),
            )
        )
    case.state = following
    detail = {"return": case.reference, "document_no": document_no, "amount_fen": case.amount_fen}
    note_return(session=session, actor=actor, action="return.repaid", reference=trade_in.reference, detail=detail)
    session.flush()


def _check_receipt(case: ReturnCase, document_no: str, amount_fen: int, received_on: date, now: datetime) -> str:
    inputs = Inputs()
    document_no = inputs.take("document_no", clean_document_no, document_no)
    if amount_fen != case.amount_fen:
        due, got = f"{case.amount_fen / 100:.2f}", f"{amount_fen / 100:.2f}"
        inputs.refuse(RepaymentDiffers(due_yuan=due, got_yuan=got))
    assert case.decided_at is not None, "a demand was decided on"
    if not case.decided_at.astimezone(LOCAL).date() <= received_on <= now.astimezone(LOCAL).date():
        inputs.refuse(ReceivedOnWrong(received_on=received_on.isoformat()))
    inputs.check()
    return document_no
