"""Search at the desk: one box for everything that has a number or a name. People stay masked; why is kept."""

from __future__ import annotations

from flask import render_template

from app.access import STAFF, requires
from app.context import settings
from app.db import db
from app.errors import status_of
from app.web.answering import INCOMPLETE
from app.web.blueprint import web
from app.web.forms import Form, FormIncomplete
from app.web.language import _
from app.web.place import place_of
from app.web.staff_search import PEOPLE, Found, find
from registry.base import Refusal

FIELDS = ("wanted", "reason")
LONGEST = 60
LONGEST_REASON = 200


@web.get("/desk/search")
@requires(*STAFF)
def search() -> str:
    """The question."""
    return _page(Form(fields=FIELDS), None)


@web.post("/desk/search", endpoint="do_search")
@requires(*STAFF)
def do_search() -> str | tuple[str, int]:
    """The answer. What was asked stands in the form, never in an address: addresses are logged on their way."""
    form = Form.read(*FIELDS)
    try:
        wanted = form.text("wanted", _("还没有填要找什么。"), longest=LONGEST)
        form.check()
        city = place_of(settings().district).city
        return _page(form, find(typed=wanted, city=city, reason=form.value("reason")[:LONGEST_REASON]))
    except FormIncomplete:
        status = INCOMPLETE
    except Refusal as refusal:
        status = status_of(refusal)
        form.refuse(refusal, **dict.fromkeys(PEOPLE, "wanted"))
    db.session.rollback()
    return _page(form, None), status


def _page(form: Form, found: Found | None) -> str:
    return render_template("desk_search.html", form=form, found=found)
