"""The scenario's plan: the same for the same seed, right in its sizes, and strict in what it expects."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy

import pytest

from app.clients.ecny.scenarios import MAGIC
from app.clients.faults import Fault
from app.clients.plates import scenarios
from app.scenario.expected import (
    DEALT_WITH,
    LINES,
    WAVES_OF,
    deeds_differing,
    differences,
    expected,
    expected_deeds,
    fingerprint,
)
from app.scenario.ground import filing_list
from app.scenario.owners import CUT_OFF, SURELY_TOO_LONG_AGO, SURELY_YOUNG_ENOUGH
from app.scenario.plan import ENDED_UNPAID, UNANSWERED, Plan, WalletPlan, make_plan
from app.scenario.shops import POINTS
from app.scenario.sizes import DEED_ON, Deed, Kind, Sizes, Wave
from app.startup import CannotStart
from registry.codes import clean_vehicle_code

FILINGS, TRADE_INS = 12_000, 400


def planned(seed: int) -> Plan:
    filings = filing_list(seed=seed, count=FILINGS)
    return make_plan(seed=seed, trade_ins=TRADE_INS, points=POINTS, filings=filings, count=FILINGS)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return planned(7)


def test_the_same_seed_plans_the_same(plan: Plan) -> None:
    again, other = planned(7), planned(8)
    assert again.trade_ins == plan.trade_ins
    assert other.trade_ins != plan.trade_ins
    assert fingerprint(expected(again), expected_deeds(again)) == fingerprint(expected(plan), expected_deeds(plan))


def test_each_trade_in_has_what_its_kind_needs(plan: Plan) -> None:
    days = {kind: [each.filing.filed_on for each in plan.trade_ins if each.kind is kind] for kind in Kind}
    assert max(days[Kind.TOO_OLD]) < SURELY_TOO_LONG_AGO
    assert min(days[Kind.TOO_YOUNG]) > CUT_OFF
    sound = days[Kind.SOUND] + days[Kind.TRANSFERRED] + days[Kind.AGAIN]
    assert min(sound) >= SURELY_YOUNG_ENOUGH
    assert max(sound) <= CUT_OFF


def test_only_who_comes_again_comes_twice(plan: Plan) -> None:
    owners = Counter(each.filing.id_no for each in plan.trade_ins)
    again = {each.filing.id_no for each in plan.trade_ins if each.kind is Kind.AGAIN}
    assert {owner for owner, times in owners.items() if times > 1} == again
    assert set(owners.values()) == {1, 2}
    assert len({each.filing.plate_no for each in plan.trade_ins}) == len(plan.trade_ins)
    mates = [each for each in plan.trade_ins if each.filing.id_no in again and each.kind is not Kind.AGAIN]
    assert {(each.wave, each.kind, each.deed) for each in mates} == {(Wave.FIRST, Kind.SOUND, None)}


def test_vehicle_codes_are_right_and_late_ones_are_late(plan: Plan) -> None:
    codes = [each.vehicle_code for each in plan.trade_ins]
    assert [clean_vehicle_code(code) for code in codes] == codes
    assert len(set(codes)) == len(codes)
    magic = {each.wave: scenarios.for_vehicle(each.vehicle_code) for each in plan.trade_ins}
    late = [each for each in plan.trade_ins if scenarios.for_vehicle(each.vehicle_code) is Fault.CALLBACK_LATE]
    assert late
    assert {each.wave for each in late} == {Wave.SECOND_BURST}
    assert {fault for wave, fault in magic.items() if wave is not Wave.SECOND_BURST} == {None}


def test_wallets_end_well_or_belong_to_who_gives_the_bike_back(plan: Plan) -> None:
    assert {each.magic for each in plan.trade_ins} - {None} <= MAGIC.keys()
    for each in plan.trade_ins:
        assert (each.wallet is WalletPlan.NEVER) == (each.deed in ENDED_UNPAID)
        paid_first = each.deed is Deed.REPAY_IN_SECOND
        assert (each.wallet is WalletPlan.BEFORE and each.magic is None) or not paid_first
        assert each.deed is None or paid_first or each.wallet in (WalletPlan.NEVER, WalletPlan.AFTER)
    assert {each.wallet for each in plan.trade_ins} == set(WalletPlan)


@pytest.mark.parametrize("whole", [*range(100, 400, 7), 1_000, 4_000, 20_000])
def test_no_claim_waits_by_chance(whole: int) -> None:
    """Until the stage before has settled, what a stage has of its own is enough for who has come by then."""
    sizes = Sizes(whole)
    first, second, third = sizes.stages
    early = sizes.waiting - sizes.deeds[Deed.RETURN_IN_FIRST] + sizes.sound(Wave.SECOND, Wave.PAUSED)
    assert early <= min(second.places, second.budget_fen // second.amount_fen)
    assert sizes.sound(Wave.FAULTY, Wave.FIRST) <= first.places
    assert sizes.sound(Wave.THIRD) <= min(third.places, third.budget_fen // third.amount_fen)
    assert sizes.short > sizes.deeds[Deed.RETURN_IN_THIRD]
    assert sizes.waiting > sizes.deeds[Deed.RETURN_IN_FIRST]


@pytest.mark.parametrize("trade_ins", [100, 117, 400])
def test_every_deed_finds_somebody(trade_ins: int) -> None:
    small = make_plan(
        seed=7, trade_ins=trade_ins, points=POINTS, filings=filing_list(seed=7, count=FILINGS), count=FILINGS
    )
    for deed, number in small.sizes.deeds.items():
        about = small.with_deed(deed)
        assert len(about) == number > 0, deed
        assert {(each.wave, each.kind) for each in about} == {DEED_ON[deed]}
    assert {each.deed for each in small.of(Wave.FAULTY)} == {Deed.CORRECT_IN_FIRST, Deed.EXPIRE_IN_FIRST}
    unanswered = [each for each in small.trade_ins if each.magic in UNANSWERED]
    assert len(unanswered) == small.sizes.unanswered
    assert {each.magic for each in unanswered} == set(UNANSWERED)
    assert {each.wallet for each in unanswered} == {WalletPlan.BEFORE}


def test_bikes_that_change_hands_are_traded_in_by_the_buyer(plan: Plan) -> None:
    for each in plan.trade_ins:
        same = (each.filing.id_no, each.filing.owner_name) == (each.filed.id_no, each.filed.owner_name)
        assert same == (each.kind is not Kind.TRANSFERRED)
        assert each.filing.plate_no == each.filed.plate_no


def test_the_whole_is_the_district_s_own_programme() -> None:
    first = Sizes(4_000).stages[0]
    assert (first.places, first.amount_fen, first.budget_fen) == (2_560, 30_000, 78_000_000)


def test_the_expected_counts_add_up(plan: Plan) -> None:
    counts = expected(plan)
    for name, waves in WAVES_OF.items():
        assert counts[name].completed == len(plan.of(*waves))
    ended = sum(line.returned + line.forfeited + sum(line.declined.values()) for line in counts.values())
    assert ended + sum(line.awarded for line in counts.values()) == len(plan.trade_ins)
    given_fen = sum(line.budget_fen for line in counts.values())
    assert given_fen == sum(line.paid_fen for line in counts.values()) + counts["3"].carried_out_fen
    assert all(line.awarded <= line.places for name, line in counts.items() if name in "123")


@pytest.mark.parametrize("name", LINES)
def test_a_count_that_is_off_by_one_is_named(plan: Plan, name: str) -> None:
    wanted, found = expected(plan), deepcopy(expected(plan))
    assert differences(found, wanted) == []
    found[name].awarded += 1
    found[name].declined["no_money"] = found[name].declined.get("no_money", 0) + 1
    assert [sentence.partition(":")[0] for sentence in differences(found, wanted)] == [
        f"{name}.declined",
        f"{name}.awarded",
    ]
    dealt = expected_deeds(plan)
    assert fingerprint(found, dealt) != fingerprint(wanted, dealt)


@pytest.mark.parametrize("name", DEALT_WITH)
def test_a_deed_done_once_too_often_or_never_is_named(plan: Plan, name: str) -> None:
    wanted = expected_deeds(plan)
    assert deeds_differing(wanted, wanted) == []
    assert wanted[name] > 0
    for found in (wanted | {name: wanted[name] + 1}, {key: wanted[key] for key in wanted if key != name}):
        assert [sentence.partition(":")[0] for sentence in deeds_differing(found, wanted)] == [name]
    assert fingerprint(expected(plan), wanted | {name: 0}) != fingerprint(expected(plan), wanted)


@pytest.mark.parametrize(("trade_ins", "filings"), [(99, 12_000), (400, 400), (400, 4_000)])
def test_too_small_a_list_is_refused_in_a_sentence(trade_ins: int, filings: int) -> None:
    with pytest.raises(CannotStart, match="--filings"):
        make_plan(
            seed=1,
            trade_ins=trade_ins,
            points=POINTS,
            filings=filing_list(seed=1, count=filings),
            count=filings,
        )
