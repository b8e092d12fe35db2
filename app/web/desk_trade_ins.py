"""A trade-in that is still under way, at the desk: its steps and photos, and marking what has to be put right."""

from __future__ import annotations

from flask import Response as Picture
from flask import abort, render_template, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.api.trade_ins import reference_in
from app.context import keyring
from app.db import db
from app.web.blueprint import web
from app.web.desk_acting import act, by_me, done, may, reason_in
from app.web.desk_words import fault_words
from app.web.forms import Form
from app.web.language import _
from app.web.progress import steps_of, who_acts
from app.web.trade_in_record import PHOTO_WORDS, read_record
from registry.trade_ins import EVERYBODYS, OVER, PHOTO_KINDS, TradeInPhoto, get_trade_in
from subsidy.corrections import mark_fault
from subsidy.faults import MARKABLE

MARKS = ("operator", "reviewer")


@web.get("/desk/trade-ins/<reference>", endpoint="desk_trade_in")
@requires(*STAFF)
def trade_in(reference: str) -> str:
    """One trade-in under way."""
    return _page(reference_in(reference), Form(fields=("field", "note")))


@web.get("/desk/trade-ins/<reference>/photos/<kind>", endpoint="desk_photo")
@requires("operator", "reviewer", "auditor")
def photo(reference: str, kind: str) -> Picture:
    """The newest photo of one kind."""
    trade_in = get_trade_in(session=db.session(), reference=reference_in(reference), reach=EVERYBODYS)
    image = db.session.scalar(
        select(TradeInPhoto.image)
        .where(TradeInPhoto.trade_in_id == trade_in.id, TradeInPhoto.kind == kind)
        .order_by(TradeInPhoto.id.desc())
        .limit(1)
    )
    if image is None:
        abort(404)
    content_type = "image/png" if image.startswith(b"\x89PNG") else "image/jpeg"
    return Picture(image, content_type=content_type, headers={"Cache-Control": "private, no-store"})


@web.post("/desk/trade-ins/<reference>/faults", endpoint="mark_fault")
@requires(*MARKS)
def mark(reference: str) -> Response | tuple[str, int]:
    """Mark something that has to be put right; the claim is held until it is."""
    form, clean = Form.read("field", "note"), reference_in(reference)

    def work() -> str:
        if form.value("field") not in MARKABLE:
            form.blame("field", _("还没有选哪里要更正。"))
        note = reason_in(form, "note", missing=_("还没有写看到了什么。"))
        mark_fault(reference=clean, field=form.value("field"), note=note, **by_me())
        return done(_("标记了。办完的时候名额留着，等更正。"), url_for("web.desk_trade_in", reference=clean))

    return act(form, work, lambda form: _page(clean, form))


def _page(reference: str, form: Form) -> str:
    trade_in = get_trade_in(session=db.session(), reference=reference, reach=EVERYBODYS)
    record = read_record(session=db.session(), keyring=keyring(), trade_in=trade_in)
    return render_template(
        "desk_trade_in.html",
        form=form,
        record=record,
        steps=steps_of(record),
        now=who_acts(record, "bureau"),
        photos=[(kind, PHOTO_WORDS[kind]) for kind in PHOTO_KINDS if kind in record.photos],
        may_see=may("operator", "reviewer", "auditor"),
        options=[(field, _words(field, code)) for field, code in MARKABLE.items()],
        may_mark=may(*MARKS) and trade_in.state not in OVER,
    )


def _words(field: str, code: str) -> str:
    kind = field.partition(":")[2]
    return _("照片看不清：%(photo)s", photo=PHOTO_WORDS.get(kind, kind)) if kind else fault_words(code)
