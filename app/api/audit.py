"""The audit for those who read it: who did what to what, and the seal that holds it."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from app.access import requires
from app.actors import actor_of, login_of
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import LOCAL, instant
from app.db import db
from app.schemas.plates import AuditList, AuditQuery
from registry.audit import AuditEntry, find_entries

blueprint = ApiBlueprint("audit", __name__, url_prefix="/api/audit", description="Who did what, when, sealed")


@blueprint.route("", methods=["GET"])
@requires("auditor", "administrator")
@described(blueprint, 422, 503)
@blueprint.arguments(AuditQuery, location="query")
@blueprint.response(200, AuditList)
def show_audit(query: dict[str, Any]) -> dict[str, Any]:
    """The audit, newest first

    Of one subject, actor, action and time where they are named; each filter narrows the others. ``seal_no`` and
    ``sha256`` are the link of the chain that `mapai verify` checks.
    """
    since, until = _span(query)
    rows = find_entries(
        session=db.session(),
        since=since,
        until=until,
        limit=query["limit"] + 1,
        **{name: query[name] for name in ("subject", "action", "before") if name in query},
        actor=actor_of(query["actor"]) if "actor" in query else None,
    )
    page = rows[: query["limit"]]
    return {
        "entries": [_row(*row) for row in page],
        "next_before": page[-1].entry.id if len(rows) > len(page) else None,
    }


def _span(query: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
    """The instants that bound the days asked for, in Asia/Shanghai."""
    first, last = query.get("from_day", query.get("day")), query.get("until_day", query.get("day"))
    since = datetime.combine(first, time(), tzinfo=LOCAL) if first else None
    until = datetime.combine(last, time(), tzinfo=LOCAL) + timedelta(days=1) if last else None
    return since, until


def _row(entry: AuditEntry, seal_no: int | None, sha256: bytes | None) -> dict[str, Any]:
    names = ("id", "actor", "action", "subject", "detail")
    told = {name: getattr(entry, name) for name in names}
    login = login_of(entry.actor)
    told["login"] = None if login == entry.actor else login
    return {**told, "at": instant(entry.at), "seal_no": seal_no, "sha256": sha256 and sha256.hex()}
