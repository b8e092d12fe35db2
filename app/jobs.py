"""What the scheduler does, job by job: each returns what it did in a few words, or None where there was nothing to do.

Every job may be cut off at any instant and run again: what it does is taken from the database row by row, and what
partners are asked carries our own numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from app import job_fence
from app.bank_watch import BankWatch
from app.clock import Clock, real
from app.combiner import Combiner
from app.completing import completion_of
from app.import_jobs import import_lists
from app.log_jobs import publish_log
from app.log_keys import LogTerms
from app.partners import Partners
from app.payment_jobs import PaymentTerms, ask_for_fund, forfeit, work_batches
from registry.audit import Sealer
from registry.base import PartnerUnavailable, Refusal
from registry.cancelling import ask_about_cancellation, pending_cancellations
from registry.dealer_licences import expire_licences
from registry.dealer_rules import EnrolmentRules
from registry.import_turns import forget_files
from registry.messages import send_owed
from registry.owner_drafts import forget_drafts
from registry.plating import ask_about_application, pending_applications
from registry.point_drafts import forget_point_drafts
from registry.sealing import Keyring
from registry.transferring import expire_transfers
from subsidy.appeal_erasure import forget_appeals_of_locked
from subsidy.dispatch import ask_next, pay_some
from subsidy.programme_change_effect import forget_runs, reckon_next
from subsidy.queue import append_due
from subsidy.reclaiming import reclaim_next
from subsidy.reconciliation import days_to_compare, reconcile_day
from subsidy.stage_notices import tell_transitions
from subsidy.wallet_checks import forget_wallet_checks
from subsidy.wallets import owe_confirmed

_log = structlog.get_logger()

PAYERS = 4
ASKERS = 4
# What one run takes on; the rest waits for the next slot, so that no run lasts for long.
# Payments keep the operator's rate only while a run lasts, so one takes a minute's worth.
MOST_PAYMENTS = 3000
MOST_QUESTIONS = 100
MESSAGES_AT_ONCE = 400
MOST_MESSAGES = 2000
SEALS_AT_ONCE = 5000
POLICE_ANSWER_WITHIN = timedelta(seconds=4)
FORGET_SIGN_INS = text("DELETE FROM sign_in WHERE expires_at < clock_timestamp() - interval '1 day'")
FORGET_ATTEMPTS = text("DELETE FROM sign_in_attempt WHERE at < clock_timestamp() - interval '1 day'")
FORGET_CODES = text("DELETE FROM one_time_code WHERE created_at < clock_timestamp() - interval '1 day'")
FORGET_FIRST_ANSWERS = text("DELETE FROM first_answer WHERE created_at < clock_timestamp() - interval '7 days'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """Everything a job needs. ``leads`` says whether to go on; long jobs ask it before each item."""

    clock: Clock
    engine: Engine
    sessions: sessionmaker[Session]
    partners: Partners
    keyring: Keyring
    combiner: Combiner
    sealer: Sealer
    bank_watch: BankWatch
    leads: Callable[[], bool]
    terms: PaymentTerms = field(default_factory=PaymentTerms)
    closing_soon: timedelta = timedelta(hours=72)
    log: LogTerms | None = None
    enrolment: EnrolmentRules = field(default_factory=EnrolmentRules)
    owners_pages: str | None = None
    """Address of the owners' own pages, named in texts that send their readers there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job and how often (real time) it is due."""

    name: str
    every: timedelta
    work: Callable[[Equipment], str | None]


def jobs_for(clock: Clock) -> tuple[Job, ...]:
    """Return the jobs. Statements are asked for every minute, or four times a business day where business runs fast."""
    second = timedelta(seconds=1)
    statements = min(max(timedelta(days=1) / clock.factor / 4, second), timedelta(minutes=1))
    statements = timedelta(seconds=round(statements.total_seconds()))
    return (
        Job(name="boundaries", every=second, work=switch_stages),
        Job(name="stage_notices", every=5 * second, work=tell_transitions_of_stages),
        Job(name="payouts", every=second, work=pay),
        Job(name="fund", every=15 * second, work=ask_for_fund),
        Job(name="forfeitures", every=timedelta(minutes=1), work=forfeit),
        Job(name="ask_bank", every=second, work=ask_bank),
        Job(name="reclaims", every=5 * second, work=reclaim),
        Job(name="ask_police", every=2 * second, work=ask_police),
        Job(name="messages", every=second, work=send_messages),
        Job(name="seal_audit", every=second, work=seal_audit),
        Job(name="publish_log", every=3 * second, work=publish_log),
        Job(name="statements", every=statements, work=reconcile),
        Job(name="imports", every=2 * second, work=import_lists),
        Job(name="effects", every=2 * second, work=reckon_effects),
        Job(name="licences", every=_hourly(clock), work=expire),
        Job(name="clean_up", every=timedelta(hours=1), work=clean_up),
    )


