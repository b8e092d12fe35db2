"""What the payouts may rely on from the operating bank, whichever face stands behind the Protocol."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest

from app.clients.ecny.bank import Wallet
from app.clients.ecny.scenarios import FAULTS, Scenario, StatementFault
from app.clients.http import NumberReused
from registry.base import PartnerSilent, PartnerUnavailable
from subsidy.operator import StatementLine, lines_sha256

DAY = date(2026, 6, 15)
AFTER_THE_DAY = datetime(2026, 6, 15, 17, 0, tzinfo=UTC)  # 16 June 01:00 in Shanghai
FULL_TIER = 30_000


@pytest.fixture
def bank(start_bank):
    return start_bank()


def check(partner, wallet_id, name="王小明"):
    return partner.check_wallet(wallet_id=wallet_id, holder_name=name)


def pay(partner, number="B1", wallet_id="W1001", fen=FULL_TIER, name="王小明"):
    return partner.transfer(bank_number=number, wallet_id=wallet_id, holder_name=name, amount_fen=fen)


def find(partner, number="B1"):
    return partner.find_transfer(bank_number=number)


# -- wallets ---------------------------------------------------------------------------------------------------------


def test_an_ordinary_wallet_can_be_paid_and_shows_its_tail(bank):
    answer = check(bank.partner, "0061-7788-1001")
    assert (answer.ok, answer.reason, answer.tail) == (True, None, "1001")


def test_a_wallet_belongs_to_the_name_it_was_first_seen_with(bank):
    assert check(bank.partner, "W1", "王小明").ok
    assert check(bank.partner, "W1", "李小红").reason == "name_mismatch"
    assert pay(bank.partner, wallet_id="W1", name="李小红").reason == "name_mismatch"


@pytest.mark.parametrize(
    ("wallet_id", "reason"),
    [("W.unknown", "unknown_wallet"), ("W.mismatch", "name_mismatch"), ("W.frozen", "frozen")],
)
def test_a_wallet_that_cannot_be_paid_says_why_at_check_and_at_transfer(bank, wallet_id, reason):
    answer = check(bank.partner, wallet_id)
    assert (answer.ok, answer.reason) == (False, reason)
    paid = pay(bank.partner, wallet_id=wallet_id)
    assert (paid.state, paid.final, paid.reason) == ("rejected", True, reason)


def test_wallets_told_to_the_bank_are_as_told(bank):
    bank.bank.load([Wallet(wallet_id="W2", holder_name="李小红", frozen=True)])
    assert check(bank.partner, "W2", "李小红").reason == "frozen"
    assert check(bank.partner, "W2", "王小明").reason == "name_mismatch"


def test_a_phone_wallet_takes_2000_yuan_a_payment_and_5000_a_day(bank, clock):
    def state(number, fen):
        answer = pay(bank.partner, number, "W.phone", fen)
        return answer.state, answer.reason

    assert state("B1", 200_001) == ("rejected", "tier_limit")
    assert state("B2", 200_000) == ("settled", None)
    assert state("B3", 200_000) == ("settled", None)
    assert state("B4", 100_001) == ("rejected", "tier_limit")
    assert state("B5", 100_000) == ("settled", None)
    assert check(bank.partner, "W.phone").reason == "tier_limit"
    clock.instant = datetime(2026, 6, 15, 16, 0, tzinfo=UTC)  # midnight in Shanghai: another day
    assert check(bank.partner, "W.phone").ok
    assert state("B6", 200_000) == ("settled", None)


def test_a_phone_wallet_holds_10000_yuan(bank, clock):
    for day in range(5):
        clock.instant += timedelta(days=1)
        assert pay(bank.partner, f"B{day}", "W.phone", 199_000).state == "settled"
    clock.instant += timedelta(days=1)
    full = pay(bank.partner, "B5", "W.phone", 5_001)
    assert (full.state, full.reason) == ("rejected", "wallet_full")
    assert pay(bank.partner, "B6", "W.phone", 5_000).state == "settled"
    assert check(bank.partner, "W.phone").reason == "wallet_full"


# -- transfers -------------------------------------------------------------------------------------------------------


def test_a_transfer_settles_once_per_number(bank, clock):
    first = pay(bank.partner)
    assert (first.state, first.final, first.amount_fen, first.settled_at) == ("settled", True, 30_000, clock.instant)
    clock.instant += timedelta(minutes=1)
    assert pay(bank.partner) == first == find(bank.partner)


def test_the_same_number_at_the_same_moment_pays_once(bank, clock):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: pay(bank.partner), range(40)))
    assert len(set(answers)) == 1
    clock.instant = AFTER_THE_DAY
    assert bank.partner.statement(day=DAY).settled_count == 1


def test_a_number_does_not_stand_for_two_contents(bank):
    first = pay(bank.partner)
    for changed in ({"fen": 20_000}, {"wallet_id": "W2"}, {"name": "李小红"}):
        with pytest.raises(NumberReused):
            pay(bank.partner, **changed)
    assert find(bank.partner) == first


def test_a_transfer_never_received_is_none(bank):
    assert find(bank.partner, "B9") is None


@pytest.mark.parametrize(
    ("word", "at_first", "states"),
    [
        ("pending", "accepted", ["settled"]),
        ("never", "accepted", []),
        ("twice", "accepted", ["settled", "settled"]),
        ("late", "accepted", ["settled"]),
        ("out_of_order", "accepted", ["settled", "accepted"]),
        ("slow", "settled", []),
        ("unavailable_once", "settled", []),
        ("answered_twice", "settled", ["settled"]),
        ("full", "rejected", []),
        ("closed_later", "accepted", ["rejected"]),
        ("not_final", "rejected", ["settled"]),
        ("settled_after_rejected", "rejected", ["settled"]),
    ],
)
def test_a_transfer_goes_as_its_scenario_says(bank, word, at_first, states):
    first = pay(bank.partner, wallet_id=f"W.{word}")
    assert (first.state, first.final) == (at_first, word not in ("not_final",) and at_first != "accepted")
    bank.settle()
    assert [news.state for news in bank.callbacks()] == states
    final = find(bank.partner)
    assert final.final
    assert final.state == ("rejected" if word in ("full", "closed_later") else "settled")


def test_a_full_wallet_is_mended_for_the_next_number(bank):
    assert pay(bank.partner, "B1", "W.full_once").reason == "wallet_full"
    assert pay(bank.partner, "B1", "W.full_once").reason == "wallet_full"
    assert pay(bank.partner, "B2", "W.full_once").state == "settled"


def test_a_wrong_amount_shows_in_answer_and_statement(bank, clock):
    assert pay(bank.partner, wallet_id="W.wrong_amount").amount_fen == 29_999
    clock.instant = AFTER_THE_DAY
    assert bank.partner.statement(day=DAY).settled_fen == 29_999


def test_unavailable_means_that_nothing_happened(bank):
    with pytest.raises(PartnerUnavailable) as refused:
        pay(bank.partner, wallet_id="W.unavailable")
    assert not isinstance(refused.value, PartnerSilent)
    assert find(bank.partner) is None


@pytest.mark.parametrize(("word", "happened"), [("error_after", True), ("silent", True), ("lost", False)])
def test_silence_means_asking_and_asking_tells_the_truth(bank, word, happened):
    with pytest.raises(PartnerSilent):
        pay(bank.partner, wallet_id=f"W.{word}")
    found = find(bank.partner)
    assert (found is not None and found.state == "settled") == happened


def test_every_magic_word_has_a_case_here():
    tried = set(FAULTS) | {"unknown", "mismatch", "frozen", "phone", "full", "full_once", "closed_later", "not_final"}
    reclaims = {"agrees_later", "reclaimed_after_rejected", "reclaimed_short", "spent", "spent_once"}
    assert tried | reclaims | {"settled_after_rejected", "wrong_amount"} == set(FAULTS) | {
        scenario.value for scenario in Scenario
    }


# -- statements ------------------------------------------------------------------------------------------------------


def test_a_statement_is_out_an_hour_after_its_day_and_adds_up(bank, clock):
    pay(bank.partner, "B1", fen=30_000)
    pay(bank.partner, "B2", "W.frozen", fen=20_000)
    pay(bank.partner, "B3", "W.pending", fen=10_000)
    bank.settle()
    clock.instant = datetime(2026, 6, 15, 15, 59, 59, tzinfo=UTC)
    pay(bank.partner, "B4", fen=20_000)
    clock.instant = AFTER_THE_DAY - timedelta(seconds=1)
    pay(bank.partner, "B5", fen=30_000)
    assert bank.partner.statement(day=DAY) is None
    clock.instant = AFTER_THE_DAY
    statement = bank.partner.statement(day=DAY)
    assert (statement.day, statement.settled_count, statement.settled_fen) == (DAY, 3, 60_000)
    assert sorted(statement.lines, key=lambda line: line.bank_number) == [
        StatementLine(bank_number="B1", amount_fen=30_000, state="settled"),
        StatementLine(bank_number="B2", amount_fen=20_000, state="rejected"),
        StatementLine(bank_number="B3", amount_fen=10_000, state="settled"),
        StatementLine(bank_number="B4", amount_fen=20_000, state="settled"),
    ]


def test_a_day_without_transfers_has_an_empty_statement(bank, clock):
    clock.instant = AFTER_THE_DAY
    statement = bank.partner.statement(day=DAY)
    assert (statement.settled_count, statement.settled_fen, statement.lines) == (0, 0, ())


def test_a_success_after_a_rejection_stands_on_the_statement_twice(bank, clock):
    pay(bank.partner, wallet_id="W.settled_after_rejected")
    bank.settle()
    clock.instant = AFTER_THE_DAY
    statement = bank.partner.statement(day=DAY)
    assert [line.state for line in statement.lines] == ["rejected", "settled"]
    assert statement.settled_fen == 30_000


def test_a_spoilt_statement_is_spoilt_until_mended(start_bank, clock):
    bank = start_bank(statement_faults={DAY: StatementFault.LATE})
    for n in range(3):
        pay(bank.partner, f"B{n}", f"W{n}")
    clock.instant = AFTER_THE_DAY
    for _ in range(3):
        assert bank.partner.statement(day=DAY) is None

    bank.bank.spoil_statement(DAY, StatementFault.WRONG_TOTAL)
    wrong = bank.partner.statement(day=DAY)
    assert wrong.settled_fen == sum(line.amount_fen for line in wrong.lines) + 1

    bank.bank.spoil_statement(DAY, StatementFault.MISSING_LINE)
    short = bank.partner.statement(day=DAY)
    assert (short.settled_count, len(short.lines)) == (3, 2)

    bank.bank.spoil_statement(DAY, StatementFault.EXTRA_LINE)
    extra = bank.partner.statement(day=DAY)
    assert (extra.settled_count, extra.lines[-1].bank_number) == (4, "X20260615")

    bank.bank.spoil_statement(DAY, None)
    right = bank.partner.statement(day=DAY)
    assert (right.settled_count, right.settled_fen, len(right.lines)) == (3, 90_000, 3)


def test_chance_spoils_some_days_and_only_at_the_first_asking(start_bank, clock):
    bank = start_bank(seed=2).bank  # asked behind the door: there the days alone meet chance
    chancy = start_bank(seed=2, fault_rate=0.5).bank
    clock.instant = AFTER_THE_DAY + timedelta(days=40)
    days = [DAY + timedelta(days=n) for n in range(40)]
    first = [chancy.statement(day) for day in days]
    right = [bank.statement(day) for day in days]
    spoilt = [one for one, other in zip(first, right, strict=True) if one != other]
    assert None in spoilt
    assert any(one is not None for one in spoilt)
    assert 8 < len(spoilt) < 32
    assert [chancy.statement(day) for day in days] == right


def test_the_head_of_a_statement_is_told_without_its_lines(bank, clock):
    pay(bank.partner, "B1", fen=30_000)
    pay(bank.partner, "B2", "W.frozen", fen=20_000)
    assert bank.partner.statement_totals(day=DAY) is None
    clock.instant = AFTER_THE_DAY
    totals = bank.partner.statement_totals(day=DAY)
    assert (totals.day, totals.settled_count, totals.settled_fen) == (DAY, 1, 30_000)
    assert totals == bank.partner.statement(day=DAY).totals()
    lines = [StatementLine(bank_number="B2", amount_fen=20_000, state="rejected")]
    lines.insert(0, StatementLine(bank_number="B1", amount_fen=30_000, state="settled"))
    assert totals.sha256 == lines_sha256(lines) == lines_sha256(reversed(lines))


@pytest.mark.parametrize("fault", [StatementFault.WRONG_TOTAL, StatementFault.MISSING_LINE, StatementFault.EXTRA_LINE])
def test_a_spoilt_statement_shows_in_its_head(start_bank, clock, fault):
    bank = start_bank(statement_faults={DAY: fault})
    pay(bank.partner)
    clock.instant = AFTER_THE_DAY
    spoilt = bank.partner.statement_totals(day=DAY)
    bank.bank.spoil_statement(DAY, None)
    assert spoilt != bank.partner.statement_totals(day=DAY)


def test_chance_spoils_the_head_and_the_lines_asked_for_after_it(start_bank, clock):
    bank = start_bank(seed=2, fault_rate=1.0).bank
    clock.instant = AFTER_THE_DAY + timedelta(days=20)
    days = [DAY + timedelta(days=n) for n in range(20)]
    spoilt = [day for day in days if bank.statement_totals(day) is not None]
    assert spoilt
    assert all(bank.statement(day).totals().settled_fen == 1 for day in spoilt)
    assert all(bank.statement_totals(day).settled_fen == 0 for day in days)


# -- the fund --------------------------------------------------------------------------------------------------------


def test_what_was_paid_is_missing_from_the_fund(start_bank, clock):
    bank = start_bank(fund_fen=100_000)
    pay(bank.partner, "B1", fen=30_000)
    pay(bank.partner, "B2", "W.frozen", fen=20_000)
    balance = bank.partner.fund_balance()
    assert (balance.available_fen, balance.as_of) == (70_000, clock.instant)
    bank.bank.fill_fund(5)
    assert bank.partner.fund_balance().available_fen == 5
    pay(bank.partner, "B3", fen=30_000)
    assert bank.partner.fund_balance().available_fen == -29_995


# -- memory ----------------------------------------------------------------------------------------------------------


def test_the_state_file_survives_a_restart(start_bank, clock, tmp_path):
    state = tmp_path / "ecny.jsonl"
    before = start_bank(state_file=state, callback_delay_s=3000)
    settled = pay(before.partner, "B1")
    pay(before.partner, "B2", "W.pending", 20_000)
    rejected = pay(before.partner, "B3", "W.full_once")
    pay(before.partner, "B4", "W.settled_after_rejected", 10_000)
    before.stop()

    after = start_bank(state_file=state)
    assert find(after.partner, "B1") == settled == pay(after.partner, "B1")
    assert find(after.partner, "B3") == rejected
    assert pay(after.partner, "B5", "W.full_once").state == "settled"
    after.settle()
    assert {find(after.partner, number).state for number in ("B2", "B4")} == {"settled"}
    assert check(after.partner, "W1001", "李小红").reason == "name_mismatch"
    after.stop()

    clock.instant = AFTER_THE_DAY
    third = start_bank(state_file=state).partner.statement(day=DAY)
    assert (third.settled_count, third.settled_fen, len(third.lines)) == (4, 90_000, 6)


def test_whatever_chance_did_every_number_is_paid_once(start_bank, clock):
    bank = start_bank(seed=4, fault_rate=0.3, slow_s=0.01, answered_at_once=0.6)

    def drive(n):
        for _ in range(40):
            try:
                found = find(bank.partner, f"B{n}") or pay(bank.partner, f"B{n}", f"W{n}")
            except PartnerUnavailable:
                continue
            if found.state == "settled":
                return
            bank.settle()
        pytest.fail(f"B{n} never came to an end")

    with ThreadPoolExecutor(1 if hasattr(bank.partner, "pass_time") else 8) as pool:
        list(pool.map(drive, range(40)))
    clock.instant = AFTER_THE_DAY
    bank.bank.statement(DAY)  # chance may spoil the first asking
    assert bank.bank.statement(DAY).settled_count == 40
