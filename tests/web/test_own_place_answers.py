"""What an open page of an owner is shown again: with the headers of the ordinary answer, and to nobody else."""

from __future__ import annotations

import gzip
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, event, text, update
from werkzeug.test import TestResponse

from app.auth import COOKIE, digest_of
from app.clock import real
from app.db import db
from app.web import own_place_again
from app.web.own_place_stamp import STAMP
from registry.accounts import Account, SignIn
from registry.trade_ins import TradeIn
from tests.subsidy import claim_deeds
from tests.subsidy.claim_scene import stopped_at
from tests.web.own_place import ELDER, ENGLISH, ask, deeds_of, nothing_kept, pay, templates_rendered, timeless
from tests.web.scene import NOW, STAFF, Browser, Scene, starting_at


@pytest.fixture
def owning(running: Scene, point: Browser) -> tuple[Browser, str]:
    """An owner whose trade-in has completed, signed in, and its reference; his page is kept."""
    reference = point.complete(running, running.owner("owner"))
    browser = Browser(point.app)
    browser.sign_in("owner")
    assert ask(browser, reference).status_code == 200
    with templates_rendered(browser.app) as rendered:
        assert ask(browser, reference).status_code == 200
    assert rendered == []
    return browser, reference


def test_one_statement_is_all_that_is_asked(owning: tuple[Browser, str]) -> None:
    browser, reference = owning
    asked: list[str] = []
    with browser.app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    ask(browser, reference)
    assert asked == [], "the ORM has nothing to do"
    with nothing_kept(browser.app):
        ask(browser, reference)
    tables = set(re.findall(r"(?:FROM|JOIN) (\w+)", " ".join(asked)))
    stamped = set(re.findall(r"(?:FROM|JOIN) (\w+)", STAMP))
    assert "payout" in tables
    assert tables <= stamped, "the stamp knows every table that is read"


# Table → a column to write anew as it stands.
ROWS = {
    "trade_in": "state",
    "filed_bike": "state",
    "dealer": "name",
    "person": "name_sealed",
    "bike": "model",
    "sale": "invoice_no",
    "plate": "plate_no",
    "claim": "state",
    "payout": "state",
    "payout_attempt": "state",
    "wallet": "tail",
    "message": "body",
    "trade_in_photo": "taken_at",
    "appeal": "body",
    "return_case": "state",
}


def test_a_row_written_anew_makes_another_stamp(owning: tuple[Browser, str], running: Scene) -> None:
    browser, reference = owning
    browser.give_wallet("W1.full")
    pay(running)
    browser.give_wallet("W30003")
    deeds = deeds_of(running)
    claim_deeds.begin_return(deeds, reference)
    deeds.write(
        text(
            "INSERT INTO appeal"
            " (reference, programme_id, position, decision_event_no, trade_in_id, person_id, body, filed_at, due_on)"
            " SELECT 'SS1', programme_id, position, 1, trade_in_id, person_id, '', now(), now() FROM claim"
        )
    )
    ask(browser, reference)
    for table, column in ROWS.items():
        number = "position" if table == "claim" else "id"
        # The wallet and the messages shown are the newest; of all others every row counts, the oldest too.
        which = "max" if table in ("wallet", "message") else "min"
        row = f"{number} = (SELECT {which}({number}) FROM {table})"
        deeds.write(text(f"UPDATE {table} SET {column} = {column} WHERE {row}"))
        with templates_rendered(browser.app) as rendered:
            ask(browser, reference)
            ask(browser, reference)
        assert rendered.count("own_live.html") == 1, table


def test_the_clock_goes_on_and_midnight_makes_the_page_anew(owning: tuple[Browser, str]) -> None:
    browser, reference = owning
    places = browser.app.extensions["mapai.own_places"]

    def told(at: Any) -> tuple[str, str]:
        places._clock = stopped_at(at)
        page = ask(browser, reference).text
        [(iso, words)] = re.findall(r'<p class="hint">截至 <time datetime="(.*?)">(.*?)</time>', page)
        return iso, words

    with templates_rendered(browser.app) as rendered:
        assert told(NOW) == ("2026-06-20T10:00:00+08:00", "6 月 20 日 10:00:00")
        assert told(NOW + timedelta(hours=13, minutes=59, seconds=59)) == (
            "2026-06-20T23:59:59+08:00",
            "6 月 20 日 23:59:59",
        )
    assert rendered == []
    with templates_rendered(browser.app) as rendered:
        told(NOW + timedelta(hours=14))
    assert "own_live.html" in rendered
    running = places._clock = starting_at(NOW)
    for _ in range(3):
        before = running.now().replace(microsecond=0)
        [iso] = re.findall(r'<p class="hint">截至 <time datetime="(.*?)"', ask(browser, reference).text)
        assert before <= datetime.fromisoformat(iso) <= running.now(), "never later than what is told"


