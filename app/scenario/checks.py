"""The rules of the programme, each looked at once more in the end: what is broken is said in a sentence."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg

import subsidy.recompute
from app.clients.ecny.client import BankClient
from app.scenario.calls import Server
from app.scenario.counts import line_of, read_claims, read_windows
from app.scenario.course import CODE
from app.scenario.expected import RESERVE, WAVES_OF, Counts, Dealt, deeds_differing, differences
from app.scenario.people import Walk
from app.scenario.published import fetch_log
from registry.base import PartnerUnavailable
from subsidy.ledger_verification import verify
from subsidy.operator import Statement
from subsidy.reconciliation import business_day

SHOWN = 20
ASKED_OFTEN = 40
RECOMPUTED_WITHIN_S = 120.0

DUPLICATES = """
SELECT 'old bike', count(*) - count(DISTINCT filed_bike_id) FROM claim UNION ALL
SELECT 'new bike', count(*) - count(DISTINCT bike_id) FROM claim UNION ALL
SELECT 'trade-in', count(*) - count(DISTINCT trade_in_id) FROM claim UNION ALL
SELECT 'payout of a claim', count(*) - count(DISTINCT (programme_id, position)) FROM payout UNION ALL
SELECT 'settled attempt of a payout', count(*) - count(DISTINCT payout_id) FROM payout_attempt WHERE state = 'settled'
    UNION ALL
