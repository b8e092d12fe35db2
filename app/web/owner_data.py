"""The owner's own data: what is held, what was agreed to, who acts for him, his plates, and having it all erased."""

from __future__ import annotations

from typing import Any

from flask import Response, flash, json, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.access import requires
from app.api.my import data_document
from app.api.plates import today
from app.auth import caller
from app.context import business_now, keyring, reach_of, settings
from app.db import db
from app.erasing import ClaimsAndMoney
from app.plate_keys import plate_keys
from app.web.answering import Answer, take_form
from app.web.blueprint import web
from app.web.forms import Form
from app.web.language import _, _l, in_english
from app.web.owner_words import (
    DOCUMENT_WORDS,
    FIELD_WORDS,
    PLATE_WORDS,
    PURPOSE_WORDS,
    RELATION_WORDS,
    REMOVED_WORDS,
    TRADE_IN_STATES,
)
from app.web.transfers import transfers_with
from app.web.wording import full_day
from registry.consent import WORDINGS, answer_consent, standing_consents
from registry.erasure import Outlook, ask_erasure, outlook
from registry.filings import clean_plate
from registry.holdings import holdings_of
from registry.people import Person, mask_id_number, mask_name, mask_phone, open_name
from registry.plates import PLATE_CODE, PlateCode, code_of, find_plate, report
from registry.proxies import end_proxy, entrusted_to, proxies_for

ELSEWHERE = ClaimsAndMoney()
REPORTED = {
    "report_stolen": _l("报失记下了，扫这块号牌的人都会看到。"),
    "report_found": _l("找回记下了，号牌恢复有效。"),
}


@web.get("/my/data", endpoint="my_data")
@requires("owner")
def show_data() -> str:
    """What is held on the caller, masked; consents, who acts for him, his plates."""
    session, person_id = db.session(), _person_id()
    held = holdings_of(session=session, keyring=keyring(), person_id=person_id)
    return render_template(
        "own_data.html",
        form=Form(fields=()),
        held=held,
        name=mask_name(held.name),
        id_no=mask_id_number(held.id_no),
        phone=mask_phone(held.phone) if held.phone else None,
        document=DOCUMENT_WORDS.get(held.document, held.document),
        trade_in_words=TRADE_IN_STATES,
        looks=[(look.at, FIELD_WORDS.get(look.field, look.field), look.role) for look in held.looks],
        consents=_consents(person_id),
        proxies=_proxies(person_id),
        entrusted=entrusted_to(session=session, person_id=person_id),
        transfers=transfers_with(person_id=person_id),
    )


@web.get("/my/data.json", endpoint="my_data_file")
@requires("owner")
def download_data() -> Response:
    """Everything held on the caller, in clear, as a file."""
    body = json.dumps(data_document(_person_id()), ensure_ascii=False, indent=1)
    headers = {
        "Content-Disposition": 'attachment; filename="mapai-my-data.json"',
        "Cache-Control": "private, no-store",
    }
    return Response(body, content_type="application/json", headers=headers)


@web.post("/my/data/consents/<purpose>", endpoint="take_consent")
@requires("owner")
def take_consent(purpose: str) -> Answer:
    """Give or withdraw one consent, under the wording that was shown."""
    form = Form.read("version", "given")

    def work() -> str:
        version = form.value("version")
        if purpose in WORDINGS and version.isascii() and version.isdecimal() and len(version) < 6:
            given = form.value("given") == "yes"
            answer_consent(
                session=db.session(),
                person_id=_person_id(),
                purpose=purpose,
                version=int(version),
                given=given,
                actor=caller().actor,
                now=business_now(),
            )
            flash(_("记下了：同意。") if given else _("记下了：不同意。"))
        return url_for("web.my_data")

    return take_form(form=form, work=work, page=lambda form: show_data())


@web.post("/my/<reference>/proxy-ending", endpoint="end_my_proxy")
@requires("owner")
def take_proxy_ending(reference: str) -> Answer:
    """End a proxy's authority."""
    form = Form.read()

    def work() -> str:
        account = caller()
        end_proxy(
            session=db.session(),
            reference=reference,
            reach=reach_of(account),
            actor=account.actor,
            now=business_now(),
        )
        flash(_("代办结束了。他以前替您办的照样算数。"))
        return url_for("web.my_data")

    return take_form(form=form, work=work, page=lambda form: show_data())


@web.get("/my/plates/<plate_no>", endpoint="my_plate")
@requires("owner")
def show_plate(plate_no: str) -> str:
    """One own plate: its state, and reporting it stolen or found."""
    return _plate_page(plate_no, Form(fields=("step",)))


