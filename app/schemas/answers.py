"""What callers get. Money is integer fen, instants are ISO 8601 with offset (+08:00), names are masked."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import Schema
from marshmallow.fields import Boolean, Dict, Field, Integer, List, Nested, String

from app.actors import login_of
from app.schemas.requests import WAITERS

ZONES = ("offset", "Asia/Shanghai")


def text(description: str, *, empty: bool = False) -> String:
    """A text field of an answer; ``empty`` where it may be null.

    What begins with «instant», «when», «since» or «day» says by itself how it is written and in which
    zone.
    """
    return String(metadata={"description": _zoned(description)}, allow_none=empty)


class Actor(String):
    """Who did something: the login of the account, or the name of what acts without one."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        said = super()._serialize(value, attr, obj, **kwargs)
        return None if said is None else login_of(said)


def by_account(description: str, *, empty: bool = False) -> Actor:
    """Who did something, in an answer; ``empty`` where it may be null."""
    return Actor(metadata={"description": f"login of the {description}"}, allow_none=empty)


def _zoned(description: str) -> str:
    first = description.split(" ")[0].rstrip(",;")
    if any(zone in description for zone in ZONES):
        return description
    if first in ("instant", "when", "since"):
        return f"{description}; ISO 8601 with offset (+08:00)"
    if first in ("day", "business", "last", "first") and re.search(r"\bday\b", description):
        written = "" if "YYYY" in description else " YYYY-MM-DD,"
        return f"{description};{written} Asia/Shanghai"
    return description


def whole(description: str, *, empty: bool = False) -> Integer:
    """A whole number of an answer; ``empty`` where it may be null."""
    return Integer(metadata={"description": description}, allow_none=empty)


def flag(description: str) -> Boolean:
    """A yes or no of an answer."""
    return Boolean(metadata={"description": description})


class FaultAnswer(Schema):
    """One thing wrong with the request."""

    field = text(
        "the field as sent, one inside another as stages.2.places, lists from 1; null for the whole", empty=True
    )
    code = text("stable code of the fault")
    zh = text("what is wrong, in Chinese")
    en = text("what is wrong, in English")
    remedy_zh = text("what to do, in Chinese")
    remedy_en = text("what to do, in English")


class ProblemAnswer(Schema):
    """A problem (RFC 9457)."""

    type = text("urn:mapai:problem:<code>")
    title = text("the problem in one Chinese sentence")
    status = whole("HTTP status")
    code = text("stable code of the first fault")
    detail = text("all faults and remedies in Chinese, equal ones once")
    detail_en = text("all faults and remedies in English, equal ones once")
    errors: Field[Any] = List(Nested(FaultAnswer), metadata={"description": "every fault, one a field"})
    reference = text("the trade-in that stands although the step was refused; only then", empty=True)


class SignInAnswer(Schema):
    """A new sign-in."""

    token = text("send as «Authorization: Bearer …»; shown once")
    expires_in_s = whole("life of the token in seconds")
    role = text("role of the account")
    display_name = text("name of the account for people")


class OneTimeCodeAnswer(Schema):
    """A code is on its way, to whoever holds the phone."""

    lives_s = whole("life of the code in seconds, real time")
    again_in_s = whole("seconds until another code may be asked for")


class UnmaskingAnswer(Schema):
    """One field of a person in clear. Show it, do not keep it."""

    person_id = whole("the person")
    field = text("name, id_no or phone")
    value = text("the field in clear")


class PhoneAnswer(Schema):
    """The phone of a person as it stands."""

    person_id = whole("the person")
    phone = text("phone, masked")


class BikeAnswer(Schema):
    """A new bike."""

    vehicle_code = text("vehicle code, 15 digits")
    registration_code = text("registration code (赋码), 10 characters")
    battery_code = text("battery code")
    certificate_no = text("certificate number")
    model = text("model")
    state = text("in_stock, sold or plated")


