"""The steps a point takes, each a form: read what was typed, make the one domain call, say what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import request

from app.auth import caller
from app.completing import completion_of
from app.context import business_now, combiner, keyring, partners, reach_of, settings
from app.db import db
from app.web.forms import Form
from app.web.language import _
from app.web.trade_in_record import Record
from app.web.wording import count, money
from registry.base import Refusal
from registry.cancelling import cancel_old_plate
from registry.opening import verify_old_bike, withdraw
from registry.plate_authority import PlateAnswer
from registry.plating import apply_for_plate
from registry.receiving import receive_old_bike
from registry.selling import Price, sell_new_bike
from subsidy.foreseen import no_subsidy

SALE_NAMES = {
    "list_price_fen": "list_price",
    "discount_fen": "discount",
    "deduction_fen": "deduction",
    "paid_fen": "paid",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PointStep:
    """One step: the fields of its form and what takes it. ``take`` returns the sentence shown afterwards."""

    fields: tuple[str, ...]
    take: Callable[[Form, str], str]


def due_step(record: Record) -> str | None:
    """Return the step that waits for the point now, None where nothing does."""
    state = record.trade_in.state
    if state == "old_bike_verified":
        return "photos" if record.photos_missing else "receipt"
    return {
        "opened": "verification",
        "old_bike_received": "cancellation",
        "old_plate_cancelled": "sale",
        "new_bike_sold": "application",
    }.get(state)


def verify(form: Form, reference: str) -> str:
    """Ask the police about the old bike again."""
    trade_in = verify_old_bike(
        session=db.session(),
        keyring=keyring(),
        plates=partners().plates,
        district=settings().district,
        reference=reference,
        reach=reach_of(caller()),
        actor=caller().actor,
        now=business_now(),
        outlook=no_subsidy,
    )
    if no_subsidy(session=db.session(), trade_in=trade_in) is not None:
        return _("交警核对通过，但是这辆车领不了补贴。收车以前先告诉车主。")
    return _("交警核对通过，可以收旧车了。")


def receive(form: Form, reference: str) -> str:
    """Take the old bike in."""
    receive_old_bike(
        session=db.session(),
        reference=reference,
        reach=reach_of(caller()),
        recycling_certificate_no=form.value("recycling_certificate_no"),
        frame_no=form.value("frame_no"),
        complete=form.value("complete") == "yes",
        owner_knows=form.value("owner_knows") == "yes",
        outlook=no_subsidy,
        actor=caller().actor,
        now=business_now(),
    )
    return _("旧车收下了，记得把回收证明交给车主。")


def cancel(form: Form, reference: str) -> str:
    """Ask the police to cancel the old plate."""
    trade_in = cancel_old_plate(
        session=db.session(),
        keyring=keyring(),
        plates=partners().plates,
        reference=reference,
        reach=reach_of(caller()),
        actor=caller().actor,
        now=business_now(),
    )
    if trade_in.state == "old_plate_cancelled":
        return _("旧号牌已注销，可以卖新车了。")
    if trade_in.state == "cancel_requested":
        return _("注销申请交给交警了，有结果这里会变。")
    return _("交警没有同意注销，原因写在下面。")


def sell(form: Form, reference: str) -> str:
    """Sell a bike of the stock; the form speaks of yuan, the domain of fen."""
    price = Price(
        list_price_fen=form.fen("list_price", _("标价")),
        discount_fen=form.fen("discount", _("车企让利")),
        deduction_fen=form.fen("deduction", _("旧车回收抵扣")),
        paid_fen=form.fen("paid", _("车主实付")),
    )
    form.text("vehicle_code", _("还没有选新车。"))
    form.text("invoice_no", _("还没有填发票号码。"))
    form.check()
    sell_new_bike(
        session=db.session(),
        reference=reference,
        reach=reach_of(caller()),
        vehicle_code=form.value("vehicle_code"),
        invoice_no=form.value("invoice_no"),
        price=price,
        actor=caller().actor,
        now=business_now(),
    )
    return _("新车卖出了，接着申请新号牌。")


def apply(form: Form, reference: str) -> str:
    """Apply for the new plate; an answer given at once completes the trade-in and takes its place in the queue."""
    application = apply_for_plate(
        session=db.session(),
        keyring=keyring(),
        plates=partners().plates,
        reference=reference,
        reach=reach_of(caller()),
        actor=caller().actor,
        now=business_now(),
    )
    # The queue takes the trade-in's row itself, so nothing may be held here.
    db.session.commit()
    if application.answer is None or application.answer.state == "pending":
        return _("申请交给交警了，新号牌发下来就排上队。")
    if application.answer.state == "refused":
        return _("交警没有核发号牌，原因写在下面。")
    return _complete(application.answer)


def _complete(answer: PlateAnswer) -> str:
    completion = completion_of(keyring=keyring(), answer=answer)
    try:
        completed = combiner().complete(completion)
    except Refusal as refusal:
        if refusal.kind != "unavailable":
            raise
        return _("交警已经发了新号牌，正在替车主排队，序号马上就有。")
    if completed.position is None:
        return _("新号牌发下来了，手续全部办完。")
    place = count(completed.position)
    if completed.state == "awarded":
        return _("新号牌发下来了，序号 %(n)s，补贴 %(money)s。", n=place, money=money(completed.amount_fen))
    return _("新号牌发下来了，序号 %(n)s。", n=place)


def take_back(form: Form, reference: str) -> str:
    """Withdraw a trade-in whose old bike was not received."""
    withdraw(
        session=db.session(),
        reference=reference,
        reach=reach_of(caller()),
        actor=caller().actor,
        now=business_now(),
    )
    return _("这笔登记已撤回。")


STEPS = {
    "verification": PointStep(fields=(), take=verify),
    "receipt": PointStep(fields=("frame_no", "recycling_certificate_no", "complete", "owner_knows"), take=receive),
    "cancellation": PointStep(fields=(), take=cancel),
    "sale": PointStep(fields=("vehicle_code", "invoice_no", *SALE_NAMES.values()), take=sell),
    "application": PointStep(fields=(), take=apply),
    "withdrawal": PointStep(fields=(), take=take_back),
}


def uploaded(kind: str) -> bytes:
    """Return the uploaded picture of this kind, empty where none was chosen."""
    file = request.files.get(kind)
    return file.read() if file is not None and file.filename else b""
