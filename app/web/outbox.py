"""What the outbox on a point's device asks of the server (static/outbox.js): a fresh form token, readable answers.

A sending of the outbox names its account in the header ``Mapai-Outbox`` (followed by ``later`` where nobody watches).
It is taken for that account only, and told by JSON: ``{"to": path, "said": words}`` once it is taken,
``{"sign_in": true}`` where another account, or nobody, is signed in by now. A refusal is the page it always was.
"""

from __future__ import annotations

from flask import get_flashed_messages, jsonify, make_response, request
from flask_wtf.csrf import generate_csrf
from werkzeug.wrappers import Response

from app.access import requires
from app.auth import caller, current_account
from app.web.blueprint import web
from registry.accounts import ROLES

HEADER = "Mapai-Outbox"
LATER = "later"
TAKEN = 303
SIGN_IN_AGAIN = 401


@web.get("/csrf", endpoint="form_token")
@requires(*ROLES)
def form_token() -> Response:
    """A fresh token for forms, and whose it is: a page kept open overnight sends with it what waited."""
    answer = make_response(jsonify(token=generate_csrf(), account=caller().account_id))
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


@web.before_request
def only_for_its_own_account() -> Response | None:
    """Take nothing that one account wrote down under another account's sign-in."""
    if not _asked():
        return None
    account = current_account()
    if account is not None and str(account.account_id) == _asked()[0]:
        return None
    answer = make_response(jsonify(sign_in=True), SIGN_IN_AGAIN)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@web.after_request
def tell_where_it_led(answer: Response) -> Response:
    """Turn the way on after a sending into words the outbox can tell from anybody else's page."""
    if not _asked() or answer.status_code != TAKEN:
        return answer
    said = ""
    if LATER in _asked():
        # Nobody sees the next page; the outbox shows the words beside the sending.
        said = " ".join(str(words) for words in get_flashed_messages())
    told = make_response(jsonify(to=answer.headers["Location"], said=said))
    told.headers["Cache-Control"] = "private, no-store"
    return told


def _asked() -> list[str]:
    return request.headers.get(HEADER, "").split() if request.method == "POST" else []
