"""What a phone on a slow network fetches for the front page: little, and packed."""

from __future__ import annotations

import gzip
import re

from tests.web.scene import Browser, Scene

LARGEST_BYTES = 60 * 1024


def test_the_front_page_and_all_it_loads_weigh_little(running: Scene) -> None:
    client = running.app().test_client()
    weights = {}
    waiting = ["/"]
    for address in waiting:
        answer = client.get(address, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200, address
        assert answer.headers.get("Content-Encoding") == "gzip" or len(answer.data) < 1_000, address
        weights[address] = len(answer.data)
        if address == "/":
            page = gzip.decompress(answer.data).decode()
            waiting += re.findall(r'(?:href|src)="(/assets/[^"]+)"', page)
        answer.close()
    assert len(weights) >= 6, "the page, its styles, its icon and its script"
    assert sum(weights.values()) <= LARGEST_BYTES, weights


def test_packing_changes_nothing_but_the_way(running: Scene) -> None:
    client = running.app().test_client()
    plain, packed = client.get("/points"), client.get("/points", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed.data) == plain.data
    assert {"Cookie", "Accept-Encoding"} <= set(packed.vary.as_set(preserve_casing=True))
    again = client.get("/points", headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]})
    assert again.status_code == 304


def test_what_a_crowd_is_told_is_packed_only_for_who_takes_it(running: Scene) -> None:
    client = running.app().test_client()
    for path in ("/", "/live/stage"):
        for accepted, packed in (("gzip", True), ("", False), ("gzip;q=0", False), ("br, gzip;q=0.5", True)):
            answer = client.get(path, headers={"Accept-Encoding": accepted})
            body = answer.data
            assert (body[:2] == b"\x1f\x8b") == (packed and answer.headers.get("Content-Encoding") == "gzip")
            assert packed or "Content-Encoding" not in answer.headers, (path, accepted)
            assert "Accept-Encoding" in answer.vary


def test_a_page_with_a_forms_token_is_never_packed(running: Scene) -> None:
    page = running.app().test_client().get("/sign-in", headers={"Accept-Encoding": "gzip"})
    assert 'name="csrf_token"' in page.text
    assert "Content-Encoding" not in page.headers


def test_the_front_page_says_all_at_once(running: Scene) -> None:
    browser = Browser(running.app())
    browser.open("/")
    for words in (
        "第一阶段，正在进行",
        "现在每辆补",
        "名额还剩",
        "截至",
        "6 月 30 日 24:00 结束",
        "要带什么",
        "去哪里办",
        "核对申领凭证",
    ):
        assert words in browser.text, words
    browser.open("/look?lang=en&back=/")
    for words in ("Stage 1, open now", "Paid now per bike", "Places left", "As of", "Ends on 30 June 24:00"):
        assert words in browser.text, words