class PlaceAnswer(Schema):
    """A completed trade-in's place in the queue and what was decided."""

    position = whole("position in the programme's queue, null where no programme ran", empty=True)
    state = text("waiting, held, awarded, declined, returned or forfeited")
    state_zh = text("the state in Chinese")
    stage_no = whole("stage that pays, null where none does yet", empty=True)
    amount_fen = whole("subsidy in fen, 0 where none is awarded")
    reason = text("code of why it was declined or waits", empty=True)
    effective_at = text("instant the police issued the plate, as the queue counts it")
    recorded_at = text("instant it took its place")


class PayoutAnswer(Schema):
    """What became of the money."""

    state = text("awaiting_wallet, owed, in_flight, settled, frozen or withdrawn")
    state_zh = text("the state in Chinese")
    amount_fen = whole("amount in fen")
    owed_since = text("instant since which it is owed")
    settled_at = text("instant it arrived", empty=True)
    problem = text("code of what keeps it", empty=True)
    waits_for = text(
        "destruction: it is paid once the old bike is destroyed; null where it waits for nobody", empty=True
    )
    waits_for_zh = text("what the payment waits for, in Chinese", empty=True)


class ForeseenAnswer(Schema):
    """What speaks against a subsidy before the trade-in is complete."""

    code = text(
        "filed_after_cut_off, filed_too_long_ago, transferred_after_cut_off, limit_reached or programme_over, which are"
        " certain; no_programme, not_open_yet, paused, between_stages or no_place, which may still change"
    )
    no_subsidy = flag(
        "whether it is certain; then the old bike is received only with «owner_knows» true, and no subsidy will come"
    )
    zh = text("the same in one sentence, in Chinese")
    en = text("the same in one sentence, in English")


class RepayingAnswer(Schema):
    """Money that was paid and has to come back."""

    reference = text("number of the return, to be named with the payment, e.g. TH-7K2M-94")
    amount_fen = whole("amount to pay back in fen, in one payment")
    due_on = text("day by which it has to be back, YYYY-MM-DD, Asia/Shanghai")
    repay_to = text("the bureau's payee and account; null: pay at the bureau's counter or the point", empty=True)


class TradeInAnswer(Schema):
    """One trade-in as it stands."""

    reference = text("reference, e.g. GS-7K2M-94")
    state = text("state")
    state_zh = text("the state in Chinese")
    waiting_for = text(f"who acts next: {', '.join(WAITERS)}")
    next_zh = text("what happens next, in Chinese")
    next_en = text("what happens next, in English")
    place_note_zh = text("that no place is kept until completion, in Chinese, null once it is over", empty=True)
    place_note_en = text("that no place is kept until completion, in English, null once it is over", empty=True)
    point = text("name of the trade-in point")
    plate_no = text("plate of the old bike")
    owner = text("owner's name, masked")
    refusal = text("why the police refused the last step, in Chinese", empty=True)
    photos: Field[Any] = List(String(), metadata={"description": "kinds of photo there are"})
    steps: Field[Any] = Dict(
        keys=String(), values=String(allow_none=True), metadata={"description": "instant of each step, null if to come"}
    )
    recycling_certificate_no = text("number of the recycling certificate", empty=True)
    bike: Field[Any] = Nested(
        BikeAnswer, allow_none=True, metadata={"description": "the new bike, null before the sale"}
    )
    new_plate_code = text(
        "address of the new plate's code, which links its images; null before it is issued", empty=True
    )
    new_plate_no = text("plate of the new bike", empty=True)
    place: Field[Any] = Nested(
        PlaceAnswer, allow_none=True, metadata={"description": "place in the queue, once completed"}
    )
    payout: Field[Any] = Nested(PayoutAnswer, allow_none=True, metadata={"description": "the money, once awarded"})
    wallet_tail = text("last four characters of the confirmed wallet", empty=True)
    foreseen: Field[Any] = Nested(
        ForeseenAnswer,
        allow_none=True,
        metadata={
            "description": "what speaks against a subsidy, told before the old bike is given away; null: nothing"
        },
    )
    repaying: Field[Any] = Nested(
        RepayingAnswer, allow_none=True, metadata={"description": "a paid subsidy that is demanded back, null: none"}
    )


