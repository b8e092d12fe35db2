"""What the routes of payment batches, payouts, statements and dealers' money take and give.

Money is integer fen; instants carry an offset; days and months are of Asia/Shanghai.
"""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError
from marshmallow.fields import Field, List, Nested

from app.schemas.answers import by_account, flag, text, whole
from app.schemas.fields import Choice, Day, Flag, StrictSchema, Text, Whole
from subsidy.payouts import BATCH, PAYOUT
from subsidy.statement_lines import Verdict
from subsidy.statement_resolution import OF_PAYOUT, RESOLUTIONS

LARGEST_ID = 2**63 - 1


class BatchQuery(StrictSchema):
    """Which batches to list."""

    state = Choice("only those in this state", tuple(BATCH.edges))
    before = Whole("only those older than this id: the next page", low=1, high=LARGEST_ID, from_text=True)
    limit = Whole("how many, newest first", low=1, high=200, from_text=True, load_default=50)


class BatchApprovalRequest(StrictSchema):
    """An approval names what is approved."""

    total_fen = Whole("the batch's total in fen, as the approver sees it", low=1, high=LARGEST_ID, required=True)


class BatchCancellationRequest(StrictSchema):
    """Why a batch is cancelled."""

    reason = Text("why, for the record", shortest=2, longest=200, required=True)


class BatchAnswer(Schema):
    """One payment batch."""

    id = whole("id of the batch")
    state = text("cut, half, approved, short, released, finished or cancelled")
    state_zh = text("the state in Chinese")
    next_zh = text("who acts next and how, in Chinese")
    next_en = text("who acts next and how, in English")
    payouts = whole("how many payouts it gathers")
    total_fen = whole("their sum in fen")
    needs_second = flag("whether a second person has to approve it")
    cut_at = text("instant it was cut")
    cut_by = by_account("account that cut it, or scheduler")
    first_by = by_account("account that approved it, or scheduler where no approval is asked", empty=True)
    first_at = text("instant of that approval", empty=True)
    second_by = by_account("account that approved it second", empty=True)
    second_at = text("instant of the second approval", empty=True)
    fund_fen = whole("what our account at the operator held when last asked, in fen", empty=True)
    fund_asked_at = text("instant it was last asked", empty=True)
    released_at = text("instant sending began", empty=True)
    ended_at = text("instant it was finished or cancelled", empty=True)
    reason = text("why it was cancelled", empty=True)


class BatchItemAnswer(Schema):
    """One payout of a batch."""

    payout_id = whole("id of the payout")
    reference = text("reference of the trade-in")
    owner = text("owner's name, masked")
    amount_fen = whole("amount as approved, in fen")
    state = text("state of the payout now")
    state_zh = text("that state in Chinese")


class BatchDetailAnswer(BatchAnswer):
    """One payment batch with what is in it."""

    items: Field[Any] = List(Nested(BatchItemAnswer), metadata={"description": "the payouts, owed longest first"})


class BatchList(Schema):
    """Batches, newest first."""

    batches: Field[Any] = List(Nested(BatchAnswer), metadata={"description": "the batches"})
    next_before = whole("send as «before» for the next page, null on the last", empty=True)


class PayoutQuery(StrictSchema):
    """Which payouts to list."""

    state = Choice("only those in this state", tuple(PAYOUT.edges), load_default="frozen")
    before = Whole("only those with a smaller id: the next page", low=1, high=LARGEST_ID, from_text=True)
    limit = Whole("how many, newest first", low=1, high=200, from_text=True, load_default=50)


class AttemptAnswer(Schema):
    """One payment attempt."""

    attempt_no = whole("which attempt, from 1")
    bank_number = text("our number of it at the bank")
    state = text("sent, unknown, settled or rejected")
    state_zh = text("the state in Chinese")
    reason = text("why the bank rejected it, the bank's word", empty=True)
    amount_fen = whole("amount in fen")
    wallet_tail = text("last four characters of the wallet")
    sent_at = text("instant it was sent")
    finished_at = text("instant it ended", empty=True)
    decided_by = by_account("account that decided how it ended, null where the bank's word stands", empty=True)


