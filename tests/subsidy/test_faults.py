"""What counts as a slip of the hand, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.name_variants import match_names
from subsidy.faults import OWNER_NAME, PHOTO, VEHICLE_CODE, find_faults, is_slip

CODES = st.text(alphabet="0123456789", min_size=15, max_size=15)


@pytest.mark.parametrize(
    ("typed", "seen", "slip"),
    [
        ("118222612345678", "118222612345679", True),
        ("118222612345678", "118222612345687", True),
        ("118222612345678", "181222612345678", True),
        ("118222612345678", "118222612345678", False),
        ("118222612345678", "118222612345689", False),
        ("118222612345678", "118222612345876", False),
        ("118222612345678", "11822261234567", False),
        ("118222612345678", "", False),
    ],
)
def test_a_slip_is_one_wrong_character_or_two_changed_places(typed: str, seen: str, slip: bool) -> None:
    assert is_slip(typed=typed, seen=seen) is slip


@given(CODES, CODES)
def test_slips_are_the_same_both_ways_and_small(one: str, other: str) -> None:
    differing = sum(left != right for left, right in zip(one, other, strict=True))
    assert is_slip(typed=one, seen=other) == is_slip(typed=other, seen=one)
    assert not is_slip(typed=one, seen=other) or 1 <= differing <= 2


@given(CODES, st.integers(0, 13))
def test_every_exchange_of_neighbours_is_a_slip(code: str, place: int) -> None:
    changed = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
    assert is_slip(typed=code, seen=changed) is (changed != code)


@pytest.mark.parametrize(
    ("ours", "police", "match"),
    [
        ("陈建英", "陈建英", "same"),
        ("张喆", "张哲", "variant"),
        ("李峯", "李峰", "variant"),
        ("阿依古丽·买买提", "阿依古丽买买提", "variant"),
        ("阿依古丽·买买提", "阿依古丽 ·买买提", "variant"),
        ("\u9f8d\uf9b7", "\u9f8d\u793c", "other"),
        ("黃國強", "黄国强", "variant"),
        ("陈建英", "陈建国", "other"),
        ("陈建英", "陈英建", "other"),
    ],
)
def test_names_written_otherwise_are_one_name(ours: str, police: str, match: str) -> None:
    assert match_names(ours, police) == match == match_names(police, ours)


def test_compatibility_forms_of_a_character_are_that_character() -> None:
    assert match_names("\uf9ab峰", "\u5dba峰") == "variant"


def test_faults_come_with_the_field_that_has_to_be_given_anew() -> None:
    faults = find_faults(
        vehicle_code="118222612345678",
        police_vehicle_code="118222612345687",
        police_name="variant",
        marked=("photo:plate",),
    )
    assert [(fault.code, fault.field) for fault in faults] == [
        (VEHICLE_CODE, "vehicle_code"),
        (PHOTO, "photo:plate"),
        (OWNER_NAME, "owner_name"),
    ]
    assert faults[0].seen == "118222612345687"


@pytest.mark.parametrize("police_name", ["same", "other", None])
def test_nothing_wrong_is_no_fault(police_name: str | None) -> None:
    # Another name under the same number of the document is nobody's slip of the pen: identity is the number.
    assert find_faults(vehicle_code="1" * 15, police_vehicle_code="1" * 15, police_name=police_name) == ()
