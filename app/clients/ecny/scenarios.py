"""Magic wallets: what the bank does with them instead of the ordinary.

The word after the last full stop of a wallet id picks the behaviour (``W1001.frozen``); a wallet id without a full
stop, or with another word after it, is an ordinary wallet.
"""

from __future__ import annotations

from enum import StrEnum

from app.clients.faults import Fault


class Scenario(StrEnum):
    """What the bank says that the ordinary case would not have."""

    UNKNOWN = "unknown"  # no such wallet
    MISMATCH = "mismatch"  # belongs to another name
    FROZEN = "frozen"
    PHONE = "phone"  # opened by phone alone: 2,000 yuan a payment, 5,000 a day
    FULL = "full"  # checks well, takes no more: every transfer is finally rejected
    FULL_ONCE = "full_once"  # the first transfer is finally rejected, later ones settle
    CLOSED_LATER = "closed_later"  # accepted, then finally rejected
    NOT_FINAL = "not_final"  # rejected but not finally; settled in the end
    SETTLED_AFTER_REJECTED = "settled_after_rejected"  # finally rejected, and settled all the same
    WRONG_AMOUNT = "wrong_amount"  # settles one fen less than asked
    SPENT = "spent"  # the money is gone: every reclaim is finally rejected
    SPENT_ONCE = "spent_once"  # the first reclaim is finally rejected, later ones settle
    OWNER_AGREES_LATER = "agrees_later"  # a reclaim is accepted, and settles once the owner has agreed
    RECLAIMED_AFTER_REJECTED = "reclaimed_after_rejected"  # finally rejected, and settled all the same
    RECLAIMED_SHORT = "reclaimed_short"  # settles one fen less than asked back


Behaviour = Scenario | Fault

FAULTS = {
    "pending": Fault.PENDING,
    "never": Fault.CALLBACK_NEVER,
    "twice": Fault.CALLBACK_TWICE,
    "late": Fault.CALLBACK_LATE,
    "out_of_order": Fault.CALLBACK_OUT_OF_ORDER,
    "slow": Fault.SLOW,
    "unavailable": Fault.UNAVAILABLE,
    "unavailable_once": Fault.UNAVAILABLE_ONCE,
    "error_after": Fault.ERROR_AFTER,
    "silent": Fault.SILENT,
    "answered_twice": Fault.ANSWERED_TWICE,
    "lost": Fault.LOST,
}
MAGIC: dict[str, Behaviour] = {**{scenario.value: scenario for scenario in Scenario}, **FAULTS}


class StatementFault(StrEnum):
    """How a day's statement can be wrong; set by option, by POST /demo/statements, or by chance."""

    LATE = "late"  # not out yet, however often one asks
    WRONG_TOTAL = "wrong_total"  # one fen too much in the total
    MISSING_LINE = "missing_line"  # totals right, the last line left out
    EXTRA_LINE = "extra_line"  # a line, and totals with it, that we never ordered


def for_wallet(wallet_id: str) -> Behaviour | None:
    """Return what the wallet provokes, None for the ordinary. Faults concern transfers only, not the wallet check."""
    return MAGIC.get(wallet_id.rpartition(".")[2]) if "." in wallet_id else None


def fault_in(behaviour: Behaviour | None) -> Fault | None:
    """Return the behaviour if it is a fault between machines, None otherwise."""
    return behaviour if isinstance(behaviour, Fault) else None
