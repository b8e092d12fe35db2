"""Dealers at the desk: enrolled, licensed, renewed, suspended, restored, and revoked by two persons."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import abort, render_template, request, url_for
from flask_babel.speaklater import LazyString
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.auth import caller
from app.context import business_now, keyring, settings
from app.db import db
from app.web.blueprint import web
from app.web.dealer_words import DEALER_STATES
from app.web.desk_acting import act, by_me, done, may, names_of, reason_in, within
from app.web.desk_words import Words
from app.web.forms import Form
from app.web.language import _, _l, ngettext, pgettext
from registry.dealer_applications import DealerApplication
from registry.dealer_commitments import current_version, signature_of
from registry.dealer_handover import count_open
from registry.dealer_inputs import masked_mobile, open_representative
from registry.dealer_licences import (
    decide_revocation,
    enrol,
    license_point,
    open_revocation,
    propose_revocation,
    renew_licence,
    restore,
    suspend,
)
from registry.dealer_steps import DealerStep, steps_of
from registry.dealers import DEALER, Dealer, get_dealer, list_dealers
from registry.people import mask_name

A_PAGE = 50
TAGS = {"licensed": "done", "suspended": "stop", "revoked": "stop", "refused": "stop", "expired": "stop"}
STEPS = {
    "apply": _l("提交申请"),
    "accept": _l("审核通过"),
    "refuse": _l("审核未通过"),
    "commit": _l("签承诺书"),
    "train": _l("培训考核合格"),
    "enrol": _l("已开通"),
    "license": _l("已授牌"),
    "renew": _l("授牌续期"),
    "suspend": _l("已暂停"),
    "restore": _l("恢复授牌"),
    "expire": _l("授牌到期"),
    "revoke": _l("已撤销"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something staff may do to a dealer now. ``role`` is who may; ``first_step`` what somebody else must have done."""

    key: str
    label: LazyString
    hint: LazyString
    roles: tuple[str, ...]
    done: LazyString
    with_reason: bool = False


DEEDS = {
    deed.key: deed
    for deed in (
        Deed(
            key="enrol",
            label=_l("开通置换功能"),
            hint=_l("开通以后由复核员授牌，授了牌才能接待车主。"),
            roles=("operator",),
            done=_l("开通了，请复核员授牌。"),
        ),
        Deed(
            key="license",
            label=_l("授牌"),
            hint=_l("发下一个代办点编号，马上可以接待车主。开通的人不能授牌。"),
            roles=("reviewer",),
            done=_l("授牌了，现在可以接待车主。"),
        ),
        Deed(
            key="renew",
            label=_l("授牌续期"),
            hint=_l("从到期那天接着算；已经到期的从今天算。"),
            roles=("reviewer",),
            done=_l("续期了。"),
        ),
        Deed(
            key="suspend",
            label=_l("暂停授牌"),
            hint=_l("马上不能登记新的旧车；已经收下的可以办完，也可以转给别的代办点。"),
            roles=("operator", "reviewer"),
            with_reason=True,
            done=_l("暂停了。"),
        ),
        Deed(
            key="restore",
            label=_l("恢复授牌"),
            hint=_l("马上可以登记新的旧车，授牌的到期日不变。"),
            roles=("reviewer",),
            with_reason=True,
            done=_l("恢复了。"),
        ),
        Deed(
            key="propose-revocation",
            label=_l("提出撤销授牌"),
            hint=_l("提出以后什么都不变，要由复核员决定。"),
            roles=("operator",),
            with_reason=True,
            done=_l("提出了，请复核员决定。"),
        ),
    )
}


@web.get("/desk/dealers")
@requires(*STAFF)
def dealers() -> str:
    """The dealers of one state, or all in the order in which they came."""
    state = request.args.get("state", "")
    if state and state not in DEALER_STATES:
        abort(404)
    typed = request.args.get("after", "0")
    after_id = int(typed) if re.fullmatch(r"\d{1,18}", typed, re.ASCII) else 0
    found = list_dealers(session=db.session(), state=state or None, after_id=after_id, limit=A_PAGE + 1)
    page = found[:A_PAGE]
    return render_template(
        "desk_dealers.html",
        rows=[(one, TAGS.get(one.state, "")) for one in page],
        words=DEALER_STATES,
        tabs=[{"key": "", "word": _("全部"), "number": None}, *counted(Dealer, DEALER_STATES)],
        chosen=state,
        more=url_for("web.dealers", state=state or None, after=page[-1].id) if len(found) > A_PAGE else None,
    )


