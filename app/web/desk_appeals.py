"""Appeals at the desk: read what the owner wrote and sent, answer it; supporting it proposes an overrule."""

from __future__ import annotations

from datetime import date

from flask import Response as Picture
from flask import abort, render_template, request, url_for
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.auth import caller
from app.context import business_now
from app.db import db
from app.web.blueprint import web
from app.web.desk_acting import act, by_me, done, may, names_of, reason_in, within
from app.web.desk_words import CLAIM_STATES, HOLD_REASONS, fault_words, reason_words
from app.web.forms import Form
from app.web.language import _
from app.web.owner_words import APPEAL_STATES
from app.web.wording import local
from registry.trade_ins import EVERYBODYS, TradeIn
from subsidy.appeals import (
    OPEN,
    Appeal,
    AppealPhoto,
    get_appeal,
    list_appeals,
    photos_of,
    reject_appeal,
    uphold_appeal,
)
from subsidy.case_numbers import APPEAL as PREFIX
from subsidy.case_numbers import clean_case_number
from subsidy.claims import Claim
from subsidy.corrections import waiting_for_correction
from subsidy.holds import ClaimHold
from subsidy.overrules import Overrule

ANSWERS = "operator"
LONGEST = 400
TAGS = {"granted": "done", "rejected": "stop", "upheld": "wait"}


@web.get("/desk/appeals")
@requires(*STAFF)
def appeals() -> str:
    """The appeals of one state, those due soonest first."""
    state = request.args.get("state", "filed")
    if state not in APPEAL_STATES:
        abort(404)
    counted = dict(db.session.execute(select(Appeal.state, func.count()).group_by(Appeal.state)).all())
    return render_template(
        "desk_appeals.html",
        rows=list_appeals(session=db.session(), reach=EVERYBODYS, state=state),
        tabs=[{"key": key, "word": word, "number": counted.get(key, 0)} for key, word in APPEAL_STATES.items()],
        chosen=state,
        overdue=_overdue,
    )


@web.get("/desk/appeals/<reference>")
@requires(*STAFF)
def appeal(reference: str) -> str:
    """One appeal with its pictures, the claim it is about, and its answer."""
    return _appeal(reference, Form(fields=("answer",)))


@web.get("/desk/appeals/<reference>/photos/<int:photo_id>")
@requires(*STAFF)
def appeal_photo(reference: str, photo_id: int) -> Picture:
    """One picture of an appeal."""
    number = clean_case_number(reference, prefix=PREFIX)
    appeal = get_appeal(session=db.session(), reference=number, reach=EVERYBODYS)
    photo = db.session.get(AppealPhoto, within(photo_id))
    if photo is None or photo.appeal_id != appeal.id:
        abort(404)
    kind = "image/png" if photo.image.startswith(b"\x89PNG") else "image/jpeg"
    return Picture(photo.image, content_type=kind, headers={"Cache-Control": "private, no-store"})


@web.post("/desk/appeals/<reference>/answer", endpoint="answer_appeal")
@requires(ANSWERS)
def answer(reference: str) -> Response | tuple[str, int]:
    """Support the appeal, for a reviewer to approve, or turn it down with the reason."""
    form = Form.read("answer", "decision")

    def work() -> str:
        number = clean_case_number(reference, prefix=PREFIX)
        words = reason_in(form, "answer", missing=_("还没有写答复。"), longest=LONGEST)
        if form.value("decision") == "uphold":
            overrule = uphold_appeal(reference=number, answer=words, **by_me())
            return done(
                _("支持这份申诉，改判建议已经提出，请复核员决定。"),
                url_for("web.overrule", reference=overrule.reference),
            )
        reject_appeal(reference=number, answer=words, **by_me())
        return done(_("答复了，已经通知车主。"), url_for("web.appeal", reference=number))

    return act(form, work, lambda form: _appeal(reference, form))


@web.get("/desk/held")
@requires(*STAFF)
def held_claims() -> str:
    """Claims held by staff, and those that wait for a correction, the one due soonest first."""
    holds = db.session.execute(
        select(ClaimHold, TradeIn)
        .join(Claim, (Claim.programme_id == ClaimHold.programme_id) & (Claim.position == ClaimHold.position))
        .join(TradeIn, TradeIn.id == Claim.trade_in_id)
        .where(ClaimHold.released_at.is_(None))
        .order_by(ClaimHold.id)
        .limit(200)
    ).all()
    return render_template(
        "desk_held.html",
        holds=[(hold, trade_in) for hold, trade_in in holds],
        names=names_of([hold.held_by for hold, _ in holds]),
        reasons=HOLD_REASONS,
        corrections=waiting_for_correction(session=db.session(), reach=EVERYBODYS),
        fault_words=fault_words,
        own=caller().actor,
    )


def _appeal(reference: str, form: Form) -> str:
    session = db.session()
    number = clean_case_number(reference, prefix=PREFIX)
    appeal = get_appeal(session=session, reference=number, reach=EVERYBODYS)
    claim = session.get_one(Claim, (appeal.programme_id, appeal.position))
    waits = appeal.state == "filed"
    return render_template(
        "desk_appeal.html",
        form=form,
        appeal=appeal,
        trade_in=session.get_one(TradeIn, appeal.trade_in_id),
        claim=claim,
        claim_words=CLAIM_STATES,
        declined_for=reason_words(claim.reason) if claim.state == "declined" else "",
        photos=photos_of(session=session, appeal=appeal),
        tag=(("you" if may(ANSWERS) else "wait") if waits else TAGS[appeal.state], APPEAL_STATES[appeal.state]),
        names=names_of([appeal.answered_by]),
        overdue=appeal.state in OPEN and _overdue(appeal.due_on),
        overrule=session.scalar(
            select(Overrule.reference).where(Overrule.appeal_id == appeal.id).order_by(Overrule.id.desc()).limit(1)
        ),
        may_answer=waits and may(ANSWERS),
    )


def _overdue(day: date) -> bool:
    return day < local(business_now()).date()
