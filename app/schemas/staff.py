"""What staff send and get about the staff's own accounts."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema
from marshmallow.fields import Field, List, Nested

from app.schemas.answers import by_account, flag, text, whole
from app.schemas.fields import Choice, Flag, StrictSchema, Text, Whole
from registry.accounts import STAFF_ROLES
from registry.staff_accounts import LONGEST_NAME
from registry.staff_requests import CHANGES

LONGEST_HALF = 100


def _half(description: str) -> Text:
    return Text(f"{description}, 8 to 100 characters; in no answer and no record", longest=LONGEST_HALF)


def _reason() -> Text:
    return Text("why, for whoever decides and for the record", shortest=4, longest=200, required=True)


class StaffAccountAnswer(Schema):
    """One account of the staff."""

    id = whole("id of the account")
    login = text("login")
    display_name = text("the person's name")
    role = text("operator, reviewer, finance, auditor or administrator")
    has_authenticator = flag("whether an authenticator is set up")
    created_at = text("instant it was added")
    disabled_at = text("instant since which it cannot sign in, null while it can", empty=True)


class StaffAccountList(Schema):
    """The staff's accounts, those that can sign in first."""

    accounts: Field[Any] = List(Nested(StaffAccountAnswer), metadata={"description": "the accounts"})


class StaffAdditionRequest(StrictSchema):
    """An account to be added."""

    login = Text("3 to 40 small letters, digits, dots and dashes, beginning with a letter", longest=40, required=True)
    display_name = Text("the person's name", longest=LONGEST_NAME, required=True)
    role = Choice("its role", STAFF_ROLES, required=True)
    password_half = _half("first half of its password, which the asker gives the person")
    reason = _reason()


class StaffChangeRequest(StrictSchema):
    """A change to an account."""

    kind = Choice("what to change; authenticator takes it away", CHANGES, required=True)
    role = Choice("the new role, for a change of role", STAFF_ROLES)
    password_half = _half("for enable and password: first half of the new password")
    reason = _reason()


class StaffDecisionRequest(StrictSchema):
    """The second person's word."""

    approve = Flag("true carries it out, false leaves everything as it is", required=True)
    password_half = _half("where approving gives a password: its second half, written right behind the first")


class StaffRequestQuery(StrictSchema):
    """Which requests to list."""

    open = Choice("yes: only those that wait for somebody", ("yes",))
    limit = Whole("how many, newest first", low=1, high=200, from_text=True, load_default=50)


class StaffRequestAnswer(Schema):
    """One request about an account, and what became of it."""

    id = whole("id of the request")
    kind = text("add, enable, role, password or authenticator")
    account_id = whole("id of the account, null until an account to be added is there", empty=True)
    login = text("login of the account")
    display_name = text("the person's name")
    old_role = text("for a change of role: the present one", empty=True)
    role = text("for a change of role and a new account: the new one", empty=True)
    gives_password = flag("whether approving it gives a password, in two halves")
    reason = text("why")
    asked_by = by_account("account that asked")
    asked_at = text("instant of that, real time")
    deciders: Field[Any] = List(text("login"), metadata={"description": "logins of those who may decide now"})
    outcome = text("approved, refused or withdrawn, null while it is open", empty=True)
    decided_by = by_account("account that decided or withdrew", empty=True)
    decided_at = text("instant of that, real time", empty=True)


class StaffRequestList(Schema):
    """Requests, newest first."""

    requests: Field[Any] = List(Nested(StaffRequestAnswer), metadata={"description": "the requests"})
