"""The dealer's own side: where it stands, the commitment to sign, training and test, and its accounts."""

from __future__ import annotations

from typing import Any

from app.access import requires
from app.api.blueprints import ApiBlueprint
from app.api.dealers import dealer_document
from app.api.dealers_public import commitment_document
from app.api.description import described
from app.api.documents import instant
from app.auth import caller, hash_password
from app.client_address import counted_address
from app.clock import real
from app.context import business_now, keyring, partners, settings
from app.db import db
from app.idempotency import idempotent
from app.schemas.dealers import (
    CodeSentAnswer,
    ColleagueAnswer,
    ColleagueList,
    ColleagueRequest,
    DealerAnswer,
    HandInRequest,
    MyCommitmentAnswer,
    MyCommitments,
    NewPasswordRequest,
    SigningRequest,
    TestAnswer,
    TrainingAnswer,
)
from registry.accounts import Account
from registry.code_limits import Asker
from registry.dealer_commitments import (
    CommitmentVersion,
    approved_versions,
    current_version,
    send_signing_code,
    sign_commitment,
    signature_of,
)
from registry.dealer_staff import add_colleague, disable_colleague, list_colleagues, reset_colleague
from registry.dealer_training import (
    AttemptNotFound,
    DrawnTest,
    TrainingAttempt,
    attempts_left,
    current_training,
    draw_test,
    get_test,
    hand_in_test,
    list_tests,
)
from registry.dealers import get_dealer

blueprint = ApiBlueprint("dealer", __name__, url_prefix="/api/dealer", description="The dealer's own desk")
LARGEST_ID = 2**63 - 1


@blueprint.route("", methods=["GET"])
@requires("dealer")
@described(blueprint, 503)
@blueprint.response(200, DealerAnswer)
def show_own() -> dict[str, Any]:
    """Where my dealer stands

    With every step it took and what is missing.
    """
    return dealer_document(get_dealer(session=db.session(), dealer_id=_dealer_id()), to_staff=False)


@blueprint.route("/commitments", methods=["GET"])
@requires("dealer")
@described(blueprint, 503)
@blueprint.response(200, MyCommitments)
def show_commitments() -> dict[str, Any]:
    """What my dealer is to sign

    The version in force, one that is announced, and when they were signed.
    """
    session = db.session()
    current = current_version(session=session, now=business_now()).version
    due = [version for version in approved_versions(session=session) if version.version >= current]
    return {"commitments": [_my_commitment(version) for version in due]}


@blueprint.route("/commitment-codes", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, 429, writes=True)
@blueprint.response(201, CodeSentAnswer)
def send_code() -> dict[str, Any]:
    """Ask for a code to sign with

    It goes to the dealer's registered mobile number and takes the place of any sent for signing before.
    """
    phone = send_signing_code(
        session=db.session(),
        keyring=keyring(),
        gateway=partners().sms,
        dealer_id=_dealer_id(),
        asker=Asker(address=counted_address(), device=None),
        real_now=real(),
    )
    return {"phone": phone}


@blueprint.route("/commitments", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, writes=True)
@blueprint.arguments(SigningRequest)
@blueprint.response(201, MyCommitmentAnswer)
def sign(typed: dict[str, Any]) -> dict[str, Any]:
    """Sign the commitment

    With the code sent to the registered mobile number. The signature is posted for everybody.
    """
    session = db.session()
    sign_commitment(
        session=session,
        keyring=keyring(),
        dealer_id=_dealer_id(),
        version=typed["version"],
        code=typed["code"],
        actor=caller().actor,
        now=business_now(),
        real_now=real(),
    )
    return _my_commitment(session.get_one(CommitmentVersion, typed["version"]))


@blueprint.route("/training", methods=["GET"])
@requires("dealer")
@described(blueprint, 503)
@blueprint.response(200, TrainingAnswer)
def show_training() -> dict[str, Any]:
    """The training material and my tests

    Read it, then draw a test.
    """
    session, now, rules = db.session(), business_now(), settings().enrolment
    material = current_training(session=session, now=now)
    return {
        **{name: getattr(material, name) for name in ("version", "title", "text_zh")},
        "questions": rules.questions,
        "pass_mark": rules.pass_mark,
        "attempts_left": attempts_left(session=session, dealer_id=_dealer_id(), rules=rules, now=now),
        "tests": [_test_row(attempt) for attempt in list_tests(session=session, dealer_id=_dealer_id())],
    }


@blueprint.route("/tests", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, writes=True)
@blueprint.response(201, TestAnswer)
def draw() -> dict[str, Any]:
    """Draw a test

    Or see again the one drawn today that was not handed in. Only so many may be drawn a day.
    """
    drawn = draw_test(
        session=db.session(),
        dealer_id=_dealer_id(),
        rules=settings().enrolment,
        actor=caller().actor,
        now=business_now(),
    )
    return _test(drawn)