@web.post("/my/plates/<plate_no>", endpoint="report_my_plate")
@requires("owner")
def take_report(plate_no: str) -> Answer:
    """Report an own plate stolen, or found again."""
    form = Form.read("step")

    def work() -> str:
        account, number = caller(), clean_plate(plate_no)
        if form.value("step") not in REPORTED:
            form.blame(None, _("没有说是丢了还是找回来了。"))
        form.check()
        _code(number)  # a plate never looked at has no code yet, and its thief would be told nothing
        report(
            session=db.session(),
            plate_no=number,
            step=form.value("step"),
            actor=account.actor,
            now=business_now(),
            reach=reach_of(account),
        )
        flash(str(REPORTED[form.value("step")]))
        return url_for("web.my_plate", plate_no=number)

    return take_form(form=form, work=work, page=lambda form: _plate_page(plate_no, form))


@web.get("/my/erasure", endpoint="my_erasure")
@requires("owner")
def show_erasure() -> str:
    """What erasing would wait for, what goes and what the law keeps; the way on."""
    return render_template("own_erasure.html", seen=_outlook(), kept_until=_kept_until())


@web.get("/my/erasure/check", endpoint="my_erasure_check")
@requires("owner")
def check_erasure() -> AnyResponse | str:
    """The last question before everything goes; back where something is not finished."""
    if _outlook().waits_for:
        return redirect(url_for("web.my_erasure"), 303)
    return _erasure_page(Form(fields=("sure",)))


@web.post("/my/erasure", endpoint="take_erasure")
@requires("owner")
def take_erasure() -> Answer:
    """Erase what no law keeps; this sign-in is over afterwards."""
    form = Form.read("sure")

    def work() -> str:
        if form.value("sure") != "yes":
            form.blame("sure", _("请先勾选「我知道删了就找不回来」。"))
        form.check()
        erasure = ask_erasure(
            session=db.session(),
            person_id=_person_id(),
            elsewhere=ELSEWHERE,
            actor=caller().actor,
            now=business_now(),
        )
        gone = _("、").join(str(REMOVED_WORDS[name]) for name, number in erasure.removed.items() if number)
        flash(_("您的信息已经删除：%(gone)s。法律要求保存的已经锁定，谁都看不到。", gone=gone))
        return url_for("web.front")

    return take_form(form=form, work=work, page=_erasure_page)


@web.get("/my/data/consents/<purpose>", endpoint="consent_address")
@requires("owner")
def back_from_consent(purpose: str) -> AnyResponse:
    """Lead from a form's own address to the page it stands on."""
    return redirect(url_for("web.my_data"), 303)


def _person_id() -> int:
    person_id = caller().person_id
    assert person_id is not None, "an owner's account without a person"
    return person_id


def _consents(person_id: int) -> list[dict[str, Any]]:
    stands = standing_consents(session=db.session(), person_id=person_id)
    return [
        {
            "purpose": purpose,
            "title": str(PURPOSE_WORDS[purpose]),
            "version": versions[-1].version,
            "wording": versions[-1].en if in_english() else versions[-1].zh,
            "given": purpose in stands and stands[purpose].given,
            "answered_at": stands[purpose].at if purpose in stands else None,
        }
        for purpose, versions in WORDINGS.items()
    ]


def _proxies(person_id: int) -> list[dict[str, Any]]:
    session = db.session()
    return [
        {
            "reference": reference,
            "name": mask_name(open_name(person=session.get_one(Person, proxy.person_id), keyring=keyring())),
            "relation": str(RELATION_WORDS[proxy.relation]),
            "authority_no": proxy.authority_no,
            "recorded_at": proxy.recorded_at,
            "ended_at": proxy.ended_at,
        }
        for proxy, reference in proxies_for(session=session, owner_id=person_id)
    ]


def _plate_page(plate_no: str, form: Form) -> str:
    number = clean_plate(plate_no)
    plate, bike = find_plate(session=db.session(), plate_no=number, reach=reach_of(caller()))
    code = _code(number)
    db.session.commit()
    return render_template(
        "own_plate.html",
        form=form,
        plate=plate,
        bike=bike,
        code=code,
        state=PLATE_WORDS[code.state],
        may=[step for step in REPORTED if PLATE_CODE.allows(state=code.state, step=step)],
    )


def _code(plate_no: str) -> PlateCode:
    """The plate's newest code; its first is issued here, by whoever looks first."""
    account = caller()
    return code_of(
        session=db.session(),
        signer=plate_keys(settings()).must_sign(),
        plate_no=plate_no,
        reach=reach_of(account),
        actor=account.actor,
        today=today(),
        now=business_now(),
    )


def _erasure_page(form: Form) -> str:
    return render_template("own_erasure_check.html", form=form)


def _outlook() -> Outlook:
    return outlook(session=db.session(), person_id=_person_id(), elsewhere=ELSEWHERE)


def _kept_until() -> str:
    last = _outlook().kept_until
    return full_day(last) if last else ""
