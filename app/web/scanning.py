"""A code scanned by a visitor leads to the plate's own page, the check of an old bike, or words that say what it is."""

from __future__ import annotations

import re

from flask import flash, jsonify, make_response, redirect, request, url_for
from werkzeug.wrappers import Response

from app.access import public
from app.clients.wechat import PageElsewhere, signed_config
from app.clock import real
from app.context import partners, settings
from app.web.blueprint import asset, has_asset, web
from app.web.language import _
from registry.codes import is_checked

LIBRARY = "vendor/jsqr.js"
LONGEST = 1_000
REGISTRATION_CODE_SIGNS = 10
STOPPED = "stopped"
# Our code on a plate is a link; what follows /P/ is the signed text.
OUR_PLATE = re.compile(r"/P/([A-Z2-7]{20,400})\b", re.IGNORECASE)
PLATE_NO = re.compile(r"(?:^|[^A-Z0-9])([A-Z])[ ·-]?(\d{6})(?![A-Z0-9])", re.IGNORECASE)
VEHICLE_CODE = re.compile(r"(?:^|\D)\d{15}(?!\d)")


@web.get("/scan", endpoint="scanned")
@public
def scanned() -> Response:
    """Lead from a scanned text (``text``) to what it is about; the check page says what cannot be looked up there."""
    text = request.args.get("text", "")[:LONGEST].strip()
    if ours := OUR_PLATE.search(text):
        return redirect(url_for("web.plate", payload=ours[1].upper()), 303)
    if plate := PLATE_NO.search(text):
        return redirect(url_for("web.check", plate_no=f"{plate[1]}{plate[2]}".upper()), 303)
    flash(_what_it_is(text), STOPPED)
    return redirect(url_for("web.check"), 303)


def _what_it_is(text: str) -> str:
    if len(text) == REGISTRATION_CODE_SIGNS and is_checked(text.upper()):
        words = _("扫到的是新车或电池的赋码标签 %(code)s。这里查的是旧车，请填旧车的号牌号码。", code=text.upper())
    elif VEHICLE_CODE.search(text):
        words = _("扫到的是一辆新车的整车编码。这里查的是旧车，请填旧车的号牌号码。")
    else:
        words = _("扫到的码里没有号牌号码，请照着号牌手工填。")
    return str(words)


@web.get("/wechat/config", endpoint="wechat_config")
@public
def wechat_config() -> Response:
    """The signed configuration by which WeChat lets our page at ``url`` use its scanner; 404 where not set up."""
    tickets = partners().wechat
    try:
        if tickets is None:
            raise PageElsewhere
        told = signed_config(
            app_id=tickets.app_id,
            ticket=tickets.ticket(),
            page=request.args.get("url", "")[:LONGEST],
            site=settings().public_url,
            at=real(),
        )
    except PageElsewhere:
        return make_response(jsonify(configured=False), 404)
    answer = make_response(jsonify(told))
    answer.headers["Cache-Control"] = "no-store"
    return answer


def scan_library() -> str:
    """Return the address of the library that reads QR codes, empty where it was not installed."""
    return asset(LIBRARY) if has_asset(LIBRARY) else ""


def wechat_address() -> str:
    """Return where a page asks for WeChat's signed configuration, empty where WeChat is not set up."""
    return url_for("web.wechat_config") if settings().wechat is not None else ""


def wechat_script() -> str:
    """Return the address of WeChat's own script, empty where WeChat is not set up."""
    wechat = settings().wechat
    return wechat.script if wechat is not None else ""
