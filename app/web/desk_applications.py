"""Dealers' applications at the desk: everything that was sent, accepted or refused with a reason."""

from __future__ import annotations

import secrets

from flask import abort, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.auth import hash_password
from app.db import db
from app.web.blueprint import asked_before, web
from app.web.dealer_words import APPLICATION_STATES, DEALER_STATES
from app.web.desk_acting import act, by_me, done, may, names_of, reason_in
from app.web.desk_dealers import A_PAGE, counted, people_of
from app.web.forms import Form
from app.web.language import _, pgettext
from registry.dealer_applications import (
    DealerApplication,
    accept_application,
    get_application,
    list_applications,
    refuse_application,
)
from registry.dealers import Dealer

MAY_REVIEW = ("operator",)
MAY_SEE_LICENCE = ("operator", "reviewer", "auditor")
TAGS = {"waiting": "wait", "accepted": "done", "refused": "stop"}


@web.get("/desk/applications")
@requires(*STAFF)
def applications() -> str:
    """The applications of one state, those that wait unless another is chosen."""
    state = request.args.get("state", "waiting")
    if state not in APPLICATION_STATES:
        abort(404)
    found = list_applications(session=db.session(), state=state, before_id=asked_before(), limit=A_PAGE + 1)
    page = found[:A_PAGE]
    dealers = {
        dealer.id: dealer
        for dealer in db.session.scalars(select(Dealer).where(Dealer.id.in_([one.dealer_id for one in page])))
    }
    older = url_for("web.applications", state=state, before=page[-1].id) if len(found) > A_PAGE else None
    return render_template(
        "desk_applications.html",
        rows=[(one, dealers[one.dealer_id]) for one in page],
        tabs=counted(DealerApplication, APPLICATION_STATES),
        chosen=state,
        older=older,
    )


@web.get("/desk/applications/<reference>")
@requires(*STAFF)
def application(reference: str) -> str:
    """One application with everything that was sent."""
    return _application(reference, Form(fields=("credit_code_confirmed", "reason")))


@web.get("/desk/applications/<reference>/licence-photo", endpoint="application_photo")
@requires(*MAY_SEE_LICENCE)
def application_photo(reference: str) -> Response:
    """The photo of the business licence."""
    photo = get_application(session=db.session(), reference=reference).licence_photo or abort(404)
    kind = "image/png" if photo.startswith(b"\x89PNG") else "image/jpeg"
    return Response(photo, content_type=kind, headers={"Cache-Control": "private, no-store"})


@web.post("/desk/applications/<reference>/acceptance", endpoint="accept_application")
@requires(*MAY_REVIEW)
def accept(reference: str) -> Response | tuple[str, int]:
    """Accept an application."""
    form = Form.read("credit_code_confirmed")

    def work() -> str:
        accept_application(
            reference=reference,
            credit_code_confirmed=form.value("credit_code_confirmed") == "yes",
            password_hash=hash_password(secrets.token_urlsafe()),
            **by_me(),
        )
        return done(_("通过了。商户接下来签承诺书、参加培训。"), url_for("web.application", reference=reference))

    return act(form, work, lambda form: _application(reference, form))


@web.post("/desk/applications/<reference>/refusal", endpoint="refuse_application")
@requires(*MAY_REVIEW)
def refuse(reference: str) -> Response | tuple[str, int]:
    """Refuse an application with a reason the applicant reads."""
    form = Form.read("reason")

    def work() -> str:
        reason = reason_in(form, missing=_("还没有写为什么不通过，申请人要看到。"))
        refuse_application(reference=reference, reason=reason, **by_me())
        return done(_("没有通过。申请人凭受理编号能看到理由，改好以后可以再申请。"), url_for("web.applications"))

    return act(form, work, lambda form: _application(reference, form))


def _application(reference: str, form: Form) -> str:
    application = get_application(session=db.session(), reference=reference)
    dealer = db.session().get_one(Dealer, application.dealer_id)
    waits = application.state == "waiting"
    return render_template(
        "desk_application.html",
        form=form,
        application=application,
        tag=("you" if waits and may(*MAY_REVIEW) else TAGS[application.state], APPLICATION_STATES[application.state]),
        dealer=dealer,
        people=people_of(dealer),
        names=names_of([application.decided_by]),
        may_review=waits and may(*MAY_REVIEW),
        may_see_photo=application.licence_sha256 is not None and may(*MAY_SEE_LICENCE),
        rows=[
            (pgettext("column", "商户"), DEALER_STATES["applied"], DEALER_STATES["accepted"]),
            (_("商户的账号"), _("没有"), _("负责人一个，账号 %(login)s", login=application.reference)),
            (_("代办点编号"), _("没有"), _("没有")),
        ],
    )
