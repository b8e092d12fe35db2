"""Closing reports at the desk: everything so far or one month, as Excel and on paper."""

from __future__ import annotations

import re
from datetime import date

from flask import Response, abort, render_template, request

from app.access import STAFF, requires
from app.api.closing_reports import EXCEL
from app.api.points import as_pdf
from app.context import business_now
from app.db import db
from app.print.closing import closing_pdf
from app.web.blueprint import web
from app.web.language import _, in_english
from app.web.wording import MONTHS, local
from subsidy.closing_report import ClosingReport, closing_report
from subsidy.closing_report_excel import closing_workbook
from subsidy.programme import Programme, ProgrammeNotFound, current_programme, list_versions
from subsidy.rules import Rules

MOST_MONTHS = 36


@web.get("/desk/reports")
@requires(*STAFF)
def reports() -> str:
    """The reports there are to download."""
    try:
        programme = current_programme(session=db.session())
    except ProgrammeNotFound:
        return render_template("desk_reports.html", rows=[], name="")
    rows = [("", _("到现在为止的全部")), *((month, _month_name(month)) for month in _months(programme))]
    name = programme.name_en if in_english() else programme.name_zh
    return render_template("desk_reports.html", rows=rows, name=name)


@web.get("/desk/reports/closing.xlsx", endpoint="report_workbook")
@requires(*STAFF)
def workbook() -> Response:
    """A report as Excel."""
    month = _month()
    headers = {
        "Content-Disposition": f'attachment; filename="closing-{month or "all"}.xlsx"',
        "Cache-Control": "private, no-store",
    }
    return Response(closing_workbook(report=_report(month)), content_type=EXCEL, headers=headers)


@web.get("/desk/reports/closing.pdf", endpoint="report_paper")
@requires(*STAFF)
def paper() -> Response:
    """A report on paper."""
    month = _month()
    return as_pdf(closing_pdf(report=_report(month), now=business_now()), name=f"closing-{month or 'all'}")


def _months(programme: Programme) -> list[str]:
    """The months since the first stage opened, the newest first."""
    versions = list_versions(session=db.session(), programme_id=programme.id)
    first = local(Rules.from_json(versions[0].rules).stages[0].opens_at)
    last = local(business_now())
    year, month = last.year, last.month
    found: list[str] = []
    while (year, month) >= (first.year, first.month) and len(found) < MOST_MONTHS:
        found.append(f"{year}-{month:02d}")
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return found


def _month_name(month: str) -> str:
    """«2026 年 6 月», «June 2026»."""
    year, number = month[:4], int(month[5:])
    return f"{MONTHS[number - 1]} {year}" if in_english() else _("%(year)s 年 %(month)s 月", year=year, month=number)


def _month() -> str:
    month = request.args.get("month", "")
    if month:
        if not re.fullmatch(r"20\d{2}-\d{2}", month, re.ASCII):
            abort(404)
        try:
            date.fromisoformat(f"{month}-01")
        except ValueError:
            abort(404)
    return month


def _report(month: str) -> ClosingReport:
    session = db.session()
    return closing_report(
        session=session,
        programme=current_programme(session=session),
        month=date.fromisoformat(f"{month}-01") if month else None,
        now=business_now(),
    )
