"""Signed requests between Mapai and its partners, in both directions.

A request carries four headers: who sends it, when (whole seconds, real time), its message number and the signature
over method, path, time, message number and the SM3 of the body. HMAC-SM3 signs by default; anything with the two
methods of ``Signer`` can take its place, an SM2 card for one.
"""

from __future__ import annotations

import hashlib
import hmac
import time
import uuid
from collections.abc import Callable
from typing import Protocol

from registry.base import Refusal

PARTNER = "Mapai-Partner"
TIMESTAMP = "Mapai-Timestamp"
MESSAGE_NO = "Mapai-Message-No"
SIGNATURE = "Mapai-Signature"

MAX_AGE_S = 300
LONGEST_MESSAGE_NO = 80


class BadSignature(Refusal):
    """The request is not signed with the key we share, or was changed on its way."""

    code = "bad_signature"
    kind = "forbidden"
    zh = "请求的签名不对，没有受理。"
    en = "The request's signature is wrong; it was not accepted."
    remedy_zh = "请核对双方的密钥，以及签名所覆盖的方法、路径、时间、消息号和正文。"
    remedy_en = "Check the shared key, and that method, path, time, message number and body were signed as sent."


class StaleRequest(Refusal):
    """The request was signed more than five minutes ago, or by a clock as far ahead."""

    code = "stale_request"
    kind = "forbidden"
    zh = "请求的签名时间和现在相差超过五分钟，没有受理。"
    en = "The request was signed more than five minutes from now; it was not accepted."
    remedy_zh = "请校准发送方的时钟，重新签名后再发。"
    remedy_en = "Set the sender's clock right, sign again and resend."


class ReplayedRequest(Refusal):
    """A message number came a second time."""

    code = "replayed_request"
    kind = "conflict"
    zh = "这个消息号已经收到过，没有再次受理。"
    en = "This message number was received before; it was not accepted again."
    remedy_zh = "每次发送都请用新的消息号；业务编号保持不变。"
    remedy_en = "Give every sending a new message number; the business number stays the same."


class Headers(Protocol):
    """A request's headers: a dict of ours, or what the web framework has."""

    def get(self, name: str, /) -> str | None:
        """Return the header's value, None where it is missing."""


class Signer(Protocol):
    """Signs bytes and checks a signature. ``check`` never raises: a malformed signature is a wrong one."""

    def sign(self, message: bytes) -> str:
        """Return the signature as printable ASCII."""

    def check(self, message: bytes, signature: str) -> bool:
        """Say whether ``signature`` is this message's, in constant time where the method needs it."""


if "sm3" in hashlib.algorithms_available:

    def sm3(data: bytes) -> str:
        """Return the SM3 digest (GB/T 32905) in lower-case hex."""
        return hashlib.new("sm3", data).hexdigest()

    def _hmac_sm3(key: bytes, message: bytes) -> str:
        return hmac.digest(key, message, "sm3").hex()

else:  # an OpenSSL built without SM3: the wheel of `cryptography` brings its own
    from cryptography.hazmat.primitives.hashes import SM3, Hash
    from cryptography.hazmat.primitives.hmac import HMAC

    def sm3(data: bytes) -> str:
        """Return the SM3 digest (GB/T 32905) in lower-case hex."""
        digest = Hash(SM3())
        digest.update(data)
        return digest.finalize().hex()

    def _hmac_sm3(key: bytes, message: bytes) -> str:
        mac = HMAC(key, SM3())
        mac.update(message)
        return mac.finalize().hex()


class HmacSm3:
    """HMAC with SM3 under a shared key of at least 16 bytes (RFC 2104, GB/T 15852.2)."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("a partner's key has at least 16 bytes")
        self._key = key

    def sign(self, message: bytes) -> str:
        return _hmac_sm3(self._key, message)

    def check(self, message: bytes, signature: str) -> bool:
        # compare_digest refuses non-ASCII text with a TypeError; a header may hold any Latin-1
        return hmac.compare_digest(_hmac_sm3(self._key, message).encode(), signature.encode("utf-8", "replace"))


def new_message_no() -> str:
    """Return a message number never used before: 32 hex digits."""
    return uuid.uuid4().hex


def canonical(*, method: str, path: str, timestamp: str, message_no: str, body: bytes) -> bytes:
    """Return the bytes that are signed. ``path`` is percent-decoded and carries no host; partners use no query."""
    # Only the path may hold a line feed, and it is fenced by a method before and three such fields after it,
    # so no two requests share one canonical form.
    return f"{method}\n{path}\n{timestamp}\n{message_no}\n{sm3(body)}".encode("utf-8", "surrogateescape")


def signed_headers(
    *,
    signer: Signer,
    partner: str,
    method: str,
    path: str,
    body: bytes,
    message_no: str | None = None,
    real_time: Callable[[], float] = time.time,
) -> dict[str, str]:
    """Return the four headers for a request about to be sent. ``partner`` is the sender's own name, ASCII."""
    number = message_no or new_message_no()
    timestamp = str(int(real_time()))
    message = canonical(method=method, path=path, timestamp=timestamp, message_no=number, body=body)
    return {PARTNER: partner, TIMESTAMP: timestamp, MESSAGE_NO: number, SIGNATURE: signer.sign(message)}


def verify(
    *,
    signer: Signer,
    method: str,
    path: str,
    body: bytes,
    headers: Headers,
    real_time: Callable[[], float] = time.time,
) -> str:
    """Check a received request and return its message number.

    Pure: remembers nothing, so the caller refuses a number seen before where that matters. Raises BadSignature and
    StaleRequest. The signature is checked first: an unsigned stranger learns nothing about our clock.
    """
    timestamp = headers.get(TIMESTAMP) or ""
    message_no = headers.get(MESSAGE_NO) or ""
    message = canonical(method=method, path=path, timestamp=timestamp, message_no=message_no, body=body)
    if not (timestamp.isdecimal() and timestamp.isascii() and 0 < len(message_no) <= LONGEST_MESSAGE_NO):
        raise BadSignature
    if not signer.check(message, headers.get(SIGNATURE) or ""):
        raise BadSignature
    if abs(real_time() - int(timestamp)) > MAX_AGE_S:
        raise StaleRequest
    return message_no
