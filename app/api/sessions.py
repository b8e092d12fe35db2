"""Signing in and out."""

from __future__ import annotations

from typing import Any

from app.access import public
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.auth import LASTS, account_of, current_token, sign_in, sign_in_by_code, sign_out
from app.client_address import counted_address
from app.clock import real
from app.context import keyring, settings
from app.db import db
from app.schemas.answers import SignInAnswer
from app.schemas.requests import CodeSignInRequest, SignInRequest

blueprint = ApiBlueprint("sign-ins", __name__, url_prefix="/api/sign-ins", description="Signing in and out")


@blueprint.route("", methods=["POST"])
@public
@described(blueprint, 400, 401, 403, 409, 413, 415, 422, 429, 503, signed_in=False)
@blueprint.arguments(SignInRequest)
@blueprint.response(201, SignInAnswer)
def start(credentials: dict[str, Any]) -> dict[str, Any]:
    """Sign in

    An account with an authenticator sends its code as totp: without it the answer is 401 second_factor_needed, and a
    code works once. Takes no Idempotency-Key: it is no deed, and a kept answer would keep the token in clear.
    """
    return _signed_in(
        sign_in(
            session=db.session(),
            keyring=keyring(),
            address=counted_address(),
            required=settings().staff_totp_required,
            **credentials,
        )
    )


@blueprint.route("/by-code", methods=["POST"])
@public
@described(blueprint, 400, 403, 413, 415, 422, 503, signed_in=False)
@blueprint.arguments(CodeSignInRequest)
@blueprint.response(201, SignInAnswer)
def start_by_code(proof: dict[str, Any]) -> dict[str, Any]:
    """Sign in as an owner, by phone and one-time code

    The account is made at the first sign-in. Where several owners are filed with the phone, id_tail is asked for; the
    code stays valid meanwhile. Takes no Idempotency-Key: a code works once.
    """
    return _signed_in(sign_in_by_code(session=db.session(), keyring=keyring(), address=counted_address(), **proof))


@blueprint.route("", methods=["DELETE"])
@public
@described(blueprint, 503, signed_in=False)
@blueprint.response(204)
def end() -> None:
    """Sign out

    Ends the sign-in whose token is sent; nothing happens where it is over already.
    """
    token = current_token()
    if token:
        sign_out(session=db.session(), token=token)


def _signed_in(token: str) -> dict[str, Any]:
    account = account_of(session=db.session(), token=token, at=real())
    assert account is not None, "a token just given speaks for nobody"
    return {
        "token": token,
        "expires_in_s": int(LASTS.total_seconds()),
        "role": account.role,
        "display_name": account.display_name,
    }
