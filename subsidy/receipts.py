"""An owner's receipt: his claim's leaf and its latest decision, opened, proved to stand under a signed head.

Whoever holds one can show what was recorded and decided, and that we signed it; nobody else can read it from the log.
How a receipt is checked stands in receipt_checks.py, which needs no database.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from registry.base import Refusal
from registry.trade_ins import TradeIn
from subsidy.claims import Claim
from subsidy.log_heads import Head
from subsidy.log_leaves import claim_leaf, commitment, decision_leaf
from subsidy.log_reading import leaves_of_position, newest_head, range_hashes
from subsidy.log_tables import LogLeaf, LogSalt
from subsidy.merkle import inclusion_ranges, subtrees
from subsidy.programme import Programme
from subsidy.receipt_checks import RECEIPT_VERSION, decides

OPENED = text(
    """
    SELECT q.*, t.reference FROM queue_event q JOIN trade_in t ON t.id = q.trade_in_id
    WHERE q.programme_id = :programme_id AND q.kind = 'claim' AND q.position = :position
    """
)
DECIDED = text(
    """
    SELECT d.*, q.recorded_at AS recorded_at FROM decision d
    JOIN queue_event q ON q.programme_id = d.programme_id AND q.event_no = d.event_no
    WHERE d.programme_id = :programme_id AND d.position = :position AND d.event_no = :event_no
    """
)


class NoClaimYet(Refusal):
    """The trade-in has no position: there is nothing to give a receipt for."""

    code = "no_claim_yet"
    kind = "conflict"
    zh = "这笔置换还没有办完，还没有序号。"
    en = "This trade-in is not complete and has no position yet."
    remedy_zh = "新车上好牌、置换办完以后再来取凭证。"
    remedy_en = "Come back for the receipt once the new plate is on."


class ReceiptNotReady(Refusal):
    """The claim was recorded a moment ago and has not been written into the published log yet."""

    code = "receipt_not_ready"
    kind = "unavailable"
    zh = "这笔申领刚刚记下，凭证还在做。"
    en = "The claim was recorded a moment ago; its receipt is being made."
    remedy_zh = "请过几秒再试。"
    remedy_en = "Try again in a few seconds."


class ReceiptErased(Refusal):
    """What opens the leaves was erased with the person's data."""

    code = "receipt_erased"
    kind = "conflict"
    zh = "按删除个人信息的要求，这份凭证的数据已经删除，不能再开。"
    en = "What this receipt is made of was erased with the person's data."
    remedy_zh = "以前保存的凭证仍然有效。"
    remedy_en = "A receipt saved before stays good."


def receipt_of(*, session: Session, trade_in: TradeIn) -> dict[str, Any]:
    """Return the receipt of a trade-in's claim as plain JSON, as of the newest signed head.

    Raises NoClaimYet, ReceiptNotReady, ReceiptErased, LogEmpty.
    """
    claim = session.scalar(select(Claim).where(Claim.trade_in_id == trade_in.id))
    if claim is None:
        raise NoClaimYet
    programme = session.get_one(Programme, claim.programme_id)
    head = newest_head(session=session, programme=programme)
    named = leaves_of_position(session=session, programme=programme, position=claim.position, size=head.size)
    decided = [leaf for leaf in named if decides(json.loads(leaf.entry))]
    if not decided:
        raise ReceiptNotReady
    return {
        "mapai_receipt": RECEIPT_VERSION,
        "programme": programme.code,
        "position": claim.position,
        "trade_in": trade_in.reference,
        "claim": _opened(session, programme, decided[0], head),
        "decision": _opened(session, programme, decided[-1], head),
        "head": head.to_json(),
        "peaks": [
            sha256.hex()
            for sha256 in range_hashes(
                session=session,
                programme=programme,
                ranges=[(number << level, number + 1 << level) for level, number in subtrees((0, head.size))],
            )
        ],
    }


def short_link(*, receipt: dict[str, Any], public_url: str) -> str:
    """Return the link a QR holds: where the latest decision stands, its hash, and the head it was proved under.

    The whole receipt is too large for a QR that a phone reads from paper. Whoever knows the hash has seen the receipt,
    for it covers a random salt: the page behind the link may tell him what the leaf says.
    """
    decision, head = receipt["decision"], receipt["head"]
    query = {
        "p": receipt["programme"],
        "l": decision["leaf"],
        "h": decision["sha256"],
        "s": head["size"],
        "r": head["root"],
    }
    return f"{public_url}/proof?{urlencode(query)}"


def openings(*, session: Session, programme: Programme, leaves: list[LogLeaf]) -> list[dict[str, Any]]:
    """Return what opens each of the leaves that names a claim: ``rest`` and ``salt``; erased ones are left out."""
    found = []
    for leaf in leaves:
        opened = _rest(session, programme, leaf) if decides(json.loads(leaf.entry)) else None
        if opened is not None:
            found.append({"leaf": leaf.leaf, "rest": opened[0], "salt": opened[1].hex()})
    return found


def _opened(session: Session, programme: Programme, leaf: LogLeaf, head: Head) -> dict[str, Any]:
    opened = _rest(session, programme, leaf)
    if opened is None:
        raise ReceiptErased
    rest, salt = opened
    proof = range_hashes(session=session, programme=programme, ranges=inclusion_ranges(leaf.leaf, head.size))
    return {
        "leaf": leaf.leaf,
        "sha256": bytes(leaf.sha256).hex(),
        "entry": json.loads(leaf.entry),
        "rest": rest,
        "salt": salt.hex(),
        "proof": [sha256.hex() for sha256 in proof],
    }


def _rest(session: Session, programme: Programme, leaf: LogLeaf) -> tuple[dict[str, Any], bytes] | None:
    """What a leaf about a claim commits to, and its salt; None where the salt was erased."""
    salt = session.scalar(select(LogSalt.salt).where(LogSalt.programme_id == programme.id, LogSalt.leaf == leaf.leaf))
    if salt is None:
        return None
    where = {"programme_id": programme.id, "position": leaf.position, "event_no": leaf.event_no}
    decision = session.execute(DECIDED, where).one()
    entry = json.loads(leaf.entry)
    if entry["kind"] == "claim":
        event = session.execute(OPENED, where).one()
        rest = claim_leaf(event=event, decision=decision, windows=(), token="").rest
    else:
        rest = decision_leaf(decision=decision, recorded_at=decision.recorded_at).rest
    assert commitment(rest=rest, salt=bytes(salt)) == entry["commitment"], (
        f"leaf {leaf.leaf} is not what the queue says"
    )
    return rest, bytes(salt)
