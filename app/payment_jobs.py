"""What the scheduler does for payment batches, forfeitures and late statements; app/jobs.py runs it beside its own."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from app.config import Settings
from registry.base import PartnerUnavailable
from subsidy.forfeiture import Term, forfeit_due, remind_owners
from subsidy.payment_batches import (
    SCHEDULER,
    NothingToPay,
    approve_automatically,
    cut_batch,
    finish_batches,
    is_cut_due,
    release_next,
)

if TYPE_CHECKING:
    from app.jobs import Equipment


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentTerms:
    """The district's settings for paying (app/config.py says what each means). ``forfeit_after`` is None for never."""

    need_approval: bool = True
    second_approval_fen: int = 5_000_000
    forfeit_after: timedelta | None = timedelta(days=90)
    statement_overdue: timedelta = timedelta(hours=24)
    per_second: int = 50

    def payouts_at_once(self, *, threads: int) -> int:
        """How many one thread takes in one go: no more than the bank lets it send in a second, ten at most."""
        return max(1, min(10, self.per_second // threads))

    @classmethod
    def of(cls, settings: Settings) -> PaymentTerms:
        """Return the terms these settings name."""
        days = settings.forfeit_after_days
        return cls(
            need_approval=settings.payments_need_approval,
            second_approval_fen=settings.second_approval_fen,
            forfeit_after=timedelta(days=days) if days else None,
            statement_overdue=timedelta(hours=settings.statement_overdue_hours),
            per_second=settings.ecny_per_second,
        )


def work_batches(equipment: Equipment) -> Counter[str]:
    """Cut the day's batch, release what is approved, finish what is paid; return what was done.

    Where payments need no approval, everything owed is cut and approved at once.
    """
    counts: Counter[str] = Counter()
    terms, now = equipment.terms, equipment.clock.now()
    with equipment.sessions.begin() as session:
        if not terms.need_approval or is_cut_due(session=session, now=now):
            with suppress(NothingToPay):
                cut_batch(session=session, actor=SCHEDULER, threshold_fen=terms.second_approval_fen, now=now)
                counts["batches_cut"] = 1
        if not terms.need_approval:
            approve_automatically(session=session, now=now)
        counts["batches_finished"] = finish_batches(session=session, now=now)
    counts["batches_released"] = _release(equipment, again=False)
    return counts


def ask_for_fund(equipment: Equipment) -> str | None:
    """Ask the operator again about the fund, where a batch waits for money."""
    released = _release(equipment, again=True)
    return f"{released} batches released" if released else None


def forfeit(equipment: Equipment) -> str | None:
    """Remind owners without a usable wallet, and give back what nobody claimed in time."""
    if equipment.terms.forfeit_after is None:
        return None
    term = Term(after=equipment.terms.forfeit_after)
    with equipment.sessions.begin() as session:
        reminded = remind_owners(session=session, term=term, now=equipment.clock.now())
    connection = equipment.engine.raw_connection()
    try:
        driver = connection.driver_connection
        assert driver is not None
        forfeited = forfeit_due(connection=driver, clock=equipment.clock, term=term)
    finally:
        connection.close()
    return f"{reminded} reminded, {forfeited} forfeited" if reminded or forfeited else None


def _release(equipment: Equipment, *, again: bool) -> int:
    released = 0
    while equipment.leads():
        try:
            outcome = release_next(
                sessions=equipment.sessions,
                operator=equipment.partners.operator,
                now=equipment.clock.now(),
                ask_again=again,
            )
        except PartnerUnavailable:
            break
        if outcome != "released":
            break
        released += 1
    return released