@web.get("/desk/dealers/<int:dealer_id>")
@requires(*STAFF)
def dealer(dealer_id: int) -> str:
    """One dealer: what is registered, every step it took, what may be done now."""
    return _dealer(within(dealer_id), Form(fields=("reason",)))


@web.post("/desk/dealers/<int:dealer_id>/enrolment", endpoint="enrol_dealer")
@requires(*DEEDS["enrol"].roles)
def enrol_dealer(dealer_id: int) -> Response | tuple[str, int]:
    """Switch the trade-in function on."""
    return _do(dealer_id, "enrol", lambda _: enrol(dealer_id=within(dealer_id), **by_me()))


@web.post("/desk/dealers/<int:dealer_id>/licence", endpoint="license_dealer")
@requires(*DEEDS["license"].roles)
def license_dealer(dealer_id: int) -> Response | tuple[str, int]:
    """License the dealer under the next plaque number."""
    rules = settings().enrolment
    return _do(dealer_id, "license", lambda _: license_point(dealer_id=within(dealer_id), rules=rules, **by_me()))


@web.post("/desk/dealers/<int:dealer_id>/renewal", endpoint="renew_dealer")
@requires(*DEEDS["renew"].roles)
def renew_dealer(dealer_id: int) -> Response | tuple[str, int]:
    """Renew the licence."""
    rules = settings().enrolment
    return _do(dealer_id, "renew", lambda _: renew_licence(dealer_id=within(dealer_id), rules=rules, **by_me()))


@web.post("/desk/dealers/<int:dealer_id>/suspension", endpoint="suspend_dealer")
@requires(*DEEDS["suspend"].roles)
def suspend_dealer(dealer_id: int) -> Response | tuple[str, int]:
    """Suspend the licence."""
    return _do(dealer_id, "suspend", lambda why: suspend(dealer_id=within(dealer_id), reason=why, **by_me()))


@web.post("/desk/dealers/<int:dealer_id>/restoration", endpoint="restore_dealer")
@requires(*DEEDS["restore"].roles)
def restore_dealer(dealer_id: int) -> Response | tuple[str, int]:
    """End the suspension."""
    return _do(dealer_id, "restore", lambda why: restore(dealer_id=within(dealer_id), reason=why, **by_me()))


@web.post("/desk/dealers/<int:dealer_id>/revocation-proposal", endpoint="propose_revocation")
@requires(*DEEDS["propose-revocation"].roles)
def propose(dealer_id: int) -> Response | tuple[str, int]:
    """Propose to revoke the licence."""
    return _do(
        dealer_id,
        "propose-revocation",
        lambda why: propose_revocation(dealer_id=within(dealer_id), reason=why, **by_me()),
    )


@web.post("/desk/dealers/<int:dealer_id>/revocation", endpoint="decide_revocation")
@requires("reviewer")
def decide(dealer_id: int) -> Response | tuple[str, int]:
    """Approve the proposed revocation, or turn it down."""
    form = Form.read("approved")

    def work() -> str:
        approved = form.value("approved") == "yes"
        decide_revocation(dealer_id=within(dealer_id), approved=approved, **by_me())
        words = _("撤销了，这家不再是代办点。") if approved else _("没有撤销，这家照旧。")
        return done(words, url_for("web.dealer", dealer_id=dealer_id))

    return act(form, work, lambda form: _dealer(within(dealer_id), form))


def _do(dealer_id: int, key: str, call: Callable[[str], object]) -> Response | tuple[str, int]:
    deed = DEEDS[key]
    form = Form.read("reason") if deed.with_reason else Form.read()
    form.values["deed"] = key  # several deeds stand on the page, each with a reason: only this one is shown again

    def work() -> str:
        call(reason_in(form) if deed.with_reason else "")
        return done(str(deed.done), url_for("web.dealer", dealer_id=dealer_id))

    return act(form, work, lambda form: _dealer(within(dealer_id), form))


