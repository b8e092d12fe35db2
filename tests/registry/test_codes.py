"""The codes people read out: what is cleaned, what is refused, what a wrong character does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.base import Refusal
from registry.codes import (
    ALPHABET,
    CertificateUnreadable,
    CodeInvalid,
    ReferenceInvalid,
    VehicleCodeInvalid,
    check_character,
    clean_paper_number,
    clean_reference,
    clean_vehicle_code,
    is_checked,
    new_message_no,
    new_reference,
    new_registration_code,
    vehicle_code_in_certificate,
)
from registry.filings import PlateInvalid, clean_plate
from registry.people import IdNumberInvalid, clean_id_number, clean_mobile, clean_name
from registry.selling import InvoiceInvalid, clean_invoice_no
from tests.registry.line import id_number

BODIES = st.text(alphabet=ALPHABET, min_size=1, max_size=12)


@given(BODIES, st.data())
def test_one_wrong_character_is_always_found(body: str, data: st.DataObject) -> None:
    code = body + check_character(body)
    assert is_checked(code)
    at = data.draw(st.integers(0, len(code) - 1))
    other = data.draw(st.sampled_from([character for character in ALPHABET if character != code[at]]))
    assert not is_checked(code[:at] + other + code[at + 1 :])


@given(BODIES, st.data())
def test_two_characters_that_changed_places_are_always_found(body: str, data: st.DataObject) -> None:
    code = body + check_character(body)
    at = data.draw(st.integers(0, len(code) - 2))
    swapped = code[:at] + code[at + 1] + code[at] + code[at + 2 :]
    assert is_checked(swapped) is (code[at] == code[at + 1])


def test_new_codes_are_short_checked_and_differ() -> None:
    references = {new_reference() for _ in range(500)}
    assert len(references) > 495
    assert all(clean_reference(reference) == reference and len(reference) == 10 for reference in references)
    codes = {new_registration_code() for _ in range(500)}
    assert len(codes) == 500
    assert all(len(code) == 10 and is_checked(code) for code in codes)
    assert len(new_message_no("A")) == 25


@pytest.mark.parametrize("dress", [str.lower, lambda text: text.replace("-", ""), lambda text: f"  {text[3:]} "])
def test_a_reference_is_found_however_it_was_typed(dress: object) -> None:
    reference = new_reference()
    assert clean_reference(dress(reference)) == reference  # type: ignore[operator]


@pytest.mark.parametrize("typed", ["", "GS-7K2M", "GS-0000-00", "GS-7K2M-94-1", "XX-7K2M-94", "\x00", "置换"])
def test_what_is_no_reference_is_refused(typed: str) -> None:
    with pytest.raises(ReferenceInvalid):
        clean_reference(typed)


def test_a_vehicle_code_of_an_electric_bicycle() -> None:
    assert clean_vehicle_code(" 1182 2261-2345678 ") == "118222612345678"


@pytest.mark.parametrize(
    "typed",
    ["", "11822261234567", "1182226123456789", "118232612345678", "11822261234567X", "１１８２２２６１２３４５６７８"],
)
def test_what_is_no_vehicle_code_is_refused(typed: str) -> None:
    with pytest.raises(VehicleCodeInvalid):
        clean_vehicle_code(typed)


@pytest.mark.parametrize("name", ["vinCode", "cert_ins_id"])
def test_the_certificates_address_carries_the_vehicle_code(name: str) -> None:
    assert vehicle_code_in_certificate(f"https://c.example/q?a=1&{name}=118222612345678") == "118222612345678"


@pytest.mark.parametrize("url", ["", "not an address", "https://c.example/q?vinCode=12", "http://[", "?vinCode="])
def test_another_address_is_refused(url: str) -> None:
    with pytest.raises(CertificateUnreadable):
        vehicle_code_in_certificate(url)


def test_numbers_on_paper() -> None:
    assert clean_paper_number(" hz-2026 00017 ") == "HZ-202600017"
    assert clean_invoice_no("2533 2000-0012 3456") == "2533200000123456"
    for typed in ("", "ab", "-ABCD", "编号一二三", "A" * 33, "A;DROP"):
        with pytest.raises(CodeInvalid):
            clean_paper_number(typed)
    for typed in ("", "1234567", "1" * 25, "发票12345678"):
        with pytest.raises(InvoiceInvalid):
            clean_invoice_no(typed)


@given(st.integers(0, 200_000))
def test_a_right_id_number_passes_and_any_wrong_digit_does_not(serial: int) -> None:
    number = id_number(serial)
    assert clean_id_number(f" {number.lower()} ") == number
    wrong = str((int(number[16]) + 1) % 10)
    with pytest.raises(IdNumberInvalid):
        clean_id_number(number[:16] + wrong + number[17])


@given(st.text(max_size=30))
def test_cleaning_returns_what_it_would_return_again_or_refuses(typed: str) -> None:
    for clean in (clean_reference, clean_vehicle_code, clean_paper_number, clean_invoice_no, clean_plate, clean_name):
        try:
            cleaned = clean(typed)
        except Refusal:
            continue
        assert clean(cleaned) == cleaned
    for clean in (clean_id_number, clean_mobile):
        try:
            cleaned = clean(typed)
        except Refusal:
            continue
        assert clean(cleaned) == cleaned


def test_a_plate_number() -> None:
    assert clean_plate(" b·382 617") == "B382617"
    for typed in ("", "382617", "BB82617", "B38261７"):
        with pytest.raises(PlateInvalid):
            clean_plate(typed)
