"""What is known of a trade-in's subsidy before the old bike is given away: judged elsewhere, heeded here.

Once the old bike is received nothing brings it back. Where it is certain that no subsidy will come, the owner is told
in the first text, and the point takes the bike only after saying that the owner knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session

from registry.base import Refusal
from registry.trade_ins import TradeIn


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSubsidy:
    """Why a trade-in will certainly bring no subsidy: a stable code, and one sentence in each language."""

    code: str
    zh: str
    en: str


class SubsidyOutlook(Protocol):
    """Judges a trade-in under way by what is known now."""

    def __call__(self, *, session: Session, trade_in: TradeIn) -> NoSubsidy | None:
        """Return why it will certainly bring no subsidy, None where one may come."""


class OwnerNotTold(Refusal):
    """An old bike that brings no subsidy is taken in only once its owner knows."""

    code = "owner_not_told"
    zh = "这辆车领不了补贴：{why_zh}"
    en = "This bike gets no subsidy: {why_en}"
    remedy_zh = "请先告诉车主。车主知道了还要换的，勾选「车主知道这辆车领不了补贴」再收；不换的，请撤回。"
    remedy_en = "Tell the owner first. If they still want to go on, tick that the owner knows; if not, withdraw."
    default_field = "owner_knows"
