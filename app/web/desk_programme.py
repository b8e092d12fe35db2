"""The programme at the desk: the rules in force, drafts with their effect, pauses; one drafts, another decides."""

from __future__ import annotations

import re

from flask import make_response, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.api.programme_changes import change_in
from app.auth import caller
from app.context import business_now, settings
from app.db import db
from app.web.blueprint import web
from app.web.desk_acting import act, by_me, done, may, names_of, reason_in
from app.web.desk_rules import (
    SAID,
    Effect,
    difference_rows,
    effect_of,
    fields_of,
    form_of,
    names_in,
    rule_rows,
    rules_in,
)
from app.web.desk_words import CHANGE_STATES
from app.web.forms import Form
from app.web.language import _, _l
from subsidy.live import live_state
from subsidy.pausing import propose_switch as propose
from subsidy.programme import Programme, ProgrammeNotFound, current_programme, get_version, list_versions
from subsidy.programme_change import (
    LONGEST_DECISION_NOTE,
    PAUSE,
    RESUME,
    VERSION,
    ProgrammeChange,
    approve_change,
    get_change,
    is_outdated,
    list_changes,
    refuse_draft,
    withdraw_draft,
)
from subsidy.programme_change_draft import check_rules, differences, draft_version
from subsidy.programme_change_effect import (
    EffectRun,
    RunNotFound,
    begin_run,
    effect_from_now,
    effect_json,
    get_run,
    is_reckoned_at_once,
    run_of_change,
)
from subsidy.rules import Rules

DRAFTS, DECIDES = "operator", "reviewer"
KINDS = {"version": _l("改规则"), "pause": _l("暂停"), "resume": _l("恢复")}
TAGS = {"approved": "done", "refused": "stop", "withdrawn": ""}
LONGEST_NOTE = 400
GRACE = {
    True: _l("剩下的名额和钱，够付给每一笔已经登记、还没有办完的。"),
    False: _l("不给已经登记、还没有办完的留钱。"),
}


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
        reason_zh = form.text("reason_zh", _("还没有写告诉公众的理由。"), longest=200)
        reason_en = form.text("reason_en", _("还没有写英文的理由。"), longest=200)
        note = reason_in(form, "note", missing=_("还没有写为什么，批准的人要看。"), longest=LONGEST_NOTE)
        kind = PAUSE if form.value("kind") == PAUSE else RESUME
        said = {"reason_zh": reason_zh, "reason_en": reason_en, "note": note}
        change = propose(programme=_current(), kind=kind, **said, **by_me())
        return done(_("提出了，请复核员批准。批准以前什么都不变。"), url_for("web.change", change_no=change.id))

    return act(form, work, _programme)


@web.get("/desk/programme/draft")
@requires(DRAFTS)
def draft() -> str:
    """The form of the rules, filled with those in force, or with those whose effect is being reckoned (``run``)."""
    programme = _current()
    run_id = request.args.get("run", "")
    if not run_id:
        return _draft(form_of(_in_force(programme)))
    run = _run(run_id)
    form = form_of(Rules.from_json(run.rules))
    form.values |= run.said
    return _draft(form, effect=effect_of(run.effect) if run.effect else None, run=run)


@web.get("/desk/programme/effects/<run_id>", endpoint="draft_effect")
@requires(DRAFTS)
def draft_effect(run_id: str) -> str:
    """The effect of rules that were only looked at, or that it is still being reckoned: a part of the draft's page."""
    run = _run(run_id)
    return render_template(
        "desk_effect_run.html",
        run=run,
        effect=effect_of(run.effect) if run.effect else None,
        poll=url_for("web.draft_effect", run_id=run.id),
    )


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
        note = reason_in(form, "note", missing=_("还没有写为什么要改，批准的人要看。"), longest=LONGEST_NOTE)
        change = draft_version(
            programme=programme,
            rules=rules,
            note=note,
            gaps_intended=form.value("gaps_intended") == "yes",
            grace_reserves={"yes": True, "no": False}.get(form.value("grace")),
            **by_me(),
        )
        return done(_("草稿存好了，请复核员批准。批准以前什么都不变。"), url_for("web.change", change_no=change.id))

    def look() -> str:
        rules = rules_in(form, stages=stages, before=before)
        check_rules(rules=rules)
        programme = _current()
        if not is_reckoned_at_once(session=db.session(), programme=programme):
            said = {name: form.value(name) for name in SAID}
            run = begin_run(programme=programme, rules=rules, said=said, **by_me())
            return url_for("web.draft", run=run.id)
        effect = effect_from_now(session=db.session(), programme=programme, rules=rules, now=business_now())
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


