"""Confirming a wallet: what the bank's check refuses, when it is too late, and the race with the award."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import func, select, text

from registry.audit import AuditEntry
from registry.base import PartnerSilent, Refusal
from registry.trade_ins import TradeIn
from subsidy.operator import WalletAnswer
from subsidy.wallet_checks import (
    CHECKS_PER_ACCOUNT,
    CHECKS_PER_TRADE_IN,
    TooManyWalletChecks,
    forget_wallet_checks,
)
from subsidy.wallets import (
    Wallet,
    WalletFrozen,
    WalletFull,
    WalletInvalid,
    WalletNameMismatch,
    WalletNotNeeded,
    WalletTierLimit,
    WalletUnknown,
    clean_wallet_id,
    confirm_wallet,
    current_wallet,
    open_wallet_id,
    owe_confirmed,
)
from tests.subsidy.payout_rows import NOW, Books, ScriptedBank, make_bank


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "abc",
        "a b c d",
        "钱包一二三四",
        "x" * 69,
        "W100/1",
        "W100'1",
        "W1001<",
        "Ｗ1001",
        "W10\n01",
        "W10\x0001",
    ],
)
def test_what_cannot_be_a_wallet_is_refused_before_the_bank_is_asked(books: Books, typed: str) -> None:
    trade_in_id = books.trade_in()
    with pytest.raises(WalletInvalid) as refused:
        books.confirm(trade_in_id, typed)
    assert refused.value.field == "wallet_id"


def test_a_wallet_number_is_opaque() -> None:
    assert clean_wallet_id("  W-1001.x_Y@b ") == "W-1001.x_Y@b"
    assert clean_wallet_id("x" * 68) == "x" * 68


@pytest.mark.parametrize(
    ("reason", "refusal"),
    [
        ("unknown_wallet", WalletUnknown),
        ("name_mismatch", WalletNameMismatch),
        ("frozen", WalletFrozen),
        ("tier_limit", WalletTierLimit),
        ("wallet_full", WalletFull),
    ],
)
def test_each_reason_of_the_bank_is_said_in_words(books: Books, reason: str, refusal: type[Refusal]) -> None:
    class Checks(ScriptedBank):
        def check_wallet(self, *, wallet_id: str, holder_name: str) -> WalletAnswer:
            return WalletAnswer(ok=False, reason=reason)  # type: ignore[arg-type]

    trade_in_id = books.trade_in()
    payout_id = books.award(trade_in_id)
    with pytest.raises(refusal) as refused:
        books.confirm(trade_in_id, "W1001", Checks(make_bank()))
    assert refused.value.help_zh
    assert refused.value.help_en
    assert books.payout(payout_id).state == "awaiting_wallet"


def test_a_confirmed_wallet_is_sealed_and_makes_the_payout_owed(books: Books) -> None:
    trade_in_id = books.trade_in()
    payout_id = books.award(trade_in_id)
    wallet = books.confirm(trade_in_id, " W1001 ")
    assert wallet.tail == "1001"
    assert b"W1001" not in wallet.wallet_sealed
    assert open_wallet_id(wallet=wallet, keyring=books.keyring) == "W1001"
    assert books.payout(payout_id).state == "owed"


def test_the_same_wallet_again_is_the_same_and_another_supersedes_it(books: Books) -> None:
    trade_in_id = books.trade_in(state="opened")
    first = books.confirm(trade_in_id, "W1001")
    assert books.confirm(trade_in_id, "W1001").id == first.id
    second = books.confirm(trade_in_id, "W1002")
    current = books.do(lambda session: current_wallet(session=session, trade_in_id=trade_in_id))
    assert current.id == second.id != first.id


def test_no_wallet_change_while_a_payment_is_under_way_or_done(books: Books) -> None:
    payout_id = books.owed("W1001.pending")
    trade_in_id = books.payout(payout_id).trade_in_id
    bank = ScriptedBank(make_bank(), "silent")
    assert books.pay(bank) == "unknown"
    with pytest.raises(WalletNotNeeded):
        books.confirm(trade_in_id, "W1002")
    bank.inner.pass_time()
    assert books.ask(bank) == "settled"
    with pytest.raises(WalletNotNeeded):
        books.confirm(trade_in_id, "W1002")


def test_no_wallet_for_a_withdrawn_trade_in(books: Books) -> None:
    with pytest.raises(WalletNotNeeded):
        books.confirm(books.trade_in(state="withdrawn"), "W1001")


def test_nothing_is_locked_while_the_bank_is_asked(books: Books) -> None:
    trade_in_id = books.trade_in()
    payout_id = books.award(trade_in_id)

    class Looks(ScriptedBank):
        def check_wallet(self, *, wallet_id: str, holder_name: str) -> WalletAnswer:
            books.do(lambda s: s.execute(text(f"SELECT 1 FROM payout WHERE id = {payout_id} FOR UPDATE NOWAIT")))
            books.do(lambda s: s.execute(text(f"SELECT 1 FROM trade_in WHERE id = {trade_in_id} FOR UPDATE NOWAIT")))
            return super().check_wallet(wallet_id=wallet_id, holder_name=holder_name)

    assert books.confirm(trade_in_id, "W1001", Looks(make_bank()))


def test_a_payment_that_starts_during_the_check_stops_the_change(books: Books) -> None:
    payout_id = books.owed("W1001.pending")
    bank = make_bank()

    class PaysMeanwhile(ScriptedBank):
        def check_wallet(self, *, wallet_id: str, holder_name: str) -> WalletAnswer:
            assert books.pay(bank) == "sent"
            return super().check_wallet(wallet_id=wallet_id, holder_name=holder_name)

    with pytest.raises(WalletNotNeeded):
        books.confirm(books.payout(payout_id).trade_in_id, "W1002", PaysMeanwhile(bank))
    assert len(books.attempts(payout_id)) == 1


def test_a_silent_bank_leaves_everything_as_it_was(books: Books) -> None:
    class Silent(ScriptedBank):
        def check_wallet(self, *, wallet_id: str, holder_name: str) -> WalletAnswer:
            raise PartnerSilent(partner="bank")

    trade_in_id = books.trade_in()
    with pytest.raises(PartnerSilent):
        books.confirm(trade_in_id, "W1001", Silent(make_bank()))
    assert books.do(lambda session: current_wallet(session=session, trade_in_id=trade_in_id)) is None


def test_the_trail_names_who_typed_the_wallet(books: Books) -> None:
    """Staff may type it at the owner's word; the trail must not say that the owner did."""
    books.confirm(books.trade_in(), "W1001", actor="account:77")
    query = select(AuditEntry.actor).where(AuditEntry.action == "wallet_confirmed")
    assert books.do(lambda session: session.scalars(query).all()) == ["account:77"]


