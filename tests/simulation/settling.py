"""Two days apart: pay day halfway, and the end, when nothing fails any more and all that is open is brought to one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from app.db import psycopg_conninfo
from registry.trade_ins import TradeIn
from subsidy.events import EventKind
from subsidy.ledger_verification import verify
from subsidy.wallets import confirm_wallet
from tests.simulation import deeds
from tests.simulation.crashes import connect
from tests.simulation.money_back import end_returns
from tests.simulation.promises import Promises
from tests.simulation.world import CALM, FORGETFUL, MOODY, RECLAIM_ENDS, World

ROUNDS = 12
LEFT = """
SELECT 'payout ' || id AS what FROM payout WHERE state NOT IN ('settled', 'withdrawn', 'frozen')
UNION ALL SELECT 'return ' || reference FROM return_case WHERE state IN ('proposed', 'demanded')
UNION ALL SELECT 'reclaim ' || bank_number FROM reclaim_attempt WHERE state NOT IN ('reclaimed', 'rejected')
"""


def pay_day(world: World) -> None:
    """Everybody with an award names a wallet that can be paid; how it gives money back is drawn.

    Orders and answers get lost, no process ends.
    """
    world.bank.words = FORGETFUL
    for _ in range(2):
        _pay(world, RECLAIM_ENDS)
    world.bank.words = MOODY


def settle_everything(world: World, promises: Promises) -> list[str]:
    """No more faults: time goes on to the end, everybody names a good wallet, all that is owed is paid or comes back.

    Returns what is broken then, `mapai verify` and the bank's statements asked besides.
    """
    world.bank.words = CALM
    deeds.append(world, EventKind.RESUME)
    world.clock.instant += timedelta(days=30)
    deeds.append_due(connection=world.connection, clock=world.clock)
    for _ in range(ROUNDS):
        world.bank.inner.pass_time()
        _pay(world, ("",))
        end_returns(world)
        if not (left := world.ask(LEFT)):
            break
    broken = _unexplained_on_statements(world, promises)
    broken += promises.broken()
    broken += [f"{row.what} was never worked to an end" for row in left]
    frozen = world.ask("SELECT id, problem FROM payout WHERE state = 'frozen'")
    broken += [f"payout {row.id} froze: {row.problem}" for row in frozen]
    with connect(psycopg_conninfo(world.settings), world.fuse) as connection:
        broken += [str(difference) for difference in verify(connection=connection)]
    return broken


def _pay(world: World, ends: Sequence[str]) -> None:
    """Pay all that is owed into good wallets; ``ends`` are what their numbers may end in."""
    for row in world.ask("SELECT trade_in_id FROM payout WHERE state = 'awaiting_wallet' ORDER BY id"):
        _good_wallet(world, row.trade_in_id, world.dice.choice(ends))
    deeds.prepare_payment(world)
    for _ in world.ask("SELECT id FROM payout WHERE state IN ('owed', 'in_flight')"):
        deeds.pay(world)
        deeds.ask_bank(world)


def _good_wallet(world: World, trade_in_id: int, end: str) -> None:
    world.wallets += 1
    with world.sessions() as session:
        confirm_wallet(
            session=session,
            keyring=world.settings.keyring,
            operator=world.bank,
            trade_in=session.get_one(TradeIn, trade_in_id),
            wallet_id=f"W{world.wallets:06d}{end}",
            actor=f"account:{world.wallets}",
            now=world.clock.instant,
        )
        session.commit()


def _unexplained_on_statements(world: World, promises: Promises) -> list[str]:
    """The bank's statements agree with our books, but for reclaims about which the bank contradicted itself."""
    world.clock.instant += timedelta(days=1)
    bank, broken = world.bank.inner.bank, []
    short = {number for number, one in bank.reclaims._known.items() if one.taken_fen() != one.amount_fen}
    explained = promises.money_back.refused | short
    for day in sorted(bank._lines):
        found = deeds.compare_day(world, day)
        if found is None:
            broken.append(f"the statement of {day} is not out")
            continue
        differing = [each for each in found.findings if each.bank_number not in explained]
        broken += [f"statement of {day}: {each.bank_number} is {each.verdict}" for each in differing]
        if not found.totals_agree and not found.findings:
            broken.append(f"the totals of {day} differ and no line does")
    return broken
