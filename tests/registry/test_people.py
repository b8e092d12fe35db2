"""Identity documents: which numbers are taken, which are refused, and what others see of them."""

from __future__ import annotations

import pytest
from stdnum.cn import ric

from registry.people import IdNumberInvalid, clean_id_number, document_kind, mask_id_number


def number(body: str) -> str:
    """The 17 digits with their check character (GB 11643)."""
    return body + ric.calc_check_digit(f"{body}0")


CITIZEN = number("33010519700101001")
KINDS = {
    CITIZEN: "citizen",
    number("99010519700101001"): "permanent_resident",
    number("81000019900715123"): "hong_kong_permit",
    number("82000019900715123"): "macau_permit",
    number("83000019900715123"): "taiwan_permit",
    number("93312419780228000"): "permanent_resident",
    "CAN110178010123": "permanent_resident",
    "USA330100022912": "permanent_resident",  # 2000 had a 29 February; 1900 had none
}


@pytest.mark.parametrize(("id_no", "kind"), KINDS.items())
def test_documents_are_taken_and_told_apart(id_no: str, kind: str) -> None:
    assert clean_id_number(f" {id_no[:6].lower()} {id_no[6:].lower()}\t") == id_no
    assert document_kind(id_no) == kind


@pytest.mark.parametrize("body", ["81000019900715123", "82000019900715123", "83000019900715123", "93312419780228000"])
def test_permits_and_new_resident_cards_are_checked_like_citizen_ids(body: str) -> None:
    right = number(body)
    for place in range(17):
        changed = right[:place] + str((int(right[place]) + 1) % 10) + right[place + 1 :]
        with pytest.raises(IdNumberInvalid, match=r"check character|date of birth"):
            clean_id_number(changed)
    with pytest.raises(IdNumberInvalid, match="date of birth"):
        clean_id_number(number(body[:10] + "0230" + body[14:]))


@pytest.mark.parametrize(
    "typed",
    ["CAN110178013223", "CAN110178130123", "CAN11017801012", "CA1110178010123", "ＣAN110178010123", "330105700101001"],
)
def test_an_old_resident_card_has_its_own_form(typed: str) -> None:
    with pytest.raises(IdNumberInvalid):
        clean_id_number(typed)


def test_masks_hide_the_birthday_of_every_document() -> None:
    assert mask_id_number(CITIZEN) == f"330105********{CITIZEN[-4:]}"
    assert mask_id_number("CAN110178010123") == "CAN********123"
