"""What owners send and get about themselves."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema
from marshmallow.fields import Field, List, Nested

from app.schemas.answers import TradeInRow, flag, text, whole
from app.schemas.fields import Choice, Flag, StrictSchema, Text, Whole
from registry.consent import PURPOSES
from registry.proxies import RELATIONS


def many(schema: type[Schema], description: str) -> Field[Any]:
    """A list of an answer."""
    return List(Nested(schema), metadata={"description": description})


class ConsentRequest(StrictSchema):
    """An answer to one wording: consent given, or withdrawn."""

    purpose = Choice("what it is for", PURPOSES, required=True)
    version = Whole("version of the wording that was read, a number", low=1, high=10_000, required=True)
    given = Flag("true gives consent, false withdraws it", required=True)


class ProxyRequest(StrictSchema):
    """Who acts for the owner, as the point reads it off card and authority."""

    name = Text("proxy's name as on the card", longest=64, required=True)
    id_no = Text("number of the proxy's identity document", longest=30, required=True)
    phone = Text(
        "proxy's mobile number, 11 digits; kept only where nobody is known by the document", longest=30, required=True
    )
    relation = Choice("what the proxy is to the owner; point for somebody who works there", RELATIONS, required=True)
    authority_no = Text("number of the written authority, 4 to 32 letters and digits", longest=40, required=True)


class ConsentAnswer(Schema):
    """An answer that was written down."""

    purpose = text("what it is for")
    version = whole("version of the wording, a number")
    given = flag("whether consent was given or withdrawn")
    at = text("when, ISO 8601 with offset")


class WordingAnswer(Schema):
    """A wording in its current version, and what the owner answered."""

    purpose = text("what it is for")
    version = whole("current version, a number")
    zh = text("the wording in Chinese")
    en = text("the wording in English")
    given = flag("whether consent to any version stands")


class WordingsAnswer(Schema):
    """Everything an owner may consent to."""

    wordings = many(WordingAnswer, "one for each purpose")


class HeldBikeAnswer(Schema):
    """A filed bike."""

    plate_no = text("plate of the filed bike")
    filed_on = text("day of filing, YYYY-MM-DD")
    brand = text("brand")
    frame_no = text("frame number")
    sub_district = text("sub-district")
    state = text("filed, received, plate_cancelled or destroyed")


class HeldTradeInAnswer(Schema):
    """A trade-in with what followed from it."""

    reference = text("its reference; GET /api/trade-ins/<reference> tells all")
    state = text("its state")
    opened_at = text("when it was opened, ISO 8601 with offset")
    photos = whole("number of photos kept")
    wallet_tail = text("last four characters of the wallet confirmed", empty=True)
    position = whole("position in the queue", empty=True)
    decision = text("waiting, held, awarded, declined, returned or forfeited", empty=True)
    amount_fen = whole("subsidy in fen", empty=True)
    payout = text("state of the payout", empty=True)


class HeldPlateAnswer(Schema):
    """A plate."""

    plate_no = text("plate")
    issued_at = text("when it was issued, ISO 8601 with offset")


class HeldMessageAnswer(Schema):
    """A message owed or sent."""

    body = text("its text")
    state = text("owed, sent or given_up")
    created_at = text("when it was written, ISO 8601 with offset")


class LookAnswer(Schema):
    """Somebody of the bureau saw a field in clear."""

    at = text("when, ISO 8601 with offset")
    field = text("name, id_no or phone")
    role = text("role of who looked: reviewer, finance or administrator")


class MyDataAnswer(Schema):
    """What is held on the owner who asks, in clear. Do not pass it on."""

    name = text("name")
    id_no = text("number of the identity document")
    document = text("citizen, hong_kong_permit, macau_permit, taiwan_permit or permanent_resident")
    phone = text("mobile number", empty=True)
    known_since = text("when this was first stored, ISO 8601 with offset")
    filed_bikes = many(HeldBikeAnswer, "filed bikes")
    trade_ins = many(HeldTradeInAnswer, "trade-ins, oldest first")
    plates = many(HeldPlateAnswer, "plates held")
    messages = many(HeldMessageAnswer, "messages, oldest first")
    consents = many(ConsentAnswer, "every answer given, oldest first; the newest for a purpose counts")
    looks = many(LookAnswer, "who saw a field in clear, oldest first")


class ProxyAnswer(Schema):
    """One authority to act for an owner in one trade-in."""

    reference = text("the trade-in")
    name = text("proxy's name, masked")
    relation = text("what the proxy is to the owner")
    authority_no = text("number of the written authority")
    recorded_at = text("when it was recorded, ISO 8601 with offset")
    ended_at = text("when it ended, null while it stands", empty=True)


class ProxiesAnswer(Schema):
    """Every authority recorded for the owner who asks."""

    proxies = many(ProxyAnswer, "oldest first")


class EntrustedAnswer(Schema):
    """Trade-ins in which the one who asks acts for somebody."""

    trade_ins = many(TradeInRow, "newest first")
