"""Builds the web application: one per process, everything it needs handed in or made from the settings."""

from __future__ import annotations

from typing import Any

from flask import Flask, abort, request
from werkzeug.middleware.proxy_fix import ProxyFix

from app import access, api, db, errors, headers, web
from app.api.fast_lane import FastLane
from app.clients.signing import HmacSm3
from app.combiner import Combiner
from app.config import Settings
from app.crowd import BUSY, Crowd
from app.partners import Partners, partners_for
from app.refusals import TooCrowded
from app.web.own_place_again import OwnPlaceAgain
from app.web.own_place_stamp import Stamps

LARGEST_REQUEST_BYTES = 10 * 1024 * 1024


def create_app(
    settings: Settings | None = None, *, partners: Partners | None = None, combiner: Any | None = None
) -> Flask:
    """Return the application. Without ``settings`` they are read from the environment (raises CannotStart).

    ``app.extensions`` holds what views need, each under ``mapai.<word>``: settings, clock, keyring, partners,
    combiner, crowd, own_places and plates_signer (checks the police system's callbacks).
    """
    settings = settings or Settings.from_env()
    app = Flask("app", static_folder=None)
    app.config["SECRET_KEY"] = settings.secret_key
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST_BYTES
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.config["SESSION_COOKIE_SECURE"] = settings.public_url.startswith("https")
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["mapai.settings"] = settings
    app.extensions["mapai.clock"] = settings.clock
    app.extensions["mapai.keyring"] = settings.keyring
    app.extensions["mapai.partners"] = partners or partners_for(settings)
    app.extensions["mapai.plates_signer"] = HmacSm3(settings.plates_key)
    app.extensions["mapai.ecny_signer"] = HmacSm3(settings.ecny_key)
    app.extensions["mapai.combiner"] = combiner or Combiner(
        conninfo=db.psycopg_conninfo(settings, application="mapai-combiner"),
        clock=settings.clock,
        district=settings.district,
    )
    db.init_app(app, settings)
    errors.register(app)
    headers.init_app(app)
    app.before_request(_refuse_unwritable_address)
    app.before_request(_say_that_it_is_crowded)
    register_faces(app)
    access.require_rules(app)
    _believe_proxies(app, settings.trusted_proxies)
    own_places = app.extensions["mapai.own_places"] = OwnPlaceAgain(
        app.wsgi_app,
        stamps=Stamps(conninfo=db.psycopg_conninfo(settings, application="mapai-own-places")),
        clock=settings.clock,
    )
    crowd = app.extensions["mapai.crowd"] = Crowd(own_places, threads=settings.web_threads)
    app.wsgi_app = FastLane(  # type: ignore[method-assign]
        crowd,
        arrived=crowd.note_completion,
        signer=app.extensions["mapai.plates_signer"],
        keyring=app.extensions["mapai.keyring"],
        combiner=app.extensions["mapai.combiner"],
    )
    return app


def close(app: Flask) -> None:
    """Let go of what the application holds beside the framework: threads and their connections. A server that ends
    takes them along; this is for whoever makes several applications in one process, as tests do."""
    app.extensions["mapai.combiner"].close()
    app.extensions["mapai.own_places"].close()


def register_faces(app: Flask) -> None:
    """Register the two faces of the platform: the JSON API, and the pages."""
    api.register(app)
    web.register(app)


def _believe_proxies(app: Flask, number: int) -> None:
    """Take the client's address, and whether it came by HTTPS, from the last so many entries: those our proxies wrote.

    Whatever a client writes there himself stands before them and counts for nothing. Neither the fast lane nor the
    crowd looks at addresses, so only the framework is told.
    """
    if number:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=number, x_proto=number, x_host=0, x_port=0, x_prefix=0
        )


def _refuse_unwritable_address() -> None:
    """Answer 404 to an address with a NUL in it: PostgreSQL holds none, so nothing can be found under it."""
    if "\0" in request.path:
        abort(404)


def _say_that_it_is_crowded() -> None:
    """Refuse a request that app/crowd.py will not let in just now."""
    if request.environ.get(BUSY):
        raise TooCrowded
