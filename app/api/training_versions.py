"""The training material: staff read every version with its answers, operators add the next one and correct it."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import LOCAL, instant
from app.auth import caller
from app.context import business_now, settings
from app.db import db
from app.idempotency import idempotent
from app.schemas.training import TrainingVersionAnswer, TrainingVersionRequest, TrainingVersions
from registry.dealer_training import TrainingVersion
from registry.training_material import (
    Material,
    Question,
    add_training,
    change_training,
    get_training,
    list_training,
    questions_of,
)

blueprint = ApiBlueprint(
    "training-versions", __name__, url_prefix="/api/training-versions", description="What dealers learn"
)


@blueprint.route("", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 503)
@blueprint.response(200, TrainingVersions)
def show_versions() -> dict[str, Any]:
    """The versions of the training material

    Newest first; one that is announced is among them. Dealers read the one in force under /api/dealer/training.
    """
    return {"versions": [_row(version) for version in list_training(session=db.session())]}


@blueprint.route("/<int:version>", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 404, 503)
@blueprint.response(200, TrainingVersionAnswer)
def show_version(version: int) -> dict[str, Any]:
    """One version with its questions

    And which answers are right.
    """
    return _whole(get_training(session=db.session(), version=version))


@blueprint.route("", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, writes=True)
@blueprint.arguments(TrainingVersionRequest)
@blueprint.response(201, TrainingVersionAnswer)
def add_version(typed: dict[str, Any]) -> dict[str, Any]:
    """Add the next version of the training material

    It counts from its first day on; who has passed an earlier one stays trained.
    """
    added = add_training(
        session=db.session(),
        material=_material(typed),
        rules=settings().enrolment,
        actor=caller().actor,
        now=business_now(),
    )
    return _whole(added)


@blueprint.route("/<int:version>/correction", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(TrainingVersionRequest)
@blueprint.response(200, TrainingVersionAnswer)
def change_version(typed: dict[str, Any], version: int) -> dict[str, Any]:
    """Correct a version that does not count yet

    Text and questions are replaced as a whole.
    """
    changed = change_training(
        session=db.session(),
        version=version,
        material=_material(typed),
        rules=settings().enrolment,
        actor=caller().actor,
        now=business_now(),
    )
    return _whole(changed)


def _material(typed: dict[str, Any]) -> Material:
    return Material(
        title=typed["title"],
        text_zh="\n\n".join(typed["paragraphs"]),
        effective_at=datetime.combine(typed["effective_on"], time(), tzinfo=LOCAL),
        questions=tuple(
            Question(question=each["question"], options=tuple(each["options"]), answer=each["answer"])
            for each in typed["questions"]
        ),
    )


def _row(version: TrainingVersion) -> dict[str, Any]:
    return {"version": version.version, "title": version.title, "effective_at": instant(version.effective_at)}


def _whole(version: TrainingVersion) -> dict[str, Any]:
    bank = questions_of(session=db.session(), version=version.version)
    return {
        **_row(version),
        "text_zh": version.text_zh,
        "questions": [{"question": each.question, "options": each.options, "answer": each.answer} for each in bank],
    }
