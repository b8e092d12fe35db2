"""The programme at the desk: the rules in force, drafts with their effect, pauses; one drafts, another decides."""

from __future__ import annotations

from flask import render_template, url_for
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.api.programme_changes import change_in
from app.auth import caller
from app.context import business_now, settings
from app.db import db
from app.web.blueprint import web
from app.web.desk_acting import act, by_me, done, may, names_of, reason_in
from app.web.desk_rules import (
    OF_A_STAGE,
    Effect,
    difference_rows,
    effect_of,
    fields_of,
    form_of,
    names_in,
    rule_rows,
    rules_in,
)
from app.web.forms import Form
from subsidy.live import live_state
from subsidy.pausing import propose_pause, propose_resumption
from subsidy.programme import Programme, ProgrammeNotFound, current_programme, get_version, list_versions
from subsidy.programme_change import (
    CHANGE,
    LONGEST_DECISION_NOTE,
    PAUSE,
    VERSION,
    ProgrammeChange,
    approve_change,
    get_change,
    is_outdated,
    list_changes,
    refuse_draft,
    withdraw_draft,
)
from subsidy.programme_change_draft import check_rules, differences, draft_version, effect_from_now, effect_json
from subsidy.rules import Rules

DRAFTS, DECIDES = "operator", "reviewer"
KINDS = {"version": "改规则", "pause": "暂停", "resume": "恢复"}
TAGS = {"approved": "done", "refused": "stop", "withdrawn": ""}
LONGEST_NOTE = 400
GRACE = {True: "剩下的名额和钱，够付给每一笔已经登记、还没有办完的。", False: "不给已经登记、还没有办完的留钱。"}


@web.get("/desk/programme")
@requires(*STAFF)
def programme() -> str:
    """The rules in force, every version, every change, and pausing or resuming."""
    return _programme(Form(fields=("reason_zh", "reason_en", "note")))


@web.post("/desk/programme/switch", endpoint="propose_switch")
@requires(DRAFTS)
def propose_switch() -> Response | tuple[str, int]:
    """Propose a pause, or its end where the programme is paused."""
    form = Form.read("reason_zh", "reason_en", "note", "kind")

    def work() -> str:
        reason_zh = form.text("reason_zh", "还没有写告诉公众的理由。", longest=200)
        reason_en = form.text("reason_en", "还没有写英文的理由。", longest=200)
        note = reason_in(form, "note", missing="还没有写为什么，批准的人要看。", longest=LONGEST_NOTE)
        propose = propose_pause if form.value("kind") == PAUSE else propose_resumption
        change = propose(programme=_current(), reason_zh=reason_zh, reason_en=reason_en, note=note, **by_me())
        return done("提出了，请复核员批准。批准以前什么都不变。", url_for("web.change", change_no=change.id))

    return act(form, work, _programme)


@web.get("/desk/programme/draft")
@requires(DRAFTS)
def draft() -> str:
    """The form of the rules, filled with those in force."""
    return _draft(form_of(_in_force(_current())))


@web.post("/desk/programme/draft", endpoint="send_draft")
@requires(DRAFTS)
def send_draft() -> Response | tuple[str, int] | str:
    """Show what the typed rules would do, or keep them as a draft for somebody else to decide."""
    before = _in_force(_current())
    stages = len(before.stages) + 1
    form = Form.read(*fields_of(stages), "what")
    form.fields = fields_of(stages)
    tried: list[Effect] = []

    def work() -> str:
        programme = _current()
        rules = rules_in(form, stages=stages, before=before)
        note = reason_in(form, "note", missing="还没有写为什么要改，批准的人要看。", longest=LONGEST_NOTE)
        change = draft_version(
            programme=programme,
            rules=rules,
            note=note,
            gaps_intended=form.value("gaps_intended") == "yes",
            grace_reserves={"yes": True, "no": False}.get(form.value("grace")),
            **by_me(),
        )
        return done("草稿存好了，请复核员批准。批准以前什么都不变。", url_for("web.change", change_no=change.id))

    def look() -> str:
        rules = rules_in(form, stages=stages, before=before)
        check_rules(rules=rules)
        effect = effect_from_now(session=db.session(), programme=_current(), rules=rules, now=business_now())
        tried.append(effect_of(effect_json(effect)))
        raise _Looked

    def show(form: Form) -> str:
        return _draft(form)

    if form.value("what") != "look":
        return act(form, work, show, **names_in(stages))
    try:
        return act(form, look, show, **names_in(stages))
    except _Looked:
        db.session.rollback()
        return _draft(form.renewed(), effect=tried[0])


@web.get("/desk/programme/changes/<change_no>", endpoint="change")
@requires(*STAFF)
def change_page(change_no: str) -> str:
    """One change: what differs, what it would do, who drafted and who decided."""
    return _change(change_no, Form(fields=("note",)))


