"""Lists taken in by staff: send one, try it out, watch it being read, see what is wrong, carry it out."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import flash, make_response, render_template, request, url_for
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.api.imports import COUNTS, MAY_IMPORT, clean_no, workbook_answer
from app.auth import caller, current_account
from app.context import keyring
from app.db import db
from app.errors import status_of
from app.web.answering import INCOMPLETE
from app.web.blueprint import web
from app.web.forms import Form, FormIncomplete
from app.web.language import _, _l, in_english
from app.web.sending import send_once
from app.web.staff_words import FINDINGS, IMPORT_STATES, import_kind
from registry.base import Refusal
from registry.import_jobs import (
    LARGEST_BYTES,
    ImportJob,
    can_be_carried_out,
    carry_out,
    get_import,
    has_problems,
    list_imports,
    queue_import,
)
from registry.import_kinds import KINDS

FIELDS = ("kind", "file")
SHOWN = 20
# A page that waits asks again by itself, also where no script runs.
REFRESH_SECONDS = 2
STATE_TAGS = {"queued": "wait", "running": "wait", "done": "done", "failed": "stop"}
COUNT_WORDS = {
    "read": _l("读了"),
    "stored": _l("新增"),
    "unchanged": _l("已有且相同"),
    "changed": _l("按名单更正"),
    "differing": _l("与已有不同，没有改"),
    "refused": _l("没有导入"),
}


@web.before_request
def let_a_list_in() -> None:
    """Take a body as large as a list, only on the way to the form and only from those who may send one."""
    if request.method == "POST" and request.path == "/imports":
        account = current_account()
        if account is not None and account.role in MAY_IMPORT:
            request.max_content_length = LARGEST_BYTES + 64 * 1024


@web.get("/imports")
@requires(*STAFF)
def imports() -> str:
    """The form, and the imports there were."""
    return _page(Form(fields=FIELDS))


@web.post("/imports", endpoint="send_import")
@requires(*MAY_IMPORT)
def send_import() -> Response | tuple[str, int]:
    """Take a list in and try it out; nothing is stored before somebody has seen what is wrong."""
    form = Form.read("kind")
    form.fields = FIELDS
    try:
        file = _typed(form)
        return send_once(
            session=db.session(),
            actor=caller().actor,
            submission=form.submission,
            content={**form.values, "file": _digest(file), "path": request.path},
            work=lambda: _try_out(form.value("kind"), file),
        )
    except FormIncomplete:
        status = INCOMPLETE
    except Refusal as refusal:
        status = status_of(refusal)
        form.refuse(refusal)
    db.session.rollback()
    return _page(form.renewed()), status


@web.get("/imports/<no>", endpoint="import_job")
@requires(*STAFF)
def import_job(no: str) -> Response:
    """One import: how far it has got, and what is wrong in it."""
    job = get_import(session=db.session(), no=clean_no(no))
    answer = make_response(render_template("import_job.html", form=Form(fields=()), **_told(job)))
    if job.state in ("queued", "running"):
        answer.headers["Refresh"] = str(REFRESH_SECONDS)
    return answer


@web.post("/imports/<no>/carrying-out", endpoint="carry_import")
@requires(*MAY_IMPORT)
def carry_import(no: str) -> Response:
    """Carry out what was tried."""
    form = Form.read()

    def work() -> str:
        job = carry_out(session=db.session(), no=clean_no(no), actor=caller().actor)
        flash(_("开始正式导入了。"))
        return url_for("web.import_job", no=job.no)

    return send_once(
        session=db.session(),
        actor=caller().actor,
        submission=form.submission,
        content={"path": request.path},
        work=work,
    )


@web.get("/imports/<no>/problems.xlsx", endpoint="import_problems")
@requires(*MAY_IMPORT)
def import_problems(no: str) -> Response:
    """The workbook of problems, to be corrected and sent again."""
    return workbook_answer(clean_no(no))


def _typed(form: Form) -> FileStorage:
    if form.value("kind") not in KINDS:
        form.blame("kind", _("还没有选是哪一种名单。"))
    file = request.files.get("file")
    if file is None or not file.filename:
        form.blame("file", _("还没有选文件。"))
    form.check()
    assert file is not None, "checked above"
    return file


def _digest(file: FileStorage) -> str:
    digest = hashlib.sha256()
    while piece := file.stream.read(1 << 20):
        digest.update(piece)
    file.stream.seek(0)
    return digest.hexdigest()


def _try_out(kind: str, file: FileStorage) -> str:
    job = queue_import(
        session=db.session(),
        keyring=keyring(),
        kind=kind,
        file=file.stream,
        file_name=file.filename or "",
        dry_run=True,
        actor=caller().actor,
    )
    return url_for("web.import_job", no=job.no)


def _page(form: Form) -> str:
    jobs = list_imports(session=db.session(), limit=SHOWN)
    return render_template(
        "imports.html",
        form=form,
        kinds=[(name, import_kind(name)) for name in KINDS],
        columns=[(import_kind(name), kind.columns_zh) for name, kind in KINDS.items()],
        may_import=caller().role in MAY_IMPORT,
        jobs=[{"job": job, **_words(job)} for job in jobs],
    )


def _words(job: ImportJob) -> dict[str, Any]:
    kind, how = import_kind(job.kind), _("试算") if job.dry_run else _("正式导入")
    return {
        "title": _("%(kind)s，%(how)s", kind=kind, how=how),
        "state_word": IMPORT_STATES[job.state],
        "state_tag": STATE_TAGS[job.state],
    }


def _told(job: ImportJob) -> dict[str, Any]:
    session, may = db.session(), caller().role in MAY_IMPORT
    return {
        "job": job,
        **_words(job),
        "read": job.counts.get("read", 0),
        "rows_total": max(job.rows_total, job.counts.get("read", 0)),
        "counts": [(COUNT_WORDS[name], job.counts.get(name, 0)) for name in COUNTS],
        "wrong": job.counts.get("differing", 0) + job.counts.get("refused", 0),
        "findings": sum(job.codes.values()),
        "lang": "en" if in_english() else "zh",
        "results": FINDINGS,
        "workbook": may and has_problems(session=session, job=job),
        "may_carry_out": may and can_be_carried_out(session=session, job=job),
    }
