"""What a dealer says of itself, cleaned: name, credit code (GB 32100), telephone, address; and its sealed fields."""

from __future__ import annotations

import re

from stdnum.cn import uscc
from stdnum.exceptions import InvalidChecksum, ValidationError

from registry.base import Refusal, table_of
from registry.dealers import Dealer
from registry.key_rotation import SealedTable
from registry.people import mask_phone, phone_index
from registry.sealing import Keyring

_CREDIT_CODE = re.compile(r"[0-9A-HJ-NP-RTUWXY]{2}\d{6}[0-9A-HJ-NP-RTUWXY]{10}", re.ASCII)
_TELEPHONE = re.compile(r"1[3-9]\d{9}|0\d{2,3}-?\d{7,8}|400-?\d{3}-?\d{4}", re.ASCII)
_MOBILE_FIELD, _REPRESENTATIVE_FIELD = "dealer_mobile", "dealer_representative"
DEALERS = SealedTable(
    table=table_of(Dealer),
    fields={"mobile_sealed": _MOBILE_FIELD, "representative_sealed": _REPRESENTATIVE_FIELD},
)


class CreditCodeInvalid(Refusal):
    """A credit code (GB 32100) has 18 characters: two, six digits of the division, ten."""

    code = "credit_code_invalid"
    zh = "统一社会信用代码「{typed}」不对。"
    en = "«{typed}» is no credit code."
    remedy_zh = "请照营业执照填 18 位代码，里面没有字母 I、O、S、V、Z。"
    remedy_en = "Copy the 18 characters from the business licence; it never holds I, O, S, V or Z."
    default_field = "credit_code"


class TelephoneInvalid(Refusal):
    """The shop's telephone is a mobile number, a number with its area code, or one that begins with 400."""

    code = "telephone_invalid"
    zh = "店铺电话「{typed}」不对。"
    en = "«{typed}» is no telephone number."
    remedy_zh = "请填手机号码，或带区号的座机，例如 0571-88000000。"
    remedy_en = "Give a mobile number, or one with its area code such as 0571-88000000."
    default_field = "phone"


class DealerTextInvalid(Refusal):
    """A name, address or sub-district is too short, too long, or holds characters nobody can see."""

    code = "dealer_text_invalid"
    zh = "这一项要写 {least} 到 {most} 个字，不能有看不见的字符。"
    en = "This takes {least} to {most} visible characters."
    remedy_zh = "请照营业执照填写。"
    remedy_en = "Copy it from the business licence."


def clean_credit_code(text: str) -> str:
    """Return the credit code in capitals; raises CreditCodeInvalid for a wrong shape, never for its check digit."""
    code = re.sub(r"[\s-]", "", text).upper()
    if not _CREDIT_CODE.fullmatch(code):
        raise CreditCodeInvalid(typed=text.strip()[:20])
    return code


def credit_code_doubt(code: str) -> str | None:
    """Return in Chinese why a person has to look at this (clean) credit code, None where it holds.

    Genuine codes exist whose check digit fails: it is a reason to look at the licence, not to refuse.
    """
    try:
        uscc.validate(code)
    except InvalidChecksum:
        return f"末位校验码不符，按规则应为 {uscc.calc_check_digit(code[:-1])}，请对照营业执照核实"
    except ValidationError:
        return "登记机关或机构类别的代码少见，请对照营业执照核实"
    return None


def clean_telephone(text: str) -> str:
    """Return the shop's telephone without spaces; raises TelephoneInvalid."""
    number = re.sub(r"[\s—–]", "", text)
    if not _TELEPHONE.fullmatch(number):
        raise TelephoneInvalid(typed=text.strip()[:20])
    return number


def clean_dealer_name(text: str) -> str:
    """Return the name, 2 to 80 characters; raises DealerTextInvalid."""
    return _clean_words(text, least=2, most=80)


def clean_sub_district(text: str) -> str:
    """Return the sub-district, 2 to 32 characters; raises DealerTextInvalid."""
    return _clean_words(text, least=2, most=32)


def clean_address(text: str) -> str:
    """Return the address, 4 to 120 characters; raises DealerTextInvalid."""
    return _clean_words(text, least=4, most=120)


def sealed_people(*, keyring: Keyring, mobile: str | None, representative: str | None) -> dict[str, bytes]:
    """Return the dealer's columns that hold the (clean) mobile number and representative, of those that are given."""
    columns: dict[str, bytes] = {}
    if mobile is not None:
        columns["mobile_sealed"] = keyring.seal(mobile, field=_MOBILE_FIELD)
        columns["mobile_index"] = phone_index(keyring=keyring, phone=mobile)
    if representative is not None:
        columns["representative_sealed"] = keyring.seal(representative, field=_REPRESENTATIVE_FIELD)
    return columns


def open_mobile(*, dealer: Dealer, keyring: Keyring) -> str | None:
    """Return the registered mobile number in clear, None where there is none: for the message gateway only."""
    return None if dealer.mobile_sealed is None else keyring.open(dealer.mobile_sealed, field=_MOBILE_FIELD)


def masked_mobile(*, dealer: Dealer, keyring: Keyring) -> str | None:
    """Return the registered mobile number as it may be shown, None where there is none."""
    mobile = open_mobile(dealer=dealer, keyring=keyring)
    return None if mobile is None else mask_phone(mobile)


def open_representative(*, dealer: Dealer, keyring: Keyring) -> str | None:
    """Return the legal representative's name in clear, None where it is not known; show it masked."""
    sealed = dealer.representative_sealed
    return None if sealed is None else keyring.open(sealed, field=_REPRESENTATIVE_FIELD)


def _clean_words(text: str, *, least: int, most: int) -> str:
    words = text.strip()
    if not least <= len(words) <= most or not words.isprintable():
        raise DealerTextInvalid(least=least, most=most)
    return words
