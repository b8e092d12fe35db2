"""A programme for staff: every version of its rules, what other rules would do, when the money will run out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import LOCAL, instant
from app.context import business_now
from app.db import db
from app.idempotency import idempotent
from app.schemas.programmes import ForecastAnswer, VersionList, WhatIfAnswer, WhatIfRequest
from subsidy.forecast_programme import StagePrediction, forecast_programme
from subsidy.programme import Programme, ProgrammeVersion, current_programme, get_programme, list_versions
from subsidy.programme_change import driver_connection
from subsidy.programme_change_draft import check_rules
from subsidy.programme_change_effect import effect_from_now, effect_json, refuse_long_queue
from subsidy.rules import Rules, StageRules
from subsidy.what_if import what_if

blueprint = ApiBlueprint(
    "programme outlook", __name__, url_prefix="/api/programmes/<code>", description="Rules, what-if and forecast"
)
CURRENT = "current"


def programme_in(code: str) -> Programme:
    """Return the programme an address names, ``current`` or by its code; raises ProgrammeNotFound."""
    if code == CURRENT:
        return current_programme(session=db.session())
    return get_programme(session=db.session(), code=code[:40])


@blueprint.route("/versions", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 404, 503)
@blueprint.response(200, VersionList)
def show_versions(code: str) -> dict[str, Any]:
    """Every version of the rules

    With who drafted and who approved it; the last is in force.
    """
    versions = list_versions(session=db.session(), programme_id=programme_in(code).id)
    return {"versions": [_version(version) for version in versions]}


@blueprint.route("/forecast", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 404, 503)
@blueprint.response(200, ForecastAnswer)
def show_forecast(code: str) -> dict[str, Any]:
    """When each stage will run out

    From the arrivals so far: the likely instant and the band from the 10th to the 90th percentile.
    """
    found = forecast_programme(session=db.session(), programme=programme_in(code), now=business_now())
    return {
        "as_of": instant(found.as_of),
        "arrivals": found.arrivals,
        "expected_next_day": found.expected_next_day,
        "stages": [_stage(stage) for stage in found.stages],
    }


@blueprint.route("/what-if", methods=["POST"])
@requires(*STAFF)
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(WhatIfRequest)
@blueprint.response(200, WhatIfAnswer)
def try_rules(typed: dict[str, Any], code: str) -> dict[str, Any]:
    """Try other rules on the real queue

    Nothing changes. From the start: what they would have done to today's claims. From now: how the programme would end,
    with the arrivals to be expected. Eligibility is not judged again. A long queue is answered 409 «queue_too_long»:
    draft the rules then, their effect is reckoned in the background.
    """
    session, programme, rules = db.session(), programme_in(code), rules_of(typed["rules"])
    check_rules(rules=rules)
    refuse_long_queue(session=session, programme=programme)
    if typed["since"] == "now":
        effect = effect_from_now(session=session, programme=programme, rules=rules, now=business_now())
    else:
        effect = what_if(
            connection=driver_connection(session=session),
            programme_id=programme.id,
            rules=rules,
            now=business_now(),
        )
    return effect_document(effect_json(effect))


def rules_of(typed: Mapping[str, Any]) -> Rules:
    """Return the rules that a request (RulesRequest) carries."""
    rest = ("per_person_limit", "reserve_fen", "filing_cut_off", "filing_max_age_years", "law_version")
    return Rules(
        stages=tuple(StageRules(**stage) for stage in typed["stages"]),
        late_window=timedelta(seconds=typed["late_window_seconds"]),
        correction_window=timedelta(seconds=typed["correction_window_seconds"]),
        payment_waits_for_destruction=typed["payment_waits_for_destruction"],
        **{name: typed[name] for name in rest},
    )


def rules_document(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored rules (Rules.to_json) as the API tells them, exact: fit to be changed and sent back."""

    def exact(stored: str) -> str:
        return datetime.fromisoformat(stored).astimezone(LOCAL).isoformat()

    stages = [
        {**stage, "opens_at": exact(stage["opens_at"]), "closes_at": exact(stage["closes_at"])}
        for stage in rules["stages"]
    ]
    return {**rules, "stages": stages}


def effect_document(effect: Mapping[str, Any]) -> dict[str, Any]:
    """Return a what-if (effect_json) as the API tells it."""
    before, after = effect["before"], effect["after"]
    return {
        **effect,
        "as_of": local(effect["as_of"]),
        "before": _course(before),
        "after": _course(after),
        "budget_change_fen": after["given_fen"] - before["given_fen"],
        "spent_change_fen": after["spent_fen"] - before["spent_fen"],
    }


def local(stored: str | None) -> str | None:
    """Return an instant kept as ISO 8601 text as the API writes instants."""
    return None if stored is None else instant(datetime.fromisoformat(stored))


def _course(course: Mapping[str, Any]) -> dict[str, Any]:
    return {**course, "stages": [{**stage, "ran_out_at": local(stage["ran_out_at"])} for stage in course["stages"]]}


def _version(version: ProgrammeVersion) -> dict[str, Any]:
    names = ("version_no", "event_no", "drafted_by", "approved_by")
    told = {name: getattr(version, name) for name in names}
    return {**told, "sha256": version.sha256.hex(), "rules": rules_document(version.rules)}


def _stage(stage: StagePrediction) -> dict[str, Any]:
    told = stage.forecast
    return {
        "number": stage.number,
        "phase": stage.phase.value,
        "places_left": stage.places_left,
        "ran_out_at": instant(stage.ran_out_at),
        "earliest": instant(told.earliest) if told else None,
        "likely": instant(told.likely) if told else None,
        "latest": instant(told.latest) if told else None,
        "share": told.share if told else None,
    }
