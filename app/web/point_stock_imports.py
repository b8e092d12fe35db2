"""Stock-in from a list: the template, a dry run with what is wrong row by row, and taking in what is right."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flask import Response, flash, render_template, request, url_for

from app.access import requires
from app.api.bikes import whole_in, workbook
from app.api.documents import LOCAL
from app.auth import caller
from app.context import business_now
from app.db import db
from app.web.answering import Answer, sent_file, take_form
from app.web.blueprint import web
from app.web.forms import Form
from app.web.language import _, in_english, ngettext
from app.web.point import own_dealer
from app.web.wording import count
from registry.stock_import import COLUMNS, StockImport, StockImportNotFound, get_stock_import, import_stock
from registry.stock_sheet import MOST_ROWS
from registry.stock_workbook import problem_rows_workbook, template_workbook

FIELDS = ("file", "dry_run")
LARGEST_MB = 5
SHOWN_ROWS = 50
# The headers stand in Chinese in every list; an English reader is told what they mean.
MEANINGS = {
    "vehicle_code": "vehicle code",
    "certificate_no": "certificate number",
    "battery_code": "battery code",
    "battery_kind": "kind of battery",
    "model": "model",
    "standard": "standard",
    "made_on": "day of making",
    "weight_g": "mass",
    "top_speed_m_h": "top speed",
    "motor_w": "motor power",
    "voltage_mv": "nominal voltage",
}


@web.get("/point/stock/import", endpoint="point_stock_import")
@requires("dealer")
def show_import() -> str:
    """The form, and what the list has to hold."""
    return _page(Form(fields=FIELDS))


@web.post("/point/stock/import", endpoint="take_stock_import")
@requires("dealer")
def take_import() -> Answer:
    """Try a list out, or take its good rows in."""
    form = Form.read("dry_run")
    form.fields = FIELDS
    body = sent_file("file")

    def work() -> str:
        if not body:
            form.blame("file", _("还没有选文件。"))
        elif len(body) > LARGEST_MB * 1024 * 1024:
            form.blame("file", _("文件太大了，最大 %(mb)s MB。", mb=LARGEST_MB), _("请拆成几份，分别导入。"))
        form.check()
        done = _import(body, dry_run=form.value("dry_run") == "yes")
        if not done.dry_run:
            flash(ngettext("入库了 %(n)s 辆。", "入库了 %(n)s 辆。", done.rows_stored, n=count(done.rows_stored)))
        return url_for("web.point_stock_imported", import_id=done.id)

    return take_form(form=form, work=work, page=_page, files=body)


@web.get("/point/stock/import/<import_id>", endpoint="point_stock_imported")
@requires("dealer")
def show_imported(import_id: str) -> str:
    """How one import went: counts, and each row that did not go in with what to do."""
    done = _own(import_id)
    return render_template(
        "point_stock_imported.html",
        dealer=own_dealer(),
        done=done,
        form=Form(fields=FIELDS),
        problems=done.problems[:SHOWN_ROWS],
        verdict=_verdict(done),
        told="en" if in_english() else "zh",
    )


@web.get("/point/stock/import/template.xlsx", endpoint="stock_template")
@requires("dealer")
def download_template() -> Response:
    """The template: the headers and one example row."""
    return workbook(template_workbook(), "stock.xlsx")


@web.get("/point/stock/import/<import_id>/problems.xlsx", endpoint="stock_problems")
@requires("dealer")
def download_problems(import_id: str) -> Response:
    """The rows that did not go in, the cells in question marked; corrected, it is a list again."""
    done = _own(import_id)
    return workbook(problem_rows_workbook(done), f"stock-{done.id}-problems.xlsx")


def _import(body: bytes, *, dry_run: bool) -> StockImport:
    now = business_now()
    with tempfile.TemporaryDirectory(prefix="mapai-upload-") as folder:
        path = Path(folder) / "list"
        path.write_bytes(body)
        return import_stock(
            session=db.session(),
            path=path,
            dealer_id=own_dealer().id,
            dry_run=dry_run,
            actor=caller().actor,
            today=now.astimezone(LOCAL).date(),
            now=now,
        )


def _verdict(done: StockImport) -> str:
    """Say in one sentence how the rows went."""
    stored, refused, unchanged = count(done.rows_stored), count(done.rows_refused), count(done.rows_unchanged)
    if not done.rows_stored and not done.rows_refused:
        return _("%(n)s 辆都已经在库，没有变。", n=unchanged) if done.rows_unchanged else _("表里没有一行数据。")
    if done.dry_run and done.rows_refused:
        return _("%(good)s 辆可以入库，%(bad)s 行不对。", good=stored, bad=refused)
    if done.dry_run:
        return _("%(good)s 辆可以入库，每一行都对。", good=stored)
    if done.rows_refused:
        return _("有 %(bad)s 行没有进去，改好再传一次就行。", bad=refused)
    return _("每一行都在库里了。")


def _own(import_id: str) -> StockImport:
    number = whole_in(import_id)
    if number is None:
        raise StockImportNotFound
    return get_stock_import(session=db.session(), import_id=number, dealer_id=own_dealer().id)


def _page(form: Form) -> str:
    return render_template(
        "point_stock_import.html",
        dealer=own_dealer(),
        form=form,
        columns=[
            {"header": each.header, "example": each.example, "meaning": MEANINGS[each.field] if in_english() else ""}
            for each in COLUMNS
        ],
        most_rows=MOST_ROWS,
        largest_mb=LARGEST_MB,
        sent=request.method == "POST",
    )
