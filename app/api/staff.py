"""The staff's accounts: an administrator asks, another person decides; an administrator alone only disables."""

from __future__ import annotations

from typing import Any

from app.access import requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant
from app.auth import caller, hash_password
from app.clock import real
from app.context import keyring
from app.db import db
from app.idempotency import idempotent
from app.schemas.staff import (
    StaffAccountAnswer,
    StaffAccountList,
    StaffAdditionRequest,
    StaffChangeRequest,
    StaffDecisionRequest,
    StaffRequestAnswer,
    StaffRequestList,
    StaffRequestQuery,
)
from registry.accounts import Account
from registry.second_factor import has_second_factor
from registry.staff_accounts import disable_staff, get_staff, list_staff
from registry.staff_requests import (
    GIVES_PASSWORD,
    StaffRequest,
    ask_to_add,
    ask_to_change,
    decide_staff_request,
    list_staff_requests,
    who_decides,
    withdraw_staff_request,
)

blueprint = ApiBlueprint("staff", __name__, url_prefix="/api", description="The staff's accounts")

MANAGES = ("administrator",)
DECIDES = ("administrator", "reviewer")
LARGEST = 2**63 - 1
REQUEST_FIELDS = ("id", "kind", "account_id", "old_role", "role", "reason", "asked_by", "outcome", "decided_by")


@blueprint.route("/staff", methods=["GET"])
@requires(*DECIDES)
@described(blueprint, 503)
@blueprint.response(200, StaffAccountList)
def show_staff() -> dict[str, Any]:
    """The staff's accounts

    Those that can sign in first, in the order in which they were added.
    """
    return {"accounts": [_account(one) for one in list_staff(session=db.session())]}


@blueprint.route("/staff/<int:account_id>/disabling", methods=["POST"])
@requires(*MANAGES)
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, StaffAccountAnswer)
def disable(account_id: int) -> dict[str, Any]:
    """Disable an account at once

    One administrator is enough to shut a door; opening it again takes two. Its sign-ins end.
    """
    number, actor = min(account_id, LARGEST), caller().actor
    return _account(disable_staff(session=db.session(), account_id=number, actor=actor, real_now=real()))


@blueprint.route("/staff-requests", methods=["GET"])
@requires(*DECIDES)
@described(blueprint, 422, 503)
@blueprint.arguments(StaffRequestQuery, location="query")
@blueprint.response(200, StaffRequestList)
def show_requests(query: dict[str, Any]) -> dict[str, Any]:
    """What was asked for about accounts

    Newest first, with who may decide on each that is open.
    """
    found = list_staff_requests(session=db.session(), open_only="open" in query, limit=query["limit"])
    return {"requests": [_request(one) for one in found]}


@blueprint.route("/staff-requests", methods=["POST"])
@requires(*MANAGES)
@idempotent
@described(blueprint, writes=True)
@blueprint.arguments(StaffAdditionRequest)
@blueprint.response(201, StaffRequestAnswer)
def ask_addition(typed: dict[str, Any]) -> dict[str, Any]:
    """Ask for a new account

    It is there once another administrator approves, a reviewer where there is no other administrator.
    """
    half = typed.pop("password_half", "")
    asked = ask_to_add(session=db.session(), keyring=keyring(), first_half=half, actor=caller().actor, **typed)
    return _request(asked)


@blueprint.route("/staff/<int:account_id>/requests", methods=["POST"])
@requires(*MANAGES)
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(StaffChangeRequest)
@blueprint.response(201, StaffRequestAnswer)
def ask_change(typed: dict[str, Any], account_id: int) -> dict[str, Any]:
    """Ask for a change to an account

    Nothing changes until another administrator approves, a reviewer where there is no other administrator. Nobody
    asks for his own account, and one request is open for an account at a time.
    """
    asked = ask_to_change(
        session=db.session(),
        keyring=keyring(),
        account_id=min(account_id, LARGEST),
        kind=typed["kind"],
        role=typed.get("role", ""),
        first_half=typed.get("password_half", ""),
        reason=typed["reason"],
        actor=caller().actor,
    )
    return _request(asked)


@blueprint.route("/staff-requests/<int:request_id>/decision", methods=["POST"])
@requires(*DECIDES)
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(StaffDecisionRequest)
@blueprint.response(200, StaffRequestAnswer)
def decide(typed: dict[str, Any], request_id: int) -> dict[str, Any]:
    """Approve or refuse what was asked

    By another person than the one who asked, whose account it is not, and whose own account was not changed at the
    asker's request within seven days. A password is the asker's half followed by this one; neither is in any answer.
    """
    decided = decide_staff_request(
        session=db.session(),
        keyring=keyring(),
        request_id=request_id,
        approved=typed["approve"],
        actor=caller().actor,
        real_now=real(),
        hash_password=hash_password,
        second_half=typed.get("password_half", ""),
    )
    return _request(decided)


@blueprint.route("/staff-requests/<int:request_id>/withdrawal", methods=["POST"])
@requires(*MANAGES)
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, StaffRequestAnswer)
def withdraw(request_id: int) -> dict[str, Any]:
    """Withdraw one's own request

    Nothing changes.
    """
    actor = caller().actor
    return _request(withdraw_staff_request(session=db.session(), request_id=request_id, actor=actor, real_now=real()))


def _account(account: Account) -> dict[str, Any]:
    return {
        **{name: getattr(account, name) for name in ("id", "login", "display_name", "role")},
        "has_authenticator": has_second_factor(session=db.session(), account_id=account.id),
        "created_at": instant(account.created_at),
        "disabled_at": instant(account.disabled_at),
    }


def _request(asked: StaffRequest) -> dict[str, Any]:
    session = db.session()
    whose = asked if asked.account_id is None else get_staff(session=session, account_id=asked.account_id)
    deciders = who_decides(session=session, asked=asked, real_now=real()) if asked.outcome is None else []
    return {
        **{name: getattr(asked, name) for name in REQUEST_FIELDS},
        "login": whose.login,
        "display_name": whose.display_name,
        "gives_password": asked.kind in GIVES_PASSWORD,
        "asked_at": instant(asked.asked_at),
        "deciders": [one.login for one in deciders],
        "decided_at": instant(asked.decided_at),
    }
