"""What the registry may rely on from the traffic police, whichever face stands behind the Protocol."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from app.clients.http import NumberReused
from app.clients.plates.scenarios import APPLICATIONS
from registry.base import PartnerSilent, PartnerUnavailable
from registry.plate_authority import PlateRecord

OWNER = "330105198001010019"
ORDINARY = "119922600000001"


def record(plate_no: str, **changes: str) -> PlateRecord:
    facts = {"status": "normal", "district_code": "330105", "owner_name": "王小明", "owner_id_no": OWNER, **changes}
    return PlateRecord(plate_no=plate_no, **facts)


def magic(nn: str) -> str:
    return "1199226999000" + nn


def apply(partner, number="A1", vehicle_code=ORDINARY, holder_id_no=OWNER):
    return partner.apply(
        application_no=number, vehicle_code=vehicle_code, holder_name="王小明", holder_id_no=holder_id_no
    )


def find(partner, number="A1"):
    return partner.find_application(application_no=number)


@pytest.fixture
def police(start_police):
    police = start_police()
    police.load([record("D000001"), *(record(f"D9990{nn:02d}") for nn in range(40))])
    return police


# -- looking up ------------------------------------------------------------------------------------------------------


def test_a_plate_is_looked_up_as_loaded(police):
    assert police.partner.look_up(plate_no="D000001") == record("D000001")


def test_an_unknown_plate_is_none(police):
    assert police.partner.look_up(plate_no="D777777") is None
    assert police.partner.look_up(plate_no="D999001") is None


@pytest.mark.parametrize(
    ("nn", "field", "value"),
    [
        ("02", "status", "stolen"),
        ("03", "status", "disputed"),
        ("04", "status", "cancelled"),
        ("05", "owner_name", "另有其人"),
        ("06", "district_code", "330106"),
        ("31", "status", "normal"),
        ("33", "status", "normal"),
    ],
)
def test_a_magic_plate_reads_as_its_scenario_says(police, nn, field, value):
    assert getattr(police.partner.look_up(plate_no="D9990" + nn), field) == value


def test_a_look_up_that_fails_says_how(police):
    with pytest.raises(PartnerUnavailable) as refused:
        police.partner.look_up(plate_no="D999032")
    assert not isinstance(refused.value, PartnerSilent)
    with pytest.raises(PartnerSilent):
        police.partner.look_up(plate_no="D999035")


# -- cancelling ------------------------------------------------------------------------------------------------------


def cancel(partner, number="C1", plate_no="D000001", owner=OWNER):
    return partner.cancel(message_no=number, plate_no=plate_no, owner_id_no=owner)


def test_cancelling_is_done_once_per_number_at_the_business_instant(police, clock):
    first = cancel(police.partner)
    assert (first.state, first.cancelled_at) == ("done", clock.instant)
    clock.instant += timedelta(hours=1)
    assert cancel(police.partner) == first
    assert police.partner.find_cancellation(message_no="C1") == first
    assert police.partner.look_up(plate_no="D000001").status == "cancelled"


def test_a_cancelled_plate_stays_so_when_the_registry_is_loaded_again(police):
    cancel(police.partner)
    assert police.load([record("D000001"), record("D000002")]) == 1
    assert police.partner.look_up(plate_no="D000001").status == "cancelled"


@pytest.mark.parametrize(
    ("plate_no", "owner", "reason"),
    [
        ("D777777", OWNER, "unknown_plate"),
        ("D000001", "330105198001010020", "not_the_owner"),
        ("D999011", OWNER, "open_violation"),
        ("D000009", OWNER, "plate_stolen"),
    ],
)
def test_a_cancellation_is_refused_with_a_reason(police, plate_no, owner, reason):
    police.load([record("D000009", status="stolen")])
    answer = cancel(police.partner, plate_no=plate_no, owner=owner)
    assert (answer.state, answer.reason, answer.cancelled_at) == ("refused", reason, None)


def test_a_plate_is_not_cancelled_under_two_numbers(police):
    cancel(police.partner, number="C1")
    assert cancel(police.partner, number="C2").reason == "plate_cancelled"


def test_a_number_never_received_is_none(police):
    assert police.partner.find_cancellation(message_no="C9") is None
    assert find(police.partner, "A9") is None


@pytest.mark.parametrize("nn", ["24", "25"])
def test_a_cancellation_without_answer_is_done_all_the_same(police, nn):
    with pytest.raises(PartnerSilent):
        cancel(police.partner, plate_no="D9990" + nn)
    assert police.partner.find_cancellation(message_no="C1").state == "done"


@pytest.mark.parametrize(("nn", "states"), [("14", ["done"]), ("15", []), ("16", ["done"] * 2), ("26", ["done"])])
def test_a_cancellation_calls_back_as_its_scenario_says(police, nn, states):
    expected = "done" if nn == "26" else "pending"
    assert cancel(police.partner, plate_no="D9990" + nn).state == expected
    police.settle()
    assert [news.state for news in police.callbacks()] == states
    assert police.partner.find_cancellation(message_no="C1").state == "done"


# -- applying --------------------------------------------------------------------------------------------------------


def test_a_plate_is_issued_to_whom_we_asked_for_the_bike_we_named(police, clock):
    answer = apply(police.partner)
    assert (answer.state, answer.holder_id_no, answer.vehicle_code) == ("done", OWNER, ORDINARY)
    assert answer.issued_at == clock.instant
    assert answer.plate_no[0].isalpha()
    assert answer.plate_no[1:].isdecimal()
    assert len(answer.plate_no) == 7
    assert police.partner.look_up(plate_no=answer.plate_no) == record(answer.plate_no)


def test_applying_twice_under_one_number_is_applying_once(police, clock):
    first = apply(police.partner)
    clock.instant += timedelta(minutes=5)
    assert apply(police.partner) == first == find(police.partner)


def test_a_number_does_not_stand_for_two_contents(police):
    first = apply(police.partner)
    with pytest.raises(NumberReused):
        apply(police.partner, holder_id_no="330105198001010020")
    assert find(police.partner) == first


def test_a_bike_gets_one_plate_until_that_plate_is_cancelled(police):
    plate_no = apply(police.partner, "A1").plate_no
    assert apply(police.partner, "A2").reason == "vehicle_already_plated"
    assert cancel(police.partner, plate_no=plate_no).state == "done"
    assert apply(police.partner, "A3").state == "done"


def test_many_at_once_get_different_plates(police):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: apply(police.partner, f"A{n}", f"11992260{n:07d}"), range(120)))
    assert len({answer.plate_no for answer in answers}) == 120


def test_the_same_application_gets_the_same_plate_from_the_same_seed(start_police):
    one, other, another_seed = start_police(seed=7), start_police(seed=7), start_police(seed=8)
    plates = [apply(police.partner).plate_no for police in (one, other, another_seed)]
    assert plates[0] == plates[1] != plates[2]


def test_an_application_refused_says_why(police):
    answer = apply(police.partner, vehicle_code=magic("11"))
    assert (answer.state, answer.reason, answer.plate_no) == ("refused", "vehicle_not_compliant", None)


def test_a_plate_issued_to_another_person(police):
    answer = apply(police.partner, vehicle_code=magic("12"))
    assert answer.state == "done"
    assert answer.holder_id_no != OWNER
    assert police.partner.look_up(plate_no=answer.plate_no).owner_id_no == answer.holder_id_no


def test_a_plate_issued_for_another_bike(police):
    answer = apply(police.partner, vehicle_code=magic("19"))
    assert answer.state == "done"
    assert len(answer.vehicle_code) == 15
    assert answer.vehicle_code != magic("19")


def test_a_plate_issued_under_a_code_with_two_digits_exchanged(police):
    answer = apply(police.partner, vehicle_code=magic("20"))
    assert (answer.state, answer.vehicle_code) == ("done", magic("02"))


def test_a_plate_issued_before_we_asked(police, clock):
    assert apply(police.partner, vehicle_code=magic("28")).issued_at == clock.instant - timedelta(hours=1)


def test_a_callback_that_contradicts_the_answer(police):
    answer = apply(police.partner, vehicle_code=magic("13"))
    police.settle()
    (news,) = police.callbacks()
    assert news.application_no == answer.application_no
    assert news.plate_no != answer.plate_no
    assert find(police.partner) == answer


@pytest.mark.parametrize(
    ("nn", "at_first", "states"),
    [
        ("14", "pending", ["done"]),
        ("15", "pending", []),
        ("16", "pending", ["done", "done"]),
        ("17", "pending", ["done"]),
        ("18", "pending", ["done", "pending"]),
        ("21", "done", []),
        ("23", "done", []),
        ("26", "done", ["done"]),
    ],
)
def test_an_application_calls_back_as_its_scenario_says(police, nn, at_first, states):
    assert apply(police.partner, vehicle_code=magic(nn)).state == at_first
    police.settle()
    assert [news.state for news in police.callbacks()] == states
    final = find(police.partner)
    assert final.state == "done"
    assert all(news == final for news in police.callbacks() if news.state == "done")


def test_unavailable_means_that_nothing_happened(police):
    with pytest.raises(PartnerUnavailable) as refused:
        apply(police.partner, vehicle_code=magic("22"))
    assert not isinstance(refused.value, PartnerSilent)
    assert find(police.partner) is None


@pytest.mark.parametrize(("nn", "happened"), [("24", True), ("25", True), ("27", False)])
def test_silence_means_asking_and_asking_tells_the_truth(police, nn, happened):
    with pytest.raises(PartnerSilent):
        apply(police.partner, vehicle_code=magic(nn))
    found = find(police.partner)
    assert (found is not None and found.state == "done") == happened


def test_held_applications_are_issued_in_one_burst(police):
    police.desk.hold()
    for n in range(60):
        assert apply(police.partner, f"A{n}", f"11992260{n:07d}").state == "pending"
    police.settle()
    assert police.callbacks() == []
    assert police.desk.release() == 60
    police.settle()
    assert Counter(news.state for news in police.callbacks()) == {"done": 60}
    assert len({news.plate_no for news in police.callbacks()}) == 60
    assert apply(police.partner, "A60", "119922600000060").state == "done"


def test_every_magic_vehicle_code_has_a_case_here():
    tried = {"11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27", "28"}
    assert tried == set(APPLICATIONS)


# -- chance, and memory ----------------------------------------------------------------------------------------------


def test_a_share_of_the_applications_is_answered_at_once(start_police):
    police = start_police(seed=3, answered_at_once=0.5)
    states = Counter(apply(police.partner, f"A{n}", f"11992260{n:07d}").state for n in range(100))
    assert 30 < states["done"] < 70
    police.settle()
    assert len(police.callbacks()) == states["pending"]
    assert all(find(police.partner, f"A{n}").state == "done" for n in range(100))


def outcomes(police, numbers):
    def outcome(n):
        try:
            return n, apply(police.partner, f"A{n}", f"11992260{n:07d}").state
        except PartnerUnavailable as refusal:
            return n, refusal.code

    with ThreadPoolExecutor(8) as pool:
        return dict(pool.map(outcome, numbers))


def test_chance_depends_on_the_seed_and_not_on_the_order(start_police):
    quick = {"seed": 11, "fault_rate": 0.25, "slow_s": 0.01}
    one = outcomes(start_police(**quick), range(40))
    other = outcomes(start_police(**quick), reversed(range(40)))
    assert one == other
    assert {"done", "pending", "partner_silent"} <= set(one.values())


def test_whatever_chance_did_asking_ends_in_one_truth(start_police, clock):
    police = start_police(seed=5, fault_rate=0.25, slow_s=0.01)
    outcomes(police, range(40))
    police.settle()

    def ask(n):
        for _ in range(40):
            try:
                found = find(police.partner, f"A{n}") or apply(police.partner, f"A{n}", f"11992260{n:07d}")
            except PartnerUnavailable:
                continue
            if found.state == "done":
                return
            police.settle()
        pytest.fail(f"A{n} never came to an end")

    with ThreadPoolExecutor(1 if hasattr(police.partner, "pass_time") else 8) as pool:
        list(pool.map(ask, range(40)))
    issued = {police.desk.find_application(f"A{n}").plate_no for n in range(40)}
    assert len(issued) == 40


def test_the_state_file_survives_a_restart(start_police, tmp_path):
    state = tmp_path / "plates.jsonl"
    before = start_police(state_file=state)
    before.load([record("D000001"), record("D000002")])
    issued, cancelled = apply(before.partner), cancel(before.partner)
    before.desk.hold()
    apply(before.partner, "A2", "119922600000002")
    before.stop()
    with state.open("ab") as file:
        file.write(b'{"t":"application","applica')  # a line that a kill cut in two was never acknowledged

    after = start_police(state_file=state)
    assert find(after.partner) == issued
    assert after.partner.find_cancellation(message_no="C1") == cancelled
    assert after.partner.look_up(plate_no="D000001").status == "cancelled"
    assert after.partner.look_up(plate_no="D000002").status == "normal"
    assert after.partner.look_up(plate_no=issued.plate_no).owner_id_no == OWNER
    assert apply(after.partner, "A3").reason == "vehicle_already_plated"
    after.settle()
    assert find(after.partner, "A2").state == "done"
    after.stop()

    third = start_police(state_file=state)
    assert find(third.partner) == issued
    assert find(third.partner, "A2").state == "done"
