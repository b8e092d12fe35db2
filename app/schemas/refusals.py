"""The list of every «no»."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema
from marshmallow.fields import Field, List, Nested

from app.schemas.answers import text, whole


class RefusalAnswer(Schema):
    """One «no» this platform may say."""

    code = text("stable code")
    status = whole("HTTP status it is answered with")
    zh = text("the words in Chinese; {names} are filled in")
    en = text("the words in English")
    remedy_zh = text("what to do, in Chinese")
    remedy_en = text("what to do, in English")
    field = text("field it usually names, null for the request as a whole", empty=True)


class RefusalList(Schema):
    """Every code a problem may carry."""

    refusals: Field[Any] = List(Nested(RefusalAnswer), metadata={"description": "by code"})
