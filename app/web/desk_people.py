"""One person's data at the desk: a field seen in clear for a reason that is kept, and access after an erasure."""

from __future__ import annotations

from typing import cast

from flask import Response as Page
from flask import make_response, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.api.erasures import MAY_RESTORE
from app.auth import caller
from app.context import keyring, settings
from app.db import db
from app.errors import status_of
from app.web.answering import INCOMPLETE, NOT_FOUND
from app.web.blueprint import web
from app.web.desk_acting import act, by_me, done, names_of, reason_in
from app.web.forms import Form, FormIncomplete
from app.web.language import _, _l
from registry.base import Refusal
from registry.codes import clean_reference
from registry.erasure import restore
from registry.people import Person, mask_name, open_name
from registry.trade_ins import EVERYBODYS, TradeIn, get_trade_in
from registry.unmasking import FIELDS, MAY_UNMASK, MAY_UNMASK_LOCKED, Field, Unmasking, unmask

FIELD_WORDS = {"name": _l("姓名"), "id_no": _l("身份证号码"), "phone": _l("手机号码")}
RESTORING = ("id_no", "phone", "reason")


@web.get("/desk/people/<reference>")
@requires(*STAFF)
def person(reference: str) -> Page:
    """The owner of a trade-in, masked, and who saw what of him."""
    return _person(reference, Form(fields=("field", "reason")))


@web.post("/desk/people/<reference>", endpoint="unmask_person")
@requires(*MAY_UNMASK, *MAY_UNMASK_LOCKED)
def look(reference: str) -> tuple[Page, int]:
    """Show one field in clear, once the look and its reason stand written down. Every sending is a look of its own."""
    form = Form.read("field", "reason")
    field = form.value("field")
    try:
        if field not in FIELDS:
            form.blame("field", _("请选要看哪一项。"))
        reason = reason_in(form)
        value = unmask(
            session=db.session(),
            keyring=keyring(),
            account_id=caller().account_id,
            person_id=_owner(reference).id,
            field=cast(Field, field),
            reason=reason,
            address=request.remote_addr or "",
            most_per_hour=settings().unmaskings_per_hour,
        )
        db.session.commit()
        return _person(reference, Form(fields=("field", "reason")), seen=(field, value)), 200
    except FormIncomplete:
        return _person(reference, form.renewed()), INCOMPLETE
    except Refusal as refusal:
        db.session.rollback()
        if status_of(refusal) == NOT_FOUND and refusal.code != "nothing_to_unmask":
            raise
        form.refuse(refusal)
        return _person(reference, form.renewed()), status_of(refusal)


@web.get("/desk/erasures/restoration")
@requires(*MAY_RESTORE)
def restoration() -> str:
    """The form to restore access for somebody who stands at the counter with the ID card."""
    return render_template("desk_restoration.html", form=Form(fields=RESTORING))


@web.post("/desk/erasures/restoration", endpoint="restore_person")
@requires(*MAY_RESTORE)
def open_again() -> Response | tuple[str, int]:
    """Open a locked person again, under the phone given now."""
    form = Form.read(*RESTORING)

    def work() -> str:
        form.text("id_no", _("还没有填身份证号码。"))
        form.text("phone", _("还没有填手机号码。"))
        reason = reason_in(form)
        restore(keyring=keyring(), id_no=form.value("id_no"), phone=form.value("phone"), reason=reason, **by_me())
        return done(_("恢复了，本人可以用这个手机号码登录。删掉的不会回来。"), url_for("web.erasures"))

    return act(form, work, lambda form: render_template("desk_restoration.html", form=form))


def _owner(reference: str) -> Person:
    trade_in = get_trade_in(session=db.session(), reference=clean_reference(reference), reach=EVERYBODYS)
    return db.session.get_one(Person, trade_in.owner_id)


def _person(reference: str, form: Form, *, seen: tuple[str, str] | None = None) -> Page:
    owner = _owner(reference)
    looks = db.session.scalars(
        select(Unmasking).where(Unmasking.person_id == owner.id).order_by(Unmasking.id.desc()).limit(20)
    ).all()
    allowed = MAY_UNMASK if owner.locked_at is None else MAY_UNMASK_LOCKED
    trade_ins = select(TradeIn.reference).where(TradeIn.owner_id == owner.id).order_by(TradeIn.id.desc()).limit(20)
    names = names_of([f"account:{one.account_id}" for one in looks])
    answer = make_response(
        render_template(
            "desk_person.html",
            form=form,
            reference=clean_reference(reference),
            masked=mask_name(open_name(person=owner, keyring=keyring(), locked_too=True)),
            locked=owner.locked_at is not None,
            trade_ins=db.session.scalars(trade_ins).all(),
            looks=[(one, FIELD_WORDS[one.field], names[f"account:{one.account_id}"]) for one in looks],
            seen=(FIELD_WORDS[seen[0]], seen[1]) if seen else None,
            options=list(FIELD_WORDS.items()),
            may_look=caller().role in allowed,
        )
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer
