"""What we tell whoever brings a receipt, or the link in its QR: whether it is ours, and what happened since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.base import Refusal
from subsidy.log_reading import LogEmpty, leaves_of_position, programme_of, public_head
from subsidy.log_tables import LogHead, LogLeaf
from subsidy.programme import Programme, ProgrammeNotFound
from subsidy.receipt_checks import Step, check_receipt, read_receipt, say_outcome

KINDS_ZH = {
    "corrected": "更正了材料",
    "correction_expired": "过了更正期限",
    "hold": "暂缓发放",
    "release": "解除暂缓",
    "overrule": "复核改判",
    "return": "退回",
    "forfeiture": "逾期未领",
    "decision": "作出决定",
}
KINDS_EN = {
    "corrected": "corrected",
    "correction_expired": "time to correct ran out",
    "hold": "held by staff",
    "release": "released",
    "overrule": "overruled",
    "return": "returned",
    "forfeiture": "forfeited",
    "decision": "decided",
}


class LinkUnknown(Refusal):
    """The link's leaf, hash or head is none of this log."""

    code = "proof_link_unknown"
    kind = "not_found"
    zh = "日志里没有这条记录，或者它的指纹对不上。"
    en = "The log holds no such leaf, or its hash is another one."
    remedy_zh = "请重新扫凭证上的二维码；还不行请拨打 12345 反映，并出示凭证原件。"
    remedy_en = "Scan the receipt's QR again; if that fails, call 12345 and show the receipt itself."


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """One thing that happened to the position after the receipt."""

    leaf: int
    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found. ``good``: nothing that could be checked is wrong."""

    programme: str
    position: int
    outcome_zh: str
    outcome_en: str
    steps: tuple[Step, ...]
    later: tuple[Later, ...]

    @property
    def good(self) -> bool:
        """Whether no step failed."""
        return all(step.ok is not False for step in self.steps)


def answer_receipt(*, session: Session, document: Any, keys: Mapping[int, bytes]) -> Answer:
    """Return what a receipt's document proves. Raises ReceiptUnreadable."""
    receipt = read_receipt(document)
    steps = check_receipt(receipt, keys=keys)
    zh, en = say_outcome(receipt.decision.entry)
    later: tuple[Later, ...] = ()
    try:
        programme = programme_of(session=session, code=receipt.programme)
        steps += [
            _known(session, programme, receipt.head.size, receipt.head.root),
            _reached(session, programme, receipt.head.size),
        ]
        if all(step.ok is not False for step in steps):
            later = _later(session, programme, receipt.position, receipt.head.size)
    except ProgrammeNotFound as unknown:
        steps.append(Step(code="known", ok=False, zh=unknown.message_zh, en=unknown.message_en))
    return Answer(
        programme=receipt.programme,
        position=receipt.position,
        outcome_zh=zh,
        outcome_en=en,
        steps=tuple(steps),
        later=later,
    )


def answer_link(*, session: Session, code: str, leaf: int, sha256: bytes, size: int, root: bytes) -> Answer:
    """Return what the link in a receipt's QR stands for; raises LinkUnknown. Whoever knows the hash saw the receipt."""
    try:
        programme = programme_of(session=session, code=code)
    except ProgrammeNotFound as unknown:
        raise LinkUnknown from unknown
    row = session.get(LogLeaf, (programme.id, leaf))
    if row is None or row.position is None or bytes(row.sha256) != sha256 or leaf >= size:
        raise LinkUnknown
    known = _known(session, programme, size, root)
    entry = json.loads(row.entry)
    if not known.ok or "outcome" not in entry:
        raise LinkUnknown
    zh, en = say_outcome(entry)
    included = Step(
        code="decision_included",
        ok=True,
        zh=f"这项决定是日志的第 {leaf} 条，指纹一致。",
        en=f"The decision stands in the log as leaf {leaf}, with this very hash.",
    )
    return Answer(
        programme=code,
        position=row.position,
        outcome_zh=zh,
        outcome_en=en,
        steps=(included, known, _reached(session, programme, size)),
        later=_later(session, programme, row.position, size),
    )


def _known(session: Session, programme: Programme, size: int, root: bytes) -> Step:
    found = session.scalar(
        select(LogHead.size).where(LogHead.programme_id == programme.id, LogHead.size == size, LogHead.root == root)
    )
    return Step(
        code="known",
        ok=found is not None,
        zh="这个树头是我们签发过的，日志至今没有改过它下面的记录。",
        en="We signed this head, and the log still holds every leaf under it.",
    )


def _reached(session: Session, programme: Programme, size: int) -> Step:
    try:
        public = public_head(session=session, programme=programme).size
    except LogEmpty:
        public = 0
    if public < size:
        return Step(
            code="public",
            ok=None,
            zh="公开日志还没有发布到这里：为了不让旁人按时间认出您，要攒够一批才发布。",
            en="The public log has not come this far: it is published in batches, so that nobody is told by the hour.",
        )
    return Step(
        code="public",
        ok=True,
        zh=f"公开日志已经发布到第 {public} 条，包含这份凭证。",
        en=f"The public log holds {public} leaves, those of this receipt included.",
    )


def _later(session: Session, programme: Programme, position: int, size: int) -> tuple[Later, ...]:
    """What any leaf after the receipt says of the position: its holder may know before the public does."""
    rows = leaves_of_position(session=session, programme=programme, position=position, size=2**62)
    found = []
    for row in rows:
        if row.leaf < size:
            continue
        entry = json.loads(row.entry)
        zh, en = KINDS_ZH.get(entry["kind"], entry["kind"]), KINDS_EN.get(entry["kind"], entry["kind"])
        if "outcome" in entry:
            said_zh, said_en = say_outcome(entry)
            zh, en = f"{zh}：{said_zh}", f"{en}: {said_en}"
        found.append(Later(leaf=row.leaf, zh=zh, en=en))
    return tuple(found)
