"""The books still balance: what was acknowledged stands, in the order it was given, and nobody was paid twice.

What the senders saw, our tables and the bank's own books are three witnesses; each function compares two of them and
returns a line of words for every violation, none where all is well. Ask while nothing is under way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from subsidy.ledger_verification import verify
from subsidy.operator import StatementLine
from subsidy.queue_rows import CLAIM_STATE

STANDING = """
SELECT t.application_no, t.state AS trade_in_state, c.position,
       coalesce(p.plates, 0) AS plates, coalesce(d.said, '[]') AS said
FROM trade_in t
LEFT JOIN claim c ON c.trade_in_id = t.id
LEFT JOIN (SELECT application_no, count(*) AS plates FROM plate GROUP BY 1) p USING (application_no)
LEFT JOIN (SELECT programme_id, position, json_agg(json_build_array(outcome, stage_no, amount_fen)) AS said
           FROM decision GROUP BY 1, 2) d ON d.programme_id = c.programme_id AND d.position = c.position
WHERE t.application_no IS NOT NULL AND (t.state = 'completed' OR c.position IS NOT NULL)
"""
OWED = """
SELECT p.position, p.state, p.amount_fen, coalesce(l.posted_fen, 0)::bigint AS posted_fen,
       coalesce(a.bank_numbers, '{}') AS bank_numbers
FROM payout p
LEFT JOIN (SELECT payout_id, array_agg(bank_number) AS bank_numbers FROM payout_attempt GROUP BY 1) a
    ON a.payout_id = p.id
LEFT JOIN (SELECT payout_id, sum(amount_fen) AS posted_fen FROM ledger_posting WHERE kind = 'settled' GROUP BY 1) l
    ON l.payout_id = p.id
"""
POSTED = "SELECT coalesce(sum(amount_fen), 0)::bigint FROM ledger_posting WHERE kind = 'settled'"
# What each stage was ever given, from the appropriation or from the stage before it, and what stands awarded from it.
STAGES = """
SELECT s.programme_id, s.number, s.places, s.amount_fen, s.given_fen,
       count(c.*)::int AS awards, coalesce(sum(c.amount_fen), 0)::bigint AS awarded_fen
FROM (
    SELECT v.programme_id, (r->>'number')::int AS number, (r->>'places')::int AS places,
           (r->>'amount_fen')::int AS amount_fen,
           (SELECT coalesce(sum(l.amount_fen), 0) FROM ledger_posting l WHERE l.programme_id = v.programme_id
            AND l.credit = 'stage:' || (r->>'number') AND (l.debit = 'appropriation' OR l.debit LIKE 'stage:%')
           )::bigint AS given_fen
    FROM programme_version v, jsonb_array_elements(v.rules->'stages') r
    WHERE v.version_no = (SELECT max(version_no) FROM programme_version w WHERE w.programme_id = v.programme_id)
) s LEFT JOIN claim c ON c.programme_id = s.programme_id AND c.stage_no = s.number AND c.state IN ('awarded', 'held')
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2
"""
OVERDRAWN = """
SELECT DISTINCT ON (account) account, balance_fen FROM (
    SELECT account, sum(fen) OVER (PARTITION BY programme_id, account ORDER BY id) AS balance_fen
    FROM (SELECT id, programme_id, debit AS account, -amount_fen AS fen FROM ledger_posting
          UNION ALL SELECT id, programme_id, credit, amount_fen FROM ledger_posting) moves
    WHERE account <> 'appropriation'
) balances WHERE balance_fen < 0 ORDER BY account, balance_fen
"""
TWICE = """
SELECT 'positions', count(*) - count(DISTINCT (programme_id, position)) FROM claim UNION ALL
SELECT 'positions left out', coalesce(sum(missing), 0)
    FROM (SELECT max(position) - count(DISTINCT position) AS missing FROM claim GROUP BY programme_id) each UNION ALL
SELECT 'trade-ins', count(*) - count(DISTINCT trade_in_id) FROM claim UNION ALL
SELECT 'old bikes', count(*) - count(DISTINCT filed_bike_id) FROM claim UNION ALL
SELECT 'new bikes', count(*) - count(DISTINCT bike_id) FROM claim UNION ALL
SELECT 'plates of one application', count(*) - count(DISTINCT application_no) FROM plate UNION ALL
SELECT 'payouts of one claim', count(*) - count(DISTINCT (programme_id, position)) FROM payout UNION ALL
SELECT 'settled attempts of one payout', count(*) - count(DISTINCT payout_id) FROM payout_attempt
    WHERE state = 'settled'
