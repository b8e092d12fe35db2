"""The audit for those who read it: who did what to what, and the seal that holds it."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import select

from app.access import requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import LOCAL, instant
from app.db import db
from app.schemas.plates import AuditList, AuditQuery
from registry.audit import AuditEntry, AuditSeal

blueprint = ApiBlueprint("audit", __name__, url_prefix="/api/audit", description="Who did what, when, sealed")


@blueprint.route("", methods=["GET"])
@requires("auditor", "administrator")
@described(blueprint, 422, 503)
@blueprint.arguments(AuditQuery, location="query")
@blueprint.response(200, AuditList)
def show_audit(query: dict[str, Any]) -> dict[str, Any]:
    """The audit, newest first

    Of one subject, one actor, one day where they are named. ``seal_no`` and ``sha256`` are the link of the chain that
    `mapai verify` checks.
    """
    asked = (
        select(AuditEntry, AuditSeal.seal_no, AuditSeal.sha256)
        .outerjoin(AuditSeal, AuditSeal.entry_id == AuditEntry.id)
        .order_by(AuditEntry.id.desc())
        .limit(query["limit"] + 1)
    )
    if "subject" in query:
        asked = asked.where(AuditEntry.subject == query["subject"])
    if "actor" in query:
        asked = asked.where(AuditEntry.actor == query["actor"])
    if "day" in query:
        midnight = datetime.combine(query["day"], time(), tzinfo=LOCAL)
        asked = asked.where(AuditEntry.at >= midnight, AuditEntry.at < midnight + timedelta(days=1))
    if "before" in query:
        asked = asked.where(AuditEntry.id < query["before"])
    rows = db.session().execute(asked).all()
    page = rows[: query["limit"]]
    return {
        "entries": [_row(*row) for row in page],
        "next_before": page[-1][0].id if len(rows) > len(page) else None,
    }


def _row(entry: AuditEntry, seal_no: int | None, sha256: bytes | None) -> dict[str, Any]:
    names = ("id", "actor", "action", "subject", "detail")
    told = {name: getattr(entry, name) for name in names}
    return {**told, "at": instant(entry.at), "seal_no": seal_no, "sha256": sha256 and sha256.hex()}
