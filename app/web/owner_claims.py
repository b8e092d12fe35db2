"""The owner's pages about a claim: correcting what was mistyped, why it was decided so, and objecting."""

from __future__ import annotations

import hashlib

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import requires
from app.auth import caller
from app.context import business_now, reach_of, settings
from app.db import db
from app.web.answering import Answer, long_text, sent_files, take_form
from app.web.blueprint import web
from app.web.correcting import correct, correction_form, sent_correction, wrong_fields, wrong_photos
from app.web.forms import Form
from app.web.owner import find_own
from app.web.trade_in_record import Record
from registry.receiving import LARGEST_PHOTO_BYTES, PhotoTooLarge, PhotoUnreadable, is_picture
from subsidy.appeals import (
    APPEAL,
    MOST_PHOTOS,
    OPEN,
    Appeal,
    TooManyAppealPhotos,
    add_appeal_photo,
    file_appeal,
    photos_of,
)
from subsidy.claims import CLAIM_WORDS
from subsidy.decision_record import DecisionRecord, decision_record
from subsidy.rule_words import WAITS

APPEAL_FIELDS = ("body", "photos")


@web.get("/my/<reference>/correction", endpoint="my_correction")
@requires("owner")
def show_correction(reference: str) -> Response | str:
    """What is wrong, by when, and the form; back to the trade-in once nothing is."""
    record = find_own(reference)
    if not record.faults:
        return redirect(url_for("web.my_trade_in", reference=reference), 303)
    return _correction_page(record, correction_form(record, reader="owner"))


@web.post("/my/<reference>/correction", endpoint="take_my_correction")
@requires("owner")
def take_correction(reference: str) -> Answer:
    """Correct every field at once; what was typed is kept where one is refused."""
    record = find_own(reference)
    form = sent_correction()

    def work() -> str:
        flash(correct(record, form))
        return url_for("web.my_trade_in", reference=reference)

    return take_form(form=form, work=work, page=lambda form: _correction_page(find_own(reference), form))


@web.get("/my/<reference>/decision", endpoint="my_decision")
@requires("owner")
def show_decision(reference: str) -> str:
    """Every rule as it was judged, with its clause, what it saw and as of when; every decision so far."""
    told = _decision(reference)
    claim = told.standing.claim
    waits = WAITS.get(told.waits_for or "")
    return render_template(
        "own_decision.html",
        record=find_own(reference),
        told=told,
        claim=claim,
        state_zh=CLAIM_WORDS[claim.state],
        reason_zh=told.reason_words[0] if told.reason_words else None,
        waits_zh=waits[0] if waits else None,
        failed=[rule for rule in told.conditions if not rule.passed],
        passed=[rule for rule in told.conditions if rule.passed],
    )


@web.get("/my/<reference>/appeal", endpoint="my_appeal")
@requires("owner")
def show_appeal(reference: str) -> str:
    """The appeal as it stands, or the form to file one."""
    return _appeal_page(reference, Form(fields=APPEAL_FIELDS))


@web.post("/my/<reference>/appeal", endpoint="take_my_appeal")
@requires("owner")
def take_appeal(reference: str) -> Answer:
    """File an appeal with its pictures, or add pictures to the one that waits."""
    find_own(reference)
    form = Form.read()
    form.fields = APPEAL_FIELDS
    images = [file.read(LARGEST_PHOTO_BYTES + 1) for file in sent_files("photos")]
    told = _decision(reference)

    def work() -> str:
        appeal = _waiting(told.appeal)
        if told.may_be_appealed:
            body = long_text(form, "body", "还没有写哪里不对。")
            _check_images(form, images)
            appeal = _file(reference, body)
            flash(f"申诉收到了，编号 {appeal.reference}，{appeal.due_on.month} 月 {appeal.due_on.day} 日前答复您。")
        elif appeal is not None:
            if not images:
                form.blame("photos", "还没有选照片。")
            _check_images(form, images)
            flash(f"收到 {len(images)} 张照片。")
        if appeal is not None:
            _add(appeal, images)
        return url_for("web.my_appeal", reference=reference)

    files = b"".join(hashlib.sha256(image).digest() for image in images) + request.form.get("body", "").encode()
    return take_form(
        form=form,
        work=work,
        page=lambda form: _appeal_page(reference, form),
        files=files,
        names={"image": "photos"},
    )


def _waiting(appeal: Appeal | None) -> Appeal | None:
    return appeal if appeal is not None and appeal.state in OPEN else None


def _check_images(form: Form, images: list[bytes]) -> None:
    """Refuse the pictures before anything is written: an appeal without its proofs is not what was meant."""
    if len(images) > MOST_PHOTOS:
        form.refuse(TooManyAppealPhotos(field="photos", most=MOST_PHOTOS))
    for image in images:
        if len(image) > LARGEST_PHOTO_BYTES:
            form.refuse(PhotoTooLarge(field="photos"))
        elif not is_picture(image):
            form.refuse(PhotoUnreadable(field="photos"))
    form.check()


def _file(reference: str, body: str) -> Appeal:
    account = caller()
    return file_appeal(
        session=db.session(),
        reference=reference,
        reach=reach_of(account),
        body=body,
        working_days=settings().appeal_working_days,
        actor=account.actor,
        now=business_now(),
    )


def _add(appeal: Appeal, images: list[bytes]) -> None:
    account = caller()
    for image in images:
        add_appeal_photo(
            session=db.session(),
            reference=appeal.reference,
            reach=reach_of(account),
            image=image,
            actor=account.actor,
            now=business_now(),
        )


def _decision(reference: str) -> DecisionRecord:
    return decision_record(session=db.session(), reference=reference, reach=reach_of(caller()))


def _correction_page(record: Record, form: Form) -> str:
    return render_template(
        "own_correction.html",
        record=record,
        form=form,
        fields=wrong_fields(record, reader="owner"),
        photos=wrong_photos(record),
    )


def _appeal_page(reference: str, form: Form) -> str:
    told = _decision(reference)
    appeal = told.appeal
    return render_template(
        "own_appeal.html",
        record=find_own(reference),
        form=form,
        told=told,
        appeal=appeal,
        state_zh=APPEAL.words[appeal.state] if appeal else "",
        answered=appeal is not None and appeal.state not in OPEN,
        photos=len(photos_of(session=db.session(), appeal=appeal)) if appeal else 0,
        most_photos=MOST_PHOTOS,
        reason_zh=told.reason_words[0] if told.reason_words else None,
        working_days=settings().appeal_working_days,
    )
