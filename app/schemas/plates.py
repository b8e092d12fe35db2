"""What the routes of plates and of the audit take and give. Days are of Asia/Shanghai, instants carry an offset."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema
from marshmallow.fields import Dict, Field, List, Nested, Raw

from app.schemas.answers import flag, text, whole
from app.schemas.fields import Choice, Day, StrictSchema, Text, Whole
from registry.plates import REASONS

STEPS = ("report_stolen", "report_found", "cancel")


class PlateKeyAnswer(Schema):
    """One published key."""

    key_id = whole("id of the key, 1 to 255: the second byte of a code")
    public_key = text("Ed25519 public key, 32 bytes in hexadecimal")
    signs_from = text("first day of issue it may sign for")
    signs_until = text("last day of issue it may sign for, null while it is in use", empty=True)


class PlateKeyList(Schema):
    """Every key a plate code may be signed with."""

    keys: Field[Any] = List(Nested(PlateKeyAnswer), metadata={"description": "the keys, by id"})


class PlateBikeAnswer(Schema):
    """The bike a plate belongs to."""

    vehicle_code = text("vehicle code, 15 digits")
    registration_code = text("registration code (赋码), 10 characters")
    model = text("maker's model name")
    standard = text("edition of the national standard it was certified for")
    battery_kind = text("chemistry of the battery")
    battery_code = text("battery code")


class PlateCheckAnswer(Schema):
    """What a scanned plate code is."""

    verdict = text("valid, expired, stolen, replaced, cancelled, unknown or forged")
    good = flag("whether the plate may be on the road")
    title_zh = text("the verdict in Chinese")
    title_en = text("the verdict in English")
    remedy_zh = text("what to do, in Chinese")
    remedy_en = text("what to do, in English")
    plate_no = text("plate number as signed, null for a forged code", empty=True)
    edition = whole("which code of this plate it is, from 1", empty=True)
    key_id = whole("key that signed it", empty=True)
    issued_on = text("day of issue", empty=True)
    valid_until = text("last day it is valid, null where it has no end", empty=True)
    changed_at = text("instant its state last changed", empty=True)
    bike: Field[Any] = Nested(
        PlateBikeAnswer, allow_none=True, metadata={"description": "the bike, null where the register has none"}
    )
    owner = text("owner's name, masked; for staff and the owner only, each look is recorded", empty=True)


class PlateCodeAnswer(Schema):
    """The newest code of a plate."""

    plate_no = text("plate number")
    edition = whole("which code of this plate it is, from 1")
    key_id = whole("key that signed it")
    payload = text("the signed code, 130 characters")
    link = text("what the QR holds")
    state = text("valid, stolen, replaced or cancelled")
    state_zh = text("the state in Chinese")
    png = text("address of the printed QR as PNG, null unless the code is valid", empty=True)
    svg = text("address of the printed QR as SVG, null unless the code is valid", empty=True)
    issued_on = text("day of issue")
    valid_until = text("last day it is valid, null where it has no end", empty=True)


class ReplacementRequest(StrictSchema):
    """Why a plate gets a new code."""

    reason = Choice("why the code is replaced", REASONS, required=True)
    valid_until = Day("last day the new code is valid, Asia/Shanghai; without it, it has no end")


class ReportRequest(StrictSchema):
    """What became of a plate."""

    step = Choice("what is reported", STEPS, required=True)


class AuditQuery(StrictSchema):
    """Which deeds are asked for."""

    subject = Text("whole subject, e.g. plate:D000001", longest=60)
    actor = Text("login of the account, or the whole actor as recorded, e.g. account:3", longest=60)
    action = Text("whole action, e.g. unmasked", longest=40)
    day = Day("day of the deed, Asia/Shanghai, real time; instead of from and until")
    from_day = Day("first day, Asia/Shanghai, real time; «from» in the address", data_key="from")
    until_day = Day("last day, Asia/Shanghai, real time; «until» in the address", data_key="until")
    before = Whole("id of the last deed of the page before", low=1, high=2**63 - 1, from_text=True)
    limit = Whole("deeds a page", low=1, high=200, from_text=True, load_default=50)


class AuditRow(Schema):
    """One deed."""

    id = whole("id of the deed")
    at = text("instant it was written, real time")
    actor = text("who did it, as recorded: account:<id>, partner:<name> or the system")
    login = text("login of the account, null where it was none", empty=True)
    action = text("what was done")
    subject = text("to what")
    detail: Field[Any] = Dict(values=Raw(), metadata={"description": "facts without personal data; [old, new] pairs"})
    seal_no = whole("number of its seal in the chain, null while it waits for the sealer", empty=True)
    sha256 = text("hash of its seal, hexadecimal", empty=True)


class AuditList(Schema):
    """Deeds, newest first."""

    entries: Field[Any] = List(Nested(AuditRow), metadata={"description": "the deeds"})
    next_before = whole("send as «before» for the next page, null on the last", empty=True)
