"""The outbox: each message goes out once at the gateway, comes again after silence, and is never given up silently."""

import threading

import pytest
from sqlalchemy import select

from app.clients.sms.fake import FakeGateway
from app.clients.sms.server import Options
from registry.base import PartnerSilent, PartnerUnavailable
from registry.messages import TRIES, Message, as_sent, message_number, owe_message, send_owed
from registry.trade_ins import TradeIn
from tests.subsidy.payout_rows import KEY, NOW, Books


class ScriptedGateway:
    """A gateway that meets what ``script`` says, one word a call, then behaves."""

    def __init__(self, *script: str, always: str = "") -> None:
        self.inner = FakeGateway(Options(key=KEY, now=lambda: NOW))
        self.script = iter(script)
        self.always = always
        self.calls = 0

    def send(self, *, message_no: str, phone: str, text: str) -> None:
        self.calls += 1
        word = next(self.script, self.always)
        if word == "away":
            raise PartnerUnavailable(partner="sms")
        if word != "lost":
            self.inner.send(message_no=message_no, phone=phone, text=text)
        if word in {"lost", "silent"}:
            raise PartnerSilent(partner="sms")


def owe(books: Books, *, count: int = 1, phone: str | None = "13800000001") -> None:
    trade_in_id = books.trade_in(phone=phone)
    for number in range(count):
        books.do(
            lambda session, number=number: owe_message(
                session=session,
                person_id=session.get_one(TradeIn, trade_in_id).owner_id,
                dedupe_key=f"{trade_in_id}:{number}",
                body=f"您好 {number}",
            )
        )


def send(books: Books, gateway: ScriptedGateway, *, hurry: bool = True, limit: int = 100) -> int:
    if hurry:
        books.execute("UPDATE message SET next_at = clock_timestamp() - interval '1 second' WHERE state = 'owed'")
    return send_owed(session_factory=books.sessions, gateway=gateway, keyring=books.keyring, now=NOW, limit=limit)


def messages(books: Books) -> list[Message]:
    with books.sessions() as session:
        return list(session.scalars(select(Message).order_by(Message.id)))


def test_a_message_goes_to_the_persons_phone_once(books: Books) -> None:
    owe(books)
    gateway = ScriptedGateway()
    assert send(books, gateway) == 1
    assert send(books, gateway) == 0
    [received] = gateway.inner.messages
    assert (received.phone, received.text) == ("13800000001", "【码牌】您好 0")
    [message] = messages(books)
    assert (message.state, message.sent_at, message.attempts) == ("sent", NOW, 1)


@pytest.mark.parametrize("word", ["silent", "lost"])
def test_after_silence_it_comes_again_under_the_same_number(books: Books, word: str) -> None:
    owe(books)
    gateway = ScriptedGateway(word)
    assert send(books, gateway) == 0
    assert send(books, gateway, hurry=False) == 0  # not before its time
    assert gateway.calls == 1
    assert send(books, gateway) == 1
    assert len(gateway.inner.messages) == 1
    assert gateway.inner.messages[0].message_no == message_number(messages(books)[0])


def test_a_gateway_that_is_away_costs_no_try_and_stops_the_run(books: Books) -> None:
    owe(books, count=30)
    gateway = ScriptedGateway(always="away")
    for _ in range(TRIES + 1):
        assert send(books, gateway) == 0
    assert gateway.calls <= 5 * (TRIES + 1)  # a few at a time may have been under way already
    assert {(message.state, message.attempts) for message in messages(books)} == {("owed", 0)}
    gateway.always = ""
    assert send(books, gateway) == 30


def test_after_twelve_silences_it_is_given_up_with_a_case(books: Books) -> None:
    owe(books)
    gateway = ScriptedGateway(always="lost")
    for _ in range(TRIES + 2):
        send(books, gateway)
    assert gateway.calls == TRIES
    assert messages(books)[0].state == "given_up"
    assert books.cases() == ["message_undelivered"]


def test_somebody_without_a_phone_is_told_by_a_person(books: Books) -> None:
    owe(books, phone=None)
    assert send(books, ScriptedGateway()) == 0
    assert messages(books)[0].state == "given_up"
    assert books.cases() == ["message_undelivered"]


def test_one_failure_costs_no_other_message(books: Books) -> None:
    owe(books, count=20)
    gateway = ScriptedGateway("lost", "", "silent")
    assert send(books, gateway) == 18
    assert send(books, gateway) == 2
    assert len(gateway.inner.messages) == 20


def test_two_senders_at_once_send_each_once(books: Books) -> None:
    owe(books, count=60)
    gateway = ScriptedGateway()
    sent: list[int] = []
    barrier = threading.Barrier(3)

    def run() -> None:
        barrier.wait(10)
        sent.extend(send(books, gateway, hurry=False, limit=10) for _ in range(6))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(sent) == gateway.calls == len(gateway.inner.messages) == 60


def test_what_goes_out_is_signed_once_and_says_where_the_owners_pages_are() -> None:
    address = "https://example.invalid/my"
    body = "请到「我的换新」填写钱包，或到代办点办理。以后也看「我的换新」。"
    sent = as_sent(body=body, address=address)
    assert sent == f"【码牌】请到「我的换新」（{address}）填写钱包，或到代办点办理。以后也看「我的换新」。"
    assert as_sent(body=sent, address=None) == sent
    assert as_sent(body="您好", address=address) == "【码牌】您好"
