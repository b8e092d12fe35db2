"""Changes of a programme: one drafts, another decides, the queue follows; and what is refused on the way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from app.config import Settings
from app.db import psycopg_conninfo
from loadtests.ready import make_ready, one_stage
from registry.audit import AuditEntry
from registry.base import Refusal, StepNotAllowed
from registry.inputs import SeveralRefused
from subsidy.allocation import NoPausePossible, NothingToResume
from subsidy.claims import Claim, QueueEvent
from subsidy.ledger_verification import verify
from subsidy.live import live_state
from subsidy.pausing import SwitchProposedAlready, propose_switch
from subsidy.programme import Programme, current_programme, list_versions
from subsidy.programme_change import (
    PAUSE,
    RESUME,
    ChangeNotFound,
    DrafterCannotDecide,
    DraftOutdated,
    EffectPending,
    OnlyTheDrafterWithdraws,
    ProgrammeChange,
    approve_change,
    get_change,
    is_outdated,
    list_changes,
    refuse_draft,
    withdraw_draft,
)
from subsidy.programme_change_draft import NothingChanges, StagesApart, differences, draft_version
from subsidy.programme_change_effect import (
    QueueTooLong,
    RunNotFound,
    begin_run,
    forget_runs,
    get_run,
    reckon_next,
    refuse_long_queue,
)
from subsidy.programme_change_grace import GraceNotCovered, GraceNotSaid
from subsidy.rules import LawUnknown, MoneyAlreadySpent, NotBackDated, Rules, StagesOverlap
from tests.subsidy.programme_queue import NOW, complete_claims, create, stopped_at

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = one_stage(now=NOW, places=3)
CLOCK = stopped_at(NOW + HOUR)
ANNA, BERND = "account:1", "account:2"


@pytest.fixture
def programme(settings: Settings, session: Session) -> Programme:
    """Three places of 300 yuan, four claims: one waits."""
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        create(connection, rules=RULES)
        complete_claims(connection, settings.keyring, count=4)
    return current_programme(session=session)


def stage(**by: Any) -> Rules:
    return replace(RULES, stages=(replace(RULES.stages[0], **by),))


def draft(session: Session, programme: Programme, rules: Rules, **said: Any) -> ProgrammeChange:
    change = draft_version(
        session=session, programme=programme, rules=rules, note="因为要改", actor=ANNA, now=NOW + HOUR, **said
    )
    session.commit()
    return change


def approve(session: Session, programme: Programme, change: ProgrammeChange, actor: str = BERND) -> ProgrammeChange:
    approved = approve_change(session=session, programme=programme, change_id=change.id, actor=actor, clock=CLOCK)
    session.commit()
    return approved


MORE = stage(places=5, budget_fen=RULES.stages[0].budget_fen + 60_000)


def test_a_version_is_drafted_shows_its_effect_is_approved_and_pays_who_waits(
    programme: Programme, session: Session, settings: Settings
) -> None:
    change = draft(session, programme, MORE)
    assert change.effect is not None
    assert change.effect["gaining"] == {"claims": 1, "fen": 30_000, "positions": [[4, 4]], "more": False}
    assert change.effect["losing"]["claims"] == 0
    assert session.scalar(select(Claim.state).where(Claim.position == 4)) == "waiting"

    approved = approve(session, programme, change)
    assert (approved.state, approved.decided_by, programme.version_no) == ("approved", BERND, 2)
    assert session.scalar(select(Claim.state).where(Claim.position == 4)) == "awarded"
    event = session.get_one(QueueEvent, (programme.id, approved.event_no))
    assert (event.kind, event.detail) == ("version", {"rules": MORE.to_json()})
    first, second = list_versions(session=session, programme_id=programme.id)
    assert (second.drafted_by, second.approved_by) == (ANNA, BERND)
    assert differences(before=first.rules, after=second.rules) == {
        "stages.1.budget_fen": [RULES.stages[0].budget_fen, RULES.stages[0].budget_fen + 60_000],
        "stages.1.places": [3, 5],
    }
    told = {
        row.action: row.detail for row in session.scalars(select(AuditEntry).where(AuditEntry.action.like("prog%")))
    }
    assert told["programme_change.drafted"]["change"] == change.id
    assert told["programme_change.drafted"]["differences"]["stages.1.places"] == [3, 5]
    assert (told["programme_change.approved"]["from"], told["programme_change.approved"]["to"]) == (
        "drafted",
        "approved",
    )
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        assert [str(difference) for difference in verify(connection=connection)] == []


def test_two_persons_and_what_is_over_is_over(programme: Programme, session: Session) -> None:
    change = draft(session, programme, MORE)
    with pytest.raises(DrafterCannotDecide):
        approve(session, programme, change, actor=ANNA)
    with pytest.raises(DrafterCannotDecide):
        refuse_draft(session=session, programme=programme, change_id=change.id, actor=ANNA, note="x", now=NOW)
    with pytest.raises(OnlyTheDrafterWithdraws):
        withdraw_draft(session=session, programme=programme, change_id=change.id, actor=BERND, now=NOW)
    refused = refuse_draft(
        session=session, programme=programme, change_id=change.id, actor=BERND, note="预算没批", now=NOW + HOUR
    )
    assert (refused.state, refused.decision_note) == ("refused", "预算没批")
    session.commit()
    other = draft(session, programme, MORE)
    withdraw_draft(session=session, programme=programme, change_id=other.id, actor=ANNA, now=NOW + HOUR)
    session.commit()
    for over in (change, other):
        with pytest.raises(StepNotAllowed):
            approve(session, programme, over)
        with pytest.raises(StepNotAllowed):
            withdraw_draft(session=session, programme=programme, change_id=over.id, actor=ANNA, now=NOW)
    with pytest.raises(ChangeNotFound):
        get_change(session=session, programme=programme, change_id=9_999)
    assert [one.id for one in list_changes(session=session, programme=programme)] == [other.id, change.id]
    assert programme.version_no == 1
    session.execute(text("UPDATE programme_change SET state = 'drafted', decided_by = NULL"))
    with pytest.raises(IntegrityError, match="two_persons"):
        session.execute(text("UPDATE programme_change SET state = 'approved', decided_by = drafted_by, event_no = 1"))


def test_a_draft_is_outdated_once_another_version_is_in_force(programme: Programme, session: Session) -> None:
    first, second = draft(session, programme, MORE), draft(session, programme, stage(places=4))
    approve(session, programme, first)
    assert is_outdated(change=second, programme=programme)
    assert not is_outdated(change=first, programme=programme)
    with pytest.raises(DraftOutdated):
        approve(session, programme, second)


def test_two_drafts_approved_at_once_make_one_version(
    programme: Programme, session: Session, engine: Engine, settings: Settings
) -> None:
    changes = [draft(session, programme, stage(places=4 + number)).id for number in range(4)]
    together = Barrier(8)

    def decide(number: int) -> str:
        with Session(engine, expire_on_commit=False) as own:
            found = current_programme(session=own)
            together.wait(timeout=30)
            try:
                approve_change(
                    session=own,
                    programme=found,
                    change_id=changes[number % 4],
                    actor=f"account:{number + 2}",
                    clock=CLOCK,
                )
                own.commit()
            except Refusal as refusal:
                return refusal.code
            return "approved"

    with ThreadPoolExecutor(max_workers=8) as pool:
        outcomes = sorted(pool.map(decide, range(8)))
    assert outcomes.count("approved") == 1
    assert set(outcomes) <= {"approved", "draft_outdated", "step_not_allowed"}
    session.refresh(programme)
    assert programme.version_no == 2
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        assert [str(difference) for difference in verify(connection=connection)] == []


TWO = replace(
    RULES.stages[0], number=2, opens_at=RULES.stages[0].closes_at, closes_at=RULES.stages[0].closes_at + 9 * DAY
)


def test_what_a_draft_is_refused_for(programme: Programme, session: Session) -> None:
    gap = (RULES.stages[0], replace(TWO, opens_at=TWO.opens_at + HOUR))
    two_faults = (replace(RULES.stages[0], places=0), replace(TWO, amount_fen=0))
    wrong: list[tuple[Rules, type[Refusal]]] = [
        (RULES, NothingChanges),
        (stage(amount_fen=20_000), NotBackDated),
        (stage(opens_at=RULES.stages[0].opens_at - HOUR), NotBackDated),
        (stage(closes_at=NOW + HOUR / 2), NotBackDated),
        (stage(places=2), MoneyAlreadySpent),
        (replace(RULES, stages=(RULES.stages[0], replace(TWO, opens_at=NOW + DAY))), StagesOverlap),
        (replace(RULES, stages=gap), StagesApart),
        (stage(closes_at=NOW + DAY), GraceNotSaid),
        (replace(RULES, stages=two_faults), SeveralRefused),
        (replace(RULES, law_version=2), LawUnknown),
    ]
    for rules, expected in wrong:
        with pytest.raises(expected):
            draft(session, programme, rules)
        session.rollback()
    assert list_changes(session=session, programme=programme) == []


def test_a_gap_that_is_meant_is_allowed_and_need_not_be_said_again(programme: Programme, session: Session) -> None:
    apart = replace(RULES, stages=(RULES.stages[0], replace(TWO, opens_at=TWO.opens_at + HOUR)))
    approve(session, programme, draft(session, programme, apart, gaps_intended=True))
    assert draft(session, programme, replace(apart, per_person_limit=2)).state == "drafted"


def test_closing_early_covers_open_trade_ins_or_says_it_does_not(
    programme: Programme, session: Session, settings: Settings
) -> None:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        make_ready(connection=connection, keyring=settings.keyring, count=2, first=50, now=NOW)
    early = stage(closes_at=NOW + 2 * DAY)
    with pytest.raises(GraceNotCovered) as refused:
        draft(session, programme, early, grace_reserves=True)
    assert (refused.value.facts["open_trade_ins"], refused.value.facts["needed_fen"]) == (2, 60_000)
    plain = draft(session, programme, early, grace_reserves=False)
    assert plain.grace_reserves is False

    # Six places: three taken, one for the claim that waits, two for the trade-ins that are open.
    covered = stage(closes_at=NOW + 2 * DAY, places=6, budget_fen=6 * 30_000)
    change = draft(session, programme, covered, grace_reserves=True)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        make_ready(connection=connection, keyring=settings.keyring, count=1, first=60, now=NOW)
    with pytest.raises(GraceNotCovered):  # another trade-in was opened since
        approve(session, programme, change)
    session.rollback()
    approve(session, programme, plain)
    session.refresh(programme)
    assert live_state(session=session, programme=programme, now=NOW + HOUR).stages[0].closes_at == NOW + 2 * DAY


def test_a_pause_is_proposed_approved_told_and_ended(
    programme: Programme, session: Session, settings: Settings
) -> None:
    said = {"note": "系统核查", "actor": ANNA, "now": NOW + HOUR}
    why = {"reason_zh": "正在核查申领资料", "reason_en": "claims are being checked"}
    with pytest.raises(NothingToResume):
        propose_switch(session=session, programme=programme, kind=RESUME, **why, **said)
    pause = propose_switch(session=session, programme=programme, kind=PAUSE, **why, **said)
    session.commit()
    with pytest.raises(SwitchProposedAlready):
        propose_switch(session=session, programme=programme, kind=PAUSE, **why, **said)
    assert live_state(session=session, programme=programme, now=NOW + HOUR).pause is None
    approve(session, programme, pause)
    live = live_state(session=session, programme=programme, now=NOW + HOUR)
    assert live.paused
    assert live.pause is not None
    assert (live.pause.zh, live.pause.en) == ("正在核查申领资料", "claims are being checked")
    with pytest.raises(NoPausePossible):
        propose_switch(session=session, programme=programme, kind=PAUSE, **why, **said)
    resumption = propose_switch(session=session, programme=programme, kind=RESUME, **why, **said)
    session.commit()
    approve(session, programme, resumption)
    live = live_state(session=session, programme=programme, now=NOW + HOUR)
    assert (live.paused, live.pause) == (False, None)
    kinds = list(session.scalars(select(QueueEvent.kind).order_by(QueueEvent.event_no.desc()).limit(2)))
    assert kinds == ["resume", "pause"]
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        assert [str(difference) for difference in verify(connection=connection)] == []


def test_a_stage_that_opened_since_the_draft_is_not_closed_early_unsaid(settings: Settings, session: Session) -> None:
    future = replace(RULES.stages[0], opens_at=NOW + 2 * HOUR)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        create(connection, rules=replace(RULES, stages=(future,)))
        make_ready(connection=connection, keyring=settings.keyring, count=2, first=50, now=NOW)
    programme = current_programme(session=session)
    shorter = replace(RULES, stages=(replace(future, closes_at=NOW + 2 * DAY),))
    change = draft(session, programme, shorter)
    assert change.grace_reserves is None
    with pytest.raises(GraceNotSaid):
        approve_change(
            session=session, programme=programme, change_id=change.id, actor=BERND, clock=stopped_at(NOW + 3 * HOUR)
        )


def test_a_long_queue_is_reckoned_in_the_background_before_anybody_approves(
    programme: Programme, session: Session, settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = draft(session, programme, MORE)
    monkeypatch.setattr("subsidy.programme_change_effect.MOST_EVENTS_AT_ONCE", 0)
    with pytest.raises(QueueTooLong):
        refuse_long_queue(session=session, programme=programme)
    change = draft(session, programme, MORE)
    assert (short.effect is None, change.effect) == (False, None)
    with pytest.raises(EffectPending):
        approve(session, programme, change)
    session.rollback()
    sessions = sessionmaker(engine, expire_on_commit=False)
    assert reckon_next(sessions=sessions, clock=CLOCK) == "reckoned"
    assert reckon_next(sessions=sessions, clock=CLOCK) is None
    session.refresh(change)
    assert change.effect is not None
    assert short.effect is not None
    assert change.effect["gaining"] == short.effect["gaining"]
    approve(session, programme, change)


def test_a_look_at_impossible_rules_says_why_and_a_run_left_behind_is_taken_up(
    programme: Programme, session: Session, engine: Engine
) -> None:
    sessions = sessionmaker(engine, expire_on_commit=False)
    said = {"programme": programme, "actor": ANNA, "now": NOW + HOUR}
    bad = begin_run(session=session, rules=stage(places=1), **said)
    good = begin_run(session=session, rules=MORE, said={"note": "看看"}, **said)
    session.commit()
    assert reckon_next(sessions=sessions, clock=CLOCK) == "refused"
    # The process that took this one died long ago.
    session.execute(
        text("UPDATE effect_run SET begun_at = clock_timestamp() - interval '1 hour', tries = :t WHERE id = :id"),
        {"t": 1, "id": good.id},
    )
    session.commit()
    assert reckon_next(sessions=sessions, clock=CLOCK) == "reckoned"
    session.expire_all()
    found = get_run(session=session, programme=programme, run_id=bad.id, actor=ANNA)
    assert (found.effect, bool(found.refusal_zh), bool(found.refusal_en)) == (None, True, True)
    assert get_run(session=session, programme=programme, run_id=good.id, actor=ANNA).effect is not None
    with pytest.raises(RunNotFound):
        get_run(session=session, programme=programme, run_id=good.id, actor=BERND)
    session.execute(text("UPDATE effect_run SET begun_at = clock_timestamp() - interval '8 days'"))
    session.commit()
    assert forget_runs(session=session) == 2