SELECT 'award of a person', count(*) - count(DISTINCT person_id) FROM claim WHERE state = 'awarded'
"""
POSTINGS = """
SELECT event_no, position, debit, credit, amount_fen FROM ledger_posting WHERE programme_id = %s ORDER BY id
"""
STATEMENTS = "SELECT day, (findings->>'clean')::boolean FROM bank_statement ORDER BY day"
PAYING_DAYS = "SELECT min(sent_at), max(finished_at) FROM payout_attempt"
# A statement of a day after the last payment may still be wrong at this moment: such days never end.
OPEN_CASES = """
SELECT kind, count(*) FROM staff_case
WHERE closed_at IS NULL AND (kind NOT LIKE 'statement%%' OR (detail->>'day')::date <= %s) GROUP BY kind ORDER BY kind
"""
UNSENT = "SELECT state, count(*) FROM message WHERE state <> 'sent' GROUP BY state ORDER BY state"
UNTOLD = """
SELECT count(*) FROM payout p WHERE p.state = 'settled' AND NOT EXISTS (
    SELECT FROM message m WHERE m.dedupe_key = 'payout:' || p.id || ':settled' AND m.state = 'sent')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the checks look at. ``connection`` is idle and in the application's role."""

    connection: psycopg.Connection
    programme_id: int
    walks: Sequence[Walk]
    found: Counts
    wanted: Counts
    dealt: Dealt
    dealt_wanted: Dealt
    bank: BankClient
    web: Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One rule as looked at: its name in Chinese, and a sentence for each breach."""

    name: str
    broken: tuple[str, ...]


def check_all(scene: Scene) -> list[Checked]:
    """Look at every rule and return what was found."""
    found = []
    for name, check in CHECKS.items():
        try:
            found.append(Checked(name=name, broken=tuple(check(scene))))
        finally:
            scene.connection.rollback()
    return found


def as_predicted(scene: Scene) -> list[str]:
    """Every count by stage and reason is what the plan says."""
    return differences(scene.found, scene.wanted)


def dealt_with(scene: Scene) -> list[str]:
    """Everything people do was done as often as planned, to its end, and by two where two are needed."""
    return deeds_differing(scene.dealt, scene.dealt_wanted)


def in_their_windows(scene: Scene) -> list[str]:
    """Every plate was issued in the window its wave was meant for."""
    windows = read_windows(connection=scene.connection, programme_id=scene.programme_id)
    claims = _by_reference(scene)
    return [
        f"{walk.reference} ({walk.planned.wave}) fell into «{line_of(claims[walk.reference].effective_at, windows)}»"
        for walk in scene.walks
        if walk.reference in claims
        and walk.planned.wave not in WAVES_OF[line_of(claims[walk.reference].effective_at, windows)]
    ]


def each_stands_once(scene: Scene) -> list[str]:
    """Every trade-in has one position; positions have no gap; what counters were told still stands."""
    claims = _by_reference(scene)
    broken = [f"{walk.reference} has no place" for walk in scene.walks if walk.reference not in claims]
    positions = [claim.position for claim in claims.values()]
    if sorted(positions) != list(range(1, len(scene.walks) + 1)):
        broken.append(f"{len(scene.walks)} trade-ins hold {len(positions)} positions up to {max(positions, default=0)}")
    for walk in scene.walks:
        claim = claims.get(walk.reference)
        if claim is None or walk.told is None:
            continue
        if claim.position != walk.told["position"]:
            broken.append(f"{walk.reference} was told position {walk.told['position']} and has {claim.position}")
        kept = walk.planned.deed is not None or walk.told["state"] != "awarded"
        if not kept and (claim.state, claim.amount_fen) != ("awarded", walk.told["amount_fen"]):
            broken.append(f"{walk.reference} was told {walk.told['amount_fen']} fen and is {claim.state}")
    return broken


def nothing_twice(scene: Scene) -> list[str]:
    """No old bike, new bike, trade-in, payout or person twice."""
    rows = scene.connection.execute(DUPLICATES).fetchall()
    return [f"{number} times twice: {what}" for what, number in rows if number]


def never_overspent(scene: Scene) -> list[str]:
    """After every single posting no purse is below zero and no stage has more awards and holds than places."""
    purses: Counter[str] = Counter()
    holders: defaultdict[str, set[int]] = defaultdict(set)
    broken = []
    for event_no, position, debit, credit, amount_fen in scene.connection.execute(POSTINGS, (scene.programme_id,)):
        purses[debit] -= amount_fen
        purses[credit] += amount_fen
        if debit != "appropriation" and purses[debit] < 0:
            broken.append(f"event {event_no}: {debit} at {purses[debit]} fen")
        for account, enters in ((debit, False), (credit, True)):
            purse, _, number = account.partition(":")
            if position is not None and purse in ("committed", "held", "paid"):
                (holders[number].add if enters else holders[number].discard)(position)
    for number, size in scene.found.items():
        if number != RESERVE and len(holders[number]) > size.places:
            broken.append(f"stage {number}: {len(holders[number])} awards in {size.places} places")
    return broken


def money_adds_up(scene: Scene) -> list[str]:
    """What was provided is what was paid and what went back; nothing is left in between."""
    purses: Counter[str] = Counter()
    for _, _, debit, credit, amount_fen in scene.connection.execute(POSTINGS, (scene.programme_id,)):
        purses[debit] -= amount_fen
        purses[credit] += amount_fen
    paid_fen = sum(fen for account, fen in purses.items() if account.startswith("paid:"))
    between = {
        account: fen for account, fen in purses.items() if fen and not account.startswith(("paid:", "appropriation"))
    }
    broken = [f"{account} still holds {fen} fen" for account, fen in between.items()]
    if paid_fen + purses["appropriation"] != 0:
        broken.append(f"{paid_fen} fen paid, {-purses['appropriation']} fen taken from the appropriation")
    return broken


def first_come_first_served(scene: Scene) -> list[str]:
    """Nobody without a fault is paid less than another with both a later position and a later plate."""
    behind: dict[int, Any] = {}  # amount → of the claims further back that got it, the one whose plate came last
    broken = []
    for claim in reversed(read_claims(connection=scene.connection, programme_id=scene.programme_id)):
        if claim.state != "awarded" and claim.reason != "no_money":
            continue
        for amount_fen, other in behind.items():
            if amount_fen > claim.amount_fen and other.effective_at > claim.effective_at:
                broken.append(f"position {claim.position} has {claim.amount_fen} fen, {other.position} {amount_fen}")
        last = behind.get(claim.amount_fen)
        if last is None or claim.effective_at > last.effective_at:
            behind[claim.amount_fen] = claim
    return broken


def every_award_arrived(scene: Scene) -> list[str]:
    """Each awarded claim has a settled payout of its amount; nobody else has one, but who paid it back."""
    claims = read_claims(connection=scene.connection, programme_id=scene.programme_id)
    return [
        f"position {claim.position} is {claim.state} ({claim.amount_fen} fen), its payout {claim.payout_state}"
        for claim in claims
        if not _is_paid_right(claim)
    ]


def _is_paid_right(claim: Any) -> bool:
    arrived = claim.payout_state == "settled"
    if claim.state == "awarded":
        return bool(arrived and claim.payout_fen == claim.amount_fen)
    if arrived and claim.state == "returned":
        return bool(claim.repaid_fen == claim.payout_fen)
    return bool(claim.payout_state in (None, "withdrawn"))


def statements_agree(scene: Scene) -> list[str]:
    """The statement of every day on which money moved was compared and nothing differs."""
    compared: dict[date, bool] = dict(scene.connection.execute(STATEMENTS).fetchall())
    words = {None: "not compared", False: "the statement differs"}
    return [f"{day}: {words[compared.get(day)]}" for day in paying_days(scene.connection) if not compared.get(day)]


def bank_agrees(scene: Scene) -> list[str]:
    """The bank's own books: each payout settled once, and in sum what our ledger says was paid, then or still."""
    settled: Counter[str] = Counter()
    paid_fen = 0
    for day in paying_days(scene.connection):
        statement = _statement(scene.bank, day)
        if statement is None:
            return [f"{day}: the bank gives no statement"]
        for line in statement.lines:
            if line.state == "settled":
                settled[line.bank_number.rpartition("-")[0]] += 1
                paid_fen += line.amount_fen
    claims = read_claims(connection=scene.connection, programme_id=scene.programme_id)
    ours_fen = sum(line.paid_fen for line in scene.found.values()) + sum(claim.repaid_fen for claim in claims)
    broken = [f"{reference} was paid {times} times" for reference, times in settled.items() if times > 1]
    if paid_fen != ours_fen:
        broken.append(f"the bank paid {paid_fen} fen, our ledger says {ours_fen}")
    return broken


