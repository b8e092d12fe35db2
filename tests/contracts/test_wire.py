"""What a partner signed right and nobody can use is refused where it is read, before anything else sees it."""

from __future__ import annotations

import json

import pytest

from app.clients.ecny import callbacks as bank
from app.clients.journal import Journal
from app.clients.plates import callbacks as police
from app.clients.wire import is_number, read_instant, read_reason

ISSUED = {
    "kind": "application",
    "application_no": "A1",
    "state": "done",
    "plate_no": "D123456",
    "issued_at": "2026-07-01T08:00:00+08:00",
    "holder_id_no": "330105198001010019",
    "vehicle_code": "119922600000001",
    "reason": None,
}
SETTLED = {
    "kind": "transfer",
    "bank_number": "N1",
    "state": "settled",
    "amount_fen": 30_000,
    "final": True,
    "reason": None,
    "settled_at": "2026-07-01T08:00:00+08:00",
}
NO_INSTANTS = (
    "0001-01-01T00:00:00+14:00",  # overflows when converted
    "9999-12-31T23:59:59-14:00",
    "1900-01-01T00:00:00+00:00",
    "9999-12-31T23:00:00+00:00",  # can be stored, cannot be shown in Asia/Shanghai
    "2026-07-01T08:00:00",
)


def read(callbacks, document):
    return callbacks.read_callback(json.dumps(document).encode())


@pytest.mark.parametrize("text", NO_INSTANTS)
def test_an_instant_nobody_can_mean_is_refused(text):
    with pytest.raises(ValueError, match="instant"):
        read_instant(text)
    with pytest.raises(police.MalformedPlateDocument):
        read(police, ISSUED | {"issued_at": text})
    with pytest.raises(bank.MalformedBankDocument):
        read(bank, SETTLED | {"settled_at": text})


def test_the_years_a_partner_can_mean_are_read():
    for text in ("2000-01-01T00:00:00+00:00", "2099-12-31T23:59:59+00:00"):
        instant = read_instant(text)
        assert instant is not None
        assert instant.isoformat() == text


@pytest.mark.parametrize("field", ["application_no", "plate_no", "holder_id_no", "vehicle_code"])
@pytest.mark.parametrize("value", ["D1\x00", " ", " D123456", "\u202eD123456", "D1\u200b2", 5, ["D1"]])
def test_a_number_that_cannot_be_stored_or_read_is_refused(field, value):
    with pytest.raises(police.MalformedPlateDocument):
        read(police, ISSUED | {field: value})
    assert not is_number(value)


@pytest.mark.parametrize("value", ["N1\x00", "", 5, None])
def test_a_bank_number_that_cannot_be_stored_is_refused(value):
    with pytest.raises(bank.MalformedBankDocument):
        read(bank, SETTLED | {"bank_number": value})


def test_an_amount_no_account_can_hold_is_refused():
    assert read(bank, SETTLED | {"amount_fen": 2**63 - 1}).amount_fen == 2**63 - 1
    with pytest.raises(bank.MalformedBankDocument):
        read(bank, SETTLED | {"amount_fen": 2**63})


@pytest.mark.parametrize("reason", [5, ["closed"], {"a": 1}, True])
def test_a_reason_is_text(reason):
    rejected = {"state": "rejected", "settled_at": None, "reason": reason}
    with pytest.raises(bank.MalformedBankDocument):
        read(bank, SETTLED | rejected)
    with pytest.raises(police.MalformedPlateDocument):
        read(police, ISSUED | {"state": "refused", "reason": reason})


def test_a_reason_keeps_its_words_on_one_line():
    assert read_reason("资料\x00不全\n请补") == "资料 不全 请补"
    assert read_reason(None) is None
    assert read(police, ISSUED | {"state": "refused", "reason": "不\x00行"}).reason == "不 行"


def test_nobody_else_reads_a_journal(tmp_path):
    journal = Journal(tmp_path / "partner.journal")
    journal.write({"owner_name": "王小明"})
    journal.close()
    assert (tmp_path / "partner.journal").stat().st_mode & 0o077 == 0