@web.get("/desk/programme/changes/<change_no>/effect", endpoint="change_effect")
@requires(*STAFF)
def change_effect(change_no: str) -> Response:
    """Whether a change's effect is there; once it is, the whole page is asked for again, with its buttons."""
    change = get_change(session=db.session(), programme=_current(), change_id=change_in(change_no))
    run = run_of_change(session=db.session(), change_id=change.id)
    poll = url_for("web.change_effect", change_no=change.id)
    answer = make_response(render_template("desk_effect_run.html", run=run, effect=None, poll=poll))
    if run is None or not run.is_open:
        answer.headers["HX-Refresh"] = "true"
    return answer


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
            return done(_("批准了，已经记进队列，从现在起生效。"), way_on)
        note = reason_in(form, "note", missing=_("不批准的，要写理由。"), longest=LONGEST_DECISION_NOTE)
        refuse_draft(programme=programme, change_id=number, note=note, **by_me())
        return done(_("没有批准，什么都没有变。"), way_on)

    return act(form, work, lambda form: _change(change_no, form))


@web.post("/desk/programme/changes/<change_no>/withdrawal", endpoint="withdraw_change")
@requires(DRAFTS)
def withdraw(change_no: str) -> Response | tuple[str, int]:
    """Take back one's own draft."""

    def work() -> str:
        withdraw_draft(programme=_current(), change_id=change_in(change_no), **by_me())
        return done(_("撤回了，什么都没有变。"), url_for("web.change", change_no=change_no))

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


def _draft(form: Form, *, effect: Effect | None = None, run: EffectRun | None = None) -> str:
    programme = _current()
    before = _in_force(programme)
    return render_template(
        "desk_draft.html",
        form=form,
        stages=range(1, len(before.stages) + 2),
        last=len(before.stages) + 1,
        version_no=programme.version_no,
        effect=effect,
        run=run,
        poll=url_for("web.draft_effect", run_id=run.id) if run else None,
    )


def _run(typed: str) -> EffectRun:
    """Return the what-if this reader asked for; an address that names none of them raises RunNotFound."""
    if not re.fullmatch(r"\d{1,18}", typed, re.ASCII):
        raise RunNotFound
    return get_run(session=db.session(), programme=_current(), run_id=int(typed), actor=caller().actor)


def _change(change_no: str, form: Form) -> str:
    session, programme = db.session(), _current()
    change = get_change(session=session, programme=programme, change_id=change_in(change_no))
    own, waits = change.drafted_by == caller().actor, change.state == "drafted"
    outdated = is_outdated(change=change, programme=programme)
    pending = waits and change.kind == VERSION and change.effect is None
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
        pending=pending,
        run=run_of_change(session=session, change_id=change.id) if pending else None,
        poll=url_for("web.change_effect", change_no=change.id),
        may_decide=waits and may(DECIDES) and not own,
        may_withdraw=waits and may(DRAFTS) and own,
        own=own,
        waits=waits,
    )


def _rows(change: ProgrammeChange, programme: Programme) -> list[tuple[str, str, str]]:
    """What approving would change: the rules that differ, or the switch."""
    if change.rules is None:
        now, then = (_("进行"), _("暂停")) if change.kind == PAUSE else (_("暂停"), _("进行"))
        paid = (
            (_("照办"), _("不付，只取得序号"))
            if change.kind == PAUSE
            else (_("不付，只取得序号"), _("按序号补，接着付"))
        )
        return [
            (_("活动"), now, then),
            (_("办完的申领"), *paid),
            (_("已经决定的补贴"), _("照付"), _("照付")),
            (_("规则"), _("现行"), _("现行")),
        ]
    base = get_version(session=db.session(), programme_id=programme.id, version_no=change.base_version_no)
    return difference_rows(differences(before=base.rules, after=change.rules))


def _tag(change: ProgrammeChange, programme: Programme) -> tuple[str, str]:
    if change.state != "drafted":
        return TAGS[change.state], str(CHANGE_STATES[change.state])
    if is_outdated(change=change, programme=programme):
        return "stop", _("过时了")
    mine = may(DECIDES) and change.drafted_by != caller().actor
    return ("you" if mine else "wait"), str(CHANGE_STATES["drafted"])
