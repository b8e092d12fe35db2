"""Claims after the completion: decisions explained, corrections, holds, overrules, appeals and returns.

Money is integer fen, instants are ISO 8601 with offset (+08:00), days are of Asia/Shanghai, names are masked.
"""

from __future__ import annotations

from typing import Any

from marshmallow import Schema
from marshmallow.fields import Dict, Field, List, Nested, Raw, String

from app.schemas.answers import by_account, flag, text, whole
from app.schemas.fields import Choice, Day, Flag, Image, StrictSchema, Text, Whole
from registry.trade_ins import PHOTO_KINDS
from subsidy.appeals import APPEAL
from subsidy.faults import MARKABLE
from subsidy.holds import HOLD_REASONS
from subsidy.overrules import OVERRULE
from subsidy.returns import KINDS, RETURN
from subsidy.rule_words import WAITS

OFFSET = "ISO 8601 with offset"
SHORTEST_REASON = 4


def many(schema: type[Schema], description: str) -> Field[Any]:
    """A list of an answer."""
    return List(Nested(schema), metadata={"description": description})


def one(schema: type[Schema], description: str) -> Field[Any]:
    """A part of an answer that may be missing."""
    return Nested(schema, allow_none=True, metadata={"description": description})


class CorrectionRequest(StrictSchema):
    """The faulty fields as they read on the original; fields that nothing is wrong with are left out."""

    vehicle_code = Text("vehicle code on the frame, 15 digits", longest=30)
    certificate_no = Text("number of the CCC certificate", longest=40)
    battery_code = Text("battery code on its label, 6 to 40 letters and digits", longest=60)
    owner_name = Text("owner's name exactly as on the ID card", longest=64)


class ClaimPhotoRequest(StrictSchema):
    """A photo of the old bike in place of one that cannot be read."""

    kind = Choice("what the photo shows", PHOTO_KINDS, required=True)
    image = Image("JPEG or PNG, Base64, at most 3 MB of picture", required=True)


class FaultMarkRequest(StrictSchema):
    """What is faulty in a trade-in that still runs."""

    field = Choice("the faulty field", tuple(MARKABLE), required=True)
    note = Text("what is wrong with it, for the record", shortest=SHORTEST_REASON, longest=200, required=True)


class HoldRequest(StrictSchema):
    """Why a claim is to be checked before it is paid."""

    reason_code = Choice("kind of doubt; kept in the queue's log", tuple(HOLD_REASONS), required=True)
    reason = Text("what is to be checked, for the record", shortest=SHORTEST_REASON, longest=200, required=True)


class CaseReasonRequest(StrictSchema):
    """Why a step is taken, for the record."""

    reason = Text("why, for the record", shortest=SHORTEST_REASON, longest=1000, required=True)


class ReleaseRequest(StrictSchema):
    """Why a claim is let go on, for the record."""

    reason = Text("why, for the record", shortest=SHORTEST_REASON, longest=200, required=True)


class AppealRequest(StrictSchema):
    """The owner's objection in his own words."""

    body = Text("why the decision is wrong", shortest=SHORTEST_REASON, longest=1000, required=True)


class AppealPhotoRequest(StrictSchema):
    """A picture that supports an appeal."""

    image = Image("JPEG or PNG, Base64, at most 3 MB of picture", required=True)


class AppealAnswerRequest(StrictSchema):
    """The bureau's answer to an appeal."""

    upheld = Flag("true: the owner is right, an overrule is proposed; false: the decision stands", required=True)
    answer = Text("the answer, as the owner reads it", shortest=SHORTEST_REASON, longest=1000, required=True)


class AppealQuery(StrictSchema):
    """Which appeals to list."""

    state = Choice("only those in this state", tuple(APPEAL.edges))
    overdue = Choice("yes: only those not answered by their due day", ("yes",))


class OverruleQuery(StrictSchema):
    """Which proposals to list."""

    state = Choice("only those in this state", tuple(OVERRULE.edges))


class ReturnRequest(StrictSchema):
    """Why a completed trade-in comes back, and the paper behind it."""

    kind = Choice("what happened", tuple(KINDS), required=True)
    reason = Text("what happened, for the record", shortest=SHORTEST_REASON, longest=1000, required=True)
    proof_no = Text("number of the paper that proves it, 4 to 40 letters and digits", longest=60, required=True)


