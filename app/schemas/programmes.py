"""A programme's rules, their changes, what other rules would do, and when the money will run out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import Schema, fields, validate
from marshmallow.fields import Boolean, Dict, Field, Float, List, Nested, Raw, String

from app.schemas.answers import by_account, flag, text, whole
from app.schemas.fields import Choice, Day, Flag, StrictSchema, Text, Whole
from subsidy.programme_change import LONGEST_DECISION_NOTE, LONGEST_NOTE

MOST_STAGES = 24
LARGEST_FEN = 10**13
SINCE = ("start", "now")
# Windows are added to instants: far from where a date ends.
YEARS = range(2000, 2200)


class Moment(fields.Field[datetime]):
    """An instant with its offset, ISO 8601, from 2000 to 2199."""

    default_error_messages = {"required": "required", "null": "null", "invalid": "not_an_instant"}

    def __init__(self, description: str, **kwargs: Any) -> None:
        super().__init__(metadata={"description": description, "type": "string", "format": "date-time"}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
            if moment.utcoffset() is None or moment.year not in YEARS:
                raise self.make_error("invalid")
        except (TypeError, ValueError, OverflowError):
            raise self.make_error("invalid") from None
        return moment


class StageRulesRequest(StrictSchema):
    """One stage of the rules. It is open from opens_at on, and no longer at closes_at."""

    number = Whole("number of the stage, from 1 in the order of opening", low=1, high=MOST_STAGES, required=True)
    amount_fen = Whole("subsidy for one trade-in in fen", high=10**8, required=True, example=30_000)
    places = Whole("places", high=10**8, required=True, example=2_560)
    budget_fen = Whole("budget in fen", high=LARGEST_FEN, required=True, example=78_000_000)
    opens_at = Moment("instant it opens, with offset", required=True)
    closes_at = Moment("instant it closes, with offset", required=True)


class RulesRequest(StrictSchema):
    """The whole rules of a programme."""

    stages = List(
        Nested(StageRulesRequest),
        required=True,
        validate=validate.Length(max=MOST_STAGES, error=f"out_of_range|1|{MOST_STAGES}"),
        error_messages={"required": "required", "null": "null", "invalid": "not_a_list"},
        metadata={"description": "the stages in the order in which they open"},
    )
    late_window_seconds = Whole("how long a closed stage takes late records, in seconds", required=True, example=86_400)
    correction_window_seconds = Whole(
        "how long a held claim may be corrected, in seconds", required=True, example=604_800
    )
    per_person_limit = Whole("claims a person may have", high=1_000, required=True, example=1)
    reserve_fen = Whole("money for overruled claims in fen", high=LARGEST_FEN, required=True, example=2_000_000)
    filing_cut_off = Day("last day of filing that counts, Asia/Shanghai", required=True)
    filing_max_age_years = Whole("years after filing in which a bike can be traded in", high=100, load_default=7)
    payment_waits_for_destruction = Flag("the payout waits for the recycler's word", load_default=False)
    law_version = Whole("version of the queue's law", low=1, load_default=1)


class DraftRequest(StrictSchema):
    """A new version of the rules, to be approved by somebody else."""

    rules = Nested(
        RulesRequest,
        required=True,
        error_messages={"required": "required", "null": "null"},
        metadata={"description": "the whole rules, changed where they are to change"},
    )
    note = Text("why, for who decides on it", shortest=4, longest=LONGEST_NOTE, required=True)
    gaps_intended = Flag("a gap between two stages is meant", load_default=False)
    grace_reserves = Flag("closing early: the money left has to cover every open trade-in; false: it need not")


class SwitchRequest(StrictSchema):
    """A pause or its end, to be approved by somebody else."""

    reason_zh = Text("what the public is told, in Chinese", shortest=4, longest=200, required=True)
    reason_en = Text("what the public is told, in English", shortest=4, longest=200, required=True)
    note = Text("why, for who decides on it", shortest=4, longest=LONGEST_NOTE, required=True)


class RefusalRequest(StrictSchema):
    """Why a draft is refused."""

    note = Text("why it is refused", shortest=4, longest=LONGEST_DECISION_NOTE, required=True)


class WhatIfRequest(StrictSchema):
    """Other rules to be tried on the real queue."""

    rules = Nested(
        RulesRequest,
        required=True,
        error_messages={"required": "required", "null": "null"},
        metadata={"description": "the other rules, whole"},
    )
    since = Choice(
        "start: as if they had always held; now: from now on, with the arrivals expected", SINCE, required=True
    )


class StageRulesAnswer(Schema):
    """One stage of the rules."""

    number = whole("number of the stage")
    amount_fen = whole("subsidy for one trade-in in fen")
    places = whole("places")
    budget_fen = whole("budget in fen")
    opens_at = text("instant it opens")
    closes_at = text("instant it closes")


class RulesAnswer(Schema):
    """The whole rules of a programme."""

    stages: Field[Any] = List(Nested(StageRulesAnswer), metadata={"description": "the stages in order"})
    late_window_seconds = whole("how long a closed stage takes late records, in seconds")
    correction_window_seconds = whole("how long a held claim may be corrected, in seconds")
    per_person_limit = whole("claims a person may have")
    reserve_fen = whole("money for overruled claims in fen")
    filing_cut_off = text("last day of filing that counts, Asia/Shanghai")
    filing_max_age_years = whole("years after filing in which a bike can be traded in")
    payment_waits_for_destruction = flag("the payout waits for the recycler's word")
    law_version = whole("version of the queue's law")


class VersionAnswer(Schema):
    """One version of the rules."""

    version_no = whole("number of the version, from 1")
    event_no = whole("its event in the queue")
    sha256 = text("hash of the rules' canonical JSON, hexadecimal")
    drafted_by = by_account("account that drafted it")
    approved_by = by_account("account that approved it")
    rules: Field[Any] = Nested(RulesAnswer, metadata={"description": "the rules"})


class VersionList(Schema):
    """Every version of a programme's rules, the first first; the last is in force."""

    versions: Field[Any] = List(Nested(VersionAnswer), metadata={"description": "the versions"})


