"""Search at the desk: by plate, vehicle code, reference or owner, with a reason that is kept; owners stay masked."""

from __future__ import annotations

from typing import Any

from flask import render_template, url_for
from sqlalchemy import select

from app.access import STAFF, requires
from app.auth import caller
from app.context import keyring, settings
from app.db import db
from app.errors import status_of
from app.web.blueprint import web
from app.web.desk_acting import INCOMPLETE, reason_in
from app.web.forms import Form, FormIncomplete
from registry import audit
from registry.base import Refusal
from registry.bikes import Bike
from registry.filing_search import search_filings
from registry.filings import FiledBike
from registry.people import Person, mask_name, open_name
from registry.plates import Plate
from registry.trade_ins import TRADE_IN, TradeIn
from subsidy.claims import CLAIM_WORDS, Claim

FIELDS = ("by", "wanted", "reason")
OF_A_FILING = {"plate_no": "旧号牌", "owner_name": "车主全名", "owner_id_no": "身份证号码", "owner_phone": "手机号码"}
OF_A_TRADE_IN = {"reference": "查询号", "vehicle_code": "整车编码", "new_plate": "新号牌"}
MOST = 50


@web.get("/desk/search")
@requires(*STAFF)
def search() -> str:
    """The question."""
    return _page(Form(fields=FIELDS))


@web.post("/desk/search", endpoint="do_search")
@requires(*STAFF)
def do_search() -> str | tuple[str, int]:
    """The answer. What was asked stands in the form, never in an address: addresses are logged on their way."""
    form = Form.read(*FIELDS)
    try:
        found = _found(form)
    except FormIncomplete:
        status = INCOMPLETE
    except Refusal as refusal:
        status = status_of(refusal)
        form.refuse(refusal, **dict.fromkeys((*OF_A_FILING, *OF_A_TRADE_IN), "wanted"))
    else:
        return _page(form, **found)
    db.session.rollback()
    return _page(form), status


def _found(form: Form) -> dict[str, Any]:
    session, by = db.session(), form.value("by")
    if by not in OF_A_FILING and by not in OF_A_TRADE_IN:
        form.blame("by", "还没有选按什么找。")
    wanted = form.text("wanted", "还没有填要找什么。", longest=60)
    reason = reason_in(form, missing="还没有写为什么找，会和您的名字一起记下来。")
    if by in OF_A_FILING:
        found = search_filings(
            session=session,
            keyring=settings().keyring,
            actor=caller().actor,
            reason=reason,
            wanted={by: wanted},
        )
        bikes = [one.bike.id for one in found.filings]
        trade_ins = _trade_ins(TradeIn.filed_bike_id.in_(bikes))
        session.commit()
        return {"filings": found.filings, "more": found.more, "trade_ins": trade_ins}
    rows = _trade_ins(_condition(by, wanted.replace(" ", "").upper()))
    # Who searched by what and why, never for whom: the audit holds nothing personal.
    detail = {"by": by, "reason": reason, "found": len(rows)}
    actor = caller().actor
    audit.record(session=session, actor=actor, action="trade_ins.searched", subject="trade_ins", detail=detail)
    session.commit()
    return {"filings": [], "more": False, "trade_ins": rows}


def _condition(by: str, wanted: str) -> Any:
    if by == "reference":
        return TradeIn.reference == wanted
    bikes = select(Bike.id).where(Bike.vehicle_code == wanted)
    if by == "new_plate":
        bikes = select(Plate.bike_id).where(Plate.plate_no == wanted)
    return TradeIn.bike_id.in_(bikes)


def _trade_ins(condition: Any) -> list[dict[str, Any]]:
    rows = db.session.execute(
        select(TradeIn, FiledBike.plate_no, Person, Claim)
        .join(FiledBike, FiledBike.id == TradeIn.filed_bike_id)
        .join(Person, Person.id == TradeIn.owner_id)
        .outerjoin(Claim, Claim.trade_in_id == TradeIn.id)
        .where(condition)
        .order_by(TradeIn.id.desc())
        .limit(MOST)
    )
    return [
        {
            "reference": trade_in.reference,
            "plate_no": plate_no,
            "owner": mask_name(open_name(person=person, keyring=keyring())),
            "state": CLAIM_WORDS[claim.state] if claim else TRADE_IN.words[trade_in.state],
            "position": claim.position if claim else None,
            "path": url_for("web.claim", position=claim.position)
            if claim
            else url_for("web.desk_trade_in", reference=trade_in.reference),
        }
        for trade_in, plate_no, person, claim in rows
    ]


def _page(form: Form, **found: Any) -> str:
    return render_template(
        "desk_search.html",
        form=form,
        options=[*OF_A_FILING.items(), *OF_A_TRADE_IN.items()],
        asked="trade_ins" in found,
        **found,
    )
