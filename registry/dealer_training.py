"""Training (培训): material as versioned text, and a short test drawn from a bank of questions.

Which answers are right leaves the database only after the test was handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from random import Random, SystemRandom
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, Identity, Index, Integer, String, Text, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.dealer_commitments import require_signed
from registry.dealer_rules import EnrolmentRules
from registry.dealer_steps import take_step
from registry.dealers import DEALER, LOCAL, local_day, lock_dealer

# A dealer that has not committed yet, or never will again, is not trained.
_NOT_YET = ("applied", "refused", "accepted", "revoked")


class TrainingVersion(Base):
    """One version of the material, in force from ``effective_at`` (a business instant)."""

    __tablename__ = "training_version"

    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    title: Mapped[str] = mapped_column(String(60))
    text_zh: Mapped[str] = mapped_column(Text)
    effective_at: Mapped[datetime] = mapped_column(Instant)


class TrainingQuestion(Base):
    """One question of a version's bank: ``options`` in the order shown, ``answer`` the right one counted from 0."""

    __tablename__ = "training_question"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    version: Mapped[int] = mapped_column(ForeignKey("training_version.version"), index=True)
    question: Mapped[str] = mapped_column(String(200))
    options: Mapped[list[str]] = mapped_column(JSONB)
    answer: Mapped[int] = mapped_column(Integer)


