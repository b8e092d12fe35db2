"""The ledger (台账): double-entry in integer fen, append-only, with running balances beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Identity,
    Index,
    Integer,
    String,
    func,
    select,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.base import Base, Instant, table_of

# Accounts in which money stands for a claim; each is followed by a stage's number or «reserve».
OCCUPIED = ("held:", "committed:", "paid:")


class LedgerPosting(Base):
    """One posting: ``amount_fen`` leaves ``debit`` and enters ``credit``. Append-only.

    ``event_no`` names the queue event that caused it, None for money that moved at the bank (``payout_id``).
    """

    __tablename__ = "ledger_posting"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount_positive"),
        CheckConstraint("debit <> credit", name="two_accounts"),
        Index("ix_ledger_posting_event", "programme_id", "event_no"),
        Index(
            "uq_ledger_posting_payout",
            "payout_id",
            "kind",
            unique=True,
            postgresql_where=text("payout_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    programme_id: Mapped[int] = mapped_column(Integer)
    event_no: Mapped[int | None] = mapped_column(BigInteger)
    position: Mapped[int | None] = mapped_column(BigInteger)
    payout_id: Mapped[int | None] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(Instant)
    kind: Mapped[str] = mapped_column(String(20))
    debit: Mapped[str] = mapped_column(String(24))
    credit: Mapped[str] = mapped_column(String(24))
    amount_fen: Mapped[int] = mapped_column(BigInteger)


class AccountBalance(Base):
    """The running balance of one account: credits less debits. ``mapai verify`` compares it with the sums."""

    __tablename__ = "account_balance"

    programme_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    account: Mapped[str] = mapped_column(String(24), primary_key=True)
    balance_fen: Mapped[int] = mapped_column(BigInteger)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPosting:
    """Money of one payout moving at the bank: ``kind`` settled or clawed_back."""

    programme_id: int
    payout_id: int
    position: int
    at: datetime
    kind: str
    debit: str
    credit: str
    amount_fen: int


def book_payments(*, session: Session, postings: Sequence[PaymentPosting]) -> frozenset[int]:
    """Book the postings and the balances they change.

    Return the payouts booked: without those that had a posting of that kind already.
    """
    row = insert(LedgerPosting).on_conflict_do_nothing().returning(LedgerPosting.payout_id)
    values = [{field: getattr(posting, field) for field in PaymentPosting.__slots__} for posting in postings]
    booked = frozenset(payout_id for payout_id in session.scalars(row, values) if payout_id is not None)
    changes: dict[int, list[tuple[str, int]]] = {}
    for posting in postings:
        if posting.payout_id in booked:
            change = changes.setdefault(posting.programme_id, [])
            change += [(posting.debit, -posting.amount_fen), (posting.credit, posting.amount_fen)]
    for programme_id in sorted(changes):
        add_to_balances(session=session, programme_id=programme_id, changes=changes[programme_id])
    return booked


# Every booking runs it: made once, because putting a statement together takes longer than running it.
_BALANCES = table_of(AccountBalance)
_CHANGE = insert(_BALANCES)
_ADDED = _CHANGE.on_conflict_do_update(
    index_elements=[_BALANCES.c.programme_id, _BALANCES.c.account],
    set_={"balance_fen": _BALANCES.c.balance_fen + _CHANGE.excluded.balance_fen},
)


def add_to_balances(*, session: Session, programme_id: int, changes: Iterable[tuple[str, int]]) -> None:
    """Add each (account, fen) to its running balance, in account order so that two bookings cannot deadlock."""
    totals: Counter[str] = Counter()
    for account, change_fen in changes:
        totals[account] += change_fen
    for account, change_fen in sorted(totals.items()):
        change = {"programme_id": programme_id, "account": account, "balance_fen": change_fen}
        session.execute(_ADDED, change)


def balances(*, session: Session, programme_id: int) -> dict[str, int]:
    """Return every account's running balance in fen."""
    rows = session.execute(
        select(AccountBalance.account, AccountBalance.balance_fen).where(AccountBalance.programme_id == programme_id)
    )
    return {row.account: row.balance_fen for row in rows}


def balances_as_of(*, session: Session, programme_id: int, at: datetime) -> dict[str, int]:
    """Return every account's balance in fen after the last posting before the instant ``at``, from the postings."""
    gone = select(LedgerPosting.debit.label("account"), (-LedgerPosting.amount_fen).label("fen"))
    came = select(LedgerPosting.credit, LedgerPosting.amount_fen)
    before = (LedgerPosting.programme_id == programme_id, LedgerPosting.at < at)
    moved = union_all(gone.where(*before), came.where(*before)).subquery()
    rows = session.execute(select(moved.c.account, func.sum(moved.c.fen)).group_by(moved.c.account))
    return {account: int(fen) for account, fen in rows}


def occupied_fen(postings: Iterable[LedgerPosting]) -> int:
    """Return the fen a claim holds after these of its postings: what stands reserved, committed or paid for it."""
    return sum(row.amount_fen * (row.credit.startswith(OCCUPIED) - row.debit.startswith(OCCUPIED)) for row in postings)
