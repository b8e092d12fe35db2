"""What dealers and those who look after them send and get: applications, commitments, training, licences, accounts."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, validate
from marshmallow.fields import Field, List, Nested

from app.schemas.answers import by_account, flag, text, whole
from app.schemas.fields import Choice, Day, Flag, Image, StrictSchema, Text, Whole
from app.schemas.people import many
from registry.dealer_applications import APPLICATION
from registry.dealers import DEALER

SHORTEST_REASON = 4
SHORTEST_PASSWORD = 10
_FEW = 14
_MOST_PARAGRAPHS = 200
_MOST_REFERENCES = 500


def _reason(description: str) -> Text:
    return Text(description, shortest=SHORTEST_REASON, longest=200, required=True)


def _several(inner: Field[Any], description: str, *, most: int, required: bool = True) -> Field[Any]:
    return List(
        inner,
        required=required,
        validate=[validate.Length(min=1, error="required"), validate.Length(max=most, error=f"out_of_range|1|{most}")],
        metadata={"description": description},
        error_messages={"required": "required", "null": "null", "invalid": "not_a_list"},
    )


def _password() -> Text:
    return Text("password, 10 characters or more, case matters", shortest=SHORTEST_PASSWORD, longest=200, required=True)


class HoursRequest(StrictSchema):
    """One stretch of opening hours, the same on each of its days."""

    days = _several(
        Whole("1 Monday to 7 Sunday", low=1, high=7), "days of the week, numbers, 1 Monday to 7 Sunday", most=7
    )
    opens = Text("time it opens, HH:MM in Asia/Shanghai", longest=5, required=True, example="08:30")
    closes = Text("time it closes, HH:MM, 24:00 at the latest", longest=5, required=True, example="18:00")


class DealerApplicationRequest(StrictSchema):
    """An application to be a dealer on the platform, as on the business licence."""

    name = Text("name of the shop, 2 to 80 characters", longest=200, required=True)
    credit_code = Text("unified social credit code, 18 characters (GB 32100)", longest=40, required=True)
    sub_district = Text("sub-district", longest=100, required=True, example="米市巷街道")
    address = Text("address, 4 to 120 characters", longest=300, required=True)
    phone = Text("telephone of the shop, which everybody may see", longest=40, required=True, example="0571-88000000")
    opening_hours = _several(Nested(HoursRequest), "opening hours, one entry for each stretch", most=_FEW)
    representative = Text("legal representative's name", longest=64, required=True)
    mobile = Text("mobile number that signs for the dealer, 11 digits", longest=30, required=True)
    code = Text("the 6 digits sent to it for dealer_application", longest=12, required=True)
    licence_photo = Image("business licence as JPEG or PNG, Base64, at most 3 MB of picture")


class ApplicationAnswer(Schema):
    """Where an application stands, as everybody who has its reference may read it."""

    reference = text("its reference")
    state = text("waiting, accepted or refused")
    state_zh = text("the same in Chinese")
    submitted_at = text("when it was sent, ISO 8601 with offset")
    decided_at = text("when it was decided, ISO 8601 with offset", empty=True)
    reason = text("why it was refused", empty=True)
    next_zh = text("what comes next, in Chinese")
    next_en = text("what comes next, in English")


class ApplicationQuery(StrictSchema):
    """Which applications to list."""

    state = Choice("only those in this state", tuple(APPLICATION.edges))
    before = Whole("only those older than this number: the next page", low=1, from_text=True)
    limit = Whole("how many, newest first", low=1, high=200, from_text=True, load_default=50)


class ApplicationReview(ApplicationAnswer):
    """An application as the bureau reviews it."""

    number = whole("its number, for «before»")
    dealer_id = whole("number of the dealer it is about")
    name = text("name of the shop")
    credit_code = text("unified social credit code")
    doubt = text("what to look at in the credit code, in Chinese; null where it holds", empty=True)
    sub_district = text("sub-district")
    address = text("address")
    phone = text("telephone of the shop")
    opening_hours = text("opening hours")
    representative = text("legal representative, masked", empty=True)
    mobile = text("mobile number that signs, masked", empty=True)
    has_licence_photo = flag("whether a photo of the business licence was sent")


class ApplicationReviews(Schema):
    """Applications, newest first."""

    applications = many(ApplicationReview, "the applications")


class AcceptanceRequest(StrictSchema):
    """The operator's yes."""

    credit_code_confirmed = Flag("a doubtful credit code was compared with the licence", load_default=False)


