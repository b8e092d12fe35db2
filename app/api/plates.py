"""Plate codes: published keys, checking, the printed image, replacing and reporting."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Response

from app.access import STAFF, public, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import LOCAL, instant
from app.auth import Caller, caller, current_account
from app.context import business_now, keyring, reach_of, settings
from app.db import db
from app.idempotency import idempotent
from app.plate_image import as_png, as_svg, link_of
from app.plate_keys import key_document, plate_keys
from app.schemas.bikes import OwnReportRequest
from app.schemas.plates import (
    PlateCheckAnswer,
    PlateCodeAnswer,
    PlateKeyList,
    ReplacementRequest,
    ReportRequest,
)
from registry.filings import clean_plate
from registry.plate_checks import Checked, check_code, see_owner
from registry.plates import PLATE_CODE, Plate, PlateCode, code_of, printable, replace_code, report

blueprint = ApiBlueprint("plates", __name__, url_prefix="/api", description="Plates and the signed codes on them")

# An auditor's look never makes a code, so the newest code is not among what auditors read here.
PRINTERS = ("dealer", "owner", "operator", "administrator")
VERDICT = ("good", "title_zh", "title_en", "remedy_zh", "remedy_en")
BIKE = ("vehicle_code", "registration_code", "model", "standard", "battery_kind", "battery_code")


@blueprint.route("/plate-keys", methods=["GET"])
@public
@described(blueprint, 503, signed_in=False)
@blueprint.response(200, PlateKeyList)
def show_keys() -> dict[str, Any]:
    """The public keys of plate codes

    Enough to verify a code offline: `mapai plate-code verify TEXT --keys FILE` takes this answer as its file. A code
    is genuine when its key's signature holds and its day of issue lies within the key's days.
    """
    keys = plate_keys(settings()).public
    return {"keys": [key_document(keys[key_id]) for key_id in sorted(keys)]}


@blueprint.route("/plate-codes/<payload>", methods=["GET"])
@public
@described(blueprint, 404, 503, signed_in=False)
@blueprint.response(200, PlateCheckAnswer)
def show_check(payload: str) -> dict[str, Any]:
    """What a scanned plate code is

    Plate, bike, battery and validity for anyone; the owner, masked, for bureau staff and the owner only, each look
    recorded. A forged code is an answer too; 404 is a text that is no plate code.
    """
    checked, owner = check_scanned(payload)
    return {
        **{name: getattr(checked.verdict, name) for name in VERDICT},
        "verdict": checked.verdict.code,
        "plate_no": checked.facts and checked.facts.plate_no,
        "edition": checked.facts and checked.facts.edition,
        "key_id": checked.facts and checked.facts.key_id,
        "issued_on": checked.facts and checked.facts.issued_on.isoformat(),
        "valid_until": checked.code and _day(checked.code.valid_until),
        "changed_at": instant(checked.code.changed_at) if checked.code else None,
        "bike": {name: getattr(checked.bike, name) for name in BIKE} if checked.bike else None,
        "owner": owner,
    }


def check_scanned(text: str) -> tuple[Checked, str | None]:
    """Return what a scanned code is, and the owner's masked name where the caller is entitled to it; commits the look.

    Raises PlateCodeUnreadable and PlateKeysMissing.
    """
    session = db.session()
    checked = check_code(session=session, keys=plate_keys(settings()).public, text=text, today=today())
    account = current_account()
    if checked.plate is None or account is None or not _may_see_owner(account, checked.plate):
        return checked, None
    owner = see_owner(session=session, keyring=keyring(), plate=checked.plate, actor=account.actor)
    session.commit()
    return checked, owner


@blueprint.route("/plates/<plate_no>/code", methods=["GET"])
@requires(*PRINTERS)
@described(blueprint, 404, 409, 422, 503)
@blueprint.response(200, PlateCodeAnswer)
def show_code(plate_no: str) -> dict[str, Any]:
    """The newest code of a plate

    Whatever its state. A plate's first code is issued when it is first asked for. Dealers reach the plates of their
    own stock, owners their own.
    """
    return _code_document(clean_plate(plate_no), _code(plate_no))


@blueprint.route("/plates/<plate_no>/code.png", methods=["GET"])
@requires(*PRINTERS)
@described(blueprint, 404, 409, 422, 503)
@blueprint.response(200, content_type="image/png", description="the QR of 40 mm at about 600 dots per inch")
def show_png(plate_no: str) -> Response:
    """The QR of a plate as PNG

    Error correction H, its printed size of 40 mm written into it. Refused unless the code is valid.
    """
    return _image(as_png(_printed_link(plate_no)), "image/png")


@blueprint.route("/plates/<plate_no>/code.svg", methods=["GET"])
@requires(*PRINTERS)
@described(blueprint, 404, 409, 422, 503)
@blueprint.response(200, content_type="image/svg+xml", description="the QR of 40 mm")
def show_svg(plate_no: str) -> Response:
    """The QR of a plate as SVG

    Error correction H, 40 mm wide. Refused unless the code is valid.
    """
    return _image(as_svg(_printed_link(plate_no)), "image/svg+xml")


@blueprint.route("/plates/<plate_no>/code-replacements", methods=["POST"])
@requires("operator", "administrator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ReplacementRequest)
@blueprint.response(201, PlateCodeAnswer)
def replace(typed: dict[str, Any], plate_no: str) -> dict[str, Any]:
    """Issue a plate's next code and revoke the last

    Whoever scans the old one is told that it was replaced. A cancelled plate gets none.
    """
    number = clean_plate(plate_no)
    code = replace_code(
        session=db.session(),
        signer=plate_keys(settings()).must_sign(),
        plate_no=number,
        reason=typed["reason"],
        actor=caller().actor,
        today=today(),
        now=business_now(),
        valid_until=typed.get("valid_until"),
    )
    return _code_document(number, code)


@blueprint.route("/plates/<plate_no>/reports", methods=["POST"])
@requires("operator", "administrator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ReportRequest)
@blueprint.response(201, PlateCodeAnswer)
def take_report(typed: dict[str, Any], plate_no: str) -> dict[str, Any]:
    """Record that a plate was stolen, found again or cancelled

    Whoever scans it is told so from then on. Cancelling is final.
    """
    number = clean_plate(plate_no)
    code = report(session=db.session(), plate_no=number, step=typed["step"], actor=caller().actor, now=business_now())
    return _code_document(number, code)


@blueprint.route("/my/plates/<plate_no>/reports", methods=["POST"])
@requires("owner")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(OwnReportRequest)
@blueprint.response(201, PlateCodeAnswer)
def take_own_report(typed: dict[str, Any], plate_no: str) -> dict[str, Any]:
    """Report my plate stolen, or found again

    Whoever scans it is told so from then on. The police are told by the owner: 110.
    """
    number, account = clean_plate(plate_no), caller()
    _code(plate_no)  # a plate never looked at has no code yet, and its thief would be told nothing
    code = report(
        session=db.session(),
        plate_no=number,
        step=typed["step"],
        actor=account.actor,
        now=business_now(),
        reach=reach_of(account),
    )
    return _code_document(number, code)


def today() -> date:
    """Return the business day in Asia/Shanghai."""
    return business_now().astimezone(LOCAL).date()


def _may_see_owner(account: Caller, plate: Plate) -> bool:
    return account.role in STAFF or (account.role == "owner" and account.person_id == plate.holder_id)


def _code(plate_no: str) -> PlateCode:
    account = caller()
    code = code_of(
        session=db.session(),
        signer=plate_keys(settings()).must_sign(),
        plate_no=clean_plate(plate_no),
        reach=reach_of(account),
        actor=account.actor,
        today=today(),
        now=business_now(),
    )
    db.session.commit()
    return code


def _printed_link(plate_no: str) -> str:
    code = printable(code=_code(plate_no), plate_no=clean_plate(plate_no))
    return link_of(payload=code.payload, public_url=settings().public_url)


def _image(body: bytes, kind: str) -> Response:
    return Response(body, content_type=kind, headers={"Cache-Control": "private, no-store"})


def _code_document(plate_no: str, code: PlateCode) -> dict[str, Any]:
    return {
        "plate_no": plate_no,
        "edition": code.edition,
        "key_id": code.key_id,
        "payload": code.payload,
        "link": link_of(payload=code.payload, public_url=settings().public_url),
        "state": code.state,
        "state_zh": PLATE_CODE.words[code.state],
        **{kind: f"/api/plates/{plate_no}/code.{kind}" if code.state == "valid" else None for kind in ("png", "svg")},
        "issued_on": code.issued_on.isoformat(),
        "valid_until": _day(code.valid_until),
    }


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
