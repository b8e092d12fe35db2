"""A point's pages: who waits for whom, opening a trade-in, the one step that is due, the stock."""

from __future__ import annotations

from flask import Response, abort, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select
from werkzeug.wrappers import Response as AnyResponse

from app.access import requires
from app.auth import caller
from app.context import business_now, keyring, partners, reach_of, settings
from app.db import db
from app.web.answering import Answer, take_form
from app.web.blueprint import asked_before, web
from app.web.board_figures import day_began
from app.web.dealer_words import DEALER_STATES
from app.web.forms import Form
from app.web.front import tagged
from app.web.language import _, ngettext
from app.web.place import place_of
from app.web.point_autosave import with_draft
from app.web.point_list import EMPTY, TABS, count_by_tab, list_by_tab, shown_item
from app.web.point_steps import SALE_NAMES, STEPS, due_step, uploaded
from app.web.progress import headline, steps_of, who_acts
from app.web.progress_money import told_of_no_subsidy
from app.web.trade_in_record import PHOTO_WORDS, Record, read_record
from registry.base import Refusal
from registry.bikes import Bike
from registry.dealers import Dealer
from registry.destruction import overdue_destructions
from registry.opening import PoliceDisagree, open_trade_in
from registry.point_drafts import Kept, drop_draft
from registry.receiving import add_photo
from registry.stocking import list_stock
from registry.trade_ins import PHOTO_KINDS, TRADE_IN, TradeIn, TradeInPhoto, get_trade_in
from subsidy.corrections import waiting_for_correction
from subsidy.foreseen import no_subsidy

A_PAGE = 20
OPENING_FIELDS = ("plate_no", "owner_name", "owner_id_no", "owner_phone")
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
    overdue = len(overdue_destructions(session=db.session(), now=business_now(), dealer_id=dealer.id))
    return render_template(
        "point.html",
        dealer=dealer,
        may_open=_why_not(dealer, overdue) is None,
        why_not=_why_not(dealer, overdue),
        tabs=[{"key": key, "word": word, "number": counts[key]} for key, word in TABS.items()],
        chosen=chosen,
        items=[shown_item(_record(trade_in)) for trade_in in found[:A_PAGE]],
        older=found[A_PAGE - 1].id if len(found) > A_PAGE else None,
        empty_title=EMPTY[chosen][0],
        empty_text=EMPTY[chosen][1],
        done_today=_done_today(dealer),
        in_stock=count_stock(dealer),
        to_correct=len(waiting_for_correction(session=db.session(), reach=reach_of(caller()))),
        overdue=overdue,
        most_overdue=settings().most_overdue,
        on_the_way=dealer.state in ON_THE_WAY,
    )


@web.get("/point/open", endpoint="point_open")
@requires("dealer")
def ask_to_open() -> str:
    """The form that opens a trade-in."""
    form = Form.read("plate_no", source=request.args)
    form.fields = OPENING_FIELDS
    return _open_page(form)


@web.post("/point/open", endpoint="take_open")
@requires("dealer")
def take_open() -> Answer:
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
                outlook=no_subsidy,
                **form.values,
            )
        except PoliceDisagree as disagreed:
            flash(_("登记保存了，但是交警核对没有通过。"), STOPPED)
            return url_for("web.point_trade_in", reference=disagreed.facts["reference"])
        if trade_in.state != "old_bike_verified":
            flash(_("登记保存了，交警系统现在没有回话，请过一会儿再核对。"), STOPPED)
        elif no_subsidy(session=db.session(), trade_in=trade_in) is not None:
            flash(_("交警核对通过，但是这辆车领不了补贴。收车以前先告诉车主。"), STOPPED)
        else:
            flash(_("核对通过，可以收旧车了。"))
        return url_for("web.point_trade_in", reference=trade_in.reference)

    return take_form(form=form, work=work, page=_open_page)


