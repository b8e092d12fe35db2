"""One row of a list: each wrong cell is named, and whatever is passed unread would have been passed anyway."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.district.numbers import id_number
from registry.base import Refusal
from registry.filing_rows import Filing, FilingRow, RowChecker, is_plain_id_number
from registry.people import IdNumberInvalid, clean_id_number

TODAY = date(2026, 6, 1)
GOOD = FilingRow(
    7, "B382617", "陈建英", "330105199003070018", "13800138000", "2021-03-18", "凌风", "LX0001", "祥符街道"
)
CHECKER = RowChecker(today=TODAY)


def codes(row: FilingRow) -> list[tuple[str | None, str]]:
    outcome = CHECKER.check(row)
    assert isinstance(outcome, list), outcome
    return [(refusal.field, refusal.code) for refusal in outcome]


def cleaned(row: FilingRow) -> Filing:
    outcome = CHECKER.check(row)
    assert isinstance(outcome, Filing), [str(refusal) for refusal in outcome]
    return outcome


def test_a_good_row_is_passed_as_it_stands() -> None:
    assert cleaned(GOOD) == (*GOOD[:5], date(2021, 3, 18), *GOOD[6:9])


@pytest.mark.parametrize(
    ("field", "typed", "code"),
    [
        ("plate_no", "B38261", "plate_invalid"),
        ("plate_no", "浙A12345", "plate_invalid"),
        ("plate_no", " ", "cell_empty"),
        ("owner_name", "陈1英", "name_invalid"),
        ("owner_name", "", "cell_empty"),
        ("id_no", "330105199003070013", "id_number_invalid"),
        ("id_no", "330105199002300015", "id_number_invalid"),
        ("id_no", "33010519900307001", "id_number_invalid"),
        ("id_no", "3.30105E+17", "id_number_rounded"),
        ("id_no", "330105199003070000", "id_number_rounded"),
        ("id_no", "", "cell_empty"),
        ("phone", "12345678901", "mobile_invalid"),
        ("filed_on", "2021-02-29", "filing_day_invalid"),
        ("filed_on", "2026-06-02", "filing_day_invalid"),
        ("filed_on", "1899-12-30", "filing_day_invalid"),
        ("filed_on", "44273", "filing_day_invalid"),
        ("filed_on", "", "cell_empty"),
        ("brand", "", "cell_empty"),
        ("brand", "凌" * 65, "word_too_long"),
        ("brand", "凌\x00风", "word_too_long"),
        ("frame_no", "LX", "frame_no_invalid"),
        ("frame_no", "车架号", "frame_no_invalid"),
        ("frame_no", "", "cell_empty"),
        ("sub_district", "祥" * 33, "word_too_long"),
        ("sub_district", "\t", "cell_empty"),
    ],
)
def test_each_wrong_cell_is_named(field: str, typed: str, code: str) -> None:
    assert codes(GOOD._replace(**{field: typed})) == [(field, code)]


def test_all_wrong_cells_of_a_row_are_named_at_once() -> None:
    row = FilingRow(9, "", "", "", "1", "", "", "", "")
    assert [field for field, _ in codes(row)] == list(FilingRow._fields[1:9])


def test_cells_beyond_the_header_are_refused() -> None:
    assert codes(GOOD._replace(surplus="路 3 号")) == [("sub_district", "cells_surplus")]


def test_every_refusal_says_what_to_do_in_both_languages() -> None:
    outcome = CHECKER.check(FilingRow(9, "x", "1", "3.3E+17", "1", "x", "", "?", "祥" * 40, "more"))
    assert isinstance(outcome, list)
    assert len(outcome) == 9
    for refusal in outcome:
        assert refusal.message_zh
        assert refusal.message_en
        assert refusal.help_zh
        assert refusal.help_en
        assert "{" not in refusal.message_zh + refusal.message_en + refusal.help_zh + refusal.help_en


@pytest.mark.parametrize(
    "typed", ["2021-03-18", "2021/3/18", "2021.03.18", "2021年3月18日", "20210318", " 2021-03-18 00:00:00"]
)
def test_days_as_lists_write_them(typed: str) -> None:
    assert cleaned(GOOD._replace(filed_on=typed)).filed_on == date(2021, 3, 18)


def test_cells_are_cleaned_as_everywhere_else() -> None:
    row = GOOD._replace(
        plate_no=" b382 617",
        owner_name=" 买买提.艾力 ",
        id_no="33010519900307004x",
        phone="138-0013 8000",
        frame_no="lx 0001",
        brand=" 凌风 ",
    )
    filing = cleaned(row._replace(id_no=_with_x()))
    assert (filing.plate_no, filing.owner_name, filing.phone) == ("B382617", "买买提·艾力", "13800138000")
    assert (filing.frame_no, filing.brand, filing.id_no[-1]) == ("LX0001", "凌风", "X")


def test_the_phone_alone_may_be_empty() -> None:
    assert cleaned(GOOD._replace(phone=" ")).phone == ""


def test_another_district_has_its_own_plates() -> None:
    checker = RowChecker(today=TODAY, plate_pattern=r"杭州\d{5}")
    assert isinstance(checker.check(GOOD), list)
    assert isinstance(checker.check(GOOD._replace(plate_no="杭州12345")), Filing)


@given(st.integers(0, 3_000_000), st.integers(0, 17), st.sampled_from("0123456789X"))
def test_the_quick_look_at_an_id_number_never_passes_a_bad_one(index: int, place: int, sign: str) -> None:
    good = id_number(index)
    assert is_plain_id_number(good)
    assert clean_id_number(good) == good
    changed = good[:place] + sign + good[place + 1 :]
    try:
        clean = clean_id_number(changed)
    except IdNumberInvalid:
        clean = None
    assert is_plain_id_number(changed) is (clean == changed)


@given(st.text(max_size=20))
def test_any_text_in_any_cell_is_cleaned_or_refused_in_words(text: str) -> None:
    outcome = CHECKER.check(FilingRow(2, text, text, text, text, text, text, text, text))
    assert isinstance(outcome, list)
    assert outcome
    assert all(isinstance(refusal, Refusal) for refusal in outcome)


def _with_x() -> str:
    """A good number that ends in X, typed in small."""
    return next(number for number in map(id_number, range(1_000)) if number[-1] == "X").lower()


@pytest.mark.parametrize(
    ("field", "typed", "kept"),
    [
        ("filed_on", "330105199003070018", "「…」"),
        ("filed_on", "13800138000", "「…」"),
        ("filed_on", "陈建英", "「…」"),
        ("filed_on", "2021\x00-03", "「2021-03」"),
        ("frame_no", "33010519900307001X陈建英", "「……」"),
        ("plate_no", "13800138000", "…"),
        ("plate_no", "浙A12345", "浙A12345"),
    ],
)
def test_a_finding_keeps_no_other_columns_data_and_nothing_unprintable(field: str, typed: str, kept: str) -> None:
    outcome = CHECKER.check(GOOD._replace(**{field: typed}))
    assert isinstance(outcome, list), outcome
    said = "".join(refusal.message_zh for refusal in outcome if refusal.field == field)
    assert kept in said, said
    assert said.isprintable(), said
