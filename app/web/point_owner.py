"""What a point does for an owner without a smartphone: wallet or card, proxy, appeal, printed receipt.

Every deed takes the number of the paper the owner signed; the owner is told of it by text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from flask import Response as FileResponse
from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app.access import requires
from app.api.points import as_pdf
from app.auth import caller
from app.context import business_now, keyring, partners, reach_of, settings
from app.db import db
from app.print.receipt import receipt_pdf
from app.web.answering import Answer, long_text, take_form
from app.web.blueprint import web
from app.web.forms import Form
from app.web.language import _, _l
from app.web.owner_receipts import shown_receipt
from app.web.owner_record import may_choose_wallet
from app.web.owner_words import RELATION_WORDS
from app.web.point import read_own
from app.web.trade_in_record import Record, masked
from app.web.wording import full_day
from registry.proxies import live_proxy, record_proxy
from registry.trade_ins import OVER
from subsidy.appeals import latest_appeal
from subsidy.counter import WalletKind, confirm_wallet_at_counter, file_appeal_at_counter
from subsidy.decision_record import decision_record
from subsidy.receipts import receipt_of

KINDS: dict[WalletKind, Any] = {"card": _l("硬钱包卡，不用手机"), "app": _l("手机里的数字人民币钱包")}
WALLET_FIELDS = ("kind", "wallet_id", "authority_no")
PROXY_FIELDS = ("name", "id_no", "phone", "relation", "authority_no")
APPEAL_FIELDS = ("body", "authority_no")
BASE = "/point/trade-ins/<reference>"


@web.get(f"{BASE}/owner", endpoint="point_owner")
@requires("dealer")
def show_ways(reference: str) -> str:
    """What can be done for the owner here and now, and what was done."""
    record = read_own(reference)
    proxy = live_proxy(session=db.session(), trade_in_id=record.trade_in.id)
    return render_template(
        "point_owner.html",
        record=record,
        dealer=record.dealer,
        may_choose_wallet=may_choose_wallet(record),
        may_take_proxy=_may_take_proxy(record),
        may_appeal=_may_appeal(record),
        appeal=latest_appeal(session=db.session(), trade_in_id=record.trade_in.id),
        proxy=_proxy_words(proxy.person_id, proxy.relation) if proxy else None,
    )


@web.get(f"{BASE}/owner-wallet", endpoint="point_owner_wallet")
@requires("dealer")
def ask_wallet(reference: str) -> Response | str:
    """The wallet or card the owner opened here; back where the money is on its way."""
    return _asked(reference, may_choose_wallet, _wallet_page, WALLET_FIELDS)


@web.post(f"{BASE}/owner-wallet", endpoint="take_owner_wallet")
@requires("dealer")
def take_wallet(reference: str) -> Answer:
    """Check the wallet with the bank and take it, with the number of the paper the owner signed."""
    form = Form.read(*WALLET_FIELDS)

    def work() -> str:
        if form.value("kind") not in KINDS:
            form.blame("kind", _("还没有选是卡还是手机钱包。"))
        form.text("wallet_id", _("还没有填钱包编号。"), longest=68)
        form.text("authority_no", _("还没有填委托书或确认书编号。"), longest=32)
        form.check()
        wallet = confirm_wallet_at_counter(
            **_deed(reference),
            keyring=keyring(),
            operator=partners().operator,
            kind=cast("WalletKind", form.value("kind")),
            wallet_id=form.value("wallet_id"),
            authority_no=form.value("authority_no"),
        )
        flash(_("银行核对过了，补贴会发到尾号 %(tail)s 的钱包。已经发短信告诉车主。", tail=wallet.tail))
        return _ways(reference)

    return _taken(reference, form, work, _wallet_page)


@web.get(f"{BASE}/owner-proxy", endpoint="point_owner_proxy")
@requires("dealer")
def ask_proxy(reference: str) -> Response | str:
    """Who acts for the owner, with the written authority; back once the trade-in is over."""
    return _asked(reference, _may_take_proxy, _proxy_page, PROXY_FIELDS)


@web.post(f"{BASE}/owner-proxy", endpoint="take_owner_proxy")
@requires("dealer")
def take_proxy(reference: str) -> Answer:
    """Record who acts for the owner."""
    form = Form.read(*PROXY_FIELDS)

    def work() -> str:
        if form.value("relation") not in RELATION_WORDS:
            form.blame("relation", _("还没有选和车主的关系。"))
        form.check()
        typed: dict[str, Any] = {name: form.value(name) for name in PROXY_FIELDS}
        record_proxy(**_deed(reference), **typed, keyring=keyring())
        flash(_("代办人登记好了。补贴还是只发到车主本人的钱包。"))
        return _ways(reference)

    return _taken(reference, form, work, _proxy_page)


@web.get(f"{BASE}/owner-appeal", endpoint="point_owner_appeal")
@requires("dealer")
def ask_appeal(reference: str) -> Response | str:
    """The appeal the owner dictates; back where no decision can be appealed against."""
    return _asked(reference, _may_appeal, _appeal_page, APPEAL_FIELDS)


@web.post(f"{BASE}/owner-appeal", endpoint="take_owner_appeal")
@requires("dealer")
def take_appeal(reference: str) -> Answer:
    """File what the owner dictated and signed."""
    form = Form.read(*APPEAL_FIELDS)
    long_text(form, "body", _("还没有写哪里不对。"))

    def work() -> str:
        form.text("authority_no", _("还没有填委托书或确认书编号。"), longest=32)
        form.check()
        appeal = file_appeal_at_counter(
            **_deed(reference),
            body=form.value("body"),
            authority_no=form.value("authority_no"),
            working_days=settings().appeal_working_days,
        )
        day = full_day(appeal.due_on)
        flash(_("申诉交上去了，编号 %(number)s，%(day)s 前答复车主。", number=appeal.reference, day=day))
        return _ways(reference)

    return _taken(reference, form, work, _appeal_page)


@web.get(f"{BASE}/owner-receipt", endpoint="point_owner_receipt")
@requires("dealer")
def show_receipt(reference: str) -> str:
    """The receipt for the owner who has no phone, to be printed here."""
    record = read_own(reference)
    return render_template("point_owner_receipt.html", dealer=record.dealer, **shown_receipt(record))


@web.get(f"{BASE}/owner-receipt.pdf", endpoint="point_owner_receipt_pdf")
@requires("dealer")
def print_receipt(reference: str) -> FileResponse:
    """The receipt on one sheet of A4."""
    receipt = receipt_of(session=db.session(), trade_in=read_own(reference).trade_in)
    body = receipt_pdf(receipt=receipt, public_url=settings().public_url, now=business_now())
    return as_pdf(body, name=f"receipt-{reference}")


def _asked(
    reference: str, may: Callable[[Record], bool], page: Callable[[Record, Form], str], fields: tuple[str, ...]
) -> Response | str:
    record = read_own(reference)
    return page(record, Form(fields=fields)) if may(record) else redirect(_ways(reference), 303)


def _taken(reference: str, form: Form, work: Callable[[], str], page: Callable[[Record, Form], str]) -> Answer:
    read_own(reference)
    return take_form(form=form, work=work, page=lambda form: page(read_own(reference), form))


def _deed(reference: str) -> dict[str, Any]:
    account = caller()
    return {
        "session": db.session(),
        "reference": reference,
        "reach": reach_of(account),
        "actor": account.actor,
        "now": business_now(),
    }


def _ways(reference: str) -> str:
    return url_for("web.point_owner", reference=reference)


def _may_take_proxy(record: Record) -> bool:
    return record.trade_in.state not in OVER


def _may_appeal(record: Record) -> bool:
    if record.claim is None:
        return False
    reference = record.trade_in.reference
    return decision_record(session=db.session(), reference=reference, reach=reach_of(caller())).may_be_appealed


def _proxy_words(person_id: int, relation: str) -> tuple[str, str]:
    return masked(session=db.session(), keyring=keyring(), person_id=person_id), str(RELATION_WORDS[relation])


def _wallet_page(record: Record, form: Form) -> str:
    options = [(kind, str(word)) for kind, word in KINDS.items()]
    return render_template("point_owner_wallet.html", record=record, dealer=record.dealer, form=form, options=options)


def _proxy_page(record: Record, form: Form) -> str:
    options = [(kind, str(word)) for kind, word in RELATION_WORDS.items()]
    return render_template("point_owner_proxy.html", record=record, dealer=record.dealer, form=form, options=options)


def _appeal_page(record: Record, form: Form) -> str:
    return render_template("point_owner_appeal.html", record=record, dealer=record.dealer, form=form)