class ReturnQuery(StrictSchema):
    """Which returns to list."""

    state = Choice("only those in this state", tuple(RETURN.edges))
    overdue = Choice("yes: only those whose money was not back by the due day", ("yes",))


class RepaymentRequest(StrictSchema):
    """The bank's receipt for money that came back."""

    document_no = Text("number of the bank's document, 4 to 40 letters and digits", longest=60, required=True)
    amount_fen = Whole("amount that arrived in fen: the whole amount due", low=1, required=True, example=30_000)
    received_on = Day("day it arrived, Asia/Shanghai", required=True)


class JudgedRuleAnswer(Schema):
    """One rule as it was judged, with what it saw."""

    code = text("stable code of the rule's refusal")
    passed = flag("whether the rule held")
    title_zh = text("the rule in Chinese")
    title_en = text("the rule in English")
    clause_zh = text("clause of the policy, in Chinese")
    clause_en = text("clause of the policy, in English")
    as_of = text(f"instant it was judged as of, {OFFSET}, null where none was recorded", empty=True)
    saw: Field[Any] = Dict(
        keys=String(), values=Raw(allow_none=True), metadata={"description": "the evidence it saw, by name"}
    )
    saw_zh = text("the evidence in one Chinese line")
    saw_en = text("the evidence in one English line")
    why_zh = text("why it failed, in Chinese, null where it held", empty=True)
    why_en = text("why it failed, in English, null where it held", empty=True)


class CorrectableFaultAnswer(Schema):
    """Something that can be put right, and how."""

    code = text("stable code of the fault")
    field = text("what has to be given anew; photo:KIND for a photo")
    zh = text("what is wrong, in Chinese")
    en = text("what is wrong, in English")
    remedy_zh = text("what to do, in Chinese")
    remedy_en = text("what to do, in English")


class ClaimStepAnswer(Schema):
    """One decision of the claim's history."""

    event_no = whole("number of the queue's event that made it")
    at = text(f"instant of the event, {OFFSET}")
    outcome = text("award, decline, waiting or held")
    stage_no = whole("stage that pays or would have paid, null where none", empty=True)
    amount_fen = whole("amount in fen, 0 where nothing is awarded or held")
    overruled = flag("whether an overrule made it")
    zh = text("the decision in Chinese")
    en = text("the decision in English")


class DecisionAnswer(Schema):
    """What was decided on a claim, and everything that decided it: the record alone."""

    reference = text("the trade-in")
    position = whole("position in the programme's queue")
    state = text("waiting, held, awarded, declined, returned or forfeited")
    state_zh = text("the state in Chinese")
    stage_no = whole("stage that pays, null where none does", empty=True)
    amount_fen = whole("subsidy in fen, 0 where none is awarded")
    reason = text("code of why it is declined, waits or is held, null for an award", empty=True)
    reason_zh = text("why it stands as it does, in Chinese, null where nothing keeps it", empty=True)
    reason_en = text("why it stands as it does, in English, null where nothing keeps it", empty=True)
    waits_for = text(f"what it waits for: {', '.join(WAITS)}; null where for nothing", empty=True)
    waits_for_zh = text("what it waits for, in Chinese", empty=True)
    waits_for_en = text("what it waits for, in English", empty=True)
    ahead = whole("claims that are served before it while it waits")
    effective_at = text(f"instant the police issued the plate, as the queue counts it, {OFFSET}")
    recorded_at = text(f"instant it took its place, {OFFSET}")
    correct_by = text(f"instant by which the faults have to be corrected, {OFFSET}, null without a term", empty=True)
    faults = many(CorrectableFaultAnswer, "what can be put right")
    conditions = many(JudgedRuleAnswer, "every condition of eligibility, the failed ones first")
    queue_rule = one(JudgedRuleAnswer, "the law's own reason (limit, window, money), null where a condition decided")
    history = many(ClaimStepAnswer, "every decision on the claim, oldest first")
    may_be_appealed = flag("whether the owner can file an appeal now")
    appeal = text("number of the latest appeal, null where there is none", empty=True)
    appeal_state = text("state of the latest appeal", empty=True)
    return_reference = text("number of the return, null where there is none", empty=True)
    return_state = text("state of the return", empty=True)
    repay_by = text("day by which a paid subsidy has to be back, Asia/Shanghai", empty=True)
    repay_fen = whole("amount to be paid back in fen, 0 where none is demanded")