"""
UNSEALED = """
SELECT count(*) FROM audit_entry e WHERE NOT EXISTS (SELECT FROM audit_seal s WHERE s.entry_id = e.id)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """A completion as its sender saw it.

    ``sent_s`` is when its first sending began, ``answered_s`` when its answer had been read: seconds of ONE monotonic
    clock for all senders.
    """

    application_no: str
    position: int | None
    state: str
    stage_no: int | None
    amount_fen: int
    sent_s: float
    answered_s: float

    @property
    def answer(self) -> tuple[int | None, str, int | None, int]:
        """What was said, without when."""
        return self.position, self.state, self.stage_no, self.amount_fen


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A completed trade-in, or a claim, as our tables have it; ``said`` holds every decision it ever got."""

    application_no: str
    trade_in_state: str
    position: int | None
    plates: int
    said: Sequence[Sequence[Any]]

    @property
    def answers(self) -> set[tuple[str, int | None, int]]:
        """What it could truly be answered, at one time or another: state, stage, fen."""
        if self.position is None:
            return {("unclaimed", None, 0)}
        return {(CLAIM_STATE[outcome], stage_no, amount_fen or 0) for outcome, stage_no, amount_fen in self.said}


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A payout as our books have it: what was booked as paid, and every number under which the bank was asked."""

    position: int
    state: str
    amount_fen: int
    posted_fen: int
    bank_numbers: Sequence[str]


def violations(
    *,
    connection: Connection[Any],
    acknowledged: Sequence[Acknowledged],
    repeated: Sequence[Acknowledged],
    bank_lines: Sequence[StatementLine],
) -> list[str]:
    """Return every violation there is. ``connection`` must be idle; ``bank_lines`` is all the bank ever stated."""
    connection.rollback()
    return [
        *lost_or_changed(acknowledged=acknowledged, standing=read_standing(connection=connection)),
        *out_of_order(acknowledged=acknowledged),
        *answered_otherwise(acknowledged=acknowledged, repeated=repeated),
        *overspent(connection=connection),
        *duplicates(connection=connection),
        *paid_otherwise(owed=read_owed(connection=connection), lines=bank_lines, posted_fen=_one(connection, POSTED)),
        *unsealed(connection=connection),
        *unverified(connection=connection),
    ]


def lost_or_changed(*, acknowledged: Iterable[Acknowledged], standing: Iterable[Standing]) -> list[str]:
    """Every acknowledged completion stands exactly once, at the position and with the amount acknowledged."""
    stands: dict[str, list[Standing]] = defaultdict(list)
    for one in standing:
        stands[one.application_no].append(one)
    found, given = [], defaultdict(set)
    for told in acknowledged:
        given[told.position].add(told.application_no)
        rows = stands[told.application_no]
        if len(rows) != 1:
            found.append(f"{told.application_no}: acknowledged, and stands {len(rows)} times")
            continue
        (row,) = rows
        if row.trade_in_state != "completed" or row.plates != 1:
            found.append(f"{told.application_no}: acknowledged, and is {row.trade_in_state} with {row.plates} plates")
        if row.position != told.position:
            found.append(f"{told.application_no}: acknowledged at {told.position}, and stands at {row.position}")
        elif told.answer[1:] not in row.answers:
            found.append(f"{told.application_no}: acknowledged as {told.answer[1:]}, and was {sorted(row.answers)}")
    for position, numbers in given.items():
        if position is not None and len(numbers) > 1:
            found.append(f"position {position}: acknowledged to {', '.join(sorted(numbers))}")
    return found


def out_of_order(*, acknowledged: Iterable[Acknowledged]) -> list[str]:
    """A completion acknowledged before another's was first sent has the smaller position."""
    placed = [(told.position, told) for told in acknowledged if told.position is not None]
    answered = sorted(placed, key=lambda each: each[1].answered_s)
    found, seen, highest = [], 0, None
    for position, told in sorted(placed, key=lambda each: each[1].sent_s):
        while seen < len(answered) and answered[seen][1].answered_s < told.sent_s:
            highest = answered[seen] if highest is None else max(highest, answered[seen], key=lambda each: each[0])
            seen += 1
        if highest is not None and highest[0] > position:
            found.append(
                f"{told.application_no}: got {position}, although {highest[1].application_no} had {highest[0]} before"
            )
    return found