def _hourly(clock: Clock) -> timedelta:
    """An hour of business, a second at least: a licence that has run out is marked on its first day over."""
    return timedelta(seconds=max(round(3600 / clock.factor), 1))


def expire(equipment: Equipment) -> str | None:
    """Mark the licences that have run out and the transfers nobody confirmed; neither was good for anything since."""
    with equipment.sessions.begin() as session:
        expired = len(expire_licences(session=session, now=equipment.clock.now()))
    with equipment.sessions.begin() as session:
        expired += expire_transfers(session=session, now=equipment.clock.now())
    return f"{expired} expired" if expired else None


def switch_stages(equipment: Equipment) -> str | None:
    """Append every boundary of every programme that is due."""
    connection = equipment.engine.raw_connection()
    try:
        driver = connection.driver_connection
        assert driver is not None
        appended = append_due(connection=driver, clock=equipment.clock)
    finally:
        connection.close()
    return f"{appended} events" if appended else None


def tell_transitions_of_stages(equipment: Equipment) -> str | None:
    """Tell owners with an open trade-in that a stage closes soon, has run out or has closed."""
    with equipment.sessions.begin() as session:
        told = tell_transitions(session=session, now=equipment.clock.now(), closing_soon=equipment.closing_soon)
    return f"{told} told" if told else None


def pay(equipment: Equipment) -> str | None:
    """Work off the payment batches, send what they release to the bank; stops while the bank is away."""
    with equipment.sessions.begin() as session:
        found = owe_confirmed(session=session)
    batches = work_batches(equipment)
    # The bank may be away: the first payout of a run finds that out before attempts are opened for others.
    alone = [1]

    def some() -> Sequence[str]:
        return pay_some(
            sessions=equipment.sessions,
            operator=equipment.partners.operator,
            keyring=equipment.keyring,
            now=equipment.clock.now,
            most=alone.pop() if alone else equipment.terms.payouts_at_once(threads=PAYERS),
        )

    counts = _repeat(some, equipment=equipment, threads=PAYERS, most=MOST_PAYMENTS)
    counts["hastened"] = equipment.bank_watch.hear(counts)
    counts["wallets_found"] = found
    counts.update(batches)
    return _words(counts)


def ask_bank(equipment: Equipment) -> str | None:
    """Ask the bank about every attempt that is due to be asked for; once it is back, soon about all of them."""

    def one() -> Sequence[str]:
        outcome = ask_next(
            sessions=equipment.sessions,
            operator=equipment.partners.operator,
            keyring=equipment.keyring,
            now=equipment.clock.now,
        )
        return [outcome] if outcome else []

    counts = _repeat(one, equipment=equipment, threads=ASKERS, most=MOST_QUESTIONS)
    counts["hastened"] = equipment.bank_watch.hear(counts)
    return _words(counts)


def reclaim(equipment: Equipment) -> str | None:
    """Ask the bank for money that owners have to give back, and about what was asked before."""

    def one() -> Sequence[str]:
        operator = equipment.partners.operator
        outcome = reclaim_next(sessions=equipment.sessions, operator=operator, clock=equipment.clock)
        return [outcome] if outcome else []

    return _words(_repeat(one, equipment=equipment, threads=1, most=MOST_QUESTIONS))


def reckon_effects(equipment: Equipment) -> str | None:
    """Reckon what drafts on a long queue would do, one after the other."""
    counts: Counter[str] = Counter()
    while equipment.leads() and (outcome := reckon_next(sessions=equipment.sessions, clock=equipment.clock)):
        counts[outcome] += 1
    return _words(counts)


def ask_police(equipment: Equipment) -> str | None:
    """Ask the police what became of cancellations and applications whose answer has not come within seconds."""
    before = equipment.clock.business(real() - POLICE_ANSWER_WITHIN)
    with equipment.sessions() as session:
        cancellations = pending_cancellations(session=session, before=before, limit=MOST_QUESTIONS)
        applications = pending_applications(session=session, before=before, limit=MOST_QUESTIONS)
    counts: Counter[str] = Counter()
    questions = [(_ask_cancellation, reference) for reference in cancellations]
    questions += [(_ask_application, reference) for reference in applications]
    if not questions:
        return None

    def put(question: tuple[Callable[[Equipment, str], str], str]) -> str:
        ask, reference = question
        return ask(equipment, reference) if equipment.leads() else "left"

    with ThreadPoolExecutor(max_workers=ASKERS, thread_name_prefix="ask_police") as pool:
        counts.update(pool.map(put, questions))
    return _words(counts)


def send_messages(equipment: Equipment) -> str | None:
    """Send the messages that are due."""
    sent = 0
    while equipment.leads() and sent < MOST_MESSAGES:
        taken = send_owed(
            session_factory=equipment.sessions,
            gateway=equipment.partners.sms,
            keyring=equipment.keyring,
            now=equipment.clock.now(),
            limit=MESSAGES_AT_ONCE,
            go_on=equipment.leads,
            address=equipment.owners_pages,
        )
        sent += taken
        if not taken:
            break
    return f"{sent} sent" if sent else None