class ToCorrectAnswer(Schema):
    """A claim that waits for a correction."""

    reference = text("the trade-in")
    position = whole("position in the queue, kept")
    state = text("held, or waiting where no place is free yet")
    amount_fen = whole("amount kept in fen, 0 while it waits")
    correct_by = text(f"instant by which it has to be corrected, {OFFSET}, null while it waits", empty=True)
    faults = many(CorrectableFaultAnswer, "what has to be put right")


class ToCorrectList(Schema):
    """Claims that wait for a correction, the one due soonest first."""

    claims = many(ToCorrectAnswer, "the claims")


class FaultMarkAnswer(Schema):
    """A field marked as faulty."""

    reference = text("the trade-in")
    field = text("the faulty field")
    marked_at = text(f"instant it was marked, {OFFSET}")


class HoldAnswer(Schema):
    """A hold and the claim under it."""

    reference = text("the trade-in")
    position = whole("position in the queue, kept")
    state = text("state of the claim now")
    reason_code = text("kind of doubt")
    held_at = text(f"instant it was held, {OFFSET}")
    released_at = text(f"instant it was released, {OFFSET}, null while it is held", empty=True)


class AppealAnswer(Schema):
    """One appeal."""

    reference = text("number of the appeal, e.g. SS-7K2M-94")
    trade_in = text("the trade-in's reference")
    position = whole("position in the queue")
    state = text("filed, upheld, granted or rejected")
    state_zh = text("the state in Chinese")
    body = text("the owner's words")
    filed_at = text(f"instant it was filed, {OFFSET}")
    due_on = text("last day for the answer, Asia/Shanghai")
    overdue = flag("whether it should have been answered before today")
    photos = whole("how many pictures there are")
    answer = text("the bureau's answer, null until there is one", empty=True)
    answered_at = text(f"instant of the answer, {OFFSET}", empty=True)


class AppealList(Schema):
    """Appeals, the one due soonest first."""

    appeals = many(AppealAnswer, "the appeals")


class OverruleAnswer(Schema):
    """One proposal to pay a declined claim."""

    reference = text("number of the proposal, e.g. GP-7K2M-94")
    trade_in = text("the trade-in's reference")
    position = whole("position in the queue")
    state = text("proposed, approved or refused")
    state_zh = text("the state in Chinese")
    reason = text("why it should be paid")
    proposed_by = by_account("account that proposed it")
    proposed_at = text(f"instant it was proposed, {OFFSET}")
    decided_by = by_account("account that decided on it, null until then", empty=True)
    decided_at = text(f"instant it was decided on, {OFFSET}", empty=True)
    decision_reason = text("why it was refused", empty=True)
    claim_state = text("state of the claim now")
    amount_fen = whole("what the claim is paid now, in fen")


class OverruleList(Schema):
    """Proposals, newest first."""

    overrules = many(OverruleAnswer, "the proposals")


class ReturnAnswer(Schema):
    """One return."""

    reference = text("number of the return, e.g. TH-7K2M-94")
    trade_in = text("the trade-in's reference")
    kind = text(f"what happened: {', '.join(KINDS)}")
    kind_zh = text("what happened, in Chinese")
    state = text("proposed, refused, returned, demanded or repaid")
    state_zh = text("the state in Chinese")
    reason = text("what happened, in words")
    proof_no = text("number of the paper behind it")
    opened_by = by_account("account that opened it")
    opened_at = text(f"instant it was opened, {OFFSET}")
    decided_by = by_account("account that decided on it, null until then", empty=True)
    decided_at = text(f"instant it was decided on, {OFFSET}", empty=True)
    amount_fen = whole("amount demanded back in fen, 0 where nothing had been paid")
    due_on = text("day by which it has to be back, Asia/Shanghai, null where nothing is demanded", empty=True)
    overdue = flag("whether the money should have been back before today")
    document_no = text("number of the bank's receipt, null until the money is back", empty=True)
    received_on = text("day the money came back, Asia/Shanghai", empty=True)


class ReturnList(Schema):
    """Returns, newest first."""

    returns = many(ReturnAnswer, "the returns")
