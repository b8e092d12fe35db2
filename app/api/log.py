"""The published log: signed heads, leaves, proofs and rules for everybody; what opens the leaves for auditors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Response, make_response
from sqlalchemy import select

import subsidy.recompute
from app.access import public, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.auth import caller
from app.context import settings
from app.db import db
from app.log_keys import log_keys
from app.plate_keys import key_document
from app.schemas.log import (
    ConsistencyAnswer,
    ConsistencyQuery,
    EntriesAnswer,
    EntriesQuery,
    HeadAnswer,
    HeadList,
    HeadsQuery,
    LogKeyList,
    OpeningList,
    ProofAnswer,
    ProofQuery,
    RulesVersionList,
)
from registry.audit import record
from subsidy.log_reading import (
    MOST_ENTRIES,
    entries,
    programme_of,
    public_consistency,
    public_head,
    public_heads,
    public_inclusion,
    versions,
)
from subsidy.log_tables import LogLeaf
from subsidy.programme import Programme
from subsidy.receipts import openings

blueprint = ApiBlueprint(
    "log", __name__, url_prefix="/api", description="The queue as an append-only Merkle log with signed heads"
)

SCRIPT = Path(subsidy.recompute.__file__)
# A leaf once public never changes; a head is the newest for some seconds.
FOR_EVER = "public, max-age=31536000, immutable"
FOR_SECONDS = "public, max-age=5"


@blueprint.route("/log-keys", methods=["GET"])
@public
@described(blueprint, 503, signed_in=False)
@blueprint.response(200, LogKeyList)
def show_keys() -> Any:
    """The public keys of tree heads

    `mapai prove RECEIPT --keys FILE` takes this answer as its file.
    """
    keys = log_keys(settings()).public
    return {"keys": [key_document(keys[key_id]) for key_id in sorted(keys)]}, 200, {"Cache-Control": FOR_SECONDS}


@blueprint.route("/log/recompute.py", methods=["GET"])
@public
@described(blueprint, 503, signed_in=False)
@blueprint.response(200, content_type="text/x-python", description="the script, standard library only")
def show_script() -> Response:
    """The script that decides every claim again

    It takes the pages of entries as files and proves allocation, not eligibility.
    """
    answer = make_response(SCRIPT.read_bytes())
    answer.headers["Content-Type"] = "text/x-python; charset=utf-8"
    answer.headers["Content-Disposition"] = "attachment; filename=recompute.py"
    return answer


@blueprint.route("/log/<programme>/head", methods=["GET"])
@public
@described(blueprint, 404, 503, signed_in=False)
@blueprint.response(200, HeadAnswer)
def show_head(programme: str) -> Any:
    """The newest public head

    A head is public once enough new events of owners stand under it that none of them can be told by the hour.
    """
    head = public_head(session=db.session(), programme=_programme(programme))
    return head.to_json(), 200, {"Cache-Control": FOR_SECONDS}


@blueprint.route("/log/<programme>/heads", methods=["GET"])
@public
@described(blueprint, 404, 422, 503, signed_in=False)
@blueprint.arguments(HeadsQuery, location="query")
@blueprint.response(200, HeadList)
def show_heads(query: dict[str, Any], programme: str) -> Any:
    """All public heads, largest first"""
    limit = query["limit"]
    heads = public_heads(session=db.session(), programme=_programme(programme), before=query.get("before"), limit=limit)
    following = heads[-1].size if len(heads) == limit else None
    answer = {"heads": [head.to_json() for head in heads], "next_before": following}
    return answer, 200, {"Cache-Control": FOR_SECONDS}


@blueprint.route("/log/<programme>/entries", methods=["GET"])
@public
@described(blueprint, 404, 422, 503, signed_in=False)
@blueprint.arguments(EntriesQuery, location="query")
@blueprint.response(200, EntriesAnswer)
def show_entries(query: dict[str, Any], programme: str) -> Any:
    """Leaves, in order

    From ``start`` up to ``end``, at most a thousand, and none that no public head covers.
    """
    start, end = query["start"], query["end"]
    found = entries(session=db.session(), programme=_programme(programme), start=start, end=end)
    whole = len(found) == min(end - start, MOST_ENTRIES)
    answer = {"programme": programme, "start": start, "next_start": start + len(found), "entries": found}
    if not whole:
        answer["next_start"] = None
    return answer, 200, {"Cache-Control": FOR_EVER if whole else FOR_SECONDS}


@blueprint.route("/log/<programme>/proof", methods=["GET"])
@public
@described(blueprint, 404, 422, 503, signed_in=False)
@blueprint.arguments(ProofQuery, location="query")
@blueprint.response(200, ProofAnswer)
def show_proof(query: dict[str, Any], programme: str) -> Any:
    """Proof that a leaf stands in a tree"""
    sha256, proof = public_inclusion(session=db.session(), programme=_programme(programme), **query)
    answer = {**query, "sha256": sha256.hex(), "proof": [each.hex() for each in proof]}
    return answer, 200, {"Cache-Control": FOR_EVER}


@blueprint.route("/log/<programme>/consistency", methods=["GET"])
@public
@described(blueprint, 404, 422, 503, signed_in=False)
@blueprint.arguments(ConsistencyQuery, location="query")
@blueprint.response(200, ConsistencyAnswer)
def show_consistency(query: dict[str, Any], programme: str) -> Any:
    """Proof that a tree is the beginning of a later one"""
    proof = public_consistency(session=db.session(), programme=_programme(programme), **query)
    return {**query, "proof": [each.hex() for each in proof]}, 200, {"Cache-Control": FOR_EVER}


@blueprint.route("/log/<programme>/rules", methods=["GET"])
@public
@described(blueprint, 404, 503, signed_in=False)
@blueprint.response(200, RulesVersionList)
def show_rules(programme: str) -> Any:
    """Every version of the rules, whole

    The leaves of kind «version» hold the same.
    """
    found = versions(session=db.session(), programme=_programme(programme))
    return {"programme": programme, "versions": found}, 200, {"Cache-Control": FOR_SECONDS}


@blueprint.route("/log/<programme>/openings", methods=["GET"])
@requires("auditor")
@described(blueprint, 404, 422, 503)
@blueprint.arguments(EntriesQuery, location="query")
@blueprint.response(200, OpeningList)
def show_openings(query: dict[str, Any], programme: str) -> dict[str, Any]:
    """What opens the leaves about claims

    For auditors, leaves no public head covers yet included; each look is written down.
    """
    session, found = db.session(), _programme(programme)
    start, end = query["start"], min(query["end"], query["start"] + MOST_ENTRIES)
    leaves = session.scalars(
        select(LogLeaf)
        .where(LogLeaf.programme_id == found.id, LogLeaf.leaf >= start, LogLeaf.leaf < end)
        .order_by(LogLeaf.leaf)
    )
    opened = openings(session=session, programme=found, leaves=list(leaves))
    record(
        session=session,
        actor=caller().actor,
        action="log.opened",
        subject=f"programme:{found.id}",
        detail={"start": start, "end": end, "leaves": len(opened)},
    )
    session.commit()
    return {"programme": programme, "openings": opened}


def _programme(code: str) -> Programme:
    return programme_of(session=db.session(), code=code)