class ReasonRequest(StrictSchema):
    """Why something is done, for the record and for those it is done to."""

    reason = _reason("why, 4 to 200 characters; those concerned may read it")


class PasswordByCodeRequest(StrictSchema):
    """A manager sets a password by the dealer's registered mobile number."""

    login = Text("login of a manager; of an accepted application: its reference", longest=40, required=True)
    mobile = Text("the dealer's registered mobile number, 11 digits", longest=30, required=True)
    code = Text("the 6 digits sent to it for dealer_password", longest=12, required=True)
    password = _password()


class LoginAnswer(Schema):
    """The account whose password was set."""

    login = text("sign in with it")


class CommitmentQuery(StrictSchema):
    """Which signatures to list."""

    version = Whole("only those under this version, a number", low=1, high=10_000, from_text=True)
    before = Whole("only those before this number: the next page", low=1, from_text=True)
    limit = Whole("how many, newest first", low=1, high=500, from_text=True, load_default=300)


class SignedAnswer(Schema):
    """Who signed which version."""

    number = whole("number of the signature, for «before»")
    dealer = text("name of the dealer")
    sub_district = text("its sub-district")
    point_no = text("its plaque number", empty=True)
    version = whole("version of the commitment, a number")
    text_sha256 = text("SHA-256 of the text that was signed, in hexadecimal")
    method = text("code: by one-time code; paper: on paper, before the platform")
    signed_at = text("when, ISO 8601 with offset")


class SignedList(Schema):
    """The commitments that were signed, as they are posted."""

    current_version = whole("version in force, a number")
    signatures = many(SignedAnswer, "newest first")


class CommitmentTextAnswer(Schema):
    """One version of the commitment."""

    version = whole("its number")
    text_zh = text("its text, paragraphs divided by line feeds")
    sha256 = text("SHA-256 of the text, in hexadecimal")
    effective_at = text("from when it is in force, ISO 8601 with offset")
    sign_by = text("last day on which everybody is to have signed it, YYYY-MM-DD; null for the first", empty=True)
    approved = flag("whether a second person approved it")


class CommitmentTexts(Schema):
    """Every approved version."""

    versions = many(CommitmentTextAnswer, "newest first; one that is announced is among them")


class CommitmentDraftRequest(StrictSchema):
    """The next version of the commitment."""

    paragraphs = _several(
        Text("one paragraph", longest=2_000),
        "its paragraphs, the title first; 100 characters or more in all",
        most=_MOST_PARAGRAPHS,
    )
    effective_on = Day("first day it is in force, Asia/Shanghai", required=True)
    sign_by = Day("last day on which everybody is to have signed it", required=True)


class MyCommitmentAnswer(Schema):
    """A version the dealer is to sign, and whether it did."""

    version = whole("its number")
    text_zh = text("its text, paragraphs divided by line feeds")
    sha256 = text("SHA-256 of the text, in hexadecimal")
    effective_at = text("from when it is in force, ISO 8601 with offset")
    sign_by = text("last day to sign it, YYYY-MM-DD", empty=True)
    signed_at = text("when the dealer signed it, null while it has not", empty=True)


class MyCommitments(Schema):
    """The version in force and what is announced."""

    commitments = many(MyCommitmentAnswer, "newest first")


class CodeSentAnswer(Schema):
    """A code is on its way."""

    phone = text("the registered mobile number, masked")


class SigningRequest(StrictSchema):
    """The dealer signs."""

    version = Whole("version that was read, a number", low=1, high=10_000, required=True)
    code = Text("the 6 digits sent to the registered mobile number", longest=12, required=True)


class TestRow(Schema):
    """One test of the dealer."""

    test_id = whole("its number")
    drawn_at = text("when it was drawn, ISO 8601 with offset")
    submitted_at = text("when it was handed in", empty=True)
    correct = whole("right answers", empty=True)
    pass_mark = whole("right answers needed")
    passed = flag("whether it was passed, false until it is handed in")


class TrainingAnswer(Schema):
    """The material, and how the dealer's tests went."""

    version = whole("version of the material, a number")
    title = text("its title")
    text_zh = text("the material, paragraphs divided by line feeds")
    questions = whole("questions a test has")
    pass_mark = whole("right answers needed")
    attempts_left = whole("tests that may still be drawn today")
    tests = many(TestRow, "newest first")