class TradeInRow(Schema):
    """One trade-in in a list."""

    reference = text("reference")
    state = text("state")
    state_zh = text("the state in Chinese")
    waiting_for = text(f"who acts next: {', '.join(WAITERS)}")
    plate_no = text("plate of the old bike")
    owner = text("owner's name, masked")
    opened_at = text("instant it was opened")
    refusal = text("why the police refused the last step, in Chinese", empty=True)
    position = whole("position in the queue, null before completion", empty=True)
    amount_fen = whole("subsidy in fen, null before completion", empty=True)


class TradeInList(Schema):
    """Trade-ins, newest first."""

    trade_ins: Field[Any] = List(Nested(TradeInRow), metadata={"description": "the trade-ins"})
    counts: Field[Any] = Dict(
        keys=String(), values=Integer(), metadata={"description": "how many there are in each state, all pages"}
    )
    next_before = text("send as «before» for the next page, null on the last", empty=True)


class WalletAnswer(Schema):
    """The wallet the subsidy goes to."""

    reference = text("the trade-in")
    tail = text("last four characters of the wallet")
    confirmed_at = text("instant it was confirmed")


class StageAnswer(Schema):
    """One stage, live."""

    number = whole("number of the stage")
    phase = text("future, open, closed or settled")
    opens_at = text("instant it opens")
    closes_at = text("instant it closes")
    amount_fen = whole("subsidy for one trade-in in fen")
    places = whole("places, those carried over included")
    places_left = whole("places that can still be had")
    awarded = whole("claims awarded")
    held = whole("claims held for correction")


class ProgrammeAnswer(Schema):
    """The programme, live."""

    code = text("code of the programme")
    name_zh = text("name in Chinese")
    name_en = text("name in English")
    as_of = text("instant this was true, at most a second ago")
    paused = flag("whether it is paused")
    ended = flag("whether it has ended")
    pause_reason_zh = text("why it is paused, in Chinese, null where it is not", empty=True)
    pause_reason_en = text("why it is paused, in English, null where it is not", empty=True)
    paused_since = text("instant since which it is paused, null where it is not", empty=True)
    current = whole("number of the open stage, null where none is", empty=True)
    next_opening = whole("number of the next stage to open, null where none will", empty=True)
    waiting = whole("claims that wait for money")
    stages: Field[Any] = List(Nested(StageAnswer), metadata={"description": "the stages in order"})


class StageMoney(StageAnswer):
    """One stage with its money. total = paid + committed + held + free."""

    budget_fen = whole("budget in fen")
    total_fen = whole("what the stage has: budget plus carried in less moved on, in fen")
    free_fen = whole("free, in fen")
    committed_fen = whole("awarded and not yet paid, in fen")
    held_fen = whole("reserved for held claims, in fen")
    paid_fen = whole("paid, in fen")
    carried_in_fen = whole("carried in from the stage before, in fen")
    moved_fen = whole("moved on at settling, in fen")


class BoardAnswer(ProgrammeAnswer):
    """The bureau's board."""

    stages: Field[Any] = List(Nested(StageMoney), metadata={"description": "the stages with their money"})
    claims = whole("claims in the queue")
    trade_ins: Field[Any] = Dict(
        keys=String(), values=Integer(), metadata={"description": "how many trade-ins stand in each state"}
    )
    open_cases: Field[Any] = Dict(
        keys=String(), values=Integer(), metadata={"description": "open staff cases of each kind"}
    )


class HealthAnswer(Schema):
    """Whether this process can serve."""

    status = text("ok")


class CallbackAnswer(Schema):
    """What became of a callback."""

    reference = text("the trade-in")
    state = text("state of the claim, or of the trade-in where none was completed")
    position = whole("position in the queue", empty=True)
    stage = whole("stage that pays", empty=True)
    amount_fen = whole("subsidy in fen")
