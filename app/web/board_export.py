"""Claims as a file, for a reason that the audit keeps. Owners stay masked but for those who may see them.

The file is written to disk while the database hands over a few hundred rows at a time, and sent from there once the
audit entry stands: nobody ever holds a file that was not written down, nor half of one.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

from flask import Response, request

from app.access import STAFF, requires
from app.auth import caller
from app.context import business_now, keyring
from app.db import db
from app.web.answering import INCOMPLETE
from app.web.blueprint import web
from app.web.board import steady
from app.web.board_breakdown import running
from app.web.board_claims import A_FETCH, every_claim
from app.web.board_filter import ClaimFilter, read_filter
from app.web.board_sheets import Cell, cells_of, write_csv, write_excel
from app.web.claims import EXPORT_FIELDS, KINDS, show_claims
from app.web.desk_acting import reason_in
from app.web.forms import Form, FormIncomplete
from app.web.language import _
from app.web.wording import local
from registry.audit import record
from registry.people import Person, mask_name, open_name
from registry.unmasking import MAY_UNMASK, note_looks
from subsidy.programme import Programme

TYPES = {"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "csv": "text/csv; charset=utf-8"}
A_PIECE = 64 * 1024


@web.post("/board/claims/export", endpoint="export_claims")
@requires(*STAFF)
def export_claims() -> Response | tuple[str, int]:
    """The claims within the address's filter as a file."""
    form = Form.read(*EXPORT_FIELDS)
    chosen, days = read_filter(request.args)
    programme = running()
    try:
        if form.value("kind") not in KINDS:
            form.blame("kind", _("还没有选文件的种类。"))
        if days.errors:
            form.blame(None, days.errors[0].message, days.errors[0].help)
        if programme is None:
            form.blame(None, _("还没有补贴活动，没有可以导出的。"))
        if form.value("names") and caller().role not in MAY_UNMASK:
            form.blame("names", _("您的账号只能导出脱敏的姓名。"))
        reason = reason_in(form, missing=_("还没有写导出做什么用，会和您的名字一起记下来。"))
    except FormIncomplete:
        db.session.rollback()
        return show_claims(form.renewed()), INCOMPLETE
    assert programme is not None, "without a programme the form was refused"
    return _sent(programme, chosen, form, reason)


def _sent(programme: Programme, chosen: ClaimFilter, form: Form, reason: str) -> Response:
    kind, clear = form.value("kind"), bool(form.value("names"))
    write = write_excel if kind == "xlsx" else write_csv
    file = tempfile.TemporaryFile()  # noqa: SIM115  (it is read while the answer goes out, and closed with it)
    try:
        steady()
        rows = write(file, _rows(programme.id, chosen, reason if clear else None))
        record(
            session=db.session(),
            actor=caller().actor,
            action="claims.exported",
            subject=f"programme:{programme.code}",
            detail={
                "filter": chosen.query(),
                "kind": kind,
                "names": "clear" if clear else "masked",
                "rows": rows,
                "sha256": _digest(file),
                "reason": reason,
            },
        )
        db.session.commit()
    except BaseException:
        file.close()
        raise
    name = f"claims-{local(business_now()):%Y%m%d-%H%M}.{kind}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(file.seek(0, 2)),
        "Cache-Control": "private, no-store",
    }
    answer = Response(_once(file), content_type=TYPES[kind], headers=headers)
    answer.call_on_close(file.close)
    return answer


def _rows(programme_id: int, chosen: ClaimFilter, reason: str | None) -> Iterator[tuple[Cell, ...]]:
    """Each claim's cells. With a reason names are in clear, and each look is kept for the person it was taken at."""
    session, keys = db.session(), keyring()
    seen: set[int] = set()
    looked_at: list[Person] = []
    for row in every_claim(session=session, programme_id=programme_id, chosen=chosen):
        person: Person = row.Person
        name = open_name(person=person, keyring=keys)
        if reason is None or person.locked_at is not None:
            yield cells_of(row, mask_name(name) if person.locked_at is None else name)
            continue
        if person.id not in seen:
            seen.add(person.id)
            looked_at.append(person)
        if len(looked_at) >= A_FETCH:
            _note(looked_at, reason)
            looked_at = []
        yield cells_of(row, name)
    if reason is not None:
        _note(looked_at, reason)


def _note(persons: Sequence[Person], reason: str) -> None:
    note_looks(
        session=db.session(),
        account_id=caller().account_id,
        persons=persons,
        field="name",
        reason=reason,
        address=request.remote_addr or "",
    )


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(file):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(A_PIECE):
        yield piece


def _once(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        yield from _pieces(file)
