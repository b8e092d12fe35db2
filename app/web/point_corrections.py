"""What a point has to correct on its customers' claims: the list, the fields, the photos."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app.access import requires
from app.auth import caller
from app.context import reach_of, settings
from app.db import db
from app.web.answering import Answer, sent_file, take_form
from app.web.blueprint import web
from app.web.correcting import correct, correction_form, sent_correction, wrong_fields, wrong_photos
from app.web.forms import Form
from app.web.language import _, in_english
from app.web.point import own_dealer, read_own
from app.web.trade_in_record import PHOTO_WORDS, Record
from subsidy.corrections import replace_photo, waiting_for_correction
from subsidy.faults import FAULTS


@web.get("/point/corrections", endpoint="point_corrections")
@requires("dealer")
def show_corrections() -> str:
    """The point's claims that wait for a correction, the one due soonest first."""
    found = waiting_for_correction(session=db.session(), reach=reach_of(caller()))
    return render_template(
        "point_corrections.html",
        dealer=own_dealer(),
        items=[
            {"record": read_own(item.trade_in.reference), "wrong": [_wrong(fault.code) for fault in item.faults]}
            for item in found
            if item.faults
        ],
    )


@web.get("/point/trade-ins/<reference>/correction", endpoint="point_correction")
@requires("dealer")
def show_correction(reference: str) -> Response | str:
    """What is wrong on one claim, by when, and the forms; back to the trade-in once nothing is."""
    record = read_own(reference)
    if not record.faults:
        return redirect(url_for("web.point_trade_in", reference=reference), 303)
    return _page(record, correction_form(record, reader="point"))


@web.post("/point/trade-ins/<reference>/correction", endpoint="take_point_correction")
@requires("dealer")
def take_correction(reference: str) -> Answer:
    """Correct every field at once; what was typed is kept where one is refused."""
    record = read_own(reference)
    form = sent_correction()

    def work() -> str:
        flash(correct(record, form))
        return url_for("web.point_trade_in", reference=reference)

    return take_form(form=form, work=work, page=lambda form: _page(read_own(reference), form))


@web.post("/point/trade-ins/<reference>/correction/photos/<kind>", endpoint="take_corrected_photo")
@requires("dealer")
def take_photo(reference: str, kind: str) -> Answer:
    """Keep a photo in place of one that cannot be read."""
    read_own(reference)
    form = Form.read()
    form.fields = (kind,) if kind in PHOTO_WORDS else ()
    image = sent_file(kind)

    def work() -> str:
        if not image:
            form.blame(kind, _("还没有选照片。"))
        form.check()
        account = caller()
        replace_photo(
            session=db.session(),
            reference=reference,
            reach=reach_of(account),
            kind=kind,
            image=image,
            clock=settings().clock,
            actor=account.actor,
        )
        flash(_("%(what)s的照片换好了。", what=PHOTO_WORDS[kind]))
        return url_for("web.point_correction", reference=reference)

    return take_form(
        form=form, work=work, page=lambda form: _page(read_own(reference), form), files=image, names={"image": kind}
    )


@web.get("/point/trade-ins/<reference>/correction/photos/<kind>", endpoint="corrected_photo_address")
@requires("dealer")
def back_from_photo(reference: str, kind: str) -> Response:
    """Lead from a photo form's own address to the correction."""
    return redirect(url_for("web.point_correction", reference=reference), 303)


def _wrong(code: str) -> str:
    words = FAULTS[code]
    return f"{words.en}." if in_english() else _("%(what)s。", what=words.zh)


def _page(record: Record, form: Form) -> str:
    return render_template(
        "point_correction.html",
        dealer=record.dealer,
        record=record,
        form=form,
        fields=wrong_fields(record, reader="point"),
        photos=wrong_photos(record),
    )
