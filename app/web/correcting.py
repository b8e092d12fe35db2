"""What is to be corrected on a claim, as the form shows it: the field, what was typed, what is wrong, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flask import request

from app.auth import caller
from app.context import keyring, reach_of, settings
from app.db import db
from app.web.forms import Form
from app.web.language import _, _l, in_english
from app.web.trade_in_record import PHOTO_WORDS, Record
from registry.people import Person, open_name
from subsidy.correction_fields import Given
from subsidy.corrections import correct_claim
from subsidy.faults import FAULTS, PHOTO

PHOTO_FIELD = "photo:"
LABELS = {
    "vehicle_code": (_l("整车编码"), _l("照车架或合格证上的 15 位编码，一位一位对着填。"), 24),
    "certificate_no": (_l("合格证编号"), _l("照合格证上的编号填。"), 40),
    "battery_code": (_l("电池编码"), _l("照电池标签上的编码填。"), 60),
    "owner_name": (_l("车主姓名"), _l("照身份证上的写法填，生僻字、间隔号也要一样。"), 64),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongField:
    """One field to be given anew. ``typed`` is what stands now, None where it may not be shown."""

    name: str
    label: str
    hint: str
    typed: str | None
    wrong: str
    remedy: str
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongPhoto:
    """One photo to be taken again."""

    kind: str
    label: str


def wrong_fields(record: Record, *, reader: Literal["owner", "point"]) -> list[WrongField]:
    """Return the fields that were mistyped, as this reader may see them: a name in clear for the owner alone."""
    bike = record.bike
    found = []
    for fault in record.faults:
        if fault.field not in LABELS:
            continue
        label, hint, longest = LABELS[fault.field]
        words = FAULTS[fault.code]
        if fault.field == "owner_name":
            owner = db.session.get_one(Person, record.trade_in.owner_id)
            typed = open_name(person=owner, keyring=keyring()) if reader == "owner" else None
        else:
            typed = getattr(bike, fault.field) if bike is not None else None
        found.append(
            WrongField(
                name=fault.field,
                label=str(label),
                hint=str(hint),
                typed=typed,
                wrong=_("%(what)s。", what=words.en if in_english() else words.zh),
                remedy=_("%(what)s。", what=words.remedy_en if in_english() else words.remedy_zh),
                longest=longest,
            )
        )
    return found


def wrong_photos(record: Record) -> list[WrongPhoto]:
    """Return the photos that cannot be read."""
    kinds = [fault.field.removeprefix(PHOTO_FIELD) for fault in record.faults if fault.code == PHOTO]
    return [WrongPhoto(kind=kind, label=str(PHOTO_WORDS[kind])) for kind in kinds]


def correction_form(record: Record, *, reader: Literal["owner", "point"]) -> Form:
    """Return the form of a correction, filled with what stands now: usually one character is to be changed."""
    fields = wrong_fields(record, reader=reader)
    return Form(
        fields=tuple(field.name for field in fields), values={field.name: field.typed or "" for field in fields}
    )


def sent_correction() -> Form:
    """Return the form as it was sent: the same sending reads the same, also once nothing is left to correct."""
    return Form.read(*(name for name in LABELS if name in request.form))


def correct(record: Record, form: Form) -> str:
    """Correct the claim with what was typed; return what to say afterwards. Raises as ``correct_claim``."""
    for name in form.fields:
        form.text(name, _("还没有填%(what)s。", what=LABELS[name][0]), longest=LABELS[name][2])
    form.check()
    account = caller()
    standing = correct_claim(
        session=db.session(),
        keyring=keyring(),
        reference=record.trade_in.reference,
        reach=reach_of(account),
        given=Given(**{name: form.value(name) for name in form.fields}),
        clock=settings().clock,
        actor=account.actor,
    )
    return {
        "awarded": _("更正好了，补贴定下来了，序号没有变。"),
        "waiting": _("更正好了，按原来的序号排着。"),
    }.get(standing.claim.state, _("更正收到了，结果写在下面。"))
