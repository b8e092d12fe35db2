"""What a person typed into a form: read once, kept when it is wrong, with the fault beside its field."""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation

from flask import request
from werkzeug.datastructures import MultiDict

from app.web.language import _, _l, in_english
from registry.base import Refusal
from registry.inputs import SeveralRefused

LONGEST = 400
# Chinese input methods type wide digits and letters; they mean the plain ones. Never in a password.
PLAIN = {ord(sign) + 0xFEE0: sign for sign in f"{string.digits}{string.ascii_letters}.-"}
# 年, 月 and 日 may stand for the dashes of a day; thousands may be parted, and 元 follow, in an amount.
A_DAY = re.compile(r"(\d{4})[-./ \u5e74]+(\d{1,2})[-./ \u6708]+(\d{1,2})\u65e5?")
NOT_OF_A_NUMBER = re.compile(r"[,\s\uff0c\u5143]")
# What an empty field is called, where the domain could only say that nothing is not a plate, a name, a number.
LEFT_EMPTY = {
    "plate_no": _l("号牌号码"),
    "owner_name": _l("车主姓名"),
    "owner_id_no": _l("车主身份证号码"),
    "owner_phone": _l("车主手机号码"),
    "frame_no": _l("车架号"),
    "recycling_certificate_no": _l("回收证明编号"),
}


def said(refusal: Refusal) -> tuple[str, str]:
    """Return a refusal's words and its remedy in the language of the page being made."""
    if in_english():
        return refusal.message_en, refusal.help_en
    return refusal.message_zh, refusal.help_zh


class FormIncomplete(Exception):
    """What was typed cannot be handed to the domain yet; the form's errors say why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing to be put right; ``field`` is None where it is not one input's."""

    field: str | None
    message: str
    help: str = ""


@dataclass(slots=True, kw_only=True)
class Form:
    """The fields of one form with what was typed. ``submission`` names this one sending of it."""

    fields: tuple[str, ...]
    values: dict[str, str] = field(default_factory=dict)
    errors: list[Fault] = field(default_factory=list)
    submission: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    @classmethod
    def read(cls, *fields: str, source: MultiDict[str, str] | None = None) -> Form:
        """Read the fields from the request's form, or from ``source``. A missing field reads as empty."""
        given = request.form if source is None else source
        values = {name: _visible(given.get(name, ""), wide=name == "password") for name in fields}
        typed = given.get("submission", "")
        form = cls(fields=fields, values=values)
        if re.fullmatch(r"[\w-]{16,64}", typed, re.ASCII):
            form.submission = typed
        return form

    def renewed(self) -> Form:
        """Return the form as it stands, to be sent anew: a corrected form is a new sending."""
        self.submission = secrets.token_urlsafe(18)
        return self

    def value(self, name: str) -> str:
        """Return what was typed into a field."""
        return self.values.get(name, "")

    def drop_city(self, name: str, city: str) -> None:
        """Take the city's name off the front of a plate number: our pages show plates with it, so people copy it."""
        if city:
            self.values[name] = self.value(name).removeprefix(city).lstrip(" ·")

    def anchor(self, name: str) -> str:
        """Return the id of a field's input on the page."""
        return f"f-{name}"

    def fault(self, name: str) -> Fault | None:
        """Return the first fault of a field, None where it has none."""
        return next((fault for fault in self.errors if fault.field == name), None)

    def blame(self, name: str | None, message: str, remedy: str = "") -> None:
        """Add a fault."""
        self.errors.append(Fault(field=name, message=message, help=remedy))
        # The list above the form goes down the page as the form does; what concerns no field comes first.
        self.errors.sort(key=lambda fault: self.fields.index(fault.field) if fault.field in self.fields else -1)

    def refuse(self, refusal: Refusal, **names: str) -> None:
        """Add a refusal as a fault; ``names`` maps the domain's field names to the form's where they differ."""
        for one in refusal.each if isinstance(refusal, SeveralRefused) else (refusal,):
            name = names.get(one.field, one.field) if one.field else None
            if name in LEFT_EMPTY and self.values.get(name) == "":
                self.blame(name, _("还没有填%(what)s。", what=LEFT_EMPTY[name]))
            else:
                self.blame(name if name in self.fields else None, *said(one))

    def check(self) -> None:
        """Raise FormIncomplete where anything is to be put right."""
        if self.errors:
            raise FormIncomplete

    def text(self, name: str, missing: str, *, longest: int = LONGEST) -> str:
        """Return what was typed; blames the field with ``missing`` where nothing was, and where it is too long."""
        if not self.value(name):
            self.blame(name, missing)
        elif len(self.value(name)) > longest:
            self.blame(name, _("太长了，最多 %(longest)s 个字。", longest=longest))
        return self.value(name)

    def fen(self, name: str, label: str) -> int:
        """Return an amount typed in yuan as fen; blames the field where it is not one."""
        number = self._decimal(name, label, _("写成数字，最多两位小数，例如 2999 或 2999.50。"), whole=7, places=2)
        return int(number * 100)

    def scaled(self, name: str, label: str, *, by: int) -> int:
        """Return a measured value times ``by`` as a whole number, e.g. kilograms as grams."""
        return int(self._decimal(name, label, _("写成数字，例如 54.5。"), whole=4, places=3) * by)

    def day(self, name: str, label: str) -> date:
        """Return a day typed or picked; blames the field where it is none."""
        typed = self.value(name)
        match = A_DAY.fullmatch(typed)
        try:
            return date(*(int(part) for part in match.groups())) if match else self._no_day(name, label)
        except ValueError:
            return self._no_day(name, label)

    def _no_day(self, name: str, label: str) -> date:
        wrong = _("%(label)s不对。", label=label) if self.value(name) else _("还没有填%(what)s。", what=label)
        self.blame(name, wrong, _("写成 2026-03-18 这样。"))
        return date.min

    def _decimal(self, name: str, label: str, remedy: str, *, whole: int, places: int) -> Decimal:
        typed = NOT_OF_A_NUMBER.sub("", self.value(name))
        if not typed:
            self.blame(name, _("还没有填%(what)s。", what=label))
            return Decimal(0)
        try:
            number = Decimal(typed)
        except InvalidOperation:
            number = Decimal("NaN")
        if not re.fullmatch(rf"\d{{1,{whole}}}(\.\d{{1,{places}}})?", typed, re.ASCII) or not number.is_finite():
            self.blame(name, _("%(label)s「%(typed)s」不对。", label=label, typed=self.value(name)), remedy)
            return Decimal(0)
        return number


def _visible(typed: str, *, wide: bool) -> str:
    """Control characters are never meant, and the database takes no NUL; ``wide`` keeps wide signs as typed."""
    seen = typed if wide else typed.translate(PLAIN)
    return "".join(sign for sign in seen if sign.isprintable()).strip()[:LONGEST]
