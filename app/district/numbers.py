"""Numbers that hold: citizen IDs with their check character, credit codes, frame numbers, all from a counter."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

REGION = "330105"
_ID_WEIGHTS = tuple(2 ** (17 - place) % 11 for place in range(17))
_FIRST_BIRTH = date(1946, 1, 1)
_BIRTH_DAYS = 22_011  # a prime: walking in strides through it meets every day once
_CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def id_number(index: int) -> str:
    """Return the citizen ID of the person ``index`` (0 to 21 million): a check character and a birthday that hold."""
    turn, place = divmod(index, _BIRTH_DAYS)
    body = f"{REGION}{_birth(place * 7_919 % _BIRTH_DAYS)}{(turn * 271 + place * 13) % 1000:03d}"
    total = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, body, strict=True))
    return body + "10X98765432"[total % 11]


@lru_cache(maxsize=_BIRTH_DAYS)
def _birth(days: int) -> str:
    return (_FIRST_BIRTH + timedelta(days=days)).strftime("%Y%m%d")


def mobile(index: int) -> str:
    """Return a mobile number for the person ``index``."""
    return ("13", "15", "18", "19")[index % 4] + f"{(index * 387_420_489 + 271_828_182) % 10**9:09d}"


def plate_number(index: int) -> str:
    """Return the plate of the filed bike ``index`` (below 2.9 million): A, B or C and six digits.

    D is left to the plates the police issue, and what ends in 9990NN to the magic plates of their stub.
    """
    digits = index * 618_031 % 999_000  # 999_000 and the stride share no factor, so every number comes once a turn
    return f"{'ABC'[(index + index // 999_000) % 3]}{digits:06d}"


def frame_number(index: int) -> str:
    """Return a frame number, different for every bike."""
    return f"{'LXHTGK'[index % 6]}{index % 31:02d}{(index * 48_271 + 11) % 2_147_483_647:010d}"


def credit_code(index: int) -> str:
    """Return the unified social credit code (GB 32100) of a sole trader: both check characters hold."""
    organisation = f"MA{_base31(index * 9_973 + 70_007):>06}"
    total = sum(weight * int(sign, 36) for weight, sign in zip(_ORGANISATION_WEIGHTS, organisation, strict=True))
    rest = (11 - total % 11) % 11
    body = f"92{REGION}{organisation}{'X' if rest == 10 else rest}"
    total = sum(_CREDIT.index(sign) * (3**place % 31) for place, sign in enumerate(body))
    return body + _CREDIT[(31 - total % 31) % 31]


def _base31(number: int) -> str:
    signs = ""
    while number:
        number, rest = divmod(number, 31)
        signs = _CREDIT[rest] + signs
    return signs
