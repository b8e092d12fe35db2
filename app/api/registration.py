"""Puts the API together: its parts, its description, and what a request may look like before any view sees it."""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from flask_smorest import Api
from werkzeug.exceptions import UnsupportedMediaType

from app.access import public
from app.api import (
    audit,
    codes,
    ecny_callbacks,
    filings,
    my,
    people,
    plate_callbacks,
    plates,
    programmes,
    proxies,
    sessions,
    stock,
    trade_in_steps,
    trade_ins,
)
from app.api.description import SPEC, describe_callback
from app.auth import API
from app.live import install_snapshots

LARGEST_BODY_BYTES = 64 * 1024
# A photo of 3 MB is 4 MB of Base64.
LARGEST_PHOTO_BODY_BYTES = 4 * 1024 * 1024 + 64 * 1024
BLUEPRINTS = (
    sessions.blueprint,
    codes.blueprint,
    people.blueprint,
    my.blueprint,
    proxies.blueprint,
    trade_ins.blueprint,
    trade_in_steps.blueprint,
    stock.blueprint,
    filings.blueprint,
    plates.blueprint,
    audit.blueprint,
    programmes.blueprint,
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
    install_snapshots(app)
    api = DescribedApi(app)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    app.register_blueprint(plate_callbacks.blueprint)
    app.register_blueprint(ecny_callbacks.blueprint)
    describe_callback(app, api)
    app.view_functions["api-docs.openapi_json"] = public(lambda: api._openapi_json())
    app.before_request(check_form)


def check_form() -> Any:
    """Refuse, before anything is read, a body that is too large or no JSON. Multipart passes for photos only."""
    if not request.path.startswith(API) or request.method in ("GET", "HEAD", "OPTIONS"):
        return
    photo = request.path.endswith("/photos")
    request.max_content_length = LARGEST_PHOTO_BODY_BYTES if photo else LARGEST_BODY_BYTES
    if not request.content_length and request.content_length is not None:
        return
    if request.content_length is None and "Transfer-Encoding" not in request.headers:
        return
    if not request.is_json and not (photo and request.mimetype == "multipart/form-data"):
        raise UnsupportedMediaType
