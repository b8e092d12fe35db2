"""What the routes of the published log and of receipts take and give. Hashes and signatures are hexadecimal."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema
from marshmallow.fields import Dict, Field, List, Nested, Raw, String

from app.schemas.answers import text, whole
from app.schemas.fields import StrictSchema, Whole
from app.schemas.plates import PlateKeyAnswer
from subsidy.log_reading import MOST_ENTRIES, MOST_HEADS

LARGEST = 2**53 - 1


def hashes(description: str) -> Field[Any]:
    """A list of hashes."""
    return List(String(), metadata={"description": description})


class LogKeyList(Schema):
    """Every key a tree head may be signed with."""

    keys: Field[Any] = List(Nested(PlateKeyAnswer), metadata={"description": "the keys, by id"})


class HeadAnswer(Schema):
    """A signed tree head (RFC 9162), signed with Ed25519 over «mapai tree head», a zero byte, and canonical JSON."""

    programme = text("code of the programme")
    size = whole("how many leaves stand under it")
    root = text("root of the tree over them, SHA-256")
    at = text("instant it was signed, UTC; inside the signature")
    key_id = whole("key that signed it")
    signature = text("Ed25519 signature over programme, size, root and at")


class HeadList(Schema):
    """Public heads, largest first."""

    heads: Field[Any] = List(Nested(HeadAnswer), metadata={"description": "the heads"})
    next_before = whole("send as «before» for the next page, null on the last", empty=True)


class HeadsQuery(StrictSchema):
    """Which heads are asked for."""

    before = Whole("only heads of fewer leaves", low=1, high=LARGEST, from_text=True)
    limit = Whole("heads a page", low=1, high=MOST_HEADS, from_text=True, load_default=50)


class EntriesQuery(StrictSchema):
    """Which leaves are asked for."""

    start = Whole("first leaf, from 0", low=0, high=LARGEST, from_text=True, required=True)
    end = Whole(
        f"first leaf not wanted; at most {MOST_ENTRIES} come at once",
        low=1,
        high=LARGEST,
        from_text=True,
        required=True,
    )


class EntriesAnswer(Schema):
    """A page of leaves."""

    programme = text("code of the programme")
    start = whole("number of the first leaf here")
    next_start = whole("send as «start» for what follows, null where the public log ends", empty=True)
    entries: Field[Any] = List(
        Dict(values=Raw()),
        metadata={
            "description": "the leaves. Each is hashed as a zero byte and its canonical JSON: keys sorted, no spaces,"
            " UTF-8. Amounts are in fen"
        },
    )


class ProofQuery(StrictSchema):
    """Which leaf is to be proved in which tree."""

    leaf = Whole("the leaf, from 0", low=0, high=LARGEST, from_text=True, required=True)
    size = Whole("how many leaves the tree has", low=1, high=LARGEST, from_text=True, required=True)


class ProofAnswer(Schema):
    """An inclusion proof (RFC 9162, 2.1.3)."""

    leaf = whole("the leaf")
    size = whole("how many leaves the tree has")
    sha256 = text("hash of the leaf")
    proof = hashes("the hashes beside its way to the root, lowest first")


class ConsistencyQuery(StrictSchema):
    """Which two trees are compared."""

    first = Whole("leaves of the older tree", low=1, high=LARGEST, from_text=True, required=True)
    second = Whole("leaves of the newer tree", low=1, high=LARGEST, from_text=True, required=True)


class ConsistencyAnswer(Schema):
    """A consistency proof (RFC 9162, 2.1.4)."""

    first = whole("leaves of the older tree")
    second = whole("leaves of the newer tree")
    proof = hashes("the proof, lowest first")


class RulesVersionAnswer(Schema):
    """One version of a programme's rules."""

    version_no = whole("number of the version")
    event_no = whole("it governs the events after this one")
    rules_sha256 = text("SHA-256 over the canonical JSON of the rules")
    rules: Field[Any] = Dict(values=Raw(), metadata={"description": "the rules whole; money in fen, instants in UTC"})


class RulesVersionList(Schema):
    """Every version of a programme's rules."""

    programme = text("code of the programme")
    versions: Field[Any] = List(Nested(RulesVersionAnswer), metadata={"description": "the versions, oldest first"})


class OpeningAnswer(Schema):
    """What opens one leaf."""

    leaf = whole("the leaf")
    salt = text("the 32 random bytes behind the rest")
    rest: Field[Any] = Dict(values=Raw(), metadata={"description": "what the leaf commits to"})


class OpeningList(Schema):
    """What opens a page of leaves; what was erased is not among it."""

    programme = text("code of the programme")
    openings: Field[Any] = List(Nested(OpeningAnswer), metadata={"description": "one for each leaf about a claim"})


class ProvedLeafAnswer(Schema):
    """A leaf, opened and proved under the receipt's head."""

    leaf = whole("number of the leaf")
    sha256 = text("hash of the leaf")
    entry: Field[Any] = Dict(values=Raw(), metadata={"description": "what the public log says there, amounts in fen"})
    rest: Field[Any] = Dict(values=Raw(), metadata={"description": "what the leaf commits to: instants, reason, stage"})
    salt = text("the 32 random bytes that open the commitment")
    proof = hashes("inclusion proof under the head, lowest first")


class ReceiptAnswer(Schema):
    """An owner's receipt. `mapai prove` and the page /proof check it."""

    mapai_receipt = whole("version of this form, 1")
    programme = text("code of the programme")
    position = whole("the claim's position in the queue")
    trade_in = text("reference of the trade-in")
    claim: Field[Any] = Nested(ProvedLeafAnswer, metadata={"description": "the claim's own leaf"})
    decision: Field[Any] = Nested(ProvedLeafAnswer, metadata={"description": "the leaf of its latest decision"})
    head: Field[Any] = Nested(HeadAnswer, metadata={"description": "the signed head all of it is proved under"})
    peaks = hashes("the whole subtrees under the head, largest first: enough to prove a newer head from its leaves")
    link = text("what the QR holds: the page that tells what became of it")
