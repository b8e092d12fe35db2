"""The ground every table and every expected «no» stands on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, cast

from sqlalchemy import DateTime, Dialect, MetaData, Table
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Declarative base of every table. No schema name anywhere: the edge picks the district."""

    metadata = MetaData(naming_convention=NAMING)


def table_of(model: type[Base]) -> Table:
    """Return a model's table, for statements that load no objects."""
    return cast("Table", model.__table__)


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant. A naive datetime is a programming error and is refused at the door."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: instants carry a time zone")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)


# The largest number a table has a row under. An address may name a larger one.
LARGEST_ID = 2**63 - 1

RefusalKind = Literal["invalid", "conflict", "not_found", "forbidden", "too_often", "unavailable"]


class Refusal(Exception):
    """An expected «no»: stable ``code``, plain words in Chinese and English, and what to do about it.

    Subclasses stand beside the function that raises them and set ``code``, ``kind``, ``zh``, ``en`` and the two
    remedies. Wording may hold ``{placeholders}``, filled from the keyword arguments. ``field`` names the input
    that was wrong, as the caller spelled it, when one was. ``app/errors.py`` alone turns a refusal into an answer:
    invalid 422, conflict 409, not_found 404, forbidden 403, too_often 429 (with the fact
    ``retry_after_s``), unavailable 503.
    """

    code: ClassVar[str] = "refused"
    kind: ClassVar[RefusalKind] = "invalid"
    zh: ClassVar[str] = "这一步现在不能办。"
    en: ClassVar[str] = "This step cannot be done now."
    remedy_zh: ClassVar[str] = ""
    remedy_en: ClassVar[str] = ""
    default_field: ClassVar[str | None] = None

    def __init__(self, *, field: str | None = None, **facts: Any) -> None:
        self.field = field if field is not None else self.default_field
        self.facts = facts
        self.message_zh = self.zh.format(**facts)
        self.message_en = self.en.format(**facts)
        self.help_zh = self.remedy_zh.format(**facts)
        self.help_en = self.remedy_en.format(**facts)
        super().__init__(f"{self.code}: {self.message_en}")


class StepNotAllowed(Refusal):
    """A state machine was asked for a step its present state does not have."""

    code = "step_not_allowed"
    kind = "conflict"
    zh = "{noun}现在是「{state}」，这一步现在办不了。"
    en = "The {noun_en} is «{state_en}»; the step «{step}» is not possible from there."
    remedy_zh = "请刷新页面，看看现在轮到哪一步。"
    remedy_en = "Reload to see which step is due now."


class PartnerUnavailable(Refusal):
    """The partner could not be reached or answered 5xx before taking the request: nothing happened there."""

    code = "partner_unavailable"
    kind = "unavailable"
    zh = "{partner}现在连不上，您填的内容已经保存。"
    en = "{partner} cannot be reached now; what you entered is kept."
    remedy_zh = "请过一会儿再点一次，不会重复办理。"
    remedy_en = "Try again in a moment; nothing will be done twice."


class PartnerSilent(PartnerUnavailable):
    """The request went out and no answer came back: the outcome is UNKNOWN and has to be asked for."""

    code = "partner_silent"
    zh = "{partner}没有回话，结果还不知道，我们会一直去问。"
    en = "{partner} did not answer; the outcome is unknown and we keep asking."
    remedy_zh = "您现在不用做什么。"
    remedy_en = "There is nothing you need to do now."