def test_headers_and_body_are_those_of_the_ordinary_answer(running: Scene, point: Browser) -> None:
    reference = point.complete(running, running.owner("owner"))
    browser = Browser(still_app(running))
    browser.sign_in("owner")
    for accepted in ("", "gzip", "gzip, deflate, br", "identity;q=1, gzip;q=0"):
        compare_with_the_ordinary(browser, reference, {"Accept-Encoding": accepted} if accepted else {})


def compare_with_the_ordinary(browser: Browser, reference: str, headers: dict[str, str]) -> None:
    app = browser.app
    with nothing_kept(app):
        fresh = ask(browser, reference, **headers)
        has_it = {**headers, "If-None-Match": fresh.headers["ETag"]}
        unchanged = ask(browser, reference, **has_it)
    ask(browser, reference, **headers)
    with templates_rendered(app) as rendered:
        kept = ask(browser, reference, **headers)
        not_modified = ask(browser, reference, **has_it)
        another = ask(browser, reference, **headers, **{"If-None-Match": '"another"'})
    assert rendered == []
    assert plain(kept) == plain(fresh) == plain(another)
    assert (kept.status, not_modified.status) == (fresh.status, unchanged.status) == ("200 OK", "304 NOT MODIFIED")
    packed = "Content-Encoding" in fresh.headers
    assert packed == headers.get("Accept-Encoding", "").startswith("gzip")
    assert told_in_head(kept, without_length=packed) == told_in_head(fresh, without_length=packed)
    assert int(kept.headers["Content-Length"]) == len(kept.data) < 1.1 * len(fresh.data)
    assert told_in_head(not_modified) == told_in_head(unchanged)
    assert not_modified.data == unchanged.data == b""


def still_app(scene: Scene) -> Flask:
    """An application at whose place time stands still, so that its answers may be compared byte for byte."""
    app = scene.app()
    still = stopped_at(NOW)
    app.extensions["mapai.settings"] = replace(app.extensions["mapai.settings"], clock=still)
    app.extensions["mapai.own_places"]._clock = still
    return app


def plain(answer: TestResponse) -> bytes:
    return gzip.decompress(answer.data) if "Content-Encoding" in answer.headers else answer.data


def told_in_head(answer: TestResponse, *, without_length: bool = False) -> list[tuple[str, str]]:
    assert "Date" in answer.headers
    left_out = {"Date", "Content-Length"} if without_length else {"Date"}
    return sorted((name, value) for name, value in answer.headers if name not in left_out)


def test_signing_out_ends_it_at_once(owning: tuple[Browser, str], running: Scene) -> None:
    browser, reference = owning
    token = browser.client.get_cookie(COOKIE).value  # type: ignore[union-attr]
    browser.open("/my")
    browser.client.post("/sign-out", data={"csrf_token": browser.client.get("/csrf").json["token"]})  # type: ignore[index]
    assert ask(browser, reference).status_code == 303
    browser.client.set_cookie(COOKIE, token)
    assert ask(browser, reference).status_code == 303


def test_whatever_ends_a_sign_in_ends_it_at_once(owning: tuple[Browser, str], running: Scene) -> None:
    browser, reference = owning
    soon, past = real() + timedelta(hours=1), real() - timedelta(seconds=1)
    mine = Account.login == "owner"
    for ending, mended in (
        (update(SignIn).values(expires_at=past), update(SignIn).values(expires_at=soon)),
        (update(Account).where(mine).values(disabled_at=past), update(Account).where(mine).values(disabled_at=None)),
        (delete(SignIn), None),
    ):
        deeds_of(running).write(ending)
        asked = ask(browser, reference)
        with nothing_kept(browser.app):
            ordinary = ask(browser, reference)
        assert (asked.status_code, asked.location) == (ordinary.status_code, ordinary.location)
        assert asked.status_code == 303
        assert "补贴" not in asked.text
        if mended is not None:
            deeds_of(running).write(mended)
            assert ask(browser, reference).status_code == 200


def test_nobody_else_is_shown_what_is_kept(owning: tuple[Browser, str], running: Scene) -> None:
    browser, reference = owning
    running.owner("stranger")
    for login, status in (("stranger", 404), ("point", 403), (STAFF, 403)):
        other = Browser(browser.app)
        other.sign_in(login)
        asked = ask(other, reference)
        with nothing_kept(browser.app):
            ordinary = ask(other, reference)
        assert asked.status_code == ordinary.status_code == status, login
        assert asked.text == ordinary.text
    visitor = Browser(browser.app)
    assert ask(visitor, reference).status_code == 303
    assert ask(browser, reference.lower()).status_code == 404
    assert ask(browser, "GS-0000-00").status_code == 404


def test_a_trade_in_that_goes_to_another_owner_goes_at_once(running: Scene, point: Browser) -> None:
    # One under way: a completed one stays its owner's, its claim sees to that.
    reference = point.open_trade_in(running.owner("owner"))
    browser = Browser(point.app)
    browser.sign_in("owner")
    assert ask(browser, reference).status_code == 200
    with templates_rendered(browser.app) as rendered:
        assert ask(browser, reference).status_code == 200
    assert rendered == [], "it is kept"
    stranger = running.owner("stranger")
    deeds_of(running).write(update(TradeIn).values(owner_id=stranger.person_id))
    assert ask(browser, reference).status_code == 404
    other = Browser(browser.app)
    other.sign_in("stranger")
    assert ask(other, reference).status_code == 200


