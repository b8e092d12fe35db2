"""What returns may rely on from the operating bank, whichever face stands behind the Protocol."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from app.clients.http import NumberReused
from registry.base import PartnerSilent, PartnerUnavailable
from subsidy.operator import ReclaimAnswer, StatementLine

DAY = date(2026, 6, 15)
AFTER_THE_DAY = datetime(2026, 6, 15, 17, 0, tzinfo=UTC)  # 16 June 01:00 in Shanghai
FULL_TIER = 30_000


@pytest.fixture
def bank(start_bank):
    return start_bank()


def pay(partner, number="B1", wallet_id="W1001"):
    return partner.transfer(bank_number=number, wallet_id=wallet_id, holder_name="王小明", amount_fen=FULL_TIER)


def take_back(partner, number="B1-R01", transfer="B1", fen=FULL_TIER):
    return partner.reclaim(bank_number=number, transfer_number=transfer, amount_fen=fen)


def test_a_reclaim_takes_the_money_back_once_per_number(bank, clock):
    before = bank.partner.fund_balance().available_fen
    pay(bank.partner)
    first = take_back(bank.partner)
    assert (first.state, first.final, first.amount_fen, first.settled_at) == ("settled", True, 30_000, clock.instant)
    assert take_back(bank.partner) == first == bank.partner.find_reclaim(bank_number="B1-R01")
    assert bank.partner.fund_balance().available_fen == before
    assert take_back(bank.partner, "B1-R02").reason == "more_than_paid"
    with pytest.raises(NumberReused):
        take_back(bank.partner, fen=1)


def test_what_was_never_paid_cannot_be_claimed_back(bank):
    assert bank.partner.find_reclaim(bank_number="B1-R01") is None
    assert take_back(bank.partner).reason == "unknown_transfer"
    pay(bank.partner, wallet_id="W.full")
    rejected = take_back(bank.partner, "B1-R02")
    assert (rejected.state, rejected.final, rejected.reason) == ("rejected", True, "unknown_transfer")


def test_magic_wallets_give_the_money_back_their_way(bank):
    pay(bank.partner, "B1", "W.spent")
    assert take_back(bank.partner).reason == "insufficient"
    pay(bank.partner, "B2", "W.agrees_later")
    waiting = take_back(bank.partner, "B2-R01", "B2")
    assert (waiting.state, waiting.final) == ("accepted", False)
    bank.settle()
    (agreed,) = bank.callbacks()
    assert (type(agreed), agreed.state, agreed.final) == (ReclaimAnswer, "settled", True)
    assert bank.partner.find_reclaim(bank_number="B2-R01") == agreed


def test_reclaims_stand_on_the_statement_beside_what_was_paid(bank, clock):
    pay(bank.partner)
    take_back(bank.partner)
    clock.instant = AFTER_THE_DAY
    statement = bank.partner.statement(day=DAY)
    assert StatementLine(bank_number="B1-R01", amount_fen=FULL_TIER, state="reclaimed") in statement.lines
    assert (statement.settled_fen, statement.reclaimed_count, statement.reclaimed_fen) == (FULL_TIER, 1, FULL_TIER)
    assert bank.partner.statement_totals(day=DAY) == statement.totals()


def test_a_reclaim_that_was_refused_may_come_all_the_same(bank):
    pay(bank.partner, wallet_id="W.reclaimed_after_rejected")
    refused = take_back(bank.partner)
    assert (refused.state, refused.final, refused.reason) == ("rejected", True, "owner_refused")
    bank.settle()
    assert [word.state for word in bank.callbacks()] == ["settled"]
    assert bank.partner.find_reclaim(bank_number="B1-R01").state == "settled"


def test_the_bank_remembers_reclaims_over_a_restart(start_bank, tmp_path, clock):
    state = tmp_path / "bank.jsonl"
    before = start_bank(state_file=state)
    pay(before.partner)
    first = take_back(before.partner)
    left_fen = before.partner.fund_balance().available_fen
    before.stop()
    after = start_bank(state_file=state)
    assert after.partner.find_reclaim(bank_number="B1-R01") == first
    assert after.partner.fund_balance().available_fen == left_fen
    assert take_back(after.partner, "B1-R02").reason == "more_than_paid"


def test_whatever_chance_did_every_reclaim_takes_its_money_once(start_bank):
    bank = start_bank(seed=4, fault_rate=0.3, slow_s=0.01, answered_at_once=0.6)
    full_fen = bank.partner.fund_balance().available_fen
    for number in range(10):
        for ask in (pay_through, take_back_through):
            drive(bank, ask, f"B{number}")
    assert bank.bank.fund_balance().available_fen == full_fen


def pay_through(partner, number):
    return partner.find_transfer(bank_number=number) or pay(partner, number)


def take_back_through(partner, number):
    return partner.find_reclaim(bank_number=f"{number}-R01") or take_back(partner, f"{number}-R01", number)


def drive(bank, ask, number):
    for _ in range(40):
        try:
            if ask(bank.partner, number).state == "settled":
                return
        except (PartnerUnavailable, PartnerSilent):
            continue
        bank.settle()
    pytest.fail(f"{number} never came to an end")