def seal_audit(equipment: Equipment) -> str | None:
    """Chain the audit entries written since."""
    sealed = 0
    while equipment.leads():
        count = equipment.sealer.run(limit=SEALS_AT_ONCE)
        sealed += count
        if count < SEALS_AT_ONCE:
            break
    return f"{sealed} sealed" if sealed else None


def reconcile(equipment: Equipment) -> str | None:
    """Compare the statement of each finished business day that is out and was not compared yet."""
    again = max(timedelta(minutes=10) / equipment.clock.factor, timedelta(seconds=5))
    with equipment.sessions() as session:
        days = days_to_compare(session=session, now=equipment.clock.now(), ask_again_after=again)
    compared = differing = 0
    for day in days:
        if not equipment.leads():
            break
        try:
            result = reconcile_day(
                sessions=equipment.sessions,
                operator=equipment.partners.operator,
                day=day,
                clock=equipment.clock,
                overdue_after=equipment.terms.statement_overdue,
            )
        except PartnerUnavailable:
            break
        if result is None:
            continue
        compared, differing = compared + 1, differing + (not result.clean)
        if not result.clean:
            _log.warning("statement.differs", day=day.isoformat(), differences=len(result.findings))
    return f"{compared} compared, {differing} differ" if compared else None


def clean_up(equipment: Equipment) -> str | None:
    """Forget sign-ins and codes that are over, first answers nobody will ask for again, forms left, runs long over."""
    with equipment.engine.begin() as connection:
        sign_ins = connection.execute(FORGET_SIGN_INS).rowcount
        attempts = connection.execute(FORGET_ATTEMPTS).rowcount
        codes = connection.execute(FORGET_CODES).rowcount
        answers = connection.execute(FORGET_FIRST_ANSWERS).rowcount
    with equipment.sessions.begin() as session:
        pieces = forget_files(session=session)
    with equipment.sessions.begin() as session:
        wallet_checks = forget_wallet_checks(session=session)
    with equipment.sessions.begin() as session:
        drafts = forget_drafts(session=session)
        drafts += forget_point_drafts(session=session, now=equipment.clock.now())
        appeals = forget_appeals_of_locked(session=session, now=equipment.clock.now())
    with equipment.sessions.begin() as session:
        effects = forget_runs(session=session)
    runs = job_fence.forget(engine=equipment.engine)
    return _words(
        Counter(
            sign_ins=sign_ins,
            sign_in_attempts=attempts,
            one_time_codes=codes,
            first_answers=answers,
            runs=runs,
            list_pieces=pieces,
            wallet_checks=wallet_checks,
            drafts=drafts,
            effect_runs=effects,
            appeals=appeals,
        )
    )


def _ask_cancellation(equipment: Equipment, reference: str) -> str:
    try:
        with equipment.sessions() as session:
            trade_in = ask_about_cancellation(
                session=session,
                keyring=equipment.keyring,
                plates=equipment.partners.plates,
                reference=reference,
                now=equipment.clock.now(),
            )
            session.commit()
            return trade_in.state
    except Refusal as refusal:  # a contradiction has opened its case
        return refusal.code


def _ask_application(equipment: Equipment, reference: str) -> str:
    try:
        with equipment.sessions() as session:
            answer = ask_about_application(
                session=session,
                keyring=equipment.keyring,
                plates=equipment.partners.plates,
                reference=reference,
                now=equipment.clock.now(),
            ).answer
            session.commit()
        if answer is None:
            return "pending"
        if answer.state == "done":
            equipment.combiner.complete(completion_of(keyring=equipment.keyring, answer=answer))
        return answer.state
    except Refusal as refusal:
        return refusal.code


def _repeat(some: Callable[[], Sequence[str]], *, equipment: Equipment, threads: int, most: int) -> Counter[str]:
    """Do some items, then ``threads`` times some at once, until none is left, the partner is away or it is enough.

    Each outcome is counted. The first go is alone: mostly there is nothing.
    """
    first = some()
    counts = Counter(first)
    if not first:
        return counts
    over = ["unavailable" in first]

    def go_on(share: int) -> Counter[str]:
        mine: Counter[str] = Counter()
        while not over[0] and mine.total() < share and equipment.leads():
            outcomes = some()
            if not outcomes:
                break
            mine.update(outcomes)
            over[0] = over[0] or "unavailable" in outcomes
        return mine

    with ThreadPoolExecutor(max_workers=threads) as pool:
        for mine in pool.map(go_on, [most // threads] * threads):
            counts.update(mine)
    return counts


def _words(counts: Counter[str]) -> str | None:
    return ", ".join(f"{number} {word}" for word, number in sorted(counts.items()) if number) or None