def test_what_an_open_page_would_not_say_is_left_to_the_framework(owning: tuple[Browser, str]) -> None:
    browser, reference = owning
    mine = f"{COOKIE}={browser.client.get_cookie(COOKIE).value}"  # type: ignore[union-attr]
    client = browser.app.test_client(use_cookies=False)
    for query, headers in (
        ("?lang=en", {"Cookie": mine}),
        ("", {"Cookie": f"{mine}; mapai_look=lang:en"}),
        ("", {"Cookie": f"{mine}; mapai_look={ENGLISH}; mapai_look={ELDER}"}),
        ("", {"Cookie": f'{COOKIE}="nobody"; {mine}'}),
        ("", {"Cookie": f"{mine}; {COOKIE}=nobody"}),
        ("", {"Cookie": mine, "If-Match": '"another"'}),
    ):
        asked = client.get(f"/my/{reference}/live{query}", headers=headers)
        with nothing_kept(browser.app):
            ordinary = client.get(f"/my/{reference}/live{query}", headers=headers)
        assert asked.status_code == ordinary.status_code
        assert "<time" not in asked.text or timeless(asked.text) == timeless(ordinary.text)
    head = browser.client.head(f"/my/{reference}/live")
    assert (head.status_code, head.data) == (200, b"")


def test_of_many_who_are_read_for_at_once_each_gets_his_own(owning: tuple[Browser, str], running: Scene) -> None:
    browser, reference = owning
    point = Browser(browser.app)
    point.sign_in("point")
    other = Browser(browser.app)
    theirs = point.complete(running, running.owner("other"))
    other.sign_in("other")
    ask(other, theirs)
    mine, their = (each.client.get_cookie(COOKIE).value for each in (browser, other))
    stamps = browser.app.extensions["mapai.own_places"]._stamps
    asked = [
        (mine, reference),
        (their, reference),
        ("unknown", reference),
        (their, theirs),
        (mine, theirs),
        (mine, reference),
    ]
    alone = [stamps.read(token=token, reference=number) for token, number in asked]
    assert [each is None for each in alone] == [False, True, True, False, True, False]
    assert alone[0] == alone[5] != alone[3]
    assert stamps._read(lambda: [(digest_of(token), number) for token, number in asked]) == alone
    with ThreadPoolExecutor(len(asked)) as threads:
        together = list(threads.map(lambda each: stamps.read(token=each[0], reference=each[1]), asked * 10))
    assert together == alone * 10


def test_what_nobody_asks_for_is_let_go(owning: tuple[Browser, str], monkeypatch: pytest.MonkeyPatch) -> None:
    browser, reference = owning
    places = browser.app.extensions["mapai.own_places"]
    assert len(places._kept) == 1
    browser.client.set_cookie("mapai_look", ENGLISH)
    monkeypatch.setattr(own_place_again, "KEPT_FOR_S", 0.0)
    ask(browser, reference)
    assert [form[2] for form in places._kept] == [ENGLISH]


def test_only_so_many_are_kept_and_the_one_asked_for_least_lately_goes_first(
    owning: tuple[Browser, str],
) -> None:
    browser, reference = owning
    places = browser.app.extensions["mapai.own_places"]
    places.most = 2

    def rendered_for(look: str) -> int:
        browser.client.set_cookie("mapai_look", look)
        with templates_rendered(browser.app) as rendered:
            ask(browser, reference)
        return rendered.count("own_live.html")

    third = ELDER.replace("dark", "light")
    assert [rendered_for(look) for look in (ENGLISH, ELDER, ENGLISH, third)] == [1, 1, 0, 1]
    assert len(places._kept) == 2
    assert [rendered_for(look) for look in (ENGLISH, ELDER)] == [0, 1]


def test_while_the_statement_cannot_be_asked_the_ordinary_route_answers(owning: tuple[Browser, str]) -> None:
    browser, reference = owning
    pid = browser.app.extensions["mapai.own_places"]._stamps._connection.info.backend_pid
    with browser.app.app_context():
        db.session.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        db.session.rollback()
    with templates_rendered(browser.app) as rendered:
        assert ask(browser, reference).status_code == 200
    assert "own_live.html" in rendered
    with templates_rendered(browser.app) as rendered:
        assert [ask(browser, reference).status_code for _ in range(3)] == [200, 200, 200]
    assert rendered == [], "on another connection"


def test_a_full_process_turns_away_here_too(owning: tuple[Browser, str]) -> None:
    browser, reference = owning
    crowd = browser.app.extensions["mapai.crowd"]
    crowd.note_completion()
    crowd._pages = crowd._most_pages
    assert ask(browser, reference).status_code == 503
    crowd._pages = 0
    assert ask(browser, reference).status_code == 200
