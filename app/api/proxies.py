"""Proxies: recorded at the point, seen and ended by the owner, followed by the proxy."""

from __future__ import annotations

from typing import Any

from app.access import requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant, rows_document
from app.api.trade_ins import reference_in
from app.auth import caller
from app.context import business_now, keyring, reach_of
from app.db import db
from app.idempotency import idempotent
from app.schemas.people import EntrustedAnswer, ProxiesAnswer, ProxyAnswer, ProxyRequest
from registry.people import Person, mask_name, open_name
from registry.proxies import Proxy, end_proxy, entrusted_to, proxies_for, record_proxy

blueprint = ApiBlueprint("proxies", __name__, url_prefix="/api", description="Who acts for an owner")


@blueprint.route("/trade-ins/<reference>/proxy", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ProxyRequest)
@blueprint.response(201, ProxyAnswer)
def take(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Record who acts for the owner

    By the point, which has the written authority and both people's cards before it. A later proxy ends the one
    before. The wallet stays the owner's own.
    """
    account, clean = caller(), reference_in(reference)
    proxy = record_proxy(
        session=db.session(),
        keyring=keyring(),
        reference=clean,
        reach=reach_of(account),
        actor=account.actor,
        now=business_now(),
        **typed,
    )
    return _told(proxy, clean)


@blueprint.route("/trade-ins/<reference>/proxy-ending", methods=["POST"])
@requires("owner")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, ProxyAnswer)
def end(reference: str) -> dict[str, Any]:
    """End a proxy's authority

    By the owner, at any time; what the proxy did until then stands.
    """
    account, clean = caller(), reference_in(reference)
    proxy = end_proxy(
        session=db.session(), reference=clean, reach=reach_of(account), actor=account.actor, now=business_now()
    )
    return _told(proxy, clean)


@blueprint.route("/my/proxies")
@requires("owner")
@described(blueprint, 503)
@blueprint.response(200, ProxiesAnswer)
def mine() -> dict[str, Any]:
    """Who acts or acted for me

    Every authority recorded for the owner's trade-ins, oldest first.
    """
    recorded = proxies_for(session=db.session(), owner_id=_person_id())
    return {"proxies": [_told(proxy, reference) for proxy, reference in recorded]}


@blueprint.route("/my/entrusted")
@requires("owner")
@described(blueprint, 503)
@blueprint.response(200, EntrustedAnswer)
def entrusted() -> dict[str, Any]:
    """The trade-ins in which I act for somebody

    One row each, newest first; the owner's name is masked.
    """
    found = entrusted_to(session=db.session(), person_id=_person_id())
    return {"trade_ins": rows_document(session=db.session(), keyring=keyring(), trade_ins=list(found))}


def _person_id() -> int:
    person_id = caller().person_id
    assert person_id is not None, "an owner's account without a person"
    return person_id


def _told(proxy: Proxy, reference: str) -> dict[str, Any]:
    person = db.session().get_one(Person, proxy.person_id)
    return {
        "reference": reference,
        "name": mask_name(open_name(person=person, keyring=keyring())),
        "relation": proxy.relation,
        "authority_no": proxy.authority_no,
        "recorded_at": instant(proxy.recorded_at),
        "ended_at": instant(proxy.ended_at),
    }