class PayoutEndAnswer(Schema):
    """How somebody would end a frozen payout, until another person decides."""

    id = whole("id of the proposal")
    resolution = text("settle_by_document or refund_received")
    resolution_zh = text("the same in Chinese")
    finding = text("what was found out")
    document_no = text("number of the document it stands on")
    asked_by = by_account("account that proposed it")
    asked_at = text("instant of that")


class PayoutDetailAnswer(Schema):
    """One payout with its attempts."""

    id = whole("id of the payout")
    reference = text("reference of the trade-in")
    position = whole("position of its claim")
    stage_no = whole("stage it is paid from")
    amount_fen = whole("amount in fen")
    state = text("awaiting_wallet, owed, in_flight, settled, frozen or withdrawn")
    state_zh = text("the state in Chinese")
    problem = text("why it froze or came back, a code", empty=True)
    batch_id = whole("batch it is or was sent in", empty=True)
    owed_since = text("instant it was awarded")
    settled_at = text("instant it arrived", empty=True)
    proposed_end: Field[Any] = Nested(
        PayoutEndAnswer,
        allow_none=True,
        metadata={"description": "how somebody would end it, or null"},
    )
    attempts: Field[Any] = List(Nested(AttemptAnswer), metadata={"description": "the attempts, oldest first"})


class PayoutList(Schema):
    """Payouts, newest first."""

    payouts: Field[Any] = List(Nested(PayoutDetailAnswer), metadata={"description": "the payouts"})
    next_before = whole("send as «before» for the next page, null on the last", empty=True)


class StatementQuery(StrictSchema):
    """Which statements to list."""

    before = Day("only those of earlier days: the next page")
    limit = Whole("how many, newest first", low=1, high=200, from_text=True, load_default=31)


class StatementAnswer(Schema):
    """One day's statement as compared last."""

    day = text("business day, YYYY-MM-DD")
    settled_count = whole("transfers the bank says it settled")
    settled_fen = whole("their sum in fen, as the bank says")
    clean = flag("whether nothing differed")
    by_totals = flag("whether totals and hash agreed, so that the lines were not asked for")
    same = whole("lines that are the same on both sides")
    differences = whole("lines that differ")
    open_differences = whole("of them, those nobody has ended yet")
    compared_at = text("instant of the last comparison, real time")


class StatementList(Schema):
    """Statements, newest first."""

    statements: Field[Any] = List(Nested(StatementAnswer), metadata={"description": "the statements"})
    next_before = text("send as «before» for the next page, null on the last", empty=True)


class LineQuery(StrictSchema):
    """Which lines to list."""

    verdict = Choice("only those judged so", tuple(Verdict))
    open = Choice("yes: only differences nobody has ended", ("yes",))
    after = Whole("only those with a greater id: the next page", low=0, high=LARGEST_ID, from_text=True, load_default=0)
    limit = Whole("how many", low=1, high=500, from_text=True, load_default=200)


class LineAnswer(Schema):
    """One line of a day's statement, judged, and what became of a difference."""

    id = whole("id of the line")
    day = text("business day, YYYY-MM-DD")
    bank_number = text("our number of the transfer at the bank; TOTALS for the statement's sums")
    verdict = text("same, missing_here, missing_there, amount_differs, state_differs, listed_twice or totals_differ")
    verdict_zh = text("the verdict in Chinese")
    payout_id = whole("id of the payout, null where we know no such number", empty=True)
    our_state = text("state in our books", empty=True)
    our_fen = whole("amount in our books, in fen", empty=True)
    bank_state = text("state on the statement", empty=True)
    bank_fen = whole("amount on the statement, in fen", empty=True)
    finding = text("what a person found out", empty=True)
    resolution = text("how it ends or shall end", empty=True)
    resolution_zh = text("the same in Chinese", empty=True)
    document_no = text("number of the document it stands on", empty=True)
    written_off_fen = whole("what the bank is short of our books for good, in fen; negative where over", empty=True)
    found_by = by_account("account that recorded the finding", empty=True)
    found_at = text("instant of that", empty=True)
    resolved_by = by_account("account that ended it, or reconciliation", empty=True)
    resolved_at = text("instant it was ended, null while it is open", empty=True)
    is_open = flag("whether it differs and nobody has ended it")