def owners_were_told(scene: Scene) -> list[str]:
    """Every message owed was sent, and with every payout one."""
    broken = [f"{number} messages are {state}" for state, number in scene.connection.execute(UNSENT).fetchall()]
    row = scene.connection.execute(UNTOLD).fetchone()
    return broken + ([f"{row[0]} owners were not told of their money"] if row and row[0] else [])


def no_case_open(scene: Scene) -> list[str]:
    """Nothing is left for a person to clear up."""
    last_day = max(paying_days(scene.connection), default=date.min)
    rows = scene.connection.execute(OPEN_CASES, (last_day,)).fetchall()
    return [f"{number} open cases «{kind}»" for kind, number in rows]


def replays_to_the_fen(scene: Scene) -> list[str]:
    """``mapai verify`` finds no difference."""
    return [str(difference) for difference in verify(connection=scene.connection)]


def anybody_can_recompute(scene: Scene) -> list[str]:
    """The independent script decides every claim again from what the public log gives out, and agrees."""
    with tempfile.TemporaryDirectory(prefix="mapai-log-") as folder:
        fetch_log(scene.web, programme=CODE, folder=Path(folder))
        command = [sys.executable, "-I", str(Path(subsidy.recompute.__file__)), folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RECOMPUTED_WITHIN_S, check=False)  # noqa: S603
    return [(done.stdout + done.stderr).strip()[-400:]] if done.returncode else []


CHECKS: dict[str, Callable[[Scene], Iterable[str]]] = {
    "各阶段、各原因的笔数与按种子推算的一致": as_predicted,
    "更正、暂停、提前截止、复核、申诉、退回、对账差异都按计划办完，该两人办的都由两人办": dealt_with,
    "每块新牌都发在计划的阶段内": in_their_windows,
    "每笔置换只有一个序号，不缺号，已答复的序号和金额不变": each_stands_once,
    "旧车、新车、置换、发放、领取人都没有重复": nothing_twice,
    "名额和预算从没有超过": never_overspent,
    "收支相等：安排的钱等于已付的加退回的": money_adds_up,
    "先购先得：后来的不比先来的多": first_come_first_served,
    "每笔补贴都已到账": every_award_arrived,
    "每天的对账单都已核对一致": statements_agree,
    "银行的账：没有一笔付两次，总额与台账一致": bank_agrees,
    "该通知的车主都已通知": owners_were_told,
    "没有待人工核对的事项": no_case_open,
    "逐笔重算（mapai verify），分文不差": replays_to_the_fen,
    "公开日志：独立脚本（recompute.py）重算每一笔，结论相同": anybody_can_recompute,
}


def paying_days(connection: psycopg.Connection) -> list[date]:
    """Return the business days from the first attempt to the last settlement."""
    row = connection.execute(PAYING_DAYS).fetchone()
    if row is None or row[0] is None or row[1] is None:
        return []
    first, last = business_day(row[0]), business_day(row[1])
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _statement(bank: BankClient, day: date) -> Statement | None:
    """The bank's statement, asked for until it answers: its door misbehaves on purpose."""
    for _ in range(ASKED_OFTEN):
        try:
            statement = bank.statement(day=day)
        except PartnerUnavailable:
            continue
        if statement is not None:
            return statement
    return None


def _by_reference(scene: Scene) -> dict[str, Any]:
    claims = read_claims(connection=scene.connection, programme_id=scene.programme_id)
    return {claim.reference: claim for claim in claims}
