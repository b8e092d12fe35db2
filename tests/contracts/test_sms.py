"""What the outbox may rely on from the message gateway, whichever face stands behind the Protocol."""

from __future__ import annotations

import pytest

from app.clients.http import NumberReused
from registry.base import PartnerSilent, PartnerUnavailable

PHONE = "13800000001"


@pytest.fixture
def sms(start_sms):
    return start_sms()


def send(partner, number="M1", phone=PHONE, text="您的补贴已到账。"):
    partner.send(message_no=number, phone=phone, text=text)


def received(sms):
    return [(message.message_no, message.phone) for message in sms.gateway.messages()]


def test_a_message_sent_twice_under_one_number_arrives_once(sms, clock):
    send(sms.partner)
    send(sms.partner)
    (message,) = sms.gateway.messages()
    assert (message.phone, message.text) == (PHONE, "您的补贴已到账。")
    assert message.received_at == clock.instant.isoformat()


def test_a_number_does_not_stand_for_two_messages(sms):
    send(sms.partner)
    with pytest.raises(NumberReused):
        send(sms.partner, text="另一条")
    assert received(sms) == [("M1", PHONE)]


@pytest.mark.parametrize(("nn", "arrives"), [("24", True), ("25", True), ("27", False)])
def test_silence_leaves_open_whether_it_arrived(sms, nn, arrives):
    with pytest.raises(PartnerSilent):
        send(sms.partner, phone="199990000" + nn)
    assert bool(received(sms)) == arrives


def test_unavailable_means_that_nothing_was_sent(sms):
    with pytest.raises(PartnerUnavailable) as refused:
        send(sms.partner, phone="19999000022")
    assert not isinstance(refused.value, PartnerSilent)
    assert received(sms) == []


@pytest.mark.parametrize("nn", ["21", "23"])
def test_slowness_and_one_refusal_do_not_show(sms, nn):
    send(sms.partner, phone="199990000" + nn)
    assert received(sms) == [("M1", "199990000" + nn)]


def test_the_state_file_survives_a_restart(start_sms, tmp_path):
    before = start_sms(state_file=tmp_path / "sms.jsonl")
    send(before.partner)
    before.stop()
    after = start_sms(state_file=tmp_path / "sms.jsonl")
    send(after.partner)
    send(after.partner, "M2")
    assert received(after) == [("M1", PHONE), ("M2", PHONE)]
