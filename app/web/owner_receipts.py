"""The owner's receipt as a page to read and to print, with its QR; as a file that is checked offline; as PDF."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

import qrcode
from flask import Response, render_template
from qrcode.constants import ERROR_CORRECT_M

from app.access import requires
from app.api.points import as_pdf
from app.context import business_now, settings
from app.db import db
from app.print.receipt import receipt_pdf
from app.web.blueprint import web
from app.web.forms import said
from app.web.owner_record import find_own
from app.web.owner_words import OUTCOME_WORDS
from app.web.trade_in_record import Record
from subsidy.log_reading import LogEmpty
from subsidy.receipts import NoClaimYet, ReceiptErased, ReceiptNotReady, receipt_of, short_link

QUIET_MODULES = 4


@web.get("/my/<reference>/receipt", endpoint="my_receipt")
@requires("owner")
def show_receipt(reference: str) -> str:
    """The receipt with its QR; where the log has not reached the claim yet, that it will."""
    return render_template("own_receipt.html", **shown_receipt(find_own(reference)))


@web.get("/my/<reference>/receipt.json", endpoint="my_receipt_file")
@requires("owner")
def download_receipt(reference: str) -> Response:
    """The whole receipt, which `mapai prove` and the page /proof check."""
    body = json.dumps(_receipt(reference), ensure_ascii=False, indent=1)
    headers = {
        "Content-Disposition": f'attachment; filename="receipt-{reference}.json"',
        "Cache-Control": "private, no-store",
    }
    return Response(body, content_type="application/json", headers=headers)


@web.get("/my/<reference>/receipt.pdf", endpoint="my_receipt_pdf")
@requires("owner")
def print_receipt(reference: str) -> Response:
    """The receipt on one sheet of A4."""
    body = receipt_pdf(receipt=_receipt(reference), public_url=settings().public_url, now=business_now())
    return as_pdf(body, name=f"receipt-{reference}")


def shown_receipt(record: Record) -> dict[str, Any]:
    """Return what a page shows of a receipt, or that there is none yet (``refused``: what is said of that)."""
    receipt, refusal = None, None
    try:
        receipt = receipt_of(session=db.session(), trade_in=record.trade_in)
    except (NoClaimYet, ReceiptNotReady, ReceiptErased, LogEmpty) as not_yet:
        refusal = not_yet
    link = short_link(receipt=receipt, public_url=settings().public_url) if receipt else ""
    return {
        "record": record,
        "receipt": receipt,
        "refused": said(refusal) if refusal else None,
        "outcome": OUTCOME_WORDS[receipt["decision"]["entry"]["outcome"]] if receipt else "",
        "proof": "/proof?" + link.partition("?")[2],
        "qr": qr_path(link) if receipt else None,
    }


def qr_path(text: str) -> tuple[int, str]:
    """Return the side of a QR in modules, its quiet zone included, and the path that draws it."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_MODULES)
    code.add_data(text)
    code.make(fit=True)
    matrix = code.get_matrix()
    bars = []
    for y, row in enumerate(matrix):
        x = 0
        for dark, modules in groupby(row):
            length = len(list(modules))
            if dark:
                bars.append(f"M{x} {y}h{length}v1h-{length}z")
            x += length
    return len(matrix), "".join(bars)


def _receipt(reference: str) -> dict[str, Any]:
    return receipt_of(session=db.session(), trade_in=find_own(reference).trade_in)
