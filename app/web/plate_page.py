"""The page behind a plate's QR: what this plate is, for whoever scans it on the street."""

from __future__ import annotations

from flask import make_response, render_template
from werkzeug.wrappers import Response

from app.access import public
from app.api.plates import check_scanned
from app.web.blueprint import web
from app.web.language import _l

BATTERY_WORDS = {"lead_acid": _l("铅酸电池"), "lithium": _l("锂电池"), "sodium": _l("钠电池"), "other": _l("其他电池")}


# The QR holds capitals only: they take less room there.
@web.get("/P/<payload>", endpoint="plate_scanned")
@web.get("/p/<payload>", endpoint="plate")
@public
def plate(payload: str) -> Response:
    """Say what a scanned plate is. The owner, masked, for bureau staff and the owner only; each look is recorded."""
    checked, owner = check_scanned(payload)
    answer = make_response(render_template("plate.html", checked=checked, owner=owner, battery_words=BATTERY_WORDS))
    answer.headers["Cache-Control"] = "private, no-store"
    return answer
