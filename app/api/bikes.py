"""Models, standards, batteries, and the lives of bikes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, request

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import LOCAL, instant
from app.auth import caller
from app.context import business_now, reach_of
from app.db import db
from app.idempotency import idempotent
from app.schemas.bikes import (
    ImportQuery,
    ModelAnswer,
    ModelImportAnswer,
    ModelList,
    ModelQuery,
    ModelRequest,
    StandardAnswer,
    StandardList,
    StandardRequest,
    SwapAnswer,
    SwapRequest,
    TimelineAnswer,
    WithdrawalRequest,
)
from app.schemas.uploaded_files import FORM, uploaded_file
from registry.batteries import Battery, swap_battery
from registry.bike_model_import import MODEL_COLUMNS, import_models
from registry.bike_models import BikeModel, ModelFacts, ModelNotFound, keep_model, list_models, withdraw_model
from registry.bike_timeline import ROLE_WORDS, Event, filed_bike_timeline, new_bike_timeline
from registry.bikes import Bike
from registry.compliance import Limits, StandardEdition, keep_edition, known_editions
from registry.filings import clean_plate
from registry.stock_sheet import RowFinding
from registry.stock_workbook import template_workbook

blueprint = ApiBlueprint("bike-lives", __name__, url_prefix="/api", description="Models, standards and lives of bikes")

EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PAGE = 200


@blueprint.route("/standards", methods=["GET"])
@requires("dealer", *STAFF)
@described(blueprint, 503)
@blueprint.response(200, StandardList)
def show_standards() -> dict[str, Any]:
    """The editions of the standard

    With the days on which a bike may be made and sold under each, and its limits.
    """
    return {"standards": [_limits(each) for each in known_editions(session=db.session())]}


@blueprint.route("/standards", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, writes=True)
@blueprint.arguments(StandardRequest)
@blueprint.response(201, StandardAnswer)
def keep_standard(typed: dict[str, Any]) -> dict[str, Any]:
    """Add an edition of the standard, or change one

    A change counts for every bike not sold yet; the audit keeps what it said before.
    """
    return _limits(keep_edition(session=db.session(), limits=Limits(**typed), actor=caller().actor))


@blueprint.route("/bike-models", methods=["GET"])
@requires("dealer", *STAFF)
@described(blueprint, 422, 503)
@blueprint.arguments(ModelQuery, location="query")
@blueprint.response(200, ModelList)
def show_models(query: dict[str, Any]) -> dict[str, Any]:
    """The catalogue of models

    One entry a certificate (CCC).
    """
    models = list_models(session=db.session(), after_id=query.pop("after"), limit=PAGE, **query)
    return {
        "models": [_model(model) for model in models],
        "next_after": models[-1].id if len(models) == PAGE else None,
    }


@blueprint.route("/bike-models", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, writes=True)
@blueprint.arguments(ModelRequest)
@blueprint.response(201, ModelAnswer)
def keep_one_model(typed: dict[str, Any]) -> dict[str, Any]:
    """Add a certificate to the catalogue, or correct it

    The same maker, model and certificate number again corrects the entry. What it measured must lie within its
    standard.
    """
    model, _ = keep_model(session=db.session(), facts=ModelFacts(**typed), actor=caller().actor)
    return _model(model)


@blueprint.route("/bike-models/<model_id>/withdrawal", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(WithdrawalRequest)
@blueprint.response(200, ModelAnswer)
def withdraw_one_model(typed: dict[str, Any], model_id: str) -> dict[str, Any]:
    """Record that a certificate holds no more

    Its bikes are neither taken in nor sold from that day on, unless another certificate covers the model.
    """
    number = whole_in(model_id)
    if number is None:
        raise ModelNotFound
    return _model(withdraw_model(session=db.session(), model_id=number, actor=caller().actor, **typed))


@blueprint.route("/bike-model-imports", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, writes=True)
@blueprint.doc(requestBody=FORM)
@blueprint.arguments(ImportQuery, location="query")
@blueprint.response(201, ModelImportAnswer)
def import_catalogue(query: dict[str, Any]) -> dict[str, Any]:
    """Add models from a CSV or Excel file

    Good rows go in, bad ones are told by row and column; the same file again changes nothing.
    """
    dry_run = query["dry_run"] == "true"
    with uploaded_file(request) as path:
        report = import_models(session=db.session(), path=path, dry_run=dry_run, actor=caller().actor)
    counts = {name: getattr(report, name) for name in ("read", "added", "changed", "unchanged", "refused")}
    return {**counts, "dry_run": dry_run, "findings": findings_document(report.findings)}


@blueprint.route("/bike-model-imports/template.xlsx", methods=["GET"])
@requires("operator")
@described(blueprint, 503)
@blueprint.response(200, content_type=EXCEL, description="the headers and one example row")
def show_model_template() -> Response:
    """The template of a list of models"""
    return workbook(template_workbook(MODEL_COLUMNS), "models.xlsx")


@blueprint.route("/bikes/<code>/timeline", methods=["GET"])
@requires("dealer", "owner", *STAFF)
@described(blueprint, 404, 503)
@blueprint.response(200, TimelineAnswer)
def show_bike(code: str) -> dict[str, Any]:
    """The life of a new bike

    By its vehicle or registration code, from the factory on. Dealers reach the bikes of their own stock, owners their
    own. Whoever did something is told by role.
    """
    return _timeline(new_bike_timeline(session=db.session(), code=code, reach=reach_of(caller())))


@blueprint.route("/filings/<plate_no>/timeline", methods=["GET"])
@requires("dealer", "owner", *STAFF)
@described(blueprint, 404, 422, 503)
@blueprint.response(200, TimelineAnswer)
def show_filed_bike(plate_no: str) -> dict[str, Any]:
    """The life of a filed bike

    From its filing to its destruction. Dealers reach the bikes they have a trade-in for, owners their own.
    """
    reach = reach_of(caller())
    return _timeline(filed_bike_timeline(session=db.session(), plate_no=clean_plate(plate_no), reach=reach))


@blueprint.route("/bikes/<code>/battery-swaps", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(SwapRequest)
@blueprint.response(201, SwapAnswer)
def swap(typed: dict[str, Any], code: str) -> dict[str, Any]:
    """Swap the battery of a bike

    By its vehicle or registration code, at any dealer's, who has the bike before it. The battery that comes out must be
    the registered one, the one that goes in of the same chemistry and in no other bike; it gets its registration code.
    """
    account, session = caller(), db.session()
    assert account.dealer_id is not None, "a dealer's account has its dealer"
    swapped = swap_battery(
        session=session, code=code, dealer_id=account.dealer_id, actor=account.actor, now=business_now(), **typed
    )
    battery = session.get_one(Battery, swapped.in_id)
    return {
        "vehicle_code": session.get_one(Bike, swapped.bike_id).vehicle_code,
        "battery_code": battery.battery_code,
        "battery_registration_code": battery.registration_code,
        "reason": swapped.reason,
        "at": instant(swapped.at),
    }


def whole_in(path: str) -> int | None:
    """Return the number in an address, None where it is none."""
    return int(path) if path.isascii() and path.isdecimal() and len(path) <= 18 else None


def findings_document(findings: Sequence[RowFinding]) -> list[dict[str, Any]]:
    """Return what an import has to say."""
    return [
        {
            "line": each.line,
            "header": each.header,
            "code": each.refusal.code,
            "zh": each.refusal.message_zh,
            "en": each.refusal.message_en,
            "remedy_zh": each.refusal.help_zh,
            "remedy_en": each.refusal.help_en,
        }
        for each in findings
    ]


def workbook(body: bytes, name: str) -> Response:
    """Return a workbook to be saved under a name."""
    headers = {"Cache-Control": "private, no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, content_type=EXCEL, headers=headers)


def _timeline(events: list[Event]) -> dict[str, Any]:
    return {
        "events": [
            {
                "kind": event.kind,
                "zh": event.zh,
                "en": event.en,
                "at": instant(event.at),
                "on": event.when.astimezone(LOCAL).date().isoformat(),
                "who": event.who,
                "who_zh": ROLE_WORDS[event.who] if event.who else None,
                "facts": dict(event.facts),
            }
            for event in events
        ]
    }


def _limits(limits: Limits | StandardEdition) -> dict[str, Any]:
    facts = {name: getattr(limits, name) for name in Limits.__slots__}
    days = ("made_from", "made_until", "sold_until")
    return {**facts, **{day: facts[day].isoformat() if facts[day] else None for day in days}}


def _model(model: BikeModel) -> dict[str, Any]:
    facts = {name: getattr(model, name) for name in ("id", *ModelFacts.__slots__)}
    withdrawn_on = model.withdrawn_on.isoformat() if model.withdrawn_on else None
    days = {name: facts[name].isoformat() for name in ("valid_from", "valid_until")}
    return {**facts, **days, "withdrawn_on": withdrawn_on}
