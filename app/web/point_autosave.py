"""What was typed into a step and not sent yet, saved as it is typed, and given back on any device of the point."""

from __future__ import annotations

from flask import render_template, request

from app.access import requires
from app.auth import caller
from app.context import business_now, reach_of
from app.db import db
from app.web.blueprint import web
from app.web.forms import Form
from app.web.trade_in_record import Record
from registry.point_drafts import KEPT, Kept, keep_draft, read_draft


@web.post("/point/trade-ins/<reference>/drafts/<step>", endpoint="keep_draft")
@requires("dealer")
def take_draft(reference: str, step: str) -> tuple[str, int]:
    """Keep what stands in the form of a step; answers with the line below the form."""
    _state, fields = KEPT.get(step, ("", ()))
    form, now = Form.read(*fields), business_now()
    kept = keep_draft(
        session=db.session(),
        reference=reference,
        reach=reach_of(caller()),
        step=step,
        typed=form.values,
        actor=caller().actor,
        now=now,
    )
    db.session.commit()
    typed = kept and any(form.values.values())
    return render_template("point_kept.html", saved_at=now if typed else None), 200


def with_draft(record: Record, step: str | None, form: Form) -> Kept | None:
    """Fill what was kept of the due step into its empty form; return it, None where nothing was."""
    if step is None or step not in KEPT:
        return None
    kept = read_draft(session=db.session(), trade_in_id=record.trade_in.id, step=step, now=business_now())
    for name, value in (kept.typed if kept else {}).items():
        if not form.value(name):
            form.values[name] = value
    # A bike that was scanned just now counts more than the one chosen before.
    scanned = request.args.get("vehicle_code", "")
    if step == "sale" and scanned.isascii() and scanned.isdecimal():
        form.values["vehicle_code"] = scanned[:15]
    return kept