@blueprint.route("/tests/<int:test_id>", methods=["GET"])
@requires("dealer")
@described(blueprint, 404, 503)
@blueprint.response(200, TestAnswer)
def show_test(test_id: int) -> dict[str, Any]:
    """One of my tests

    What was right is told once it was handed in.
    """
    return _test(get_test(session=db.session(), dealer_id=_dealer_id(), attempt_id=_test_id(test_id)))


@blueprint.route("/tests/<int:test_id>/answers", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(HandInRequest)
@blueprint.response(200, TestAnswer)
def hand_in(typed: dict[str, Any], test_id: int) -> dict[str, Any]:
    """Hand a test in

    Once, on the day it was drawn. A test passed makes a dealer that has committed a trained one.
    """
    judged = hand_in_test(
        session=db.session(),
        dealer_id=_dealer_id(),
        attempt_id=_test_id(test_id),
        answers=typed["answers"],
        actor=caller().actor,
        now=business_now(),
    )
    return _test(judged)


@blueprint.route("/accounts", methods=["GET"])
@requires("dealer")
@described(blueprint, 503)
@blueprint.response(200, ColleagueList)
def show_accounts() -> dict[str, Any]:
    """My dealer's accounts

    Disabled ones among them.
    """
    return {"accounts": [_colleague(each) for each in list_colleagues(session=db.session(), dealer_id=_dealer_id())]}


@blueprint.route("/accounts", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, writes=True)
@blueprint.arguments(ColleagueRequest)
@blueprint.response(201, ColleagueAnswer)
def add_account(typed: dict[str, Any]) -> dict[str, Any]:
    """Add a colleague

    For managers of the dealer.
    """
    account = add_colleague(
        session=db.session(),
        manager_id=caller().account_id,
        login=typed["login"],
        display_name=typed["display_name"],
        password_hash=hash_password(typed["password"]),
        manager=typed["manager"],
        actor=caller().actor,
    )
    return _colleague(account)


@blueprint.route("/accounts/<int:account_id>/disabling", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, ColleagueAnswer)
def disable_account(account_id: int) -> dict[str, Any]:
    """Disable a colleague's account

    For managers of the dealer. Its sign-ins end at once.
    """
    account = disable_colleague(
        session=db.session(),
        manager_id=caller().account_id,
        account_id=min(account_id, LARGEST_ID),
        actor=caller().actor,
        real_now=real(),
    )
    return _colleague(account)


@blueprint.route("/accounts/<int:account_id>/password", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(NewPasswordRequest)
@blueprint.response(200, ColleagueAnswer)
def reset_account(typed: dict[str, Any], account_id: int) -> dict[str, Any]:
    """Give a colleague another password

    For managers of the dealer. Its sign-ins end, and a disabled account may sign in again.
    """
    account = reset_colleague(
        session=db.session(),
        manager_id=caller().account_id,
        account_id=min(account_id, LARGEST_ID),
        password_hash=hash_password(typed["password"]),
        actor=caller().actor,
    )
    return _colleague(account)


def _dealer_id() -> int:
    dealer_id = caller().dealer_id
    assert dealer_id is not None, "a dealer's account has its dealer"
    return dealer_id


def _test_id(test_id: int) -> int:
    if test_id > LARGEST_ID:
        raise AttemptNotFound
    return test_id


def _my_commitment(version: CommitmentVersion) -> dict[str, Any]:
    signature = signature_of(session=db.session(), dealer_id=_dealer_id(), version=version.version)
    return {**commitment_document(version), "signed_at": instant(signature.signed_at) if signature else None}


def _test_row(attempt: TrainingAttempt) -> dict[str, Any]:
    return {
        "test_id": attempt.id,
        "drawn_at": instant(attempt.drawn_at),
        "submitted_at": instant(attempt.submitted_at),
        "correct": attempt.correct,
        "pass_mark": attempt.pass_mark,
        "passed": bool(attempt.passed),
    }


def _test(drawn: DrawnTest) -> dict[str, Any]:
    answers = drawn.attempt.answers
    return {
        **_test_row(drawn.attempt),
        "questions": [
            {
                "question": each.question,
                "options": each.options,
                "chosen": answers[place] if answers is not None else None,
                "right": each.answer if answers is not None else None,
            }
            for place, each in enumerate(drawn.questions)
        ],
    }


def _colleague(account: Account) -> dict[str, Any]:
    return {
        "account_id": account.id,
        "login": account.login,
        "display_name": account.display_name,
        "manager": account.dealer_manager,
        "disabled_at": instant(account.disabled_at),
    }
