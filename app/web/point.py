"""A point's pages: who waits for whom, opening a trade-in, the one step that is due, the stock."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select
from werkzeug.wrappers import Response as AnyResponse

from app.access import requires
from app.auth import caller
from app.context import business_now, keyring, partners, reach_of, settings
from app.db import db
from app.errors import status_of
from app.web.blueprint import asked_before, web
from app.web.board_figures import day_began
from app.web.forms import Form, FormIncomplete
from app.web.front import tagged
from app.web.place import place_of
from app.web.point_list import EMPTY, TABS, count_by_tab, list_by_tab
from app.web.point_steps import SALE_NAMES, STEPS, due_step, uploaded
from app.web.progress import PARTY_WORDS, headline, steps_of, who_acts
from app.web.sending import send_once
from app.web.trade_in_record import PHOTO_WORDS, Record, read_record
from registry.base import Refusal
from registry.bikes import Bike
from registry.dealers import DEALER, Dealer
from registry.destruction import overdue_destructions
from registry.opening import PoliceDisagree, open_trade_in
from registry.receiving import add_photo
from registry.stocking import list_stock
from registry.trade_ins import PHOTO_KINDS, TRADE_IN, TradeIn, TradeInPhoto, get_trade_in
from subsidy.corrections import waiting_for_correction

A_PAGE = 20
OPENING_FIELDS = ("plate_no", "owner_name", "owner_id_no", "owner_phone")
TYPED_INCOMPLETE = 422
# A dealer that is not licensed yet begins with what is due on its way there.
ON_THE_WAY = ("applied", "accepted", "committed", "trained", "enrolled", "expired")
STOPPED = "stopped"  # a flashed sentence that is no good news


@web.get("/point", endpoint="point")
@requires("dealer")
def point() -> str:
    """The point's first screen: open a trade-in, and who is waiting for whom."""
    dealer = own_dealer()
    chosen = request.args.get("waiting_for", "point")
    if chosen not in TABS:
        abort(404)
    before = asked_before()
    found = list_by_tab(session=db.session(), dealer_id=dealer.id, tab=chosen, before=before, limit=A_PAGE + 1)
    counts = count_by_tab(session=db.session(), dealer_id=dealer.id)
    return render_template(
        "point.html",
        dealer=dealer,
        may_open=dealer.may_open_trade_ins,
        why_not="置换功能没有开通。" if dealer.state == "licensed" else f"本店{DEALER.words[dealer.state]}。",
        tabs=[{"key": key, "word": word, "number": counts[key]} for key, word in TABS.items()],
        chosen=chosen,
        items=[_item(trade_in) for trade_in in found[:A_PAGE]],
        older=found[A_PAGE - 1].id if len(found) > A_PAGE else None,
        empty_title=EMPTY[chosen][0],
        empty_text=EMPTY[chosen][1],
        done_today=_done_today(dealer),
        in_stock=count_stock(dealer),
        to_correct=len(waiting_for_correction(session=db.session(), reach=reach_of(caller()))),
        overdue=len(overdue_destructions(session=db.session(), now=business_now(), dealer_id=dealer.id)),
        on_the_way=dealer.state in ON_THE_WAY,
    )


@web.get("/point/open", endpoint="point_open")
@requires("dealer")
def ask_to_open() -> str:
    """The form that opens a trade-in."""
    return render_template("point_open.html", dealer=own_dealer(), form=Form(fields=OPENING_FIELDS))


@web.post("/point/open", endpoint="take_open")
@requires("dealer")
def take_open() -> AnyResponse | tuple[str, int]:
    """Open a trade-in; where the police disagree it stands all the same, with their reason on its page."""
    form = Form.read(*OPENING_FIELDS)
    form.drop_city("plate_no", place_of(settings().district).city)

    def work() -> str:
        try:
            trade_in = open_trade_in(
                session=db.session(),
                keyring=keyring(),
                plates=partners().plates,
                district=settings().district,
                dealer_id=own_dealer().id,
                actor=caller().actor,
                now=business_now(),
                most_overdue=settings().most_overdue,
                **form.values,
            )
        except PoliceDisagree as disagreed:
            flash("登记保存了，但是交警核对没有通过。", STOPPED)
            return url_for("web.point_trade_in", reference=disagreed.facts["reference"])
        verified = trade_in.state == "old_bike_verified"
        if verified:
            flash("核对通过，可以收旧车了。")
        else:
            flash("登记保存了，交警系统现在没有回话，请过一会儿再核对。", STOPPED)
        return url_for("web.point_trade_in", reference=trade_in.reference)

    try:
        return send_once(
            session=db.session(), actor=caller().actor, submission=form.submission, content=form.values, work=work
        )
    except Refusal as refusal:
        db.session.rollback()
        form.refuse(refusal)
        page = render_template("point_open.html", dealer=own_dealer(), form=form.renewed())
        return page, status_of(refusal)


@web.get("/point/trade-ins/<reference>", endpoint="point_trade_in")
@requires("dealer")
def trade_in_page(reference: str) -> str:
    """One trade-in: the step due now as a form, then the way."""
    record = read_own(reference)
    step = STEPS.get(due_step(record) or "")
    return _page(record, Form(fields=step.fields if step else ()))


@web.get("/point/trade-ins/<reference>/live", endpoint="point_live")
@requires("dealer")
def trade_in_live(reference: str) -> AnyResponse:
    """Who is being waited for now, for the page that is already open; a way on once it is the point's turn."""
    record = read_own(reference)
    now = who_acts(record, "point")
    moved_on = due_step(record) is not None or record.claim is not None
    return tagged(render_template("point_now.html", record=record, now=now, moved_on=moved_on, as_of=business_now()))


