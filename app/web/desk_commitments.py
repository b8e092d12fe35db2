"""The dealers' commitment at the desk: a version is drafted by one person, approved by another, then signed anew."""

from __future__ import annotations

from datetime import datetime, time

from flask import render_template, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.auth import caller
from app.context import business_now
from app.db import db
from app.web.answering import lines_of
from app.web.blueprint import web
from app.web.desk_acting import act, by_me, done, may, names_of
from app.web.forms import Form
from app.web.language import _
from app.web.wording import SHANGHAI
from registry.dealer_commitments import (
    CommitmentVersion,
    approve_version,
    current_version,
    draft_version,
    unsigned_dealers,
)

DRAFTS, DECIDES = "operator", "reviewer"
FIELDS = ("text", "effective_on", "sign_by")
LONGEST_TEXT = 20_000


@web.get("/desk/commitments")
@requires(*STAFF)
def commitments() -> str:
    """Every version, the one in force, what is drafted, and how many dealers have not signed yet."""
    return _page(Form(fields=FIELDS))


@web.post("/desk/commitments", endpoint="draft_commitment")
@requires(DRAFTS)
def draft_commitment() -> Response | tuple[str, int]:
    """Draft the next version."""
    form = Form.read("effective_on", "sign_by")
    form.fields = FIELDS
    form.values["text"] = lines_of("text", longest=LONGEST_TEXT)

    def work() -> str:
        text = form.text("text", _("还没有写正文。"), longest=LONGEST_TEXT)
        effective_on = form.day("effective_on", _("生效日期"))
        sign_by = form.day("sign_by", _("签署期限"))
        form.check()
        effective_at = datetime.combine(effective_on, time(), tzinfo=SHANGHAI)
        draft_version(text_zh=text, effective_at=effective_at, sign_by=sign_by, **by_me())
        return done(_("草稿存好了，请复核员批准。批准以前什么都不变。"), url_for("web.commitments"))

    return act(form, work, _page, text_zh="text", effective_at="effective_on")


@web.post("/desk/commitments/<int:version>/approval", endpoint="approve_commitment")
@requires(DECIDES)
def approve_commitment(version: int) -> Response | tuple[str, int]:
    """Approve a drafted version; every dealer is asked to sign it."""

    def work() -> str:
        approve_version(version=version, **by_me())
        return done(_("批准了。商户登录以后会看到新的一版，要重新签。"), url_for("web.commitments"))

    return act(Form.read(), work, lambda form: _page(form))


def _page(form: Form) -> str:
    session = db.session()
    versions = session.scalars(select(CommitmentVersion).order_by(CommitmentVersion.version.desc())).all()
    draft = versions[0] if versions and versions[0].approved_at is None else None
    current = current_version(session=session, now=business_now())
    if not form.value("text") and draft is None:
        form.values["text"] = current.text_zh.strip()
    return render_template(
        "desk_commitments.html",
        form=form,
        versions=versions,
        draft=draft,
        current=current,
        before=current.text_zh.strip().split("\n"),
        after=draft.text_zh.strip().split("\n") if draft else [],
        unsigned=unsigned_dealers(session=session, now=business_now()),
        names=names_of([*(one.drafted_by for one in versions), *(one.approved_by for one in versions)]),
        may_draft=draft is None and may(DRAFTS),
        may_decide=draft is not None and may(DECIDES) and draft.drafted_by != caller().actor,
    )
