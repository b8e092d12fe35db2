"""Checking a receipt: without our database, with our published keys; then against a newer head and what came since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.base import Refusal
from subsidy.log_heads import Head
from subsidy.log_leaves import DECISION, canonical, commitment
from subsidy.merkle import Peaks, joined, leaf_hash, proves_inclusion

RECEIPT_VERSION = 1
LARGEST = 2**62
OUTCOMES_ZH = {"award": "给予补贴", "decline": "不予补贴", "waiting": "排队中，等名额", "held": "待更正，名额保留"}
OUTCOMES_EN = {"award": "awarded", "decline": "declined", "waiting": "waiting", "held": "held for correction"}


class ReceiptUnreadable(Refusal):
    """The text is no receipt of ours."""

    code = "receipt_unreadable"
    zh = "这不是一份码牌凭证，或者内容不完整。"
    en = "This is not a whole receipt of Mapai."
    remedy_zh = "请把凭证文件的全部内容原样贴进来。"
    remedy_en = "Give the whole content of the receipt's file, unchanged."
    default_field = "receipt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing checked: ``ok`` None says that it could not be told yet."""

    code: str
    ok: bool | None
    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """One leaf of a receipt: where it stands, what it says, what was sealed in it."""

    leaf: int
    entry: dict[str, Any]
    rest: dict[str, Any]
    salt: bytes
    proof: tuple[bytes, ...]

    @property
    def sha256(self) -> bytes:
        """The leaf's hash."""
        return leaf_hash(canonical(self.entry).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt as it was read; nothing in it is believed yet."""

    programme: str
    position: int
    trade_in: str
    claim: Proved
    decision: Proved
    head: Head
    peaks: tuple[bytes, ...]


def decides(entry: Mapping[str, Any]) -> bool:
    """Say whether a leaf holds a decision on a claim."""
    return entry["kind"] in ("claim", DECISION)


def read_receipt(document: Any) -> Receipt:
    """Return the receipt in a JSON document; raises ReceiptUnreadable where it is none."""
    try:
        if document["mapai_receipt"] != RECEIPT_VERSION or not _is_writable(document):
            raise ReceiptUnreadable
        receipt = Receipt(
            programme=str(document["programme"]),
            position=_whole(document["position"]),
            trade_in=str(document["trade_in"]),
            claim=_proved(document["claim"]),
            decision=_proved(document["decision"]),
            head=Head.from_json(document["head"]),
            peaks=tuple(bytes.fromhex(sha256) for sha256 in document["peaks"]),
        )
        _whole(receipt.head.size)
        if not decides(receipt.decision.entry):
            raise ReceiptUnreadable
        return receipt
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as wrong:
        raise ReceiptUnreadable from wrong


def check_receipt(receipt: Receipt, *, keys: Mapping[int, bytes]) -> list[Step]:
    """Return what holds and what does not, with nothing but the receipt and the published keys (id → 32 bytes)."""
    head = receipt.head
    claim, decision = receipt.claim, receipt.decision
    about = (
        claim.entry.get("kind") == "claim"
        and decides(decision.entry)
        and claim.entry.get("position") == decision.entry.get("position") == receipt.position
        and claim.leaf <= decision.leaf
        and claim.rest.get("trade_in") == receipt.trade_in
        and head.programme == receipt.programme
    )
    return [
        Step(
            code="signature",
            ok=head.is_signed(keys),
            zh=f"树头（前 {head.size} 条记录）由本平台第 {head.key_id} 号密钥签名。",
            en=f"The head over the first {head.size} leaves is signed with our key {head.key_id}.",
        ),
        Step(
            code="claim_included",
            ok=_included(claim, head),
            zh=f"申领记录是日志的第 {claim.leaf} 条。",
            en=f"The claim stands in the log as leaf {claim.leaf}.",
        ),
        Step(
            code="decision_included",
            ok=_included(decision, head),
            zh=f"最近一次兑付决定是日志的第 {decision.leaf} 条。",
            en=f"Its latest decision stands in the log as leaf {decision.leaf}.",
        ),
        Step(
            code="commitments",
            ok=all(
                commitment(rest=leaf.rest, salt=leaf.salt) == leaf.entry.get("commitment") for leaf in (claim, decision)
            ),
            zh="凭证里的时间、原因等细节，和记录里封存的一致。",
            en="Instants, reason and the rest are what the leaves commit to.",
        ),
        Step(
            code="same_claim",
            ok=about,
            zh=f"两条记录说的都是序号 {receipt.position}、置换 {receipt.trade_in}。",
            en=f"Both leaves speak of position {receipt.position}, trade-in {receipt.trade_in}.",
        ),
    ]


def check_since(
    receipt: Receipt, *, newest: Head, since: Sequence[Mapping[str, Any]], keys: Mapping[int, bytes]
) -> Step:
    """Say whether ``newest`` continues the receipt's head, ``since`` being the leaves between the two, all of them."""
    zh, en = "后来的日志一条没改，只在后面添加。", "The log only grew since; nothing before was changed."
    if newest.size < receipt.head.size:
        zh = "公开日志还没有发布到这份凭证，过几天再查一次。"
        en = "The public log has not reached this receipt yet; check again in some days."
        return Step(code="continued", ok=None, zh=zh, en=en)
    peaks = Peaks(receipt.head.size, list(receipt.peaks))
    whole = len(receipt.peaks) == receipt.head.size.bit_count() and joined(receipt.peaks) == receipt.head.root
    for entry in since if whole else ():
        peaks.append(leaf_hash(canonical(entry).encode()))
    grown = peaks.size == newest.size and peaks.root() == newest.root
    same = newest.is_signed(keys) and newest.programme == receipt.programme
    return Step(code="continued", ok=whole and grown and same, zh=zh, en=en)


def later_leaves(receipt: Receipt, since: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the leaves among ``since`` that name the receipt's position: what happened to it after the receipt."""
    return [entry for entry in since if entry.get("position") == receipt.position]


def say_outcome(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return in Chinese and English what a leaf with a decision says."""
    fen = entry["amount_fen"]
    zh, en = OUTCOMES_ZH.get(entry["outcome"], "？"), OUTCOMES_EN.get(entry["outcome"], "?")
    yuan = f"{fen // 100}.{fen % 100:02d}"
    return (f"{zh} {yuan} 元", f"{en} {yuan} yuan") if fen else (zh, en)


def _included(leaf: Proved, head: Head) -> bool:
    return proves_inclusion(leaf_sha256=leaf.sha256, leaf=leaf.leaf, size=head.size, proof=leaf.proof, root=head.root)


def _proved(document: Mapping[str, Any]) -> Proved:
    entry, rest = document["entry"], document["rest"]
    if not isinstance(entry, dict) or not isinstance(rest, dict) or not isinstance(entry["kind"], str):
        raise ReceiptUnreadable
    if decides(entry) and (not isinstance(entry["outcome"], str) or not isinstance(entry["amount_fen"], int)):
        raise ReceiptUnreadable
    return Proved(
        leaf=_whole(document["leaf"]),
        entry=entry,
        rest=rest,
        salt=bytes.fromhex(document["salt"]),
        proof=tuple(bytes.fromhex(sha256) for sha256 in document["proof"]),
    )


def _is_writable(document: Any) -> bool:
    """Say whether it can be written as UTF-8 at all, and names no programme that no database could hold."""
    canonical(document).encode()
    return "\0" not in str(document["programme"])


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        raise ReceiptUnreadable
    return value
