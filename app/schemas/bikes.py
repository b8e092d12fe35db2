"""Catalogue, standards, batteries, imports, transfers and the ends of old bikes: what callers send and get."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema
from marshmallow.fields import Dict, Field, List, Nested, String

from app.schemas.answers import flag, text, whole
from app.schemas.fields import Choice, Day, Image, StrictSchema, Text, Whole
from registry.batteries import REASONS
from registry.compliance import BATTERY_KINDS
from registry.destruction import PARTS
from registry.transfers import PARTIES


def grams(description: str, **options: Any) -> Whole:
    """A mass in g."""
    return Whole(f"{description} in g", low=1, high=500_000, required=True, example=55_000, **options)


def speed(description: str) -> Whole:
    """A speed in m/h."""
    return Whole(f"{description} in m/h", low=1, high=200_000, required=True, example=25_000)


def watts(description: str) -> Whole:
    """A power in W."""
    return Whole(f"{description} in W", low=1, high=20_000, required=True, example=400)


def millivolts(description: str) -> Whole:
    """A voltage in mV."""
    return Whole(f"{description} in mV", low=1, high=500_000, required=True, example=48_000)


class StandardRequest(StrictSchema):
    """An edition of the standard: its days in Asia/Shanghai, both ends included, and its limits."""

    standard = Text("name of the edition", shortest=4, longest=16, required=True, example="GB 17761-2024")
    made_from = Day("first day of making, null where it has none", load_default=None, allow_none=True)
    made_until = Day("last day of making, null where it has none", load_default=None, allow_none=True)
    sold_until = Day("last day of sale, null where it has none", load_default=None, allow_none=True)
    weight_g = grams("largest mass")
    weight_lead_acid_g = grams("largest mass with a lead-acid battery")
    top_speed_m_h = speed("highest top speed")
    motor_w = watts("highest continuous rated motor power")
    voltage_mv = millivolts("highest nominal voltage")


class StandardAnswer(Schema):
    """An edition of the standard."""

    standard = text("name of the edition")
    made_from = text("first day of making, null where it has none", empty=True)
    made_until = text("last day of making, null where it has none", empty=True)
    sold_until = text("last day of sale, null where it has none", empty=True)
    weight_g = whole("largest mass in g")
    weight_lead_acid_g = whole("largest mass with a lead-acid battery in g")
    top_speed_m_h = whole("highest top speed in m/h")
    motor_w = whole("highest continuous rated motor power in W")
    voltage_mv = whole("highest nominal voltage in mV")


class StandardList(Schema):
    """Every edition, oldest first."""

    standards: Field[Any] = List(Nested(StandardAnswer), metadata={"description": "the editions"})


class ModelRequest(StrictSchema):
    """A certificate (CCC) of a model, as it was printed. The same maker, model and number again corrects it."""

    maker_code = Text("maker: the first four digits of its vehicle codes", longest=8, required=True, example="1182")
    name = Text("model", longest=64, required=True, example="TDT2601Z")
    ccc_no = Text("number of the CCC certificate, 6 to 40 letters and digits", longest=60, required=True)
    standard = Text("edition of the standard, one of GET /api/standards", longest=16, required=True)
    valid_from = Day("first day the certificate is valid, Asia/Shanghai", required=True)
    valid_until = Day("last day the certificate is valid, Asia/Shanghai", required=True)
    battery_kind = Choice("chemistry of the battery", BATTERY_KINDS, required=True)
    weight_g = grams("measured mass")
    top_speed_m_h = speed("measured top speed")
    motor_w = watts("measured continuous rated motor power")
    voltage_mv = millivolts("nominal voltage")


class ModelQuery(StrictSchema):
    """Which entries of the catalogue to list."""

    maker_code = Text("only this maker's", longest=4)
    name = Text("only this model", longest=64)
    after = Whole("id of the last entry of the page before", high=2**63 - 1, from_text=True, load_default=0)


class ModelAnswer(Schema):
    """One entry of the catalogue."""

    id = whole("id of the entry")
    maker_code = text("maker: the first four digits of its vehicle codes")
    name = text("model")
    ccc_no = text("number of the CCC certificate")
    standard = text("edition of the standard")
    valid_from = text("first day the certificate is valid")
    valid_until = text("last day the certificate is valid")
    withdrawn_on = text("day from which it holds no more, null while it holds", empty=True)
    battery_kind = text("chemistry of the battery")
    weight_g = whole("measured mass in g")
    top_speed_m_h = whole("measured top speed in m/h")
    motor_w = whole("measured continuous rated motor power in W")
    voltage_mv = whole("nominal voltage in mV")


class ModelList(Schema):
    """A page of the catalogue, in the order entries were added."""

    models: Field[Any] = List(Nested(ModelAnswer), metadata={"description": "up to 200 entries"})
    next_after = whole("send as «after» for the next page, null on the last", empty=True)


class WithdrawalRequest(StrictSchema):
    """Since when a certificate holds no more, and why."""

    withdrawn_on = Day("first day it holds no more, Asia/Shanghai", required=True)
    reason = Text("why, for the record", shortest=4, longest=200, required=True)


class ImportQuery(StrictSchema):
    """How a file is taken in. The file itself is the part ``file`` of multipart/form-data."""

    dry_run = Choice("«true» tells what would happen and stores nothing", ("true", "false"), load_default="false")


class FindingAnswer(Schema):
    """What is to be said about one cell of one row."""

    line = whole("line of the row in the file, the header being 1")
    header = text("header of the column, empty where it is about the row as a whole")
    code = text("stable code of the finding")
    zh = text("what is wrong, in Chinese")
    en = text("what is wrong, in English")
    remedy_zh = text("what to do, in Chinese")
    remedy_en = text("what to do, in English")


class ModelImportAnswer(Schema):
    """How an import of models went: read = added + changed + unchanged + refused."""

    dry_run = flag("nothing was stored")
    read = whole("rows with anything in them")
    added = whole("rows that became new entries")
    changed = whole("rows that corrected an entry")
    unchanged = whole("rows the catalogue held already")
    refused = whole("rows that did not go in")
    findings: Field[Any] = List(Nested(FindingAnswer), metadata={"description": "what to correct, by line"})


class StockImportAnswer(Schema):
    """How a stock-in from a file went: read = stored + unchanged + refused."""

    id = whole("id of the import")
    dry_run = flag("nothing was stored")
    read = whole("rows with anything in them")
    stored = whole("bikes taken into stock")
    unchanged = whole("bikes that were in stock already as the row says")
    refused = whole("rows that did not go in")
    findings: Field[Any] = List(Nested(FindingAnswer), metadata={"description": "what to correct, by line"})
    problems = text("address of the workbook of the rows that did not go in, null where there are none", empty=True)


class SwapRequest(StrictSchema):
    """One battery out, another in."""

    old_battery_code = Text("code on the battery that comes out", longest=60, required=True)
    new_battery_code = Text("code on the battery that goes in", longest=60, required=True)
    battery_kind = Choice("chemistry of the battery that goes in", BATTERY_KINDS, required=True)
    reason = Choice("why; worn, damaged and recalled batteries are not fitted again", REASONS, required=True)
    proof_no = Text("number of the invoice or repair slip, 4 to 40 letters and digits", longest=60, required=True)


class SwapAnswer(Schema):
    """A battery swap."""

    vehicle_code = text("vehicle code of the bike")
    battery_code = text("code of the battery in it now")
    battery_registration_code = text("registration code (赋码) of that battery, 10 characters")
    reason = text("worn, damaged, recalled or changed")
    at = text("instant of the swap")


class EventAnswer(Schema):
    """One thing that happened to a bike."""

    kind = text("what happened, a stable word")
    zh = text("what happened, in Chinese")
    en = text("what happened, in English")
    at = text("instant, null where only the day is known", empty=True)
    on = text("day in Asia/Shanghai")
    who = text("owner, dealer, staff, police or system; null where nobody is on record", empty=True)
    who_zh = text("the same in Chinese", empty=True)
    facts: Field[Any] = Dict(values=String(), metadata={"description": "facts without personal data"})


class TimelineAnswer(Schema):
    """The life of a bike."""

    events: Field[Any] = List(Nested(EventAnswer), metadata={"description": "oldest first"})


class DestructionRequest(StrictSchema):
    """The dismantler's or the battery recycler's confirmation."""

    part = Choice("what was destroyed", PARTS, required=True)
    firm = Text("whole name of the firm that confirms", longest=80, required=True)
    document_no = Text("number of its paper, 4 to 40 letters and digits", longest=60, required=True)
    done_on = Day("day on the paper, Asia/Shanghai", required=True)
    image = Image("photo of the paper, JPEG or PNG, Base64, at most 3 MB of picture", required=True)


class DestructionAnswer(Schema):
    """A confirmation, and where the old bike stands."""

    reference = text("the trade-in")
    part = text("bike or battery")
    firm = text("firm that confirmed")
    document_no = text("number of its paper")
    done_on = text("day on the paper")
    recorded_at = text("instant it was recorded")
    old_bike_state = text("received, plate_cancelled or destroyed")


class OverdueQuery(StrictSchema):
    """Whose overdue confirmations to list. A dealer always gets its own."""

    dealer_id = Whole("only this dealer's; for staff", low=1, high=2**63 - 1, from_text=True)


class OverdueRow(Schema):
    """One old bike whose confirmations are late."""

    reference = text("the trade-in")
    dealer_id = whole("the point")
    plate_no = text("plate of the old bike")
    received_at = text("instant it was received")
    due_at = text("instant the confirmations were due")
    missing: Field[Any] = List(String(), metadata={"description": "bike, battery or both"})


class OverdueList(Schema):
    """Overdue confirmations, longest due first."""

    overdue: Field[Any] = List(Nested(OverdueRow), metadata={"description": "up to 500"})
    most_allowed = whole("a point with more than so many opens no new trade-in")


class TransferRequest(StrictSchema):
    """A filed bike changes hands. The witness has both people's cards before him."""

    plate_no = Text("plate of the filed bike", longest=20, required=True, example="B382617")
    seller_name = Text("present owner's name as on the ID card", longest=64, required=True)
    seller_id_no = Text("present owner's ID number", longest=30, required=True)
    seller_phone = Text("present owner's mobile number; counts only where none is known", longest=30)
    buyer_name = Text("buyer's name as on the ID card", longest=64, required=True)
    buyer_id_no = Text("buyer's ID number", longest=30, required=True)
    buyer_phone = Text("buyer's mobile number; a known phone stays as it is", longest=30, required=True)


class TransferCodeRequest(StrictSchema):
    """Who is to receive a code."""

    party = Choice("seller or buyer", PARTIES, required=True)


class TransferConfirmation(StrictSchema):
    """One party's confirmation: the code its phone received."""

    party = Choice("seller or buyer", PARTIES, required=True)
    code = Text("the 6 digits of the latest message", longest=12, required=True)


class TransferAnswer(Schema):
    """A transfer."""

    transfer_no = text("number of the transfer")
    plate_no = text("plate of the filed bike")
    seller = text("seller's name, masked")
    buyer = text("buyer's name, masked")
    state = text("opened, completed, expired or withdrawn")
    state_zh = text("the state in Chinese")
    opened_at = text("instant it was opened")
    expires_at = text("instant it expires, unless both have confirmed")
    seller_confirmed_at = text("instant the seller confirmed", empty=True)
    buyer_confirmed_at = text("instant the buyer confirmed", empty=True)
    ended_at = text("instant it was completed, withdrawn or ended as expired", empty=True)


class OwnReportRequest(StrictSchema):
    """What became of the owner's own plate."""

    step = Choice("what is reported", ("report_stolen", "report_found"), required=True)