@web.get("/point/trade-ins/<reference>", endpoint="point_trade_in")
@requires("dealer")
def trade_in_page(reference: str) -> str:
    """One trade-in: the step due now as a form, then the way."""
    record = read_own(reference)
    step = STEPS.get(due_step(record) or "")
    form = Form(fields=step.fields if step else ())
    kept = with_draft(record, due_step(record), form)
    return _page(record, form, kept=kept)


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
def take_photos(reference: str) -> Answer:
    """Keep the pictures that were chosen, each by itself: one that is refused does not lose the others."""
    read_own(reference)
    form = Form.read(*PHOTO_KINDS)
    form.values.clear()  # the fields are pictures, not words left out
    images = {kind: image for kind in PHOTO_KINDS if (image := uploaded(kind))}

    def work() -> str:
        for kind, image in images.items():
            _keep_photo(form, reference, kind, image)
        if not images:
            form.blame(next(iter(read_own(reference).photos_missing), None), _("还没有选照片。"))
        form.check()
        flash(ngettext("存好了 %(n)s 张。", "存好了 %(n)s 张。", len(images), n=len(images)))
        return url_for("web.point_trade_in", reference=reference)

    return take_form(
        form=form, work=work, page=lambda form: _page(read_own(reference), form), files=b"".join(images.values())
    )


def _keep_photo(form: Form, reference: str, kind: str, image: bytes) -> None:
    """Keep one picture for good, or blame its field."""
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
    except Refusal as refusal:
        db.session.rollback()
        form.refuse(refusal, image=kind)


@web.get("/point/trade-ins/<reference>/<step>", endpoint="point_step_address")
@requires("dealer")
def back_from_step(reference: str, step: str) -> AnyResponse:
    """Lead from a step's own address, left in the browser by a form that was refused, to the trade-in."""
    if step != "photos" and step not in STEPS:
        abort(404)
    return redirect(url_for("web.point_trade_in", reference=reference), 303)


@web.post("/point/trade-ins/<reference>/<step>", endpoint="point_step")
@requires("dealer")
def take_step(reference: str, step: str) -> Answer:
    """Take one step of the trade-in; what was typed is kept where it is refused."""
    chosen = STEPS.get(step) or abort(404)
    read_own(reference)
    form, sent_at = Form.read(*chosen.fields), business_now()

    def work() -> str:
        said = chosen.take(form, reference)
        trade_in = get_trade_in(session=db.session(), reference=reference, reach=reach_of(caller()))
        drop_draft(session=db.session(), trade_in_id=trade_in.id, step=step, sent_at=sent_at)
        # A withdrawn trade-in keeps the reason for which the police once refused it.
        flash(said, STOPPED if trade_in.refusal and trade_in.state != "withdrawn" else "message")
        return url_for("web.point_trade_in", reference=reference)

    return take_form(form=form, work=work, page=lambda form: _page(read_own(reference), form), names=SALE_NAMES)


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
    return _record(get_trade_in(session=db.session(), reference=reference, reach=reach_of(caller())))


def _record(trade_in: TradeIn) -> Record:
    return read_record(session=db.session(), keyring=keyring(), trade_in=trade_in)


def _why_not(dealer: Dealer, overdue: int) -> str | None:
    """Say why this point opens no trade-in now, None where it does; the domain refuses for the same reasons."""
    if dealer.state != "licensed":
        return _("本店%(state)s。", state=DEALER_STATES[dealer.state])
    if not dealer.licence_runs(now=business_now()):
        return _("本店授牌已到期。")
    if not dealer.trade_in_on:
        return _("置换功能没有开通。")
    if overdue > settings().most_overdue:
        return _("有 %(n)s 辆旧车过了拆解期限，补登证明以后马上恢复。", n=overdue)
    return None


def _open_page(form: Form) -> str:
    return render_template("point_open.html", dealer=own_dealer(), form=form)


def _page(record: Record, form: Form, *, kept: Kept | None = None) -> str:
    due = due_step(record)
    stock = list_stock(session=db.session(), dealer_id=record.dealer.id) if due == "sale" else []
    return render_template(
        "point_trade_in.html",
        dealer=record.dealer,
        record=record,
        form=form,
        due=due,
        saved_at=kept.saved_at if kept else None,
        now=who_acts(record, "point"),
        warning=told_of_no_subsidy(record, owner=False),
        steps=steps_of(record),
        headline=headline(record),
        photo_words=PHOTO_WORDS,
        stock=[(bike.vehicle_code, f"{bike.model} {bike.vehicle_code}") for bike in stock],
        stock_labels={bike.registration_code: bike.vehicle_code for bike in stock},
        may_withdraw=TRADE_IN.allows(state=record.trade_in.state, step="withdraw"),
        moved_on=False,
        as_of=business_now(),
    )
