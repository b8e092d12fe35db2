"""Cleaning several inputs at once, so that a person hears of every wrong field in one answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from registry.base import Refusal

Clean = TypeVar("Clean")


class SeveralRefused(Refusal):
    """More than one input was refused; ``each`` holds the refusals, every one naming its field."""

    code = "several_fields_wrong"
    zh = "有 {count} 处需要改正。"
    en = "{count} fields need correcting."
    remedy_zh = "请逐项改正后再提交。"
    remedy_en = "Correct each of them and submit again."

    def __init__(self, each: tuple[Refusal, ...], **facts: Any) -> None:
        super().__init__(count=len(each), **facts)
        self.each = each


class Inputs:
    """Collects the refusals of cleaning functions. ``take`` each input, then ``check`` once before using any."""

    def __init__(self) -> None:
        self._refusals: list[Refusal] = []

    def take(self, field: str, clean: Callable[[Any], Clean], typed: Any) -> Clean:
        """Return ``clean(typed)``; a refusal is kept under the caller's ``field`` and raised by ``check``.

        After a refusal the returned value is not usable: ``check`` has to come before it is read.
        """
        try:
            return clean(typed)
        except SeveralRefused as refused:
            self._refusals += refused.each
        except Refusal as refusal:
            refusal.field = field
            self._refusals.append(refusal)
        return typed  # type: ignore[no-any-return]

    def refuse(self, refusal: Refusal) -> None:
        """Add a refusal found otherwise."""
        self._refusals.append(refusal)

    def refused(self, field: str) -> bool:
        """Whether a field was refused so far."""
        return any(refusal.field == field for refusal in self._refusals)

    def check(self) -> None:
        """Raise what was refused: the refusal itself where it is one, SeveralRefused where there are more."""
        if len(self._refusals) == 1:
            raise self._refusals[0]
        if self._refusals:
            raise SeveralRefused(tuple(self._refusals))
