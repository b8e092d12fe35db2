"""Puts the API together: its parts, its description, and what a request may look like before any view sees it."""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from flask_smorest import Api
from werkzeug.exceptions import UnsupportedMediaType

from app.access import public
from app.api import (
    audit,
    bikes,
    bikes_ends,
    claims,
    claims_appeals,
    claims_returns,
    closing_reports,
    codes,
    dealer_money,
    dealers,
    dealers_own,
    dealers_public,
    dealers_review,
    ecny_callbacks,
    erasures,
    filings,
    imports,
    log,
    my,
    payment_batches,
    payouts,
    people,
    plate_callbacks,
    plates,
    points,
    print_labels,
    programme_changes,
    programme_outlook,
    programmes,
    proxies,
    receipts,
    reclaims,
    refusal_codes,
    sessions,
    staff,
    stock,
    trade_in_steps,
    trade_ins,
    training_versions,
    transfers,
)
from app.api.description import SPEC, describe_callback
from app.auth import API
from registry.import_jobs import LARGEST_BYTES

LARGEST_BODY_BYTES = 64 * 1024
# A photo of 3 MB is 4 MB of Base64.
LARGEST_PHOTO_BODY_BYTES = 4 * 1024 * 1024 + 64 * 1024
# Lists taken in while the caller waits.
SHORT_LISTS = ("/api/stock-imports", "/api/bike-model-imports")
LARGEST_SHORT_LIST_BYTES = 5 * 1024 * 1024
LARGEST_LIST_BODY_BYTES = LARGEST_BYTES + 64 * 1024
BLUEPRINTS = (
    sessions.blueprint,
    codes.blueprint,
    people.blueprint,
    staff.blueprint,
    payment_batches.blueprint,
    payouts.blueprint,
    dealer_money.blueprint,
    my.blueprint,
    erasures.blueprint,
    proxies.blueprint,
    dealers_public.blueprint,
    dealers_review.blueprint,
    training_versions.blueprint,
    dealers.blueprint,
    dealers_own.blueprint,
    trade_ins.blueprint,
    trade_in_steps.blueprint,
    claims.blueprint,
    claims_appeals.blueprint,
    claims_returns.blueprint,
    reclaims.blueprint,
    stock.blueprint,
    bikes.blueprint,
    bikes_ends.blueprint,
    transfers.blueprint,
    print_labels.blueprint,
    points.blueprint,
    filings.blueprint,
    imports.blueprint,
    plates.blueprint,
    audit.blueprint,
    refusal_codes.blueprint,
    programmes.blueprint,
    log.blueprint,
    closing_reports.blueprint,
    receipts.blueprint,
    programme_outlook.blueprint,
    programme_changes.blueprint,
)


class DescribedApi(Api):  # type: ignore[misc]
    """flask-smorest's API without its error handlers: app/errors.py alone answers what goes wrong."""

    def _register_error_handlers(self) -> None:
        pass


def register(app: Flask) -> None:
    """Register every route under /api, and /health."""
    app.config.update(
        API_TITLE="Mapai 码牌",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/api",
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS=SPEC,
    )
    api = DescribedApi(app)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    app.register_blueprint(plate_callbacks.blueprint)
    app.register_blueprint(ecny_callbacks.blueprint)
    describe_callback(app, api)
    app.view_functions["api-docs.openapi_json"] = public(lambda: api._openapi_json())
    app.before_request(check_form)


def check_form() -> Any:
    """Refuse, before anything is read, a body that is too large or no JSON. Multipart passes for photos and lists."""
    if not request.path.startswith(API) or request.method in ("GET", "HEAD", "OPTIONS"):
        return
    photo = request.path.endswith(("/photos", "/destructions"))
    listed = request.path in (imports.blueprint.url_prefix, *SHORT_LISTS)
    pictured = photo or request.path == dealers_public.APPLICATIONS
    most = LARGEST_PHOTO_BODY_BYTES if pictured else LARGEST_LIST_BODY_BYTES if listed else LARGEST_BODY_BYTES
    request.max_content_length = LARGEST_SHORT_LIST_BYTES if request.path in SHORT_LISTS else most
    if not request.content_length and request.content_length is not None:
        return
    if request.content_length is None and "Transfer-Encoding" not in request.headers:
        return
    if not request.is_json and not ((photo or listed) and request.mimetype == "multipart/form-data"):
        raise UnsupportedMediaType
