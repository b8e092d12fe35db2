"""The public page where a receipt is checked: pasted, sent as a file, or by the link in its QR."""

from __future__ import annotations

import json
import re
from typing import Any

from flask import make_response, render_template, request
from werkzeug.wrappers import Response

from app.access import public
from app.context import settings
from app.db import db
from app.errors import status_of
from app.log_keys import log_keys, public_bytes
from app.web.blueprint import web
from app.web.forms import Form
from registry.base import Refusal
from subsidy.receipt_answers import Answer, answer_link, answer_receipt
from subsidy.receipt_checks import ReceiptUnreadable

LARGEST_RECEIPT_BYTES = 64 * 1024
HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
NUMBER = re.compile(r"\d{1,15}", re.ASCII)


@web.get("/proof")
@public
def proof() -> Response:
    """Tell what the link in a receipt's QR stands for, or ask for a receipt."""
    form = Form(fields=("receipt", "file"))
    if "h" not in request.args:
        return _page(form, None)
    try:
        return _page(form, answer_link(session=db.session(), **_link()))
    except Refusal as refusal:
        form.refuse(refusal)
        return _page(form, None, status=status_of(refusal))


@web.post("/proof")
@public
def check_proof() -> Response:
    """Check a receipt that was pasted or sent as a file. Nothing of it is kept."""
    form = Form(fields=("receipt", "file"))
    try:
        keys = public_bytes(log_keys(settings()))
        return _page(form, answer_receipt(session=db.session(), document=_document(), keys=keys))
    except Refusal as refusal:
        form.refuse(refusal)
        return _page(form, None, status=status_of(refusal))


def _page(form: Form, answer: Answer | None, *, status: int = 200) -> Response:
    page = make_response(render_template("proof.html", form=form, answer=answer), status)
    page.headers["Cache-Control"] = "private, no-store"
    return page


def _document() -> Any:
    sent = request.files.get("file")
    typed = request.form.get("receipt", "").encode()
    content = sent.stream.read(LARGEST_RECEIPT_BYTES + 1) if sent is not None and sent.filename else typed
    if len(content) > LARGEST_RECEIPT_BYTES:
        raise ReceiptUnreadable
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as wrong:
        raise ReceiptUnreadable from wrong


def _link() -> dict[str, Any]:
    given = request.args
    hashes = [given.get(name, "").lower() for name in ("h", "r")]
    numbers = [given.get(name, "") for name in ("l", "s")]
    if not all(map(HEX.fullmatch, hashes)) or not all(map(NUMBER.fullmatch, numbers)):
        raise ReceiptUnreadable
    return {
        "code": given.get("p", ""),
        "leaf": int(numbers[0]),
        "sha256": bytes.fromhex(hashes[0]),
        "size": int(numbers[1]),
        "root": bytes.fromhex(hashes[1]),
    }
