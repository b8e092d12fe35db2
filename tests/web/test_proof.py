"""The page on which anybody checks a receipt."""

from __future__ import annotations

import copy
import io
import json
from datetime import UTC, datetime
from urllib.parse import urlsplit

import psycopg
from sqlalchemy import select

from app.db import psycopg_conninfo
from app.log_keys import signing_log_keys
from registry.trade_ins import TradeIn
from subsidy.events import EventKind
from subsidy.log_publishing import publish
from subsidy.queue import append_event
from subsidy.receipts import receipt_of, short_link
from tests.web.markup import check_page
from tests.web.scene import Browser


def publish_now(scene, *, back=None):
    """Write the log, after a return of position ``back`` where one is named."""
    settings = scene.settings
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        if back:
            (programme_id,) = connection.execute("SELECT id FROM programme").fetchone()
            append_event(
                connection=connection,
                programme_id=programme_id,
                kind=EventKind.RETURN,
                position=back,
                actor="staff:1",
                clock=settings.clock,
            )
        publish(connection=connection, signer=signing_log_keys(settings).must_sign(), now=datetime.now(UTC))


def test_a_receipt_is_checked_by_file_by_text_and_by_its_link(running):
    app = running.app()
    point = Browser(app)
    point.sign_in("point")
    point.complete(running, running.owner("owner"))
    publish_now(running)
    running.session.rollback()
    receipt = receipt_of(session=running.session, trade_in=running.session.scalars(select(TradeIn)).one())
    anybody = Browser(app)
    check_page(anybody.open("/proof"))
    text = json.dumps(receipt)

    def posted(**fields):
        token = anybody.open("/proof").text.split('name="csrf_token" value="')[1].split('"')[0]
        page = anybody.client.post("/proof", data={"csrf_token": token, **fields}, content_type="multipart/form-data")
        check_page(page)
        return page

    for fields in ({"receipt": text}, {"file": (io.BytesIO(text.encode()), "receipt.json")}):
        page = posted(**fields)
        assert page.status_code == 200
        assert "凭证是真的" in page.text
        assert "给予补贴 300.00 元" in page.text
        assert "没有新的变化" in page.text
    for place, value in (
        (("decision", "entry", "kind"), "opening"),
        (("decision", "entry", "amount_fen"), None),
        (("claim", "entry", "more"), "\ud800"),
        (("claim", "rest", "more"), "\ud800"),
        (("programme",), "\0"),
        (("programme",), "\ud800"),
        (("head", "size"), 10**30),
        (("head", "size"), -1),
        (("head", "key_id"), 10**4000),
    ):
        strange = copy.deepcopy(receipt)
        inside = strange
        for name in place[:-1]:
            inside = inside[name]
        inside[place[-1]] = value
        page = posted(receipt=json.dumps(strange))
        assert page.status_code in (200, 422), (place, page.text)
        assert "凭证是真的" not in page.text
    receipt["claim"]["rest"]["trade_in"] = "GS-0000-00"
    forged = posted(receipt=json.dumps(receipt))
    assert "凭证有问题" in forged.text
    assert "凭证是真的" not in forged.text
    for broken in ("", "no json", "[" * 5000, json.dumps({"mapai_receipt": 1}), "9" * 70_000):
        page = posted(receipt=broken)
        assert page.status_code == 422
        assert "不是一份码牌凭证" in page.text
    link = urlsplit(short_link(receipt=receipt, public_url="http://127.0.0.1"))
    publish_now(running, back=1)
    page = anybody.open(f"{link.path}?{link.query}")
    check_page(page)
    assert "这份凭证以后又发生的事" in page.text
    assert "作出决定：不予补贴" in page.text
    for query in (
        link.query.replace("l=2", "l=1"),
        link.query.replace("p=", "p=%00"),
        link.query.replace("p=", "p=X"),
        link.query[:-2],
        "h=1",
    ):
        page = anybody.open(f"/proof?{query}")
        check_page(page)
        assert page.status_code in (404, 422), query
