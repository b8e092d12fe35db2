"""Filings, for staff: found by plate or owner, shown masked."""

from __future__ import annotations

from typing import Any

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import LOCAL
from app.auth import caller
from app.context import settings
from app.db import db
from app.schemas.filings import FilingList, FilingQuery
from registry.filing_search import FoundFiling, search_filings

blueprint = ApiBlueprint("filings", __name__, url_prefix="/api/filings", description="Filed bikes, for staff")

AS_STORED = ("plate_no", "brand", "frame_no", "sub_district", "state")
MASKED = ("owner_name", "owner_id_no", "owner_phone")


@blueprint.route("/search", methods=["POST"])
@requires(*STAFF)
@described(blueprint, 400, 413, 415, 422, 503)
@blueprint.arguments(FilingQuery)
@blueprint.response(200, FilingList)
def search(query: dict[str, Any]) -> dict[str, Any]:
    """Search the filings

    By exactly one of plate, owner's whole name, ID number and mobile number, which stand in the body because addresses
    are logged on their way. Owners are shown masked; the audit keeps who searched, by what and why. Takes no
    Idempotency-Key: every search counts as one.
    """
    reason = query.pop("reason")
    session = db.session()
    found = search_filings(
        session=session, keyring=settings().keyring, actor=caller().actor, reason=reason, wanted=query
    )
    session.commit()
    return {"filings": [_filing(filing) for filing in found.filings], "more": found.more}


def _filing(found: FoundFiling) -> dict[str, Any]:
    bike = found.bike
    return {
        **{name: getattr(bike, name) for name in AS_STORED},
        **{name: getattr(found, name) for name in MASKED},
        "filed_on": bike.filed_on.isoformat(),
        "transferred_on": bike.transferred_on.isoformat() if bike.transferred_on else None,
        "changes": [
            {
                "at": change.at.astimezone(LOCAL).isoformat(),
                "actor": change.actor,
                "field": change.field,
                "old": change.old,
                "new": change.new,
            }
            for change in found.changes
        ],
    }
