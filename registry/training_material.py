"""The bureau's side of training: the next version of the material with its bank of questions, until it is in force."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, delete, func, select
from sqlalchemy.orm import Session

from registry import audit
from registry.base import Refusal
from registry.dealer_rules import EnrolmentRules
from registry.dealer_training import TrainingAttempt, TrainingQuestion, TrainingVersion

LEAST_CHARACTERS = 100
LONGEST_TITLE, LONGEST_QUESTION, LONGEST_OPTION = 60, 200, 120
LEAST_OPTIONS, MOST_OPTIONS = 2, 8
MOST_QUESTIONS = 200
LARGEST_VERSION = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of the bank; ``answer`` is the place of the right option, counted from 0."""

    question: str
    options: tuple[str, ...]
    answer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """A version as typed: its title, its paragraphs divided by line feeds, from when it counts, its questions."""

    title: str
    text_zh: str
    effective_at: datetime
    questions: tuple[Question, ...]


class TrainingDraftInvalid(Refusal):
    """The material cannot count so: too short, too few questions, an answer nobody can choose, or in the past."""

    code = "training_draft_invalid"
    zh = "培训材料不符合要求：{why_zh}。"
    en = "The training material is not valid: {why_en}."
    remedy_zh = "请改正后再提交。"
    remedy_en = "Correct it and send it again."


class TrainingInForce(Refusal):
    """Dealers are tested on this version already; another one takes its place instead."""

    code = "training_in_force"
    kind = "conflict"
    zh = "第 {version} 版培训材料已经生效，不能再改。"
    en = "Version {version} of the training material is in force and is not changed any more."
    remedy_zh = "请新增一版，写明从哪一天起用。"
    remedy_en = "Add another version and say from which day it counts."
    default_field = "version"


class TrainingNotFound(Refusal):
    """There is no such version."""

    code = "training_not_found"
    kind = "not_found"
    zh = "没有第 {version} 版培训材料。"
    en = "There is no version {version} of the training material."
    remedy_zh = "请照列表核对版本号。"
    remedy_en = "Check the number in the list of versions."
    default_field = "version"


def list_training(*, session: Session) -> Sequence[TrainingVersion]:
    """Return every version, the newest first; one that is announced is among them."""
    return session.scalars(select(TrainingVersion).order_by(TrainingVersion.version.desc())).all()


def get_training(*, session: Session, version: int) -> TrainingVersion:
    """Return a version, in force or not; raises TrainingNotFound."""
    found = session.get(TrainingVersion, version, populate_existing=True) if version <= LARGEST_VERSION else None
    if found is None:
        raise TrainingNotFound(version=version)
    return found


def results_of(*, session: Session) -> dict[int, tuple[int, int]]:
    """Return by version how many tests were handed in and how many of them were passed; imported results apart."""
    passed = func.sum(TrainingAttempt.passed.cast(Integer))
    query = (
        select(TrainingAttempt.version, func.count(), passed)
        .where(TrainingAttempt.submitted_at.is_not(None), func.jsonb_array_length(TrainingAttempt.question_ids) > 0)
        .group_by(TrainingAttempt.version)
    )
    return {version: (handed_in, well) for version, handed_in, well in session.execute(query)}


def questions_of(*, session: Session, version: int) -> Sequence[TrainingQuestion]:
    """Return the bank of a version in the order in which it was written, with the right answers: for staff alone."""
    return session.scalars(
        select(TrainingQuestion).where(TrainingQuestion.version == version).order_by(TrainingQuestion.id)
    ).all()


def add_training(
    *, session: Session, material: Material, rules: EnrolmentRules, actor: str, now: datetime
) -> TrainingVersion:
    """Add the next version. Who has passed an earlier one stays trained. The transaction is left to the caller.

    Raises TrainingDraftInvalid.
    """
    _lock(session)
    check_material(material=material, rules=rules, now=now)
    last = session.scalar(select(func.max(TrainingVersion.version))) or 0
    version = TrainingVersion(
        version=last + 1, title=material.title, text_zh=_text(material), effective_at=material.effective_at
    )
    session.add(version)
    session.flush()
    _keep_questions(session, version.version, material)
    _note(session, actor, "training.version_added", version, {"new": _told(version, len(material.questions))})
    return version


def change_training(
    *, session: Session, version: int, material: Material, rules: EnrolmentRules, actor: str, now: datetime
) -> TrainingVersion:
    """Replace a version that is not in force yet, questions and all. The transaction is left to the caller.

    Raises TrainingNotFound, TrainingInForce and TrainingDraftInvalid.
    """
    _lock(session)
    stands = require_open(session=session, version=version, now=now)
    check_material(material=material, rules=rules, now=now)
    old = _told(stands, len(questions_of(session=session, version=version)))
    stands.title, stands.text_zh, stands.effective_at = material.title, _text(material), material.effective_at
    session.execute(delete(TrainingQuestion).where(TrainingQuestion.version == version))
    _keep_questions(session, version, material)
    detail = {"old": old, "new": _told(stands, len(material.questions))}
    _note(session, actor, "training.version_changed", stands, detail)
    return stands


def require_open(*, session: Session, version: int, now: datetime) -> TrainingVersion:
    """Return a version that may still be changed; raises TrainingNotFound and TrainingInForce."""
    stands = get_training(session=session, version=version)
    if stands.effective_at <= now:
        raise TrainingInForce(version=version)
    return stands


def _lock(session: Session) -> None:
    """Two people adding at once get two numbers."""
    name = func.concat("training_version:", func.current_schema())
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def check_material(*, material: Material, rules: EnrolmentRules, now: datetime) -> None:
    """Say whether the material could be kept as it is; raises TrainingDraftInvalid, naming the field."""
    if len(_text(material)) < LEAST_CHARACTERS:
        raise TrainingDraftInvalid(field="paragraphs", why_zh="正文太短", why_en="its text is too short")
    if material.effective_at <= now:
        raise TrainingDraftInvalid(
            field="effective_on", why_zh="生效的日子要在以后", why_en="it has to come into force in the future"
        )
    if len(material.questions) < rules.questions:
        raise TrainingDraftInvalid(
            field="questions",
            why_zh=f"题目不够，一次测试要 {rules.questions} 道",
            why_en=f"a test takes {rules.questions} questions",
        )
    for place, each in enumerate(material.questions, start=1):
        choices = len(each.options)
        if choices < LEAST_OPTIONS or len(set(each.options)) != choices or not 0 <= each.answer < choices:
            raise TrainingDraftInvalid(
                field="questions",
                why_zh=f"第 {place} 题的选项重复、太少，或者没有指明对的一项",
                why_en=f"question {place} repeats an option, offers too few, or names no right one",
            )


def _text(material: Material) -> str:
    return material.text_zh.strip() + "\n"


def _keep_questions(session: Session, version: int, material: Material) -> None:
    session.add_all(
        TrainingQuestion(version=version, question=each.question, options=list(each.options), answer=each.answer)
        for each in material.questions
    )
    session.flush()


def _told(version: TrainingVersion, questions: int) -> dict[str, object]:
    """What the audit keeps: the text by its hash, never which answers are right."""
    return {
        "title": version.title,
        "sha256": hashlib.sha256(version.text_zh.encode()).hexdigest(),
        "effective_at": version.effective_at.isoformat(),
        "questions": questions,
    }


def _note(session: Session, actor: str, action: str, version: TrainingVersion, detail: Mapping[str, object]) -> None:
    subject = f"training_version:{version.version}"
    audit.record(session=session, actor=actor, action=action, subject=subject, detail=dict(detail))
    session.flush()