@web.post("/point/trade-ins/<reference>/photos", endpoint="take_photos")
@requires("dealer")
def take_photos(reference: str) -> AnyResponse | tuple[str, int]:
    """Keep the pictures that were chosen, each by itself: one that is refused does not lose the others."""
    read_own(reference)
    form = Form(fields=PHOTO_KINDS)
    kept = 0
    for kind in PHOTO_KINDS:
        image = uploaded(kind)
        if not image:
            continue
        try:
            add_photo(
                session=db.session(),
                reference=reference,
                reach=reach_of(caller()),
                kind=kind,
                image=image,
                actor=caller().actor,
            )
            db.session.commit()
            kept += 1
        except Refusal as refusal:
            db.session.rollback()
            form.refuse(refusal, image=kind)
    if not kept and not form.errors:
        form.blame(next(iter(read_own(reference).photos_missing), None), "还没有选照片。")
    if form.errors:
        return _page(read_own(reference), form), TYPED_INCOMPLETE
    flash(f"存好了 {kept} 张。")
    return redirect(url_for("web.point_trade_in", reference=reference), 303)


@web.get("/point/trade-ins/<reference>/<step>", endpoint="point_step_address")
@requires("dealer")
def back_from_step(reference: str, step: str) -> AnyResponse:
    """Lead from a step's own address, left in the browser by a form that was refused, to the trade-in."""
    if step != "photos" and step not in STEPS:
        abort(404)
    return redirect(url_for("web.point_trade_in", reference=reference), 303)


@web.post("/point/trade-ins/<reference>/<step>", endpoint="point_step")
@requires("dealer")
def take_step(reference: str, step: str) -> AnyResponse | tuple[str, int]:
    """Take one step of the trade-in; what was typed is kept where it is refused."""
    chosen = STEPS.get(step) or abort(404)
    read_own(reference)
    form = Form.read(*chosen.fields)

    def work() -> str:
        said = chosen.take(form, reference)
        trade_in = get_trade_in(session=db.session(), reference=reference, reach=reach_of(caller()))
        # A withdrawn trade-in keeps the reason for which the police once refused it.
        flash(said, STOPPED if trade_in.refusal and trade_in.state != "withdrawn" else "message")
        return url_for("web.point_trade_in", reference=reference)

    try:
        return send_once(
            session=db.session(),
            actor=caller().actor,
            submission=form.submission,
            content={**form.values, "path": request.path},
            work=work,
        )
    except FormIncomplete:
        status = TYPED_INCOMPLETE
    except Refusal as refusal:
        status = status_of(refusal)
        form.refuse(refusal, **SALE_NAMES)
    db.session.rollback()
    return _page(read_own(reference), form.renewed()), status


@web.get("/point/trade-ins/<reference>/photos/<kind>", endpoint="point_photo")
@requires("dealer")
def photo(reference: str, kind: str) -> Response:
    """The newest picture of one kind."""
    trade_in = get_trade_in(session=db.session(), reference=reference, reach=reach_of(caller()))
    image = db.session.scalar(
        select(TradeInPhoto.image)
        .where(TradeInPhoto.trade_in_id == trade_in.id, TradeInPhoto.kind == kind)
        .order_by(TradeInPhoto.id.desc())
        .limit(1)
    )
    if image is None:
        abort(404)
    kind_of_file = "image/png" if image.startswith(b"\x89PNG") else "image/jpeg"
    return Response(image, content_type=kind_of_file, headers={"Cache-Control": "private, max-age=300"})


def own_dealer() -> Dealer:
    """Return the dealer the caller works for."""
    return db.session.get_one(Dealer, caller().dealer_id)


def count_stock(dealer: Dealer) -> int:
    """Return how many bikes the dealer has in stock."""
    query = select(func.count()).where(Bike.dealer_id == dealer.id, Bike.state == "in_stock")
    return db.session.scalar(query) or 0


def _done_today(dealer: Dealer) -> int:
    query = select(func.count()).where(
        TradeIn.dealer_id == dealer.id, TradeIn.completed_at >= day_began(business_now())
    )
    return db.session.scalar(query) or 0


def read_own(reference: str) -> Record:
    """Return one of the point's own trade-ins; raises TradeInNotFound."""
    trade_in = get_trade_in(session=db.session(), reference=reference, reach=reach_of(caller()))
    return read_record(session=db.session(), keyring=keyring(), trade_in=trade_in)


def _item(trade_in: TradeIn) -> dict[str, Any]:
    record = read_record(session=db.session(), keyring=keyring(), trade_in=trade_in)
    now = who_acts(record, "point")
    word = {"you": now.title.split("，")[0], "wait": f"等{PARTY_WORDS.get(now.party, '')}"}.get(now.kind, now.title)
    return {"record": record, "now": now, "short": word}


def _page(record: Record, form: Form) -> str:
    due = due_step(record)
    stock = list_stock(session=db.session(), dealer_id=record.dealer.id) if due == "sale" else []
    return render_template(
        "point_trade_in.html",
        dealer=record.dealer,
        record=record,
        form=form,
        due=due,
        now=who_acts(record, "point"),
        steps=steps_of(record),
        headline=headline(record),
        photo_words=PHOTO_WORDS,
        stock=[(bike.vehicle_code, f"{bike.model}　{bike.vehicle_code}") for bike in stock],
        may_withdraw=TRADE_IN.allows(state=record.trade_in.state, step="withdraw"),
        moved_on=False,
        as_of=business_now(),
    )
