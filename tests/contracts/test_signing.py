"""A signed request is accepted as it was signed, and in no other form."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.hashes import SM3
from cryptography.hazmat.primitives.hmac import HMAC
from hypothesis import given
from hypothesis import strategies as st

from app.clients import signing
from app.clients.signing import BadSignature, HmacSm3, StaleRequest, canonical, signed_headers, sm3, verify

KEY = b"0123456789abcdef"
SIGNED_AT = 1_780_000_000


def signed(**changes):
    facts = {"method": "POST", "path": "/callbacks/plates", "body": b'{"a":1}', "message_no": "m-1", **changes}
    return signed_headers(signer=HmacSm3(KEY), partner="plates", real_time=lambda: SIGNED_AT, **facts)


def check(headers, *, at=SIGNED_AT, key=KEY, **changes):
    facts = {"method": "POST", "path": "/callbacks/plates", "body": b'{"a":1}', **changes}
    return verify(signer=HmacSm3(key), headers=headers, real_time=lambda: at, **facts)


def test_sm3_is_the_standard_one():
    # the first example of GB/T 32905-2016
    assert sm3(b"abc") == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


def test_hmac_sm3_agrees_with_a_second_implementation():
    mac = HMAC(KEY, SM3())
    mac.update(b"message")
    assert HmacSm3(KEY).sign(b"message") == mac.finalize().hex()


def test_a_signed_request_gives_its_message_number():
    assert check(signed()) == "m-1"


@pytest.mark.parametrize(
    "changes", [{"body": b'{"a":2}'}, {"body": b""}, {"path": "/callbacks/ecny"}, {"method": "PUT"}, {"key": b"x" * 16}]
)
def test_a_tampered_request_is_refused(changes):
    with pytest.raises(BadSignature):
        check(signed(), **changes)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (signing.MESSAGE_NO, "m-2"),
        (signing.MESSAGE_NO, ""),
        (signing.MESSAGE_NO, "m" * 81),
        (signing.TIMESTAMP, str(SIGNED_AT + 1)),
        (signing.TIMESTAMP, "soon"),
        (signing.TIMESTAMP, "١٢٣"),
        (signing.SIGNATURE, "0" * 64),
        (signing.SIGNATURE, "签名"),
        (signing.SIGNATURE, ""),
    ],
)
def test_a_changed_header_is_refused(header, value):
    with pytest.raises(BadSignature):
        check({**signed(), header: value})


@pytest.mark.parametrize("header", [signing.MESSAGE_NO, signing.TIMESTAMP, signing.SIGNATURE])
def test_a_missing_header_is_refused(header):
    headers = signed()
    del headers[header]
    with pytest.raises(BadSignature):
        check(headers)


def test_five_minutes_are_fresh_and_a_second_more_is_stale():
    for at in (SIGNED_AT - 300, SIGNED_AT + 300):
        assert check(signed(), at=at) == "m-1"
    for at in (SIGNED_AT - 301, SIGNED_AT + 301):
        with pytest.raises(StaleRequest):
            check(signed(), at=at)


def test_an_unsigned_stranger_does_not_learn_that_he_is_late():
    with pytest.raises(BadSignature):
        check({**signed(), signing.SIGNATURE: "0" * 64}, at=SIGNED_AT + 10_000)


def test_every_request_has_a_message_number_of_its_own():
    numbers = {signed(message_no=None)[signing.MESSAGE_NO] for _ in range(100)}
    assert len(numbers) == 100


def test_a_short_key_is_refused():
    with pytest.raises(ValueError, match="16 bytes"):
        HmacSm3(b"short")


PARTS = st.tuples(
    st.sampled_from(["GET", "POST"]),
    st.text(alphabet="/a\n1", max_size=8),
    st.text(alphabet="12", min_size=1, max_size=3),
    st.text(alphabet="m1", min_size=1, max_size=3),
    st.binary(max_size=2),
)


@given(PARTS, PARTS)
def test_no_two_requests_share_a_canonical_form(one, other):
    def form(parts):
        method, path, timestamp, number, body = parts
        return canonical(method=method, path=path, timestamp=timestamp, message_no=number, body=body)

    assert (form(one) == form(other)) == (one == other)
