"""What the public may know, the bureau's board, and whether this process is well."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, text

from app.access import STAFF, public, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import live_document
from app.db import db
from app.live import live, read_live
from app.schemas.answers import BoardAnswer, HealthAnswer, ProgrammeAnswer
from registry.cases import Case
from registry.trade_ins import EVERYBODYS, count_trade_ins

blueprint = ApiBlueprint("programme", __name__, description="The programme and the bureau's board")


@blueprint.route("/api/programmes/current", methods=["GET"])
@public
@described(blueprint, 404, 503, signed_in=False)
@blueprint.response(200, ProgrammeAnswer)
def show_current() -> dict[str, Any]:
    """The programme's live state

    At most a second old; ``as_of`` says when it was true.
    """
    return live_document(live())


@blueprint.route("/api/board", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 404, 503)
@blueprint.response(200, BoardAnswer)
def show_board() -> dict[str, Any]:
    """The bureau's board

    Each stage with its money (total = paid + committed + held + free), trade-ins by state, open cases by kind.
    """
    session = db.session()
    cases = session.execute(select(Case.kind, func.count()).where(Case.closed_at.is_(None)).group_by(Case.kind))
    return {
        **live_document(read_live()),
        "trade_ins": count_trade_ins(session=session, reach=EVERYBODYS),
        "open_cases": {row[0]: row[1] for row in cases},
    }


@blueprint.route("/health", methods=["GET"])
@public
@described(blueprint, 503, signed_in=False)
@blueprint.response(200, HealthAnswer)
def show_health() -> dict[str, Any]:
    """Whether this process can serve

    It reaches its database.
    """
    db.session().execute(text("SELECT 1"))
    return {"status": "ok"}
