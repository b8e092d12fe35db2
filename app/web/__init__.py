"""The pages. They stand on the same domain calls as the JSON API: a view parses, makes one call, renders."""

from __future__ import annotations

from typing import Any

from flask import Flask, abort, request
from flask_wtf.csrf import CSRFProtect

from app.auth import COOKIE, Caller, current_account
from app.crowd import BUSY
from app.errors import as_refusal
from app.web import (  # noqa: F401  (they add the routes)
    board,
    board_breakdown,
    board_export,
    claims,
    dealer_applying,
    desk,
    desk_appeals,
    desk_applications,
    desk_audit,
    desk_batches,
    desk_claim_deeds,
    desk_commitments,
    desk_dealers,
    desk_frozen,
    desk_handover,
    desk_overrules,
    desk_people,
    desk_programme,
    desk_reports,
    desk_returns,
    desk_search,
    desk_statements,
    desk_trade_ins,
    desk_training,
    front,
    imports,
    language,
    outbox,
    owner,
    owner_claims,
    owner_data,
    owner_questions,
    owner_receipts,
    owner_resuming,
    plate_page,
    point,
    point_corrections,
    point_destructions,
    point_enrolment,
    point_money,
    point_owner,
    point_print,
    point_scanning,
    point_staff,
    point_stock,
    point_stock_imports,
    points,
    proof,
    scanning,
    signing_in,
    staff_accounts,
    staff_own_account,
    staff_requests,
    staff_second_step,
    transfers,
)
from app.web.blueprint import asset, current_look, has_asset, look_url, web
from app.web.desk import waiting_for_me
from app.web.error_words import error_words
from app.web.language import in_english
from app.web.place import place_of
from app.web.scanning import scan_library, wechat_address, wechat_script
from app.web.staff_words import ROLE_WORDS
from app.web.standing import standing
from app.web.wording import FILTERS, share

FORM_LASTS_S = 12 * 3600
csrf = CSRFProtect()


def register(app: Flask) -> None:
    """Add the pages to the application, with their filters and their CSRF guard."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False  # the API takes no cookie; the pages are guarded below
    app.config["WTF_CSRF_TIME_LIMIT"] = FORM_LASTS_S
    csrf.init_app(app)
    language.init_app(app)
    app.jinja_env.filters.update(FILTERS)
    app.jinja_env.globals.update(
        asset=asset,
        has_asset=has_asset,
        look_url=look_url,
        share=share,
        standing=standing,
        error_words=error_words,
        waiting_for_me=waiting_for_me,
        scan_library=scan_library,
        wechat_address=wechat_address,
        wechat_script=wechat_script,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    district = app.extensions["mapai.settings"].district

    @app.context_processor
    def shown_on_every_page() -> dict[str, Any]:
        return {
            "look": current_look(),
            "place": place_of(district, english=in_english()),
            "role_words": ROLE_WORDS,
            "account": _shown_account(),
        }

    app.register_blueprint(web)


def _shown_account() -> Caller | None:
    """Who is reading, for the page's head; nobody where the database cannot say, so that an error can be told."""
    if COOKIE not in request.cookies or request.environ.get(BUSY):
        return None
    try:
        return current_account()
    except Exception as error:
        if as_refusal(error) is None:
            raise
        return None


@web.before_request
def guard() -> None:
    """Refuse what no browser of ours sends: NUL in an address, a form without its CSRF token."""
    if "\x00" in request.path or any("\x00" in value for value in request.args.values()):
        abort(404)
    if request.method == "POST":
        csrf.protect()