class QuestionAnswer(Schema):
    """A question as it is shown. What is right is told after the test was handed in, and null before."""

    question = text("the question")
    options: Field[Any] = List(
        text("one option"), metadata={"description": "the options, answered by their place counted from 0"}
    )
    chosen = whole("place of the option that was chosen", empty=True)
    right = whole("place of the right option", empty=True)


class TestAnswer(TestRow):
    """A test with its questions."""

    questions = many(QuestionAnswer, "in the order in which they are to be answered")


class HandInRequest(StrictSchema):
    """The answers of a test."""

    answers = _several(
        Whole("place of the chosen option counted from 0", high=20),
        "one for each question, in their order: place of the chosen option counted from 0",
        most=100,
    )


class StepAnswer(Schema):
    """One step of a dealer."""

    step = text("which step")
    state = text("the state it led to")
    at = text("when, ISO 8601 with offset")
    actor = by_account("account that took it; null for those at a dealer's", empty=True)
    reason = text("why", empty=True)
    licensed_until = text("last day of the licence then, YYYY-MM-DD", empty=True)


class DealerRow(Schema):
    """A dealer."""

    dealer_id = whole("its number")
    name = text("its name")
    credit_code = text("unified social credit code")
    sub_district = text("sub-district")
    state = text("applied, refused, accepted, committed, trained, enrolled, licensed, suspended, expired or revoked")
    state_zh = text("the same in Chinese")
    point_no = text("plaque number", empty=True)
    trade_in_on = flag("whether the trade-in function is switched on")
    licensed_until = text("last day of the licence, YYYY-MM-DD", empty=True)


class DealerAnswer(DealerRow):
    """A dealer with what led there and what is missing."""

    address = text("address")
    phone = text("telephone of the shop")
    opening_hours = text("opening hours")
    representative = text("legal representative, masked", empty=True)
    mobile = text("mobile number that signs, masked", empty=True)
    commitment_signed = flag("whether the commitment in force is signed")
    open_trade_ins = whole("trade-ins that are open there")
    revocation_reason = text("why a revocation is proposed, null where none waits", empty=True)
    steps = many(StepAnswer, "oldest first")


class DealerQuery(StrictSchema):
    """Which dealers to list."""

    state = Choice("only those in this state", tuple(DEALER.edges))
    after = Whole("only those behind this number: the next page", from_text=True, load_default=0)
    limit = Whole("how many", low=1, high=300, from_text=True, load_default=100)


class DealerList(Schema):
    """Dealers in the order in which they came."""

    dealers = many(DealerRow, "the dealers")


class RevocationRequest(StrictSchema):
    """The second person's decision on a proposed revocation."""

    approved = Flag("true revokes for good, false turns the proposal down", required=True)


class HandoverRequest(StrictSchema):
    """Which open trade-ins go to which point, and why."""

    to_dealer_id = Whole("number of the receiving dealer, a licensed point", low=1, required=True)
    references = _several(
        Text("reference of a trade-in", longest=20),
        "references of the trade-ins; left out: all that are open",
        most=_MOST_REFERENCES,
        required=False,
    )
    reason = _reason("why, 4 to 200 characters")


class HandoverAnswer(Schema):
    """What was handed over."""

    references: Field[Any] = List(
        text("a reference"), metadata={"description": "references of the trade-ins that changed hands"}
    )


class ColleagueRequest(StrictSchema):
    """A new account at the dealer's."""

    login = Text("login, case matters, 4 to 40 characters", shortest=4, longest=40, required=True)
    display_name = Text("name shown to others", longest=40, required=True)
    password = _password()
    manager = Flag("whether the account looks after the others too", load_default=False)


class NewPasswordRequest(StrictSchema):
    """Another password for a colleague."""

    password = _password()


class ColleagueAnswer(Schema):
    """An account at the dealer's."""

    account_id = whole("its number")
    login = text("its login")
    display_name = text("name shown to others")
    manager = flag("whether it looks after the others")
    disabled_at = text("since when it is disabled, null while it is not", empty=True)


class ColleagueList(Schema):
    """The dealer's accounts."""

    accounts = many(ColleagueAnswer, "in the order in which they were added")