class LineList(Schema):
    """A day's lines, in the order in which they were first judged."""

    lines: Field[Any] = List(Nested(LineAnswer), metadata={"description": "the lines"})
    next_after = whole("send as «after» for the next page, null on the last", empty=True)


class LineResolutionRequest(StrictSchema):
    """What was found about a difference, and how it ends."""

    resolution = Choice(
        "wait_next_statement, write_off (approved by another person), or for finance alone settle_by_statement,"
        " settle_by_document, refund_received (these two approved by another person where the payout is frozen)",
        RESOLUTIONS,
        required=True,
    )
    finding = Text("what was found out, for the record", shortest=4, longest=500, required=True)
    document_no = Text("number of the document it stands on, where one is needed", longest=60, load_default="")


class ResolutionDecisionRequest(StrictSchema):
    """The second person's word on how something shall end."""

    approve = Flag("true approves it, false refuses it", required=True)
    finding = Text("why, for the record", shortest=4, longest=500, required=True)


class PayoutResolutionRequest(StrictSchema):
    """How a frozen payout that no statement tells of shall end."""

    resolution = Choice("settle_by_document or refund_received", OF_PAYOUT, required=True)
    finding = Text("what was found out, for the record", shortest=4, longest=500, required=True)
    document_no = Text("number of the document it stands on", longest=60, required=True)


class Month(Text):
    """A calendar month, YYYY-MM, of Asia/Shanghai."""

    def __init__(self, description: str, **kwargs: Any) -> None:
        super().__init__(description, shortest=7, longest=7, example="2026-06", **kwargs)

    def _validate(self, value: Any) -> None:
        super()._validate(value)
        year, dash, month = value.partition("-")
        sound = dash and year.isascii() and month.isascii() and year.isdigit() and month.isdigit()
        if not sound or not 2000 <= int(year) <= 2999 or not 1 <= int(month) <= 12:
            raise ValidationError("not_a_day")


class MonthQuery(StrictSchema):
    """Which month's sales."""

    month = Month("month of the sales, Asia/Shanghai; the present one without it")


class PointSaleAnswer(Schema):
    """One sale to a trading-in owner, and where that owner's subsidy stands."""

    reference = text("reference of the trade-in")
    sold_at = text("instant of the sale")
    list_price_fen = whole("displayed price in fen")
    discount_fen = whole("maker's discount the point passed on, in fen")
    deduction_fen = whole("deduction the point gave for the old bike, in fen")
    fronted_fen = whole("the two together, in fen")
    paid_fen = whole("price the owner paid, in fen")
    position = whole("position of the owner's claim, null until the trade-in completes", empty=True)
    subsidy_fen = whole("the owner's subsidy in fen, 0 where there is none or none yet")
    state = text("where the subsidy stands: open, waiting, held, declined, returned, forfeited, or the payout's state")
    state_zh = text("the same in Chinese")
    waiting_since = text("since when the owner's money is owed, null where none is", empty=True)
    expected_on = text("day it should arrive at the pace of the last days, null where nobody can say", empty=True)
    settled_at = text("instant the subsidy arrived", empty=True)


class PointTotalsAnswer(Schema):
    """Sums over the month, in fen."""

    sales = whole("how many sales")
    discount_fen = whole("maker's discounts passed on, in fen")
    deduction_fen = whole("deductions for old bikes, in fen")
    fronted_fen = whole("the two together, in fen")
    subsidy_owed_fen = whole("subsidies of these owners awarded and not yet arrived, in fen")
    subsidy_paid_fen = whole("subsidies of these owners that have arrived, in fen")


class PointMoneyAnswer(Schema):
    """A point's month."""

    month = text("YYYY-MM, Asia/Shanghai")
    as_of = text("instant it was true")
    paid_per_day = whole("payouts that arrived a day, on average of the last seven days with any", empty=True)
    totals: Field[Any] = Nested(PointTotalsAnswer, metadata={"description": "sums over the month"})
    sales: Field[Any] = List(Nested(PointSaleAnswer), metadata={"description": "the sales, oldest first"})
