"""Strict field types. A fault is told as ``code|fact``; its words stand in app/faults.py."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

LARGEST_INTEGER = 2_147_483_647
# Lone surrogates cannot be stored, control characters cannot be read, and what has no width or turns the writing
# direction makes two texts look like one: none belongs in a form.
_BAD_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_COMMON = {"required": "required", "null": "null", "validator_failed": "invalid"}


class StrictSchema(Schema):
    """Refuses every field it does not know."""

    error_messages = {"unknown": "unknown_field", "type": "not_an_object"}

    class Meta:
        unknown = RAISE


def _metadata(description: str, example: Any) -> dict[str, Any]:
    return {"description": description} | ({} if example is None else {"example": example})


class Text(fields.String):
    """Text of bounded length in characters, without control or invisible characters; stripped at both ends."""

    default_error_messages = {**_COMMON, "invalid": "not_text", "invalid_utf8": "not_text"}

    def __init__(
        self, description: str, *, longest: int, shortest: int = 1, example: str | None = None, **kwargs: Any
    ) -> None:
        length = validate.Length(min=shortest, max=longest)
        super().__init__(validate=length, metadata=_metadata(description, example), **kwargs)
        self._shortest, self._longest = shortest, longest

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if _BAD_CHARACTERS.search(text):
            raise ValidationError("bad_characters")
        return text.strip()

    def _validate(self, value: Any) -> None:
        if len(value) < self._shortest:
            raise ValidationError("required" if not value else f"too_short|{self._shortest}")
        if len(value) > self._longest:
            raise ValidationError(f"too_long|{self._longest}")


class Whole(fields.Integer):
    """A whole number within bounds, sent as a JSON number. ``description`` names the unit."""

    default_error_messages = {**_COMMON, "invalid": "not_whole", "too_large": "not_whole"}

    def __init__(
        self,
        description: str,
        *,
        low: int = 0,
        high: int = LARGEST_INTEGER,
        example: int | None = None,
        from_text: bool = False,
        **kwargs: Any,
    ) -> None:
        bounds = validate.Range(min=low, max=high)
        super().__init__(strict=True, validate=bounds, metadata=_metadata(description, example), **kwargs)
        self._low, self._high, self._from_text = low, high, from_text

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        sound = isinstance(value, int) and not isinstance(value, bool)
        if self._from_text:  # a query string knows text only
            sound = isinstance(value, str) and re.fullmatch(r"\d{1,18}", value, re.ASCII) is not None
        if not sound:
            raise self.make_error("invalid")
        return int(value)

    def _validate(self, value: Any) -> None:
        if not self._low <= value <= self._high:
            raise ValidationError(f"out_of_range|{self._low}|{self._high}")


class Day(fields.Date):
    """A calendar day, YYYY-MM-DD."""

    default_error_messages = {**_COMMON, "invalid": "not_a_day", "format": "not_a_day"}

    def __init__(self, description: str, **kwargs: Any) -> None:
        zoned = description if "Asia/Shanghai" in description else f"{description}; Asia/Shanghai"
        super().__init__(metadata=_metadata(zoned, None), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> date:
        if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
            raise self.make_error("invalid")
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise self.make_error("invalid") from None


class Flag(fields.Boolean):
    """True or false, as JSON has them."""

    default_error_messages = {**_COMMON, "invalid": "not_yes_or_no"}

    def __init__(self, description: str, **kwargs: Any) -> None:
        super().__init__(metadata=_metadata(description, None), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class Choice(fields.String):
    """One of a few words."""

    default_error_messages = {**_COMMON, "invalid": "not_text", "invalid_utf8": "not_text"}

    def __init__(self, description: str, choices: tuple[str, ...], **kwargs: Any) -> None:
        one_of = validate.OneOf(choices, error=f"not_a_choice|{'、'.join(choices)}".replace("{", "").replace("}", ""))
        super().__init__(validate=one_of, metadata=_metadata(description, None), **kwargs)


class Image(fields.Field[bytes]):
    """A picture in Base64; loads as bytes. What kind of picture it is, the registry judges."""

    default_error_messages = {**_COMMON, "invalid": "not_base64"}

    def __init__(self, description: str, **kwargs: Any) -> None:
        metadata = {"description": description, "type": "string", "contentEncoding": "base64"}
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bytes:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise self.make_error("invalid") from None
