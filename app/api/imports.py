"""Imports of lists in the background: sent, watched, tried out first and then carried out."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant
from app.auth import caller
from app.context import keyring
from app.db import db
from app.idempotency import idempotent
from app.schemas.imports import FORM, ImportAnswer, ImportList, ImportQuery, read_import_form
from registry.import_jobs import (
    ImportJob,
    can_be_carried_out,
    carry_out,
    get_import,
    has_problems,
    list_imports,
    queue_import,
    read_problems,
)

blueprint = ApiBlueprint("imports", __name__, url_prefix="/api/filing-imports", description="Lists taken in by staff")
MAY_IMPORT = ("operator", "administrator")
WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
COUNTS = ("read", "stored", "unchanged", "changed", "differing", "refused")


@blueprint.route("", methods=["POST"])
@requires(*MAY_IMPORT)
@idempotent
@described(blueprint, writes=True)
@blueprint.doc(requestBody={"required": True, "content": {"multipart/form-data": {"schema": FORM}}})
@blueprint.response(202, ImportAnswer)
def send() -> dict[str, Any]:
    """Send a list

    Kept sealed and read in the background; GET /api/filing-imports/{no} tells how far it has got. Good rows go in,
    the others are named. The same list again changes nothing.
    """
    form = read_import_form(request)
    file = form["file"]
    job = queue_import(
        session=db.session(),
        keyring=keyring(),
        kind=form["kind"],
        file=file.stream,
        file_name=file.filename or "",
        dry_run=form["dry_run"],
        actor=caller().actor,
    )
    return import_document(job)


@blueprint.route("")
@requires(*STAFF)
@described(blueprint, 422, 503)
@blueprint.arguments(ImportQuery, location="query")
@blueprint.response(200, ImportList)
def show_all(query: dict[str, Any]) -> dict[str, Any]:
    """Every import, newest first

    How each stands; GET of one tells what is wrong in it.
    """
    rows = list_imports(session=db.session(), before_id=query.get("before"), limit=query["limit"] + 1)
    page = rows[: query["limit"]]
    return {
        "imports": [_row(job) for job in page],
        "next_before": page[-1].id if len(rows) > len(page) else None,
    }


@blueprint.route("/<no>")
@requires(*STAFF)
@described(blueprint, 404, 503)
@blueprint.response(200, ImportAnswer)
def show(no: str) -> dict[str, Any]:
    """How an import stands

    State, rows read, stored, changed and refused, per cent, and the first findings.
    """
    return import_document(get_import(session=db.session(), no=clean_no(no)))


@blueprint.route("/<no>/carrying-out", methods=["POST"])
@requires(*MAY_IMPORT)
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(202, ImportAnswer)
def carry(no: str) -> dict[str, Any]:
    """Carry out what was tried

    Imports the list of a dry run without sending it again, within a day. Asked twice, it is one import.
    """
    return import_document(carry_out(session=db.session(), no=clean_no(no), actor=caller().actor))


@blueprint.route("/<no>/problems.xlsx")
@requires(*MAY_IMPORT)
@described(blueprint, 404, 503)
@blueprint.alt_response(200, description="the workbook", content_type=WORKBOOK)
def problems(no: str) -> Response:
    """The workbook of problems

    One row for each row with a finding, the bad cells marked, under the list's own headers: corrected, it can be sent
    again. It holds what was typed, personal data included; who takes it is audited.
    """
    return workbook_answer(clean_no(no))


def workbook_answer(no: str) -> Response:
    """Return the workbook of an import's problems as a download, with the taking audited; commits."""
    session = db.session()
    pieces = read_problems(session=session, keyring=keyring(), no=no, actor=caller().actor)
    # Read before the answer begins, so that nothing can go wrong half way.
    body = b"".join(pieces)
    session.commit()
    answer = Response(body, mimetype=WORKBOOK)
    answer.headers["Content-Disposition"] = f'attachment; filename="{no}-problems.xlsx"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def clean_no(typed: str) -> str:
    """Return the number of an import as it is stored, whatever case was typed."""
    return typed.strip().upper()[:16]


def import_document(job: ImportJob) -> dict[str, Any]:
    """Return one import in the shape of ImportAnswer."""
    session = db.session()
    session.refresh(job)
    return {
        **_row(job),
        "codes": job.codes,
        "problems": job.problems,
        "failure": job.failure,
        "problems_workbook": has_problems(session=session, job=job),
        "can_be_carried_out": can_be_carried_out(session=session, job=job),
    }


def _row(job: ImportJob) -> dict[str, Any]:
    names = ("id", "no", "kind", "dry_run", "file_name", "file_bytes", "state", "percent", "rows_total", "actor")
    return {
        **{name: getattr(job, name) for name in (*names, "led_to")},
        **{name: job.counts.get(name, 0) for name in COUNTS},
        "created_at": instant(job.created_at),
        "finished_at": instant(job.finished_at),
    }
