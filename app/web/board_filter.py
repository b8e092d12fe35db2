"""Which claims a reader asks for: programme → stage → sub-district → point, by state and by day. In every address."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from flask import abort, request
from sqlalchemy import ColumnElement
from werkzeug.datastructures import MultiDict

from app.web.forms import Form
from app.web.language import _, _l
from app.web.wording import SHANGHAI, stage_name
from registry.dealers import Dealer
from subsidy.claims import Claim

FIELDS = ("stage", "sub_district", "point", "state", "from_day", "until_day")
STATES = {
    "waiting": _l("排队等名额"),
    "held": _l("名额保留，等更正或核对"),
    "awarded": _l("给予补贴"),
    "declined": _l("不予补贴"),
    "returned": _l("已退"),
    "forfeited": _l("逾期未领"),
}
# The stage of those that have none: who waits, and who was declined.
NO_STAGE = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFilter:
    """What narrows the claims; None narrows nothing. Days are the district's, both included, of the queue's record."""

    stage: int | None = None
    sub_district: str | None = None
    point: str | None = None
    state: str | None = None
    from_day: date | None = None
    until_day: date | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions on claims joined with their dealers."""
        asked: list[ColumnElement[bool]] = []
        if self.stage is not None:
            asked.append(Claim.stage_no.is_(None) if self.stage == NO_STAGE else Claim.stage_no == self.stage)
        if self.sub_district is not None:
            asked.append(Dealer.sub_district == self.sub_district)
        if self.point is not None:
            asked.append(Dealer.point_no == self.point)
        if self.state is not None:
            asked.append(Claim.state == self.state)
        if self.from_day is not None:
            asked.append(Claim.recorded_at >= begins(self.from_day))
        if self.until_day is not None:
            asked.append(Claim.recorded_at < begins(self.until_day + timedelta(days=1)))
        return asked

    def query(self, **change: Any) -> dict[str, Any]:
        """Return the filter for an address, with what ``change`` sets, or takes away by None."""
        changed = replace(self, **change)
        return {name: str(value) for name in FIELDS if (value := getattr(changed, name)) is not None}

    def words(self) -> list[str]:
        """Return what is chosen, from the widest to the narrowest, in the reader's language."""
        told = []
        if self.stage is not None:
            told.append(stage_words(self.stage))
        if self.sub_district is not None:
            told.append(self.sub_district)
        if self.point is not None:
            told.append(_("代办点 %(number)s", number=self.point))
        if self.state is not None:
            told.append(str(STATES[self.state]))
        if self.from_day is not None:
            told.append(_("%(day)s 起", day=self.from_day))
        if self.until_day is not None:
            told.append(_("到 %(day)s", day=self.until_day))
        return told


def stage_words(number: int) -> str:
    """Return a stage's name, also for those that have none."""
    return _("还没有阶段") if number == NO_STAGE else stage_name(number)


def read_filter(source: MultiDict[str, str] | None = None) -> tuple[ClaimFilter, Form]:
    """Return the filter an address asks for, and its form with what is wrong in the days that were typed.

    Answers 404 for a stage, a point or a state that no address of ours names.
    """
    form = Form.read(*FIELDS, source=request.args if source is None else source)
    stage, point, state = form.value("stage"), form.value("point"), form.value("state")
    if (
        (stage and not re.fullmatch(r"\d{1,3}", stage, re.ASCII))
        or (point and not re.fullmatch(r"[\w-]{1,8}", point, re.ASCII))
        or (state and state not in STATES)
    ):
        abort(404)
    chosen = ClaimFilter(
        stage=int(stage) if stage else None,
        sub_district=form.value("sub_district")[:32] or None,
        point=point or None,
        state=state or None,
        from_day=day_in(form, "from_day"),
        until_day=day_in(form, "until_day"),
    )
    return chosen, form


def day_in(form: Form, name: str) -> date | None:
    """Return the day a filter's field names, None where it is empty; blames the field where it names none."""
    typed = form.value(name)
    if not typed:
        return None
    if re.fullmatch(r"20\d{2}-\d{2}-\d{2}", typed, re.ASCII):
        try:
            return date.fromisoformat(typed)
        except ValueError:
            pass
    form.blame(name, _("日期不对。"), _("写成 2026-06-16 这样。"))
    return None


def begins(day: date) -> datetime:
    """Return the instant at which the day begins in the district."""
    return datetime.combine(day, time(), tzinfo=SHANGHAI)
