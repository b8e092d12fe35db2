"""The draft of rules speaks of a stage's end as every page does: midnight belongs to the day that ends."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from app.district.programme import demo_rules
from app.web.desk_rules import difference_rows, form_of, rules_in
from app.web.forms import FormIncomplete
from app.web.wording import until_full
from tests.web.scene import Scene, local

RULES = demo_rules(opens_at=local(2026, 6, 11))


@pytest.fixture
def said(scene: Scene) -> Flask:
    """The application, for what is said needs a language."""
    return scene.app()


def test_an_end_at_midnight_goes_there_and_back(said: Flask) -> None:
    with said.test_request_context():
        form = form_of(RULES)
        assert (form.value("s1_opens_at"), form.value("s1_closes_at")) == ("2026-06-11 00:00", "2026-07-10 24:00")
        assert rules_in(form, stages=4, before=RULES) == RULES
        for typed, end in (
            ("2026-12-31 24:00", local(2027, 1, 1)),
            ("2026/07/10T24:00:00", local(2026, 7, 11)),
            ("2026-07-11 00:00", local(2026, 7, 11)),
            ("2026-07-11 12:30:05", local(2026, 7, 11) + timedelta(hours=12, minutes=30, seconds=5)),
        ):
            form.values["s1_closes_at"] = typed
            assert rules_in(form, stages=4, before=RULES).stages[0].closes_at == end


@pytest.mark.parametrize("typed", ["2026-07-10 24:01", "24:00", "2026-07-10 12:00 24:00", "2026-02-30 24:00"])
def test_what_is_no_end_of_a_day_is_refused(said: Flask, typed: str) -> None:
    with said.test_request_context():
        form = form_of(RULES)
        form.values["s1_closes_at"] = typed
        with pytest.raises(FormIncomplete):
            rules_in(form, stages=4, before=RULES)
        assert [fault.field for fault in form.errors] == ["s1_closes_at"]


def test_a_difference_names_the_end_likewise(said: Flask) -> None:
    with said.test_request_context():
        changed = {"stages.1.closes_at": [local(2026, 7, 11).isoformat(), local(2026, 8, 1).isoformat()]}
        [(_, before, after)] = difference_rows(changed)
        assert (before, after) == ("2026 年 7 月 10 日 24:00", "2026 年 7 月 31 日 24:00")
        assert until_full(local(2026, 7, 11) + timedelta(hours=1)) == "2026 年 7 月 11 日 01:00"
