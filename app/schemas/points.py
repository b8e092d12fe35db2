"""What the routes of points and of printing take and give. Instants carry an offset, days are of Asia/Shanghai."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError
from marshmallow.fields import Boolean, Field, List, Nested

from app.print.labels import LABELS_A_SHEET
from app.schemas.answers import flag, text, whole
from app.schemas.fields import Choice, Flag, StrictSchema, Text, Whole
from registry.labels import MOST_LABELS

# A code of ten characters and its comma, five hundred times, and some spaces.
LONGEST_CODES = 6_000


class QueryFlag(Flag):
    """True or false as a query string has them."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if value not in ("true", "false"):
            raise ValidationError("not_yes_or_no")
        return bool(value == "true")


class PointQuery(StrictSchema):
    """Which points to list. Everything given has to hold."""

    sub_district = Text("only those of this sub-district", longest=32)
    open_now = QueryFlag("true: only those whose opening hours say that they are open now", load_default=False)
    trade_in_on = QueryFlag("true: only those that take trade-ins now", load_default=False)
    q = Text("words, each found in name, address, sub-district, telephone or plaque number", longest=60)


class PointAnswer(Schema):
    """A trade-in point as everybody may see it."""

    point_no = text("plaque number")
    name = text("name")
    credit_code = text("unified social credit code of the business, 18 characters")
    sub_district = text("sub-district")
    address = text("address")
    phone = text("the shop's telephone")
    opening_hours = text("opening hours in Chinese words")
    state = text("state of its licence: licensed, suspended, expired or revoked")
    state_zh = text("the state in Chinese")
    trade_in_on = flag("whether it takes trade-ins now")
    open_now = Boolean(
        allow_none=True, metadata={"description": "whether it is open now by its hours, null where they cannot be read"}
    )
    open_until = text("when the present opening ends, HH:MM in Asia/Shanghai; null while it is closed", empty=True)
    under_way_today = whole("trade-ins opened there today and not finished yet")
    licensed_until = text("last day of its licence, null where it has no end", empty=True)
    as_of = text("instant this was true")


class PointList(Schema):
    """Points by plaque number."""

    points: Field[Any] = List(Nested(PointAnswer), metadata={"description": "the points"})


class LabelQuery(StrictSchema):
    """Which labels to print for the dealer's stock."""

    of = Choice("labels of the bikes, or of the batteries in them", ("bike", "battery"), load_default="bike")
    codes = Text(
        f"registration codes of bikes or of their batteries, by commas, at most {MOST_LABELS}; without them the newest",
        longest=LONGEST_CODES,
        example="7K2M94ABCD,7K2M94ABCE",
    )
    limit = Whole(
        "how many of the newest where no codes are given",
        low=1,
        high=MOST_LABELS,
        from_text=True,
        load_default=LABELS_A_SHEET,
    )
