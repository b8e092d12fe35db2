"""The bank's signed callback: counted only with its signature, as often as it comes, in any order."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from werkzeug.test import TestResponse

from app.api.ecny_callbacks import PATH
from app.clients.ecny.callbacks import transfer_document
from app.clients.signing import HmacSm3, signed_headers
from app.clients.wire import as_bytes
from subsidy.dispatch import open_attempts
from subsidy.operator import TransferAnswer
from tests.api.conftest import Place, faults
from tests.subsidy.payout_rows import AMOUNT_FEN, NOW, Books

Say = Callable[..., TestResponse]


@pytest.fixture
def say(place: Place) -> Say:
    """Posts a document as the bank does, signed with its key unless another is given."""

    def post(body: bytes, *, key: bytes | None = None, at: float | None = None, **headers: str) -> TestResponse:
        signer = HmacSm3(key or place.app.extensions["mapai.settings"].ecny_key)
        clock = {} if at is None else {"real_time": lambda: at}
        signed = signed_headers(signer=signer, partner="ecny", method="POST", path=PATH, body=body, **clock)
        return place.app.test_client().post(
            PATH, data=body, headers={**signed, **headers}, content_type="application/json"
        )

    return post


@pytest.fixture
def number(books: Books) -> str:
    """The number of an attempt that is sent and unanswered."""
    books.owed()
    order = books.do(lambda session: open_attempts(session=session, keyring=books.keyring, now=NOW, most=1)[0])
    return str(order.bank_number)


def document(number: str, state: str = "settled", fen: int = AMOUNT_FEN) -> bytes:
    return as_bytes(
        transfer_document(
            TransferAnswer(
                bank_number=number,
                state=state,  # type: ignore[arg-type]
                amount_fen=fen,
                final=state != "accepted",
                settled_at=NOW if state == "settled" else None,
            )
        )
    )


def test_a_callback_settles_and_comes_twice_and_out_of_order(books: Books, say: Say, number: str) -> None:
    for state in ("accepted", "settled", "settled", "accepted"):
        answer = say(document(number, state))
        assert answer.status_code == 200, answer.text
        assert answer.json == {"bank_number": number, "state": "sent" if books.booked_fen() == 0 else "settled"}
    assert books.booked_fen() == AMOUNT_FEN
    assert len(books.notices()) == 1


def test_what_is_not_signed_right_changes_nothing(books: Books, say: Say, number: str) -> None:
    body = document(number)
    refused = [
        say(body, key=b"another key of thirty-two bytes"),
        say(body, at=0.0),
        say(body, **{"Mapai-Signature": "00"}),
    ]
    assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert [faults(answer)[None] for answer in refused] == ["bad_signature", "stale_request", "bad_signature"]
    assert books.booked_fen() == 0


@pytest.mark.parametrize("body", [b"[]", b"{}", b"{", b'{"kind": "transfer"}', json.dumps({"kind": 7}).encode()])
def test_what_cannot_be_read_is_told(say: Say, body: bytes) -> None:
    answer = say(body)
    assert answer.status_code == 422, answer.text
    assert "malformed_bank_document" in faults(answer).values()


def test_a_stranger_is_not_found(say: Say) -> None:
    answer = say(document("d330105-GS-9999-01"))
    assert answer.status_code == 404
    assert faults(answer) == {"bank_number": "transfer_not_ours"}


def test_another_amount_freezes(books: Books, say: Say, number: str) -> None:
    assert say(document(number, fen=1)).status_code == 200
    assert books.cases() == ["amount_differs"]
    assert books.booked_fen() == 0