class StageCourseAnswer(Schema):
    """One stage at the end of a course."""

    number = whole("number of the stage")
    amount_fen = whole("subsidy for one trade-in in fen")
    places = whole("places by the rules")
    budget_fen = whole("budget in fen")
    paid = whole("claims that get this stage's money, newcomers included")
    spent_fen = whole("what they get, in fen")
    ran_out_at = text("instant its last place went, null where it did not", empty=True)


class CourseAnswer(Schema):
    """One course of the programme."""

    stages: Field[Any] = List(Nested(StageCourseAnswer), metadata={"description": "the stages in order"})
    given_fen = whole("all budgets and the reserve, in fen")
    spent_fen = whole("what all claims get, newcomers included, in fen")
    paid = whole("claims of today's queue that get money")
    waiting = whole("claims of today's queue that wait")
    declined = whole("claims of today's queue that get nothing")
    newcomers_paid = whole("expected newcomers that get money")
    newcomers_fen = whole("what they get, in fen")


class MovedAnswer(Schema):
    """Claims of today's queue whose money differs."""

    claims = whole("how many")
    fen = whole("by how much in sum, in fen, above zero")
    positions: Field[Any] = List(
        List(whole("position")), metadata={"description": "their positions as ranges [first, last], the first fifty"}
    )
    more = flag("there are further ranges")


class WhatIfAnswer(Schema):
    """Two courses compared: as it is, and under the other rules."""

    since = text("start or now")
    as_of = text("instant of the comparison")
    claims = whole("claims in the queue")
    newcomers = whole("arrivals expected until the last stage closes, put behind them")
    left_out = whole("corrections, returns and overrules that have no place in the other course")
    budget_change_fen = whole("how much more money is given, in fen; below zero: less")
    spent_change_fen = whole("how much more is spent, in fen; below zero: less")
    before: Field[Any] = Nested(CourseAnswer, metadata={"description": "as it is"})
    after: Field[Any] = Nested(CourseAnswer, metadata={"description": "under the other rules"})
    gaining: Field[Any] = Nested(MovedAnswer, metadata={"description": "claims that would get more"})
    losing: Field[Any] = Nested(MovedAnswer, metadata={"description": "claims that would get less"})


class ChangeRow(Schema):
    """One change in a list."""

    change_no = whole("number of the change")
    kind = text("version, pause or resume")
    state = text("drafted, approved, refused or withdrawn")
    state_zh = text("the state in Chinese")
    outdated = flag("another version was published since: it has to be drafted again")
    base_version_no = whole("version it was drafted against")
    note = text("why, in the drafter's words")
    drafted_by = by_account("account that drafted it")
    drafted_at = text("instant it was drafted")
    decided_by = by_account("account that decided on it", empty=True)
    decided_at = text("instant of the decision", empty=True)
    decision_note = text("why it was refused", empty=True)


class ChangeList(Schema):
    """Changes, newest first."""

    changes: Field[Any] = List(Nested(ChangeRow), metadata={"description": "the changes"})


class ChangeAnswer(ChangeRow):
    """One change with all that belongs to it."""

    reason_zh = text("what the public is told of a pause or its end, in Chinese", empty=True)
    reason_en = text("what the public is told of a pause or its end, in English", empty=True)
    rules: Field[Any] = Nested(
        RulesAnswer, allow_none=True, metadata={"description": "the drafted rules, null for a pause"}
    )
    differences: Field[Any] = Dict(
        keys=String(),
        values=List(Raw(allow_none=True)),
        metadata={"description": "what differs from the version it was drafted against: field → [old, new]"},
    )
    grace_reserves: Field[Any] = Boolean(
        allow_none=True,
        metadata={"description": "closing early: whether the money left has to cover every open trade-in; else null"},
    )
    grace_zh = text("what the early closing means for open trade-ins, in Chinese, null without one", empty=True)
    grace_en = text("what the early closing means for open trade-ins, in English, null without one", empty=True)
    effect: Field[Any] = Nested(
        WhatIfAnswer,
        allow_none=True,
        metadata={"description": "what it would do, as of its drafting; null for a pause"},
    )
    event_no = whole("its event in the queue, once approved", empty=True)


class StageForecastAnswer(Schema):
    """When one stage's last place goes."""

    number = whole("number of the stage")
    phase = text("future, open, closed or settled")
    places_left = whole("places that can still be had")
    ran_out_at = text("instant the last place went, null where places are left", empty=True)
    earliest = text("10th percentile of the instant; null: not before it closes, or nothing to tell", empty=True)
    likely = text("50th percentile", empty=True)
    latest = text("90th percentile", empty=True)
    share: Field[Any] = Float(
        allow_none=True,
        metadata={
            "description": "share of the simulated courses in which it runs out before it closes, null: none made"
        },
    )


class ForecastAnswer(Schema):
    """When the money will run out, from the arrivals so far. It foresees no change of the rules and no campaign."""

    as_of = text("instant of the forecast")
    arrivals = whole("claims that asked for a place so far")
    expected_next_day = whole("arrivals expected in the next 24 hours")
    stages: Field[Any] = List(Nested(StageForecastAnswer), metadata={"description": "the stages in order"})
