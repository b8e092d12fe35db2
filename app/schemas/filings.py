"""Searching filings: what staff send, what they get."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema
from marshmallow.fields import Field, List, Nested

from app.schemas.answers import by_account, flag, text
from app.schemas.fields import StrictSchema, Text


class FilingQuery(StrictSchema):
    """One thing to look for, and why."""

    plate_no = Text("plate of the filed bike: one letter and six digits", longest=20, example="B382617")
    owner_name = Text("owner's whole name as on the ID card", longest=64)
    owner_id_no = Text("owner's citizen ID number, 18 characters (GB 11643)", longest=30)
    owner_phone = Text("owner's mobile number, 11 digits", longest=30)
    reason = Text("why you search, in a sentence; recorded with your name", shortest=4, longest=200, required=True)


class FilingChangeAnswer(Schema):
    """One corrected cell of a filing."""

    at = text("instant of the correction")
    actor = by_account("account that corrected it")
    field = text("filed_on, brand, frame_no, sub_district, owner or transferred_on")
    old = text("what it said before")
    new = text("what it says since")


class FilingAnswer(Schema):
    """One filed bike, its owner masked."""

    plate_no = text("plate of the filed bike")
    owner_name = text("owner's name, masked")
    owner_id_no = text("owner's ID number, masked: first six and last four characters")
    owner_phone = text("owner's mobile number, masked; null where none is known", empty=True)
    filed_on = text("day of filing")
    transferred_on = text("day it last changed hands, null where it never did", empty=True)
    brand = text("brand")
    frame_no = text("frame number")
    sub_district = text("sub-district")
    state = text("filed, received, plate_cancelled or destroyed")
    changes: Field[Any] = List(Nested(FilingChangeAnswer), metadata={"description": "its corrections, oldest first"})


class FilingList(Schema):
    """The filings found, by plate."""

    filings: Field[Any] = List(Nested(FilingAnswer), metadata={"description": "the first fifty"})
    more = flag("there are more than fifty: search by something more exact")
