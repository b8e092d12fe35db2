"""A bank at the other end of a line that fails as told."""

from __future__ import annotations

from typing import Any

from app.clients.ecny.bank import Options
from app.clients.ecny.fake import FakeBank
from registry.base import PartnerSilent, PartnerUnavailable
from subsidy.operator import ReclaimAnswer


class LineToTheBank(FakeBank):
    """The fake bank behind a line that fails as told: ``lost`` before, ``silent`` after, ``away``, one word a call."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.words: list[str] = []
        self.asked_for: list[str] = []

    def reclaim(self, **asked: Any) -> ReclaimAnswer:
        word = self.words.pop(0) if self.words else "answer"
        if word == "away":
            raise PartnerUnavailable(partner="bank")
        if word == "lost":
            raise PartnerSilent(partner="bank")
        self.asked_for.append(asked["bank_number"])
        answer = super().reclaim(**asked)
        if word == "silent":
            raise PartnerSilent(partner="bank")
        return answer