def _dealer(dealer_id: int, form: Form) -> str:
    session = db.session()
    dealer = get_dealer(session=session, dealer_id=dealer_id)
    steps = steps_of(session=session, dealer_id=dealer.id)
    revocation = open_revocation(session=session, dealer_id=dealer.id)
    version = current_version(session=session, now=business_now()).version
    names = names_of([*(step.actor for step in steps), revocation.proposed_by if revocation else None])
    return render_template(
        "desk_dealer.html",
        form=form,
        dealer=dealer,
        tag=(TAGS.get(dealer.state, "wait"), DEALER_STATES[dealer.state]),
        people=people_of(dealer),
        signed=signature_of(session=session, dealer_id=dealer.id, version=version) is not None,
        version=version,
        open_trade_ins=count_open(session=session, dealer_id=dealer.id),
        steps=[(step, STEPS.get(step.step, step.step), names[step.actor]) for step in reversed(steps)],
        revocation=revocation,
        proposer=names[revocation.proposed_by] if revocation else "",
        may_decide=revocation is not None and may("reviewer") and revocation.proposed_by != caller().actor,
        own=revocation is not None and revocation.proposed_by == caller().actor,
        deeds=_deeds(dealer, steps, revoking=revocation is not None),
        rows=_changes(dealer),
    )


def _deeds(dealer: Dealer, steps: Sequence[DealerStep], *, revoking: bool) -> list[dict[str, Any]]:
    """What this reader may do to the dealer now, the step that waits first."""
    enrolled_by = next((step.actor for step in reversed(steps) if step.step == "enrol"), None)
    offered = []
    for deed in DEEDS.values():
        step = "revoke" if deed.key == "propose-revocation" else deed.key
        hidden = revoking and deed.key == "propose-revocation"
        if may(*deed.roles) and DEALER.allows(state=dealer.state, step=step) and not hidden:
            own = deed.key == "license" and enrolled_by == caller().actor
            offered.append({"deed": deed, "own": own, "main": deed.key in ("enrol", "license", "restore")})
    return offered


def _changes(dealer: Dealer) -> list[tuple[Any, Any, Any]]:
    """What licensing would change; empty in every other state."""
    now = DEALER_STATES[dealer.state]
    if dealer.state == "trained":
        return [
            (pgettext("column", "商户"), now, DEALER_STATES["enrolled"]),
            (_("置换功能"), _("关"), _("开")),
            (_("代办点编号"), _("没有"), _("没有")),
        ]
    if dealer.state == "enrolled":
        days = settings().enrolment.licence_days
        return [
            (pgettext("column", "商户"), now, DEALER_STATES["licensed"]),
            (_("代办点编号"), dealer.point_no or _("没有"), dealer.point_no or _("下一个编号")),
            (_("授牌有效期"), _("没有"), ngettext("今天起 %(num)s 天", "今天起 %(num)s 天", days)),
            (_("登记新的旧车"), _("不能"), _("能")),
        ]
    return []


def people_of(dealer: Dealer) -> list[tuple[str, str]]:
    """Return what a dealer said of itself, its people masked."""
    representative = open_representative(dealer=dealer, keyring=keyring())
    return [
        (_("统一社会信用代码"), dealer.credit_code),
        (_("街道"), dealer.sub_district),
        (_("地址"), dealer.address),
        (_("店铺电话"), dealer.phone),
        (_("营业时间"), dealer.opening_hours),
        (_("法定代表人"), mask_name(representative) if representative else _("没有登记")),
        (_("签字用的手机"), masked_mobile(dealer=dealer, keyring=keyring()) or _("没有登记")),
    ]


def counted(table: type[Dealer] | type[DealerApplication], words: Words) -> list[dict[str, Any]]:
    """Return the states of a table as tabs, each with how many rows it has."""
    rows = db.session.execute(select(table.state, func.count()).group_by(table.state)).all()
    counted: dict[str, int] = dict(rows)
    return [{"key": key, "word": word, "number": counted.get(key, 0)} for key, word in words.items()]
