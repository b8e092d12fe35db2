"""What the routes of money claimed back through the bank take and give: integer fen, instants with an offset."""

from __future__ import annotations

from marshmallow import Schema
from marshmallow.fields import List, Nested

from app.schemas.answers import text, whole
from app.schemas.fields import StrictSchema, Text


class ContestedRequest(StrictSchema):
    """What a person found about a reclaim the bank contradicted itself about."""

    finding = Text("what was found, for the record", shortest=4, longest=200, required=True)
    document_no = Text("number of the bank's written answer", shortest=1, longest=60, required=True)


class ReclaimAnswer(Schema):
    """One request to the bank to take money back."""

    bank_number = text("our number at the bank, e.g. d330105-7K2M-94-R01")
    attempt_no = whole("the how many-th reclaim of this return")
    amount_fen = whole("amount asked back in fen: the whole amount due")
    state = text("due, sent, unknown, reclaimed, rejected or contested")
    state_zh = text("the state in Chinese")
    reason = text("the bank's code for a rejection, «withdrawn» where it never heard of it", empty=True)
    asked_by = text("account that asked for it")
    asked_at = text("instant it was asked for, with offset")
    sent_at = text("instant the bank was first spoken to, null until then, with offset", empty=True)
    finished_at = text("instant it ended, null until then, with offset", empty=True)
    decided_by = text("account that decided how it ended where the bank did not, else null", empty=True)


class ReclaimList(Schema):
    """The reclaims of one return, the first one first."""

    reclaims = List(Nested(ReclaimAnswer), metadata={"description": "every reclaim of the return"})
