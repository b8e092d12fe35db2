"""The short codes people read out and type: references, registration codes, vehicle codes, certificates.

Our own codes use 29 characters that are not taken for one another (no 0 1 I L O U Z) and end in a check character.
Twenty-nine is a prime: the weighted sum finds every single wrong character and every two that changed places.
"""

from __future__ import annotations

import re
import secrets
from urllib.parse import parse_qs, urlsplit

from registry.base import Refusal

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXY"
REFERENCE_PREFIX = "GS"
_VALUES = {character: value for value, character in enumerate(ALPHABET)}
_ELECTRIC_BICYCLE = "2"


class ReferenceInvalid(Refusal):
    """The text is not a trade-in reference, or a character of it is wrong."""

    code = "reference_invalid"
    zh = "查询号「{typed}」不对。"
    en = "«{typed}» is not a trade-in reference."
    remedy_zh = "请照代办点给的查询号核对，例如 GS-7K2M-94；里面没有 0、1、I、L、O、U、Z。"
    remedy_en = "Compare with the receipt, for example GS-7K2M-94; it never holds 0, 1, I, L, O, U or Z."
    default_field = "reference"


class VehicleCodeInvalid(Refusal):
    """整车编码: 15 digits, the fifth of which is 2 for an electric bicycle."""

    code = "vehicle_code_invalid"
    zh = "整车编码不对：{why_zh}。"
    en = "The vehicle code is not valid: {why_en}."
    remedy_zh = "请照车架或合格证上的 15 位数字填写，或直接扫合格证二维码。"
    remedy_en = "Copy the 15 digits from the frame or the certificate, or scan the certificate's QR code."
    default_field = "vehicle_code"


class CertificateUnreadable(Refusal):
    """The certificate's QR address carries no vehicle code (``vinCode`` or ``cert_ins_id``)."""

    code = "certificate_unreadable"
    zh = "合格证二维码里没有整车编码。"
    en = "The certificate's QR address holds no vehicle code."
    remedy_zh = "请重新扫合格证上的二维码，或改填合格证编号和整车编码。"
    remedy_en = "Scan the certificate again, or type the certificate number and the vehicle code."
    default_field = "certificate_url"


class CodeInvalid(Refusal):
    """A number printed on paper holds characters such a number cannot have."""

    code = "code_invalid"
    zh = "编号「{typed}」不对。"
    en = "«{typed}» is not such a number."
    remedy_zh = "编号是 {shortest} 到 {longest} 位字母、数字或短横，请照原件填写。"
    remedy_en = "It has {shortest} to {longest} letters, digits or dashes; copy it from the paper."


def check_character(body: str) -> str:
    """Return the check character of ``body`` (characters of ALPHABET only)."""
    weighted = sum(weight * _VALUES[character] for weight, character in enumerate(reversed(body), start=2))
    return ALPHABET[-weighted % len(ALPHABET)]


def is_checked(code: str) -> bool:
    """Say whether ``code`` holds characters of ALPHABET only and ends in its check character."""
    sound = len(code) > 1 and all(character in _VALUES for character in code)
    return sound and check_character(code[:-1]) == code[-1]


def new_reference() -> str:
    """Return a new trade-in reference such as GS-7K2M-94: random; the database says whether it is new."""
    code = _new_code(6)
    return f"{REFERENCE_PREFIX}-{code[:4]}-{code[4:]}"


def new_registration_code() -> str:
    """Return a new registration code (赋码) of ten characters: random; the database says whether it is new."""
    return _new_code(10)


def new_application_reference() -> str:
    """Return a new reference of a dealer's application such as SQ-7K2M-94QX: random, with a check character."""
    code = _new_code(8)
    return f"SQ-{code[:4]}-{code[4:]}"


def new_message_no(kind: str) -> str:
    """Return a number of ours for one request to a partner: ``kind`` (one letter) and 24 hex digits, unguessable."""
    return kind + secrets.token_hex(12).upper()


def clean_reference(text: str) -> str:
    """Return the reference as GS-XXXX-XX, whatever case, dashes or spaces were typed; raises ReferenceInvalid."""
    bare = re.sub(r"[\s\-—–_]", "", text).upper()
    code = bare.removeprefix(REFERENCE_PREFIX) if len(bare) == 8 else bare
    if len(code) != 6 or not is_checked(code):
        raise ReferenceInvalid(typed=text.strip()[:20])
    return f"{REFERENCE_PREFIX}-{code[:4]}-{code[4:]}"


def clean_vehicle_code(text: str) -> str:
    """Return the 15 digits of an electric bicycle's vehicle code; raises VehicleCodeInvalid."""
    code = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{15}", code, re.ASCII):
        raise VehicleCodeInvalid(why_zh="应是 15 位数字", why_en="it has 15 digits")
    if code[4] != _ELECTRIC_BICYCLE:
        raise VehicleCodeInvalid(
            why_zh="第 5 位不是 2，这不是电动自行车", why_en="its fifth digit is not 2, so it is no electric bicycle"
        )
    return code


def vehicle_code_in_certificate(url: str) -> str:
    """Return the vehicle code that a certificate's QR address carries; raises CertificateUnreadable."""
    try:
        query = parse_qs(urlsplit(url.strip()).query)
    except ValueError:
        raise CertificateUnreadable from None
    for name in ("vinCode", "cert_ins_id"):
        for value in query.get(name, ()):
            if re.fullmatch(r"\d{15}", value, re.ASCII):
                return value
    raise CertificateUnreadable


def clean_paper_number(text: str, *, shortest: int = 4, longest: int = 32) -> str:
    """Return a number printed on paper (certificate, invoice, frame) in capitals without spaces; raises CodeInvalid."""
    number = re.sub(r"\s", "", text).upper()
    if not re.fullmatch(rf"[A-Z0-9][A-Z0-9-]{{{shortest - 1},{longest - 1}}}", number, re.ASCII):
        raise CodeInvalid(typed=text.strip()[:20], shortest=shortest, longest=longest)
    return number


def _new_code(length: int) -> str:
    body = "".join(secrets.choice(ALPHABET) for _ in range(length - 1))
    return body + check_character(body)
