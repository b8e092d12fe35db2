"""How a form is answered: taken once, or shown again with what was typed and what is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from flask import request
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from app.auth import current_account
from app.db import db
from app.errors import status_of
from app.web.forms import Form, FormIncomplete
from app.web.sending import send_once
from registry.base import Refusal

INCOMPLETE = 422
NOT_FOUND = 404
VISITOR = "visitor"
LONGEST_TEXT = 1_000

Answer = Response | tuple[str, int]


def take_form(
    *,
    form: Form,
    work: Callable[[], str],
    page: Callable[[Form], str],
    files: bytes = b"",
    names: Mapping[str, str] | None = None,
    absent_raised: bool = False,
) -> Answer:
    """Run ``work`` once for equal sendings and lead on to the path it returns; else show ``page`` with the faults.

    ``work`` raises FormIncomplete or a Refusal; ``names`` maps the domain's fields to the form's, ``files`` is what was
    sent beside the fields. With ``absent_raised`` a refusal that something is not there is raised on, for a page of
    its own.
    """
    account = current_account()
    try:
        return send_once(
            session=db.session(),
            actor=account.actor if account is not None else VISITOR,
            submission=form.submission,
            content={**form.values, "path": request.path, "files": hashlib.sha256(files).hexdigest()},
            work=work,
        )
    except FormIncomplete:
        status = INCOMPLETE
    except Refusal as refusal:
        status = status_of(refusal)
        if absent_raised and status == NOT_FOUND:
            raise
        form.refuse(refusal, **(names or {}))
    db.session.rollback()
    return page(form.renewed()), status


def long_text(form: Form, name: str, missing: str) -> str:
    """Read a text of several lines into the form as one paragraph; blames the field where it is empty or too long."""
    typed = " ".join(request.form.get(name, "").split())
    form.values[name] = "".join(sign for sign in typed if sign.isprintable())
    return form.text(name, missing, longest=LONGEST_TEXT)


def lines_of(name: str, *, longest: int) -> str:
    """Return a text as it was sent, line by line (a form's other fields are one line each), cut behind ``longest``."""
    typed = request.form.get(name, "")[: longest + 1]
    lines = ("".join(sign for sign in line if sign.isprintable()).strip() for line in typed.splitlines())
    return "\n".join(lines).strip()


def sent_files(name: str) -> list[FileStorage]:
    """Return the files chosen in an input, none of them empty."""
    return [file for file in request.files.getlist(name) if file.filename]


def sent_file(name: str) -> bytes:
    """Return the one file chosen in an input, empty where none was."""
    files = sent_files(name)
    return files[0].read() if files else b""