def test_a_wallet_given_in_the_moment_of_the_award_ends_owed_once(books: Books) -> None:
    """Neither transaction sees the other; the sweep finds what both missed."""
    trade_in_id = books.trade_in()
    with books.sessions() as owner:
        confirm_wallet(
            session=owner,
            keyring=books.keyring,
            operator=make_bank(),
            trade_in=owner.get_one(TradeIn, trade_in_id),
            wallet_id="W1001",
            actor="account:1",
            now=NOW,
        )
        payout_id = books.award(trade_in_id)
        owner.commit()
    assert books.payout(payout_id).state == "awaiting_wallet"
    assert books.do(lambda session: owe_confirmed(session=session)) == 1
    assert books.do(lambda session: owe_confirmed(session=session)) == 0
    assert books.payout(payout_id).state == "owed"


@pytest.mark.parametrize("awarded", [True, False])
def test_many_confirmations_at_once_leave_one_current_wallet(books: Books, awarded: bool) -> None:
    trade_in_id = books.trade_in()
    payout_id = books.award(trade_in_id) if awarded else None
    together([lambda number=number: books.confirm(trade_in_id, f"W{number:04d}") for number in range(8)])
    query = select(func.count()).where(Wallet.trade_in_id == trade_in_id)
    assert books.do(lambda session: session.scalar(query)) == 8
    assert books.do(lambda session: session.scalar(query.where(Wallet.superseded_at.is_(None)))) == 1
    assert payout_id is None or books.payout(payout_id).state == "owed"


def test_one_wallet_for_two_people_opens_a_case(books: Books) -> None:
    bank = make_bank()
    books.confirm(books.trade_in(), "W1001", bank)
    assert books.cases() == []
    books.confirm(books.trade_in(), "W1001", bank)
    assert books.cases() == ["wallet_shared"]


def test_an_account_may_have_so_many_wallets_checked_an_hour(books: Books) -> None:
    """Counted by account and by trade-in, whatever the bank says."""
    bank = ScriptedBank(make_bank())
    trade_in_id = books.trade_in()
    for number in range(CHECKS_PER_TRADE_IN):
        with pytest.raises(WalletUnknown):
            books.confirm(trade_in_id, f"W{number:04d}.unknown", bank, actor=f"account:{number}")
    with pytest.raises(TooManyWalletChecks) as refused:
        books.confirm(trade_in_id, "W1001", bank, actor="account:99")
    assert 0 < refused.value.facts["retry_after_s"] <= 3600
    other = books.trade_in()
    checked = f"SELECT 'account:7', {trade_in_id} FROM generate_series(1, {CHECKS_PER_ACCOUNT})"
    books.execute(f"INSERT INTO wallet_check (actor, trade_in_id) {checked}")
    with pytest.raises(TooManyWalletChecks):
        books.confirm(other, "W1001", bank, actor="account:7")
    assert books.confirm(other, "W1001", bank, actor="account:8")
    books.execute("UPDATE wallet_check SET at = at - interval '61 minutes'")
    assert books.confirm(trade_in_id, "W1001", bank, actor="account:7")
    books.execute("UPDATE wallet_check SET at = at - interval '1 day'")
    assert books.do(lambda session: forget_wallet_checks(session=session)) > CHECKS_PER_ACCOUNT


def together(acts: list[Callable[[], object]]) -> None:
    """Do all at once; the first error is raised."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> None:
        barrier.wait(10)
        try:
            act()
        except BaseException as error:  # told to the test below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    if errors:
        raise errors[0]
