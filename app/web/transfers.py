"""过户 on pages: a point opens the transfer of a filed bike; seller and buyer confirm there or on their own phones."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from sqlalchemy import or_, select
from werkzeug.wrappers import Response

from app.access import requires
from app.auth import caller
from app.client_address import counted_address
from app.clock import real
from app.context import business_now, keyring, partners, settings
from app.db import db
from app.web.answering import Answer, take_form
from app.web.blueprint import web
from app.web.forms import Form
from app.web.language import _, _l, in_english
from app.web.place import place_of
from app.web.point import own_dealer
from registry.code_limits import Asker
from registry.filings import FiledBike
from registry.people import Person, mask_name, open_name
from registry.transferring import confirm_transfer, open_transfer, send_transfer_code, withdraw_transfer
from registry.transfers import PARTIES, TRANSFER, Transfer, find_transfer

FIELDS = (
    "plate_no",
    "seller_name",
    "seller_id_no",
    "seller_phone",
    "buyer_name",
    "buyer_id_no",
    "buyer_phone",
)
PARTY_WORDS = {"seller": _l("卖方"), "buyer": _l("买方")}
STATES_EN = {
    "opened": "Waiting for both to confirm",
    "completed": "Transferred",
    "expired": "Not confirmed in time",
    "withdrawn": "Withdrawn",
}
TAGS = {"opened": "wait", "completed": "done", "expired": "stop", "withdrawn": "stop"}
SHOWN = 50


@web.get("/point/transfers", endpoint="point_transfers")
@requires("dealer")
def list_opened() -> str:
    """The transfers this point opened, newest first."""
    dealer = own_dealer()
    query = select(Transfer).where(Transfer.dealer_id == dealer.id).order_by(Transfer.id.desc()).limit(SHOWN)
    return render_template(
        "point_transfers.html", dealer=dealer, transfers=[_told(each) for each in db.session.scalars(query)]
    )


@web.get("/point/transfers/open", endpoint="point_open_transfer")
@requires("dealer")
def ask_to_open() -> str:
    """The form that opens a transfer, both cards at hand."""
    return _open_page(Form(fields=FIELDS))


@web.post("/point/transfers/open", endpoint="take_transfer")
@requires("dealer")
def take_transfer() -> Answer:
    """Open a transfer; both people then confirm by code."""
    form = Form.read(*FIELDS)
    form.drop_city("plate_no", place_of(settings().district).city)

    def work() -> str:
        typed = {**form.values, "seller_phone": form.value("seller_phone") or None}
        transfer = open_transfer(
            session=db.session(),
            keyring=keyring(),
            dealer_id=own_dealer().id,
            actor=caller().actor,
            now=business_now(),
            **typed,  # type: ignore[arg-type]
        )
        flash(_("过户登记了，请买卖双方用手机验证码确认。"))
        return url_for("web.transfer", transfer_no=transfer.transfer_no)

    return take_form(form=form, work=work, page=_open_page)


@web.get("/transfers/<transfer_no>", endpoint="transfer")
@requires("owner", "dealer")
def show_transfer(transfer_no: str) -> str:
    """One transfer: who has confirmed, and the forms for who has not."""
    return _page(transfer_no, Form(fields=("code",)))


@web.post("/transfers/<transfer_no>/<party>/codes", endpoint="send_transfer_code")
@requires("owner", "dealer")
def take_code_request(transfer_no: str, party: str) -> Answer:
    """Send the seller or the buyer a code."""
    form = Form.read()

    def work() -> str:
        send_transfer_code(
            session=db.session(),
            keyring=keyring(),
            gateway=partners().sms,
            transfer_no=transfer_no,
            party=_party(party),
            asker=Asker(address=counted_address(), device=None),
            real_now=real(),
            **_reach(),
        )
        flash(_("验证码发到%(party)s登记的手机了，5 分钟内有效。", party=PARTY_WORDS[party]))
        return url_for("web.transfer", transfer_no=transfer_no, sent=party)

    return take_form(form=form, work=work, page=lambda form: _page(transfer_no, form))


@web.post("/transfers/<transfer_no>/<party>", endpoint="confirm_transfer")
@requires("owner", "dealer")
def take_confirmation(transfer_no: str, party: str) -> Answer:
    """Confirm as seller or buyer; the second confirmation completes the transfer."""
    form = Form.read("code")

    def work() -> str:
        code = form.text("code", _("还没有填验证码。"), longest=12)
        form.check()
        transfer = confirm_transfer(
            session=db.session(),
            keyring=keyring(),
            transfer_no=transfer_no,
            party=_party(party),
            code=code,
            actor=caller().actor,
            now=business_now(),
            real_now=real(),
            **_reach(),
        )
        done = transfer.state == "completed"
        half = _("%(party)s确认好了，等另一方确认。", party=PARTY_WORDS[party])
        flash(_("过户办好了，备案车主已经是买方。") if done else half)
        return url_for("web.transfer", transfer_no=transfer_no)

    return take_form(form=form, work=work, page=lambda form: _page(transfer_no, form, asked=party))


@web.post("/transfers/<transfer_no>/withdrawal", endpoint="withdraw_transfer")
@requires("owner", "dealer")
def take_withdrawal(transfer_no: str) -> Answer:
    """Withdraw a transfer that is not completed."""
    form = Form.read()

    def work() -> str:
        withdraw_transfer(
            session=db.session(), transfer_no=transfer_no, actor=caller().actor, now=business_now(), **_reach()
        )
        flash(_("这笔过户撤回了，车主没有变。"))
        return url_for("web.transfer", transfer_no=transfer_no)

    return take_form(form=form, work=work, page=lambda form: _page(transfer_no, form))


@web.get("/transfers/<transfer_no>/<path:step>", endpoint="transfer_address")
@requires("owner", "dealer")
def back_from_step(transfer_no: str, step: str) -> Response:
    """Lead from a form's own address to the transfer."""
    return redirect(url_for("web.transfer", transfer_no=transfer_no), 303)