class TrainingAttempt(Base):
    """One test drawn; the rest is empty until it is handed in. Imported results have no questions and no answers."""

    __tablename__ = "training_attempt"
    __table_args__ = (Index("ix_training_attempt_dealer", "dealer_id", "drawn_at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    dealer_id: Mapped[int] = mapped_column(ForeignKey("dealer.id"))
    actor: Mapped[str] = mapped_column(String(60))
    version: Mapped[int] = mapped_column(ForeignKey("training_version.version"))
    question_ids: Mapped[list[int]] = mapped_column(JSONB)
    pass_mark: Mapped[int] = mapped_column(Integer)
    drawn_at: Mapped[datetime] = mapped_column(Instant)
    answers: Mapped[list[int] | None] = mapped_column(JSONB(none_as_null=True))
    correct: Mapped[int | None] = mapped_column(Integer)
    passed: Mapped[bool | None] = mapped_column(Boolean)
    submitted_at: Mapped[datetime | None] = mapped_column(Instant)


class AttemptsUsedUp(Refusal):
    """A dealer draws a limited number of tests a day."""

    code = "tests_used_up"
    kind = "conflict"
    zh = "今天的 {most} 次测试机会已经用完。"
    en = "The {most} tests of today are used up."
    remedy_zh = "请再看一遍培训材料，明天再测。"
    remedy_en = "Read the material again and try tomorrow."


class AttemptNotFound(Refusal):
    """The dealer has no such test."""

    code = "test_not_found"
    kind = "not_found"
    zh = "没有找到这次测试。"
    en = "There is no such test."
    remedy_zh = "请重新开始测试。"
    remedy_en = "Start the test again."


class AttemptOver(Refusal):
    """A test is handed in once, on the day it was drawn."""

    code = "test_over"
    kind = "conflict"
    zh = "这次测试{why_zh}。"
    en = "This test {why_en}."
    remedy_zh = "请查看结果；没通过的，重新开始一次。"
    remedy_en = "See the result; draw another if it was not passed."


class AnswersIncomplete(Refusal):
    """Every question gets one of its own options, in the order in which the questions were shown."""

    code = "answers_incomplete"
    zh = "第 {place} 题没有选，或者选了没有的选项；共 {many} 题。"
    en = "Question {place} of {many} has no answer, or one it does not offer."
    remedy_zh = "每题选一项，全部选好再交。"
    remedy_en = "Choose one option for every question and hand it in again."
    default_field = "answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnTest:
    """A test and its questions in the order shown."""

    attempt: TrainingAttempt
    questions: Sequence[TrainingQuestion]


def current_training(*, session: Session, now: datetime) -> TrainingVersion:
    """Return the material in force; the first one comes with the tables."""
    query = select(TrainingVersion).where(TrainingVersion.effective_at <= now)
    return session.scalars(query.order_by(TrainingVersion.version.desc()).limit(1)).one()


def draw_test(
    *,
    session: Session,
    dealer_id: int,
    rules: EnrolmentRules,
    actor: str,
    now: datetime,
    dice: Random | None = None,
) -> DrawnTest:
    """Draw a test for the dealer; the one drawn today and not handed in is shown again. Left to the caller to commit.

    Raises DealerNotFound, StepNotAllowed before the commitment and after a revocation, CommitmentUnsigned and
    AttemptsUsedUp.
    """
    dealer = lock_dealer(session=session, dealer_id=dealer_id)
    if dealer.state in _NOT_YET:
        DEALER.after(state=dealer.state, step="train")
    require_signed(session=session, dealer=dealer, now=now)
    version = current_training(session=session, now=now).version
    today = _drawn_today(session, dealer_id, now)
    for attempt in today:
        if attempt.submitted_at is None and attempt.version == version:
            return DrawnTest(attempt=attempt, questions=_questions(session, attempt))
    if len(today) >= rules.attempts_a_day:
        raise AttemptsUsedUp(most=rules.attempts_a_day)
    bank = session.scalars(select(TrainingQuestion.id).where(TrainingQuestion.version == version)).all()
    attempt = TrainingAttempt(
        dealer_id=dealer_id,
        actor=actor,
        version=version,
        question_ids=(dice or SystemRandom()).sample(sorted(bank), min(rules.questions, len(bank))),
        pass_mark=rules.pass_mark,
        drawn_at=now,
    )
    session.add(attempt)
    session.flush()
    _note(session, actor, "training.drawn", attempt, {"version": version})
    return DrawnTest(attempt=attempt, questions=_questions(session, attempt))


def hand_in_test(
    *, session: Session, dealer_id: int, attempt_id: int, answers: Sequence[int], actor: str, now: datetime
) -> DrawnTest:
    """Judge the answers, options counted from 0 in the order shown; passed: committed → ``trained``.

    The transaction is left to the caller. The same answers again get the same result. Raises DealerNotFound,
    AttemptNotFound, AttemptOver and AnswersIncomplete.
    """
    dealer = lock_dealer(session=session, dealer_id=dealer_id)
    attempt = get_test(session=session, dealer_id=dealer_id, attempt_id=attempt_id).attempt
    questions = _questions(session, attempt)
    if attempt.submitted_at is not None:
        if attempt.answers != list(answers):
            raise AttemptOver(why_zh="已经交过了", why_en="was handed in before")
        return DrawnTest(attempt=attempt, questions=questions)
    if local_day(attempt.drawn_at) != local_day(now):
        raise AttemptOver(why_zh="已经过了当天", why_en="was drawn on another day")
    _require_answers(questions, answers)
    attempt.answers, attempt.submitted_at = list(answers), now
    attempt.correct = sum(chosen == each.answer for chosen, each in zip(answers, questions, strict=True))
    attempt.passed = attempt.correct >= attempt.pass_mark
    detail = {"correct": attempt.correct, "of": len(questions), "passed": attempt.passed}
    _note(session, actor, "training.handed_in", attempt, detail)
    if attempt.passed and dealer.state == "committed":
        take_step(session=session, dealer=dealer, step="train", actor=actor, now=now)
    return DrawnTest(attempt=attempt, questions=questions)


def get_test(*, session: Session, dealer_id: int, attempt_id: int) -> DrawnTest:
    """Return one of the dealer's tests; raises AttemptNotFound."""
    attempt = session.get(TrainingAttempt, attempt_id, populate_existing=True)
    if attempt is None or attempt.dealer_id != dealer_id:
        raise AttemptNotFound
    return DrawnTest(attempt=attempt, questions=_questions(session, attempt))


def list_tests(*, session: Session, dealer_id: int, limit: int = 50) -> Sequence[TrainingAttempt]:
    """Return the dealer's tests, newest first."""
    mine = select(TrainingAttempt).where(TrainingAttempt.dealer_id == dealer_id)
    return session.scalars(mine.order_by(TrainingAttempt.id.desc()).limit(limit)).all()


def attempts_left(*, session: Session, dealer_id: int, rules: EnrolmentRules, now: datetime) -> int:
    """Return how many tests the dealer may still draw today."""
    return max(rules.attempts_a_day - len(_drawn_today(session, dealer_id, now)), 0)


def _drawn_today(session: Session, dealer_id: int, now: datetime) -> Sequence[TrainingAttempt]:
    midnight = datetime.combine(local_day(now), time(), tzinfo=LOCAL)
    mine = select(TrainingAttempt).where(
        TrainingAttempt.dealer_id == dealer_id,
        TrainingAttempt.drawn_at >= midnight,
        TrainingAttempt.drawn_at < midnight + timedelta(days=1),
        func.jsonb_array_length(TrainingAttempt.question_ids) > 0,
    )
    return session.scalars(mine.order_by(TrainingAttempt.id)).all()


def _questions(session: Session, attempt: TrainingAttempt) -> Sequence[TrainingQuestion]:
    found = session.scalars(select(TrainingQuestion).where(TrainingQuestion.id.in_(attempt.question_ids)))
    by_id = {question.id: question for question in found}
    return [by_id[question_id] for question_id in attempt.question_ids]


def _require_answers(questions: Sequence[TrainingQuestion], answers: Sequence[int]) -> None:
    for place, question in enumerate(questions):
        if place >= len(answers) or not 0 <= answers[place] < len(question.options):
            raise AnswersIncomplete(place=place + 1, many=len(questions))
    if len(answers) > len(questions):
        raise AnswersIncomplete(place=len(questions) + 1, many=len(questions))


def _note(session: Session, actor: str, action: str, attempt: TrainingAttempt, detail: dict[str, Any]) -> None:
    facts = {"test": attempt.id, **detail}
    audit.record(session=session, actor=actor, action=action, subject=f"dealer:{attempt.dealer_id}", detail=facts)
    session.flush()
