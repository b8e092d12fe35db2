"""The audit and the requests for erasure, for those who read them at the desk."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import render_template, request, url_for

from app.access import STAFF, requires
from app.actors import actor_of
from app.api.erasures import MAY_RESTORE
from app.db import db
from app.web.blueprint import asked_before, web
from app.web.board_filter import begins, day_in
from app.web.claim_evidence import DEEDS
from app.web.desk_acting import may, names_of
from app.web.forms import Form
from app.web.language import in_english
from app.web.staff_words import AUDITED
from registry.audit import find_entries
from registry.erasure import list_erasures
from registry.retention import RETAINED

A_PAGE = 50
FILTERS = ("actor", "subject", "action", "from_day", "until_day")


@web.get("/desk/audit")
@requires("auditor", "administrator")
def audit() -> str:
    """Who did what, newest first, narrowed by each filter that is filled in."""
    form = Form.read(*FILTERS, source=request.args)
    first, last = day_in(form, "from_day"), day_in(form, "until_day")
    named = {name: form.value(name) for name in ("actor", "subject", "action") if form.value(name)}
    if "actor" in named:
        named["actor"] = actor_of(named["actor"])
    found = find_entries(
        session=db.session(),
        since=begins(first) if first else None,
        until=begins(last + timedelta(days=1)) if last else None,
        before=asked_before(),
        limit=A_PAGE + 1,
        **named,
    )
    page = found[:A_PAGE]
    asked: dict[str, Any] = {name: value for name, value in form.values.items() if value}
    return render_template(
        "desk_audit.html",
        form=form,
        rows=page,
        words={**AUDITED, **DEEDS},
        names=names_of([row.entry.actor for row in page]),
        older=url_for("web.audit", **asked, before=page[-1].entry.id) if len(found) > A_PAGE else None,
        narrowed=bool(asked),
    )


@web.get("/desk/erasures")
@requires(*STAFF)
def erasures() -> str:
    """Every request for erasure: what was decided, what went and what the law keeps."""
    found = list_erasures(session=db.session(), before=asked_before(), limit=A_PAGE + 1)
    page = found[:A_PAGE]
    return render_template(
        "desk_erasures.html",
        rows=[(row, [_retained(code) for code in row.kept]) for row in page],
        may_restore=may(*MAY_RESTORE),
        names=names_of([row.restored_by for row in page]),
        older=url_for("web.erasures", before=page[-1].id) if len(found) > A_PAGE else None,
    )


def _retained(code: str) -> str:
    kept = RETAINED[code]
    return kept.en if in_english() else kept.zh
