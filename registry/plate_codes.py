"""The signed code on a plate (码牌合一): what its QR says, how it is signed, and how anybody checks it offline.

Layout before Base32 (RFC 4648, capitals, no padding), 81 bytes: version 1 · key id 1 · edition 1 · plate number 6 ·
registration code 6 · day of issue 2 · Ed25519 signature 64. That is 130 characters of QR's alphanumeric mode. How it is
printed, app/plate_image.py says.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from registry.base import Refusal
from registry.codes import ALPHABET, check_character, is_checked

VERSION = 1
# Signed in front of the body, so that a signature made for anything else is never one of a plate.
PURPOSE = b"mapai plate code\0"
FIRST_DAY = date(2020, 1, 1)
CHARACTERS = 130
_HEAD_BYTES, _PACKED_BYTES, _DAY_BYTES, _SIGNATURE_BYTES = 3, 6, 2, 64
_BODY_BYTES = _HEAD_BYTES + 2 * _PACKED_BYTES + _DAY_BYTES
# Zero ends a plate number, so its characters count from one.
_PLATE_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PLATE_BASE = len(_PLATE_CHARACTERS) + 1


class PlateCodeUnreadable(Refusal):
    """The text is not a plate code at all: cut off, or another code."""

    code = "plate_code_unreadable"
    kind = "not_found"
    zh = "这不是一个完整的号牌二维码。"
    en = "This is not a whole plate code."
    remedy_zh = "请擦干净号牌，对准二维码再扫一次；还不行就照牌子上的号码查。"
    remedy_en = "Wipe the plate and scan it again; if that fails, look the plate number up instead."


class PlateCodeForged(Refusal):
    """The text has the form of a plate code and no key of ours signed it."""

    code = "plate_code_forged"
    kind = "conflict"
    zh = "这枚二维码不是我们签发的。"
    en = "This code was not issued by us."
    remedy_zh = "请不要相信牌子上的内容，记下号码，拨打 12345 反映。"
    remedy_en = "Do not trust what the plate says; note its number and report it by calling 12345."


class PlateNotCodable(Refusal):
    """A plate code holds up to nine capitals and digits and one of our registration codes; this plate is different."""

    code = "plate_not_codable"
    kind = "conflict"
    zh = "号牌 {plate_no} 或它的赋码写不进二维码。"
    en = "The plate {plate_no} or its registration code does not fit into a plate code."
    remedy_zh = "请核对号牌和新车的赋码，仍然不行请联系平台管理员。"
    remedy_en = "Check the plate and the bike's registration code, then ask the administrator."


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateFacts:
    """What a plate code says. ``edition`` counts the codes of one plate from 1; days are of Asia/Shanghai."""

    plate_no: str
    registration_code: str
    edition: int
    key_id: int
    issued_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateKey:
    """A published key: 32 bytes of Ed25519, and the days of issue it may sign for; the last is None while it is used.

    A code stays good after its key has been replaced: what counts is the day it was issued.
    """

    key_id: int
    public_key: bytes
    signs_from: date
    signs_until: date | None = None


class PlateSigner(Protocol):
    """Holds the private key; exists only where codes are issued."""

    @property
    def key_id(self) -> int:
        """The id, 1 to 255, under which the public key is published."""

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature, 64 bytes."""


def make_code(*, facts: PlateFacts, signer: PlateSigner) -> str:
    """Return the text of the code for ``facts``, whose ``key_id`` is the signer's; raises PlateNotCodable."""
    assert facts.key_id == signer.key_id, "the facts name the key that signs them"
    body = _pack(facts)
    signature = signer.sign(PURPOSE + body)
    assert len(signature) == _SIGNATURE_BYTES, "an Ed25519 signature"
    return _text(body + signature)


def clean_code(text: str) -> str:
    """Return the bare code in capitals, taken out of its link where one was scanned; raises PlateCodeUnreadable."""
    code = re.sub(r"\s", "", text).rpartition("/")[2].upper()
    if not re.fullmatch(rf"[A-Z2-7]{{{CHARACTERS}}}", code, re.ASCII):
        raise PlateCodeUnreadable
    return code


def verify_code(*, text: str, keys: Mapping[int, PlateKey]) -> PlateFacts:
    """Return what a scanned code or link says, once its signature holds: needs the published keys and nothing else.

    Whether the plate was replaced, cancelled or stolen since, only the register knows. Raises PlateCodeUnreadable and
    PlateCodeForged (also for an unknown key, and for a day its key was not in use).
    """
    code = clean_code(text)
    try:
        raw = base64.b32decode(code + "=" * (-len(code) % 8))
    except binascii.Error:
        raise PlateCodeUnreadable from None
    body, signature = raw[:_BODY_BYTES], raw[_BODY_BYTES:]
    # The last character has two bits to spare: one code has one spelling.
    if body[0] != VERSION or _text(raw) != code:
        raise PlateCodeUnreadable
    key = keys.get(body[1])
    if key is None:
        raise PlateCodeForged
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, PURPOSE + body)
    except InvalidSignature:
        raise PlateCodeForged from None
    facts = _unpack(body)
    if facts.issued_on < key.signs_from or (key.signs_until is not None and facts.issued_on > key.signs_until):
        raise PlateCodeForged
    return facts


def _text(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=")


def _pack(facts: PlateFacts) -> bytes:
    day = (facts.issued_on - FIRST_DAY).days
    sound = re.fullmatch(r"[0-9A-Z]{1,9}", facts.plate_no, re.ASCII) and 1 <= facts.edition <= 255
    checked = len(facts.registration_code) == 10 and is_checked(facts.registration_code)
    if not (sound and checked and 0 <= day < 2**16):
        raise PlateNotCodable(plate_no=facts.plate_no)
    plate = _number([_PLATE_CHARACTERS.index(each) + 1 for each in facts.plate_no], base=_PLATE_BASE)
    code = _number([ALPHABET.index(each) for each in facts.registration_code[:-1]], base=len(ALPHABET))
    head = bytes((VERSION, facts.key_id, facts.edition))
    return head + plate.to_bytes(_PACKED_BYTES) + code.to_bytes(_PACKED_BYTES) + day.to_bytes(_DAY_BYTES)


def _unpack(body: bytes) -> PlateFacts:
    rest = body[_HEAD_BYTES:]
    plate = _digits(int.from_bytes(rest[:_PACKED_BYTES]), base=_PLATE_BASE)
    code = _digits(int.from_bytes(rest[_PACKED_BYTES : 2 * _PACKED_BYTES]), base=len(ALPHABET))
    stem = "".join(ALPHABET[each] for each in code).rjust(9, ALPHABET[0])
    return PlateFacts(
        plate_no="".join(_PLATE_CHARACTERS[each - 1] for each in plate),
        registration_code=stem + check_character(stem),
        edition=body[2],
        key_id=body[1],
        issued_on=FIRST_DAY + timedelta(days=int.from_bytes(rest[2 * _PACKED_BYTES :])),
    )


def _number(digits: list[int], *, base: int) -> int:
    number = 0
    for digit in digits:
        number = number * base + digit
    return number


def _digits(number: int, *, base: int) -> list[int]:
    digits: list[int] = []
    while number:
        number, digit = divmod(number, base)
        digits.append(digit)
    return digits[::-1]
