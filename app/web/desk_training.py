"""The dealers' training at the desk: every version, what dealers will read and be asked, and writing the next one."""

from __future__ import annotations

from datetime import datetime, time

from flask import render_template, url_for

from app.access import STAFF, requires
from app.context import business_now, settings
from app.db import db
from app.web import question_bank
from app.web.answering import Answer, lines_of
from app.web.blueprint import web
from app.web.desk_acting import act, by_me, done, may
from app.web.forms import Form
from app.web.language import _, _l
from app.web.wording import SHANGHAI, full_day
from registry.dealer_training import TrainingVersion, current_training
from registry.dealers import local_day
from registry.training_material import (
    LONGEST_TITLE,
    Material,
    add_training,
    change_training,
    check_material,
    get_training,
    list_training,
    questions_of,
    require_open,
    results_of,
)

WRITES = "operator"
FIELDS = ("title", "text", "questions", "effective_on")
LONGEST_TEXT, LONGEST_BANK = 20_000, 60_000
# A bank pasted in another form is wrong in every question; the first ones say how.
MOST_FAULTS = 5
STATES = {"announced": _l("预告"), "current": _l("现行"), "past": _l("以前的")}
TAGS = {"announced": "wait", "current": "done", "past": ""}


class _Looked(Exception):
    """The typed material could be kept, and was only looked at."""


@web.get("/desk/training", endpoint="training_versions")
@requires(*STAFF)
def versions() -> str:
    """Every version of the material, newest first, how its tests went, and the way to the next one."""
    session, results = db.session(), results_of(session=db.session())
    rows = [
        {
            **_standing(version),
            "questions": len(questions_of(session=session, version=version.version)),
            "results": results.get(version.version, (0, 0)),
        }
        for version in list_training(session=session)
    ]
    return render_template(
        "desk_training.html",
        rows=rows,
        current=current_training(session=session, now=business_now()),
        rules=settings().enrolment,
        may_write=may(WRITES),
    )


@web.get("/desk/training/<int:version>", endpoint="training_version")
@requires(*STAFF)
def version(version: int) -> str:
    """One version as dealers see it, with the right answers, which dealers see after the test alone."""
    found = get_training(session=db.session(), version=version)
    standing = _standing(found)
    return render_template(
        "desk_training_version.html",
        **standing,
        paragraphs=_paragraphs(found.text_zh),
        questions=questions_of(session=db.session(), version=version),
        results=results_of(session=db.session()).get(version, (0, 0)),
        rules=settings().enrolment,
        may_change=standing["state"] == "announced" and may(WRITES),
    )


@web.get("/desk/training/draft", endpoint="training_draft")
@requires(WRITES)
def draft() -> str:
    """The form of the next version, filled with the newest one."""
    newest = list_training(session=db.session())[0]
    return _draft(_form_of(newest, effective_on=""), None)


@web.get("/desk/training/<int:version>/draft", endpoint="training_change")
@requires(WRITES)
def change(version: int) -> str:
    """The form that corrects a version dealers are not tested on yet."""
    found = require_open(session=db.session(), version=version, now=business_now())
    return _draft(_form_of(found, effective_on=local_day(found.effective_at).isoformat()), version)


@web.post("/desk/training/draft", endpoint="send_training")
@requires(WRITES)
def send_training() -> Answer:
    """Show what dealers would see, or keep it as the next version."""
    return _take(None)


@web.post("/desk/training/<int:version>/draft", endpoint="send_training_change")
@requires(WRITES)
def send_change(version: int) -> Answer:
    """Show what dealers would see, or keep it in place of what the version held."""
    return _take(version)


def _take(version: int | None) -> Answer:
    form = Form.read("title", "effective_on", "what")
    form.fields = FIELDS
    form.values["text"] = lines_of("text", longest=LONGEST_TEXT)
    form.values["questions"] = lines_of("questions", longest=LONGEST_BANK)
    looked_at: list[Material] = []
    rules = settings().enrolment

    def keep() -> str:
        material = _material(form)
        if version is None:
            kept = add_training(material=material, rules=rules, **by_me())
        else:
            kept = change_training(version=version, material=material, rules=rules, **by_me())
        said = _("第 %(n)s 版存好了，%(day)s 起用。", n=kept.version, day=full_day(local_day(kept.effective_at)))
        return done(said, url_for("web.training_version", version=kept.version))

    def look() -> str:
        looked_at.append(_material(form))
        check_material(material=looked_at[0], rules=rules, now=business_now())
        raise _Looked

    work = look if form.value("what") == "look" else keep
    try:
        return act(form, work, lambda form: _draft(form, version), paragraphs="text")
    except _Looked:
        db.session.rollback()
        return _draft(form.renewed(), version, looked_at[0]), 200


def _material(form: Form) -> Material:
    """Return what was typed; raises FormIncomplete with every fault at its field."""
    title = form.text("title", _("还没有写名称。"), longest=LONGEST_TITLE)
    text = form.text("text", _("还没有写正文。"), longest=LONGEST_TEXT)
    questions, faults = question_bank.read(form.text("questions", _("还没有写题目。"), longest=LONGEST_BANK))
    for fault in faults[:MOST_FAULTS]:
        form.blame("questions", fault)
    effective_on = form.day("effective_on", _("起用日期"))
    form.check()
    effective_at = datetime.combine(effective_on, time(), tzinfo=SHANGHAI)
    return Material(title=title, text_zh=text, effective_at=effective_at, questions=questions)


def _form_of(version: TrainingVersion, *, effective_on: str) -> Form:
    bank = questions_of(session=db.session(), version=version.version)
    values = {
        "title": version.title,
        "text": version.text_zh.strip(),
        "questions": question_bank.written(bank),
        "effective_on": effective_on,
    }
    return Form(fields=FIELDS, values=values)


def _draft(form: Form, version: int | None, seen: Material | None = None) -> str:
    return render_template(
        "desk_training_draft.html",
        form=form,
        version=version,
        seen=seen,
        paragraphs=_paragraphs(seen.text_zh) if seen else [],
        rules=settings().enrolment,
        action=url_for("web.send_training")
        if version is None
        else url_for("web.send_training_change", version=version),
        longest=(LONGEST_TEXT, LONGEST_BANK),
    )


def _paragraphs(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _standing(version: TrainingVersion) -> dict[str, object]:
    now = business_now()
    if version.effective_at > now:
        state = "announced"
    elif version.version == current_training(session=db.session(), now=now).version:
        state = "current"
    else:
        state = "past"
    first_day = full_day(local_day(version.effective_at))
    return {"version": version, "state": state, "state_word": STATES[state], "tag": TAGS[state], "first_day": first_day}
