"""Imports of lists: what staff send and get. Instants are ISO 8601 with offset."""

from __future__ import annotations

from typing import Any

from flask import Request
from marshmallow import Schema, ValidationError
from marshmallow.fields import Dict, Field, Integer, List, Nested
from werkzeug.datastructures import FileStorage

from app.schemas.answers import by_account, flag, text, whole
from app.schemas.fields import StrictSchema, Whole
from registry.import_kinds import KINDS

YES_OR_NO = ("true", "false")
# How the form stands in the OpenAPI document: it is read below, because a schema would hold the file in memory.
FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {
            "type": "string",
            "contentMediaType": "application/octet-stream",
            "description": "the list: .xlsx, .xls, or CSV in UTF-8 or GBK, with Chinese headers, at most 40 MB",
        },
        "kind": {
            "type": "string",
            "enum": list(KINDS),
            "default": "filings",
            "description": "; ".join(f"{name}: {kind.name_en} ({kind.columns_zh})" for name, kind in KINDS.items()),
        },
        "dry_run": {
            "type": "string",
            "enum": list(YES_OR_NO),
            "default": "false",
            "description": "true: check everything and store nothing",
        },
    },
}


class ImportQuery(StrictSchema):
    """Which imports to list."""

    before = Whole("id of the last import of the page before", low=1, high=2**63 - 1, from_text=True)
    limit = Whole("imports a page", low=1, high=200, from_text=True, load_default=50)


class ImportProblemAnswer(Schema):
    """What is to be said about one cell."""

    line = whole("line of the file the row begins on, from 1, the header included")
    column = text("header of the column")
    result = text("refused, differs, corrected or noted")
    result_zh = text("the same in Chinese")
    code = text("stable code")
    zh = text("what is wrong, in Chinese")
    en = text("what is wrong, in English")
    remedy_zh = text("what to do, in Chinese")
    remedy_en = text("what to do, in English")


class ImportFailureAnswer(Schema):
    """Why a list could not be read at all."""

    code = text("stable code")
    zh = text("why, in Chinese")
    en = text("why, in English")
    remedy_zh = text("what to do, in Chinese")
    remedy_en = text("what to do, in English")


class ImportRow(Schema):
    """One import as it stands. read = stored + unchanged + changed + differing + refused."""

    id = whole("id, for «before»")
    no = text("number of the import, e.g. IM-7K2M94PQ3")
    kind = text("filings, earlier or another kind of list")
    dry_run = flag("whether nothing is stored")
    file_name = text("name of the file")
    file_bytes = whole("size of the file in bytes")
    state = text("queued, running, done or failed")
    percent = whole("how far it has got, 0 to 100 %; 100 once it is over")
    rows_total = whole("rows of the file, about, until it is over")
    read = whole("rows read so far")
    stored = whole("rows stored anew")
    unchanged = whole("rows that say what is stored already")
    changed = whole("rows that corrected what was stored")
    differing = whole("rows that say otherwise than what is stored and were left out")
    refused = whole("rows refused")
    actor = by_account("account that sent it")
    created_at = text("instant it was sent, real time")
    finished_at = text("instant it was over, real time, null until then", empty=True)
    led_to = text("number of the import this trial was carried out as, null where it was not", empty=True)


class ImportAnswer(ImportRow):
    """One import with what is wrong in it."""

    codes: Field[Any] = Dict(values=Integer(), metadata={"description": "how many findings there are of each code"})
    problems: Field[Any] = List(
        Nested(ImportProblemAnswer), metadata={"description": "the first hundred findings, without personal data"}
    )
    failure: Field[Any] = Nested(
        ImportFailureAnswer, allow_none=True, metadata={"description": "why it failed, null where it did not"}
    )
    problems_workbook = flag("whether problems.xlsx can be had")
    can_be_carried_out = flag("whether this trial can be carried out now")


class ImportList(Schema):
    """Imports, newest first."""

    imports: Field[Any] = List(Nested(ImportRow), metadata={"description": "the imports"})
    next_before = whole("send as «before» for the next page, null on the last", empty=True)


def read_import_form(request: Request) -> dict[str, Any]:
    """Return ``{"kind": str, "dry_run": bool, "file": FileStorage}``; raises ValidationError naming each wrong part.

    The file stays where the server put it, on disk: nothing here holds it in memory.
    """
    faults: dict[str, list[str]] = {}
    kind, dry_run = request.form.get("kind", "filings"), request.form.get("dry_run", "false")
    if kind not in KINDS:
        faults["kind"] = [f"not_a_choice|{'、'.join(KINDS)}"]
    if dry_run not in YES_OR_NO:
        faults["dry_run"] = ["not_yes_or_no"]
    file: FileStorage | None = request.files.get("file")
    if file is None:
        faults["file"] = ["required"]
    for name in ({*request.form} - {"kind", "dry_run"}) | ({*request.files} - {"file"}):
        faults[name] = ["unknown_field"]
    if faults or file is None:
        raise ValidationError(faults)
    return {"kind": kind, "dry_run": dry_run == "true", "file": file}