def transfers_with(*, person_id: int) -> list[dict[str, Any]]:
    """Return the transfers to which a person is a party, newest first, as lists show them."""
    party = or_(Transfer.seller_id == person_id, Transfer.buyer_id == person_id)
    query = select(Transfer).where(party).order_by(Transfer.id.desc()).limit(SHOWN)
    return [_told(each) for each in db.session.scalars(query)]


def _party(typed: str) -> str:
    return typed if typed in PARTIES else abort(404)


def _reach() -> dict[str, int | None]:
    account = caller()
    return {"dealer_id": account.dealer_id, "party_id": account.person_id}


def _told(transfer: Transfer) -> dict[str, Any]:
    return {
        "transfer": transfer,
        "plate_no": db.session.get_one(FiledBike, transfer.filed_bike_id).plate_no,
        "state_zh": STATES_EN[transfer.state] if in_english() else TRANSFER.words[transfer.state],
        "tag": TAGS[transfer.state],
    }


def _name(person_id: int) -> str:
    return mask_name(open_name(person=db.session.get_one(Person, person_id), keyring=keyring()))


def _page(transfer_no: str, form: Form, *, asked: str | None = None) -> str:
    transfer = find_transfer(session=db.session(), transfer_no=transfer_no, **_reach())
    account = caller()
    people = [
        {
            "party": party,
            "word": str(PARTY_WORDS[party]),
            "name": _name(person_id),
            "confirmed_at": getattr(transfer, f"{party}_confirmed_at"),
            "may": account.person_id in (None, person_id),
        }
        for party, person_id in (("seller", transfer.seller_id), ("buyer", transfer.buyer_id))
    ]
    # One primary form a screen: the code's, of whoever was sent one, else of the first who has not confirmed.
    open_ones = [each["party"] for each in people if each["may"] and each["confirmed_at"] is None]
    sent = asked or request.args.get("sent")
    return render_template(
        "transfer.html",
        base="point_base.html" if account.role == "dealer" else "base.html",
        dealer=own_dealer() if account.role == "dealer" else None,
        form=form,
        people=people,
        first=sent if sent in open_ones else next(iter(open_ones), None),
        sent=sent if sent in open_ones else None,
        sandbox=f"{settings().sms_url}/messages" if settings().mode == "demo" else None,
        **_told(transfer),
    )


def _open_page(form: Form) -> str:
    return render_template("point_open_transfer.html", dealer=own_dealer(), form=form)
