"""The owner's receipt (申领凭证) on paper: what was recorded and decided, under which head, and its QR."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.print.qr import qr_for_label
from app.print.typesetting import typeset
from subsidy.receipt_checks import OUTCOMES_ZH, read_receipt, say_outcome
from subsidy.receipts import short_link

TEMPLATE = "receipt.typ"
QR_MM = 48
LOCAL = ZoneInfo("Asia/Shanghai")


def receipt_pdf(*, receipt: dict[str, Any], public_url: str, now: datetime) -> bytes:
    """Return the receipt as PDF, A4. Raises FontsMissing and PrinterBusy."""
    return typeset(TEMPLATE, receipt_data(receipt=receipt, public_url=public_url), now=now)[0]


def receipt_data(*, receipt: dict[str, Any], public_url: str) -> dict[str, Any]:
    """Return what the template prints: nothing about the person, for the log knows none."""
    found = read_receipt(receipt)
    link = short_link(receipt=receipt, public_url=public_url)
    rest = found.claim.rest
    facts = [
        ("置换查询号", found.trade_in),
        ("排队序号", str(found.position)),
        ("兑付决定", say_outcome(found.decision.entry)[0]),
        ("办结时间（核发新号牌）", _moment(rest["effective_at"])),
        ("记入队列", _moment(rest["recorded_at"])),
        ("申领记录", f"日志第 {found.claim.leaf} 条"),
        ("最近一次决定", f"日志第 {found.decision.leaf} 条"),
        (
            "签名树头",
            f"前 {found.head.size} 条，{_moment(found.head.at.isoformat())} 第 {found.head.key_id} 号密钥签名",
        ),
        ("树根", found.head.root.hex()),
        ("决定的指纹", found.decision.sha256.hex()),
    ]
    return {
        "title": "补贴申领凭证",
        "programme": found.programme,
        "outcome": OUTCOMES_ZH.get(found.decision.entry["outcome"], ""),
        "facts": [{"name": name, "value": value} for name, value in facts],
        "qr": qr_for_label(link, side_mm=QR_MM),
        "scan": "扫一扫，看这份凭证是不是真的、后来有没有变化",
        "keep": "这张纸证明当时记下了什么、怎么决定的。完整的凭证文件（JSON）可以不联网核对，请一并保存。",
    }


def _moment(instant: str) -> str:
    return datetime.fromisoformat(instant).astimezone(LOCAL).strftime("%Y-%m-%d %H:%M:%S")