def overspent(*, connection: Connection[Any]) -> list[str]:
    """No stage awards more than its places and its money, and no account was ever below zero.

    Places grow with the money a stage takes over from the one before, as the law of the queue has it.
    """
    found = []
    for stage in connection.execute(STAGES):
        _, number, places, amount_fen, given_fen, awards, awarded_fen = stage
        most = max(places, given_fen // amount_fen)
        if awards > most:
            found.append(f"stage {number}: {awards} awards in {most} places")
        if awarded_fen > given_fen:
            found.append(f"stage {number}: {awarded_fen} fen awarded of {given_fen}")
    return found + [f"{account}: {fen} fen at one time" for account, fen in connection.execute(OVERDRAWN)]


def duplicates(*, connection: Connection[Any]) -> list[str]:
    """Positions go without a gap, and nothing claims, is plated or is paid a second time."""
    rows = connection.execute(TWICE).fetchall()
    return [f"{what}: {times} too many" for what, times in rows if times]


def answered_otherwise(*, acknowledged: Iterable[Acknowledged], repeated: Iterable[Acknowledged]) -> list[str]:
    """A repeated completion is answered as the first time. For queues in which no waiting claim was paid meanwhile."""
    first = {told.application_no: told.answer for told in acknowledged}
    again = {told.application_no: told.answer for told in repeated}
    return [
        f"{number}: first answered {answer}, then {again.get(number, 'not at all')}"
        for number, answer in first.items()
        if again.get(number) != answer
    ]


def paid_otherwise(*, owed: Sequence[Owed], lines: Iterable[StatementLine], posted_fen: int) -> list[str]:
    """The bank paid each payout at most once, what our books say and nothing else.

    A frozen payout is a case already and is only checked for a second payment.
    """
    whose = {number: index for index, payout in enumerate(owed) for number in payout.bank_numbers}
    paid: dict[int, list[int]] = defaultdict(list)
    found, total_fen = [], 0
    for line in lines:
        if line.state != "settled":
            continue
        total_fen += line.amount_fen
        if line.bank_number in whose:
            paid[whose[line.bank_number]].append(line.amount_fen)
        else:
            found.append(f"{line.bank_number}: the bank paid {line.amount_fen} fen nobody here ordered")
    for index, payout in enumerate(owed):
        found += _payout_differs(payout, paid[index])
    if total_fen != posted_fen:
        found.append(f"the bank paid {total_fen} fen in all, the ledger says {posted_fen}")
    return found


def _payout_differs(payout: Owed, paid: Sequence[int]) -> list[str]:
    found = []
    if len(paid) > 1:
        found.append(f"claim {payout.position}: paid {len(paid)} times, {sum(paid)} fen of {payout.amount_fen}")
    if payout.state == "frozen":
        return found
    due_fen = payout.amount_fen if payout.state == "settled" else 0
    if (sum(paid), payout.posted_fen) != (due_fen, due_fen):
        found.append(
            f"claim {payout.position} ({payout.state}): {due_fen} fen are due, "
            f"the bank paid {sum(paid)}, the ledger says {payout.posted_fen}"
        )
    return found


def unsealed(*, connection: Connection[Any]) -> list[str]:
    """Every audit entry is sealed; whether the seals are intact is for ``unverified``."""
    count = _one(connection, UNSEALED)
    return [f"{count} audit entries are not sealed"] if count else []


def unverified(*, connection: Connection[Any]) -> list[str]:
    """The replay of the whole queue agrees with every decision, balance, payout and seal. ``connection`` goes idle."""
    connection.rollback()
    return [f"verify: {difference}" for difference in verify(connection=connection)]


def read_standing(*, connection: Connection[Any]) -> list[Standing]:
    """Return everything that stands: completed trade-ins with their claims, and claims of any others."""
    with connection.cursor(row_factory=class_row(Standing)) as cursor:
        return cursor.execute(STANDING).fetchall()


def read_owed(*, connection: Connection[Any]) -> list[Owed]:
    """Return every payout."""
    with connection.cursor(row_factory=class_row(Owed)) as cursor:
        return cursor.execute(OWED).fetchall()


def tally(*, acknowledged: Iterable[Acknowledged]) -> dict[str, int]:
    """Return how many were acknowledged in which state, for the words around a result."""
    return dict(Counter(told.state for told in acknowledged))


def _one(connection: Connection[Any], question: str) -> int:
    row = connection.execute(question).fetchone()
    assert row is not None
    return int(row[0])