@web.post("/desk/programme/changes/<change_no>/decision", endpoint="decide_change")
@requires(DECIDES)
def decide(change_no: str) -> Response | tuple[str, int]:
    """Approve a change, or refuse it with a reason."""
    form = Form.read("note", "decision")

    def work() -> str:
        programme, number = _current(), change_in(change_no)
        way_on = url_for("web.change", change_no=change_no)
        if form.value("decision") == "approve":
            approve_change(
                session=db.session(),
                programme=programme,
                change_id=number,
                actor=caller().actor,
                clock=settings().clock,
            )
            return done("批准了，已经记进队列，从现在起生效。", way_on)
        note = reason_in(form, "note", missing="不批准的，要写理由。", longest=LONGEST_DECISION_NOTE)
        refuse_draft(programme=programme, change_id=number, note=note, **by_me())
        return done("没有批准，什么都没有变。", way_on)

    return act(form, work, lambda form: _change(change_no, form))


@web.post("/desk/programme/changes/<change_no>/withdrawal", endpoint="withdraw_change")
@requires(DRAFTS)
def withdraw(change_no: str) -> Response | tuple[str, int]:
    """Take back one's own draft."""

    def work() -> str:
        withdraw_draft(programme=_current(), change_id=change_in(change_no), **by_me())
        return done("撤回了，什么都没有变。", url_for("web.change", change_no=change_no))

    return act(Form.read(), work, lambda form: _change(change_no, form))


class _Looked(Exception):
    """The effect was only looked at: nothing is kept."""


def _current() -> Programme:
    return current_programme(session=db.session())


def _in_force(programme: Programme) -> Rules:
    version = get_version(session=db.session(), programme_id=programme.id, version_no=programme.version_no)
    return Rules.from_json(version.rules)


def _programme(form: Form) -> str:
    session = db.session()
    try:
        programme = _current()
    except ProgrammeNotFound:
        return render_template("desk_programme.html", programme=None, form=form)
    versions = list_versions(session=session, programme_id=programme.id)
    changes = list_changes(session=session, programme=programme)
    actors = [one.drafted_by for one in changes] + [one.decided_by for one in changes]
    actors += [one.drafted_by for one in versions] + [one.approved_by for one in versions]
    live = live_state(session=session, programme=programme, now=business_now())
    rules = versions[-1].rules
    return render_template(
        "desk_programme.html",
        programme=programme,
        form=form,
        live=live,
        version=versions[-1],
        stages=Rules.from_json(rules).stages,
        rules=rule_rows(rules),
        versions=list(reversed(versions)),
        changes=[(one, KINDS[one.kind], _tag(one, programme)) for one in changes],
        names=names_of(actors),
        may_draft=may(DRAFTS),
        switching=any(one.kind != VERSION and one.state == "drafted" for one in changes),
    )


def _draft(form: Form, *, effect: Effect | None = None) -> str:
    programme = _current()
    before = _in_force(programme)
    return render_template(
        "desk_draft.html",
        form=form,
        stages=range(1, len(before.stages) + 2),
        last=len(before.stages) + 1,
        parts=OF_A_STAGE,
        version_no=programme.version_no,
        effect=effect,
    )


def _change(change_no: str, form: Form) -> str:
    session, programme = db.session(), _current()
    change = get_change(session=session, programme=programme, change_id=change_in(change_no))
    own, waits = change.drafted_by == caller().actor, change.state == "drafted"
    outdated = is_outdated(change=change, programme=programme)
    return render_template(
        "desk_change.html",
        form=form,
        change=change,
        kind=KINDS[change.kind],
        tag=_tag(change, programme),
        rows=_rows(change, programme),
        effect=effect_of(change.effect) if change.effect else None,
        grace=None if change.grace_reserves is None else GRACE[change.grace_reserves],
        names=names_of([change.drafted_by, change.decided_by]),
        outdated=outdated,
        may_decide=waits and may(DECIDES) and not own,
        may_withdraw=waits and may(DRAFTS) and own,
        own=own,
        waits=waits,
    )


def _rows(change: ProgrammeChange, programme: Programme) -> list[tuple[str, str, str]]:
    """What approving would change: the rules that differ, or the switch."""
    if change.rules is None:
        now, then = ("进行", "暂停") if change.kind == PAUSE else ("暂停", "进行")
        paid = ("照办", "不付，只取得序号") if change.kind == PAUSE else ("不付，只取得序号", "按序号补，接着付")
        return [
            ("活动", now, then),
            ("办完的申领", *paid),
            ("已经决定的补贴", "照付", "照付"),
            ("规则", "现行", "现行"),
        ]
    base = get_version(session=db.session(), programme_id=programme.id, version_no=change.base_version_no)
    return difference_rows(differences(before=base.rules, after=change.rules))


def _tag(change: ProgrammeChange, programme: Programme) -> tuple[str, str]:
    if change.state != "drafted":
        return TAGS[change.state], CHANGE.words[change.state]
    if is_outdated(change=change, programme=programme):
        return "stop", "过时了"
    mine = may(DECIDES) and change.drafted_by != caller().actor
    return ("you" if mine else "wait"), CHANGE.words["drafted"]
