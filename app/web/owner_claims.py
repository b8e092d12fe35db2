"""The owner's pages about a claim: what is to be corrected, why it was decided so, and objecting."""

from __future__ import annotations

import hashlib

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import requires
from app.auth import caller
from app.context import reach_of, settings
from app.db import db
from app.web.answering import Answer, take_form
from app.web.blueprint import web
from app.web.correcting import wrong_fields, wrong_photos
from app.web.forms import Form
from app.web.language import _, in_english, ngettext
from app.web.owner_forms import add_pictures
from app.web.owner_questions import PHOTOS, read_images, way_into
from app.web.owner_record import find_own
from app.web.owner_words import APPEAL_STATES, CLAIM_WORDS
from app.web.wording import full_day
from subsidy.appeals import MOST_PHOTOS, OPEN, photos_of
from subsidy.decision_record import DecisionRecord, RuleFinding, decision_record


@web.get("/my/<reference>/correction", endpoint="my_correction")
@requires("owner")
def show_correction(reference: str) -> Response | str:
    """What is wrong, by when, and the way to put it right; back to the trade-in once nothing is."""
    record = find_own(reference)
    if not record.faults:
        return redirect(url_for("web.my_trade_in", reference=reference), 303)
    return render_template(
        "own_correction.html",
        record=record,
        way=way_into(record, "correction"),
        fields=wrong_fields(record, reader="owner"),
        photos=wrong_photos(record),
    )


@web.get("/my/<reference>/decision", endpoint="my_decision")
@requires("owner")
def show_decision(reference: str) -> str:
    """Every rule as it was judged, with its clause, what it saw and as of when; every decision so far."""
    told = _decision(reference)
    english = in_english()
    return render_template(
        "own_decision.html",
        record=find_own(reference),
        told=told,
        claim=told.standing.claim,
        state=state_words(told),
        reason=reason_words(told),
        failed=[_judged(rule) for rule in told.conditions if not rule.passed],
        passed=[_judged(rule) for rule in told.conditions if rule.passed],
        queue_rule=_judged(told.queue_rule) if told.queue_rule else None,
        history=[(step.en if english else step.zh, step) for step in told.history],
    )


@web.get("/my/<reference>/appeal", endpoint="my_appeal")
@requires("owner")
def show_appeal(reference: str) -> str:
    """The appeal as it stands, or the way to file one."""
    return _appeal_page(reference, Form(fields=(PHOTOS,)))


@web.post("/my/<reference>/appeal/more-photos", endpoint="take_more_photos")
@requires("owner")
def take_more_photos(reference: str) -> Answer:
    """Add pictures to the appeal that waits for its answer."""
    find_own(reference)
    form = Form.read()
    form.fields = (PHOTOS,)
    # Read before the key of the sending is made: the same pictures are the same sending.
    sent = [file.stream.read() for file in request.files.getlist(PHOTOS)]
    for file in request.files.getlist(PHOTOS):
        file.stream.seek(0)
    told = _decision(reference)

    def work() -> str:
        images = read_images(form, PHOTOS, most=MOST_PHOTOS)
        if not images:
            form.blame(PHOTOS, _("还没有选照片。"))
        form.check()
        if told.appeal is not None:
            add_pictures(told.appeal, images)
            flash(ngettext("收到 %(num)s 张照片。", "收到 %(num)s 张照片。", len(images)))
        return url_for("web.my_appeal", reference=reference)

    return take_form(
        form=form,
        work=work,
        page=lambda form: _appeal_page(reference, form),
        files=b"".join(hashlib.sha256(image).digest() for image in sent),
        names={"image": PHOTOS},
    )


@web.get("/my/<reference>/appeal/more-photos", endpoint="more_photos_address")
@requires("owner")
def back_from_more_photos(reference: str) -> Response:
    """Lead from the form's own address to the page it stands on."""
    return redirect(url_for("web.my_appeal", reference=reference), 303)


def state_words(told: DecisionRecord) -> str:
    """Return how the claim stands, in the reader's words; what is held says whether a correction or the bureau."""
    state = told.standing.claim.state
    return str(CLAIM_WORDS["to_correct" if state == "held" and told.faults else state])


def reason_words(told: DecisionRecord) -> str | None:
    """Return why the claim stands so, None where nothing keeps it."""
    return told.reason_words[1 if in_english() else 0] if told.reason_words else None


def _judged(rule: RuleFinding) -> dict[str, object]:
    english = in_english()
    return {
        "title": rule.words.title_en if english else rule.words.title_zh,
        "why": rule.why_en if english else rule.why_zh,
        "clause": rule.words.clause_en if english else rule.words.clause_zh,
        "saw": rule.saw_en if english else rule.saw_zh,
        "as_of": rule.as_of,
    }


def _decision(reference: str) -> DecisionRecord:
    return decision_record(session=db.session(), reference=reference, reach=reach_of(caller()))


def _appeal_page(reference: str, form: Form) -> str:
    told = _decision(reference)
    appeal, record = told.appeal, find_own(reference)
    return render_template(
        "own_appeal.html",
        record=record,
        form=form,
        told=told,
        appeal=appeal,
        way=way_into(record, "appeal"),
        state=APPEAL_STATES[appeal.state] if appeal else "",
        answered=appeal is not None and appeal.state not in OPEN,
        due=full_day(appeal.due_on) if appeal else "",
        photos=len(photos_of(session=db.session(), appeal=appeal)) if appeal else 0,
        most_photos=MOST_PHOTOS,
        reason=reason_words(told),
        working_days=settings().appeal_working_days,
    )
