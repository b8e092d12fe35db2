"""Erasure: what owners and staff send and get. Instants are ISO 8601 with offset, days are of Asia/Shanghai."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, validates
from marshmallow.fields import Dict, Field, Integer, List, Nested, String

from app.schemas.answers import by_account, flag, text, whole
from app.schemas.fields import Flag, StrictSchema, Text, Whole
from registry.erasure import SHORTEST_REASON


class ErasureRequest(StrictSchema):
    """The owner's request."""

    understood: Field[Any] = Flag("true: I have read what goes and what stays, and that I am signed out", required=True)

    @validates("understood")
    def _must_be_true(self, value: bool, data_key: str) -> None:
        if not value:
            raise ValidationError("not_confirmed")


class RestorationRequest(StrictSchema):
    """A locked person stands at the counter with the card."""

    id_no = Text("number of the identity document, as on the card", longest=30, required=True)
    phone = Text("mobile number from now on, 11 digits", longest=30, required=True)
    reason = Text(
        "why access is restored, in a sentence; kept beside the request",
        shortest=SHORTEST_REASON,
        longest=200,
        required=True,
    )


class ErasureQuery(StrictSchema):
    """Which requests to list."""

    before = Whole("id of the last request of the page before", low=1, high=2**63 - 1, from_text=True)
    limit = Whole("requests a page", low=1, high=200, from_text=True, load_default=50)


class RetainedAnswer(Schema):
    """One kind of record the law keeps."""

    code = text("claims_and_payments, appeals, filings_and_plates or processing_records")
    zh = text("what it is, in Chinese")
    en = text("what it is, in English")
    source_zh = text("the text of law, in Chinese")
    source_en = text("the text of law, in English")
    years = whole("years it is kept from the end of the year, null while the record stands", empty=True)


class OutlookAnswer(Schema):
    """What asking for erasure would mean now."""

    waits_for: Field[Any] = List(
        String(), metadata={"description": "references that have to be finished first; empty: it can be done now"}
    )
    kept: Field[Any] = List(Nested(RetainedAnswer), metadata={"description": "what the law keeps, locked away"})
    kept_until = text("last day of the longest period, YYYY-MM-DD, Asia/Shanghai; null while it has no end", empty=True)


class ErasureAnswer(Schema):
    """One request and what was decided."""

    id = whole("id of the request")
    asked_at = text("instant it was asked for")
    decision = text("carried_out or refused")
    blocked_by: Field[Any] = List(String(), metadata={"description": "references a refused request has to wait for"})
    removed: Field[Any] = Dict(
        keys=String(), values=Integer(), metadata={"description": "how much of what was erased, a number each"}
    )
    kept: Field[Any] = List(Nested(RetainedAnswer), metadata={"description": "what the law keeps, locked away"})
    kept_until = text("last day of the longest period, YYYY-MM-DD, Asia/Shanghai; null while it has no end", empty=True)
    restored_at = text("instant access was restored at the person's own wish, null where it was not", empty=True)


class ErasureRow(ErasureAnswer):
    """The same, for staff."""

    person_id = whole("the person")
    asked_by = by_account("account that asked")
    restored_by = by_account("account that restored access", empty=True)
    restored_reason = text("why access was restored", empty=True)


class ErasureList(Schema):
    """Requests, newest first."""

    erasures: Field[Any] = List(Nested(ErasureRow), metadata={"description": "the requests"})
    next_before = whole("send as «before» for the next page, null on the last", empty=True)


class Restored(Schema):
    """Access was restored."""

    person_id = whole("the person")
    restored = flag("true")
    restored_at = text("instant access was restored")
