"""How the pages look by choice: 长辈版, dark, and the figures' wording."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from app.web.blueprint import STATIC
from app.web.wording import moment, ordinal, percent, share, stage_name, until, window, yuan, yuan_exact
from tests.web.markup import check_page
from tests.web.scene import Browser, local


def test_the_dark_list_stands_twice_and_alike():
    tokens = (STATIC / "tokens.css").read_text(encoding="utf-8")
    lists = re.findall(r":root(?::not\(\[data-theme=\"light\"\]\)|\[data-theme=\"dark\"\]) \{(.*?)\}", tokens, re.S)
    assert len(lists) == 2
    one, other = (dict(re.findall(r"(--[\w-]+|color-scheme):\s*([^;]+);", text)) for text in lists)
    assert one == other
    assert one["color-scheme"] == "dark"
    assert len(one) > 40


def test_every_custom_property_used_is_defined():
    styles = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.css")}
    defined = set(re.findall(r"(--[\w-]+):", "".join(styles.values())))
    used = set(re.findall(r"var\((--[\w-]+)", "".join(styles.values())))
    assert used <= defined


def test_styles_load_nothing_from_elsewhere():
    # vendor/ holds the libraries that are fetched; no page loads them without the CSP's leave.
    for path in (path for path in STATIC.iterdir() if path.is_file()):
        text = path.read_text(encoding="utf-8")
        assert "url(" not in text, path.name
        assert "@import" not in text, path.name
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path.name


def test_the_look_is_remembered_and_comes_back_to_the_page(running):
    browser = Browser(running.app())
    page = browser.open("/look?mode=elder&back=/points")
    assert browser.at == "/points"
    check_page(page)
    assert '<html lang="zh-CN" data-face="owner" data-mode="elder">' in page.text
    page = browser.open("/look?text=3&back=/")
    assert 'data-mode="elder" data-text="3"' in page.text
    page = browser.open("/look?mode=standard&back=/")
    assert "data-text" not in page.text, "large type belongs to 长辈版, and only its pages can turn it off"
    browser.open("/look?mode=elder&back=/")
    page = browser.open("/look?theme=dark&back=/")
    assert 'data-theme="dark"' in page.text
    page = browser.open("/look?mode=standard&theme=system&text=1&back=/")
    assert '<html lang="zh-CN" data-face="owner">' in page.text


@pytest.mark.parametrize("back", ["//evil.example/", "https://evil.example", "/\\evil", "", "\thttps://evil.example"])
def test_the_look_leads_to_no_other_site(running, back):
    answer = running.app().test_client().get("/look", query_string={"mode": "elder", "back": back})
    assert (answer.status_code, answer.location) == (303, "/")


def test_a_forged_look_is_the_standard(running):
    client = running.app().test_client()
    client.set_cookie("mapai_look", 'mode:elder".theme:"><script>.text')
    page = client.get("/")
    check_page(page)
    assert "data-mode" not in page.text


def test_static_files_are_kept_for_ever_under_their_hash(running):
    client = running.app().test_client()
    address = re.search(r'href="(/assets/pages\.css\?v=\w+)"', client.get("/").text)[1]
    answer = client.get(address, buffered=True)
    assert answer.status_code == 200
    assert "max-age=31536000" in answer.headers["Cache-Control"]
    assert client.get("/assets/../blueprint.py").status_code == 404
    answer.close()


class TestWording:
    def test_money(self):
        assert [yuan(fen) for fen in (30_000, 30_050, 78_000_000)] == ["300", "300.50", "780,000"]
        assert [yuan_exact(fen) for fen in (0, 5, 269_900, -1)] == ["0.00", "0.05", "2,699.00", "-0.01"]

    def test_instants_are_the_districts(self):
        assert moment(datetime(2026, 6, 15, 17, 5, tzinfo=UTC)) == "6 月 16 日 01:05"
        assert until(local(2026, 7, 1)) == "6 月 30 日 24:00"
        assert until(local(2026, 7, 1) + timedelta(hours=8)) == "7 月 1 日 08:00"

    def test_windows(self):
        assert window(local(2026, 6, 1), local(2026, 7, 1)) == "6 月 1—30 日"
        assert window(local(2026, 6, 15), local(2026, 7, 16)) == "6 月 15 日—7 月 15 日"

    @pytest.mark.parametrize(
        ("number", "words"), [(1, "一"), (10, "十"), (11, "十一"), (20, "二十"), (23, "二十三"), (100, "100")]
    )
    def test_ordinals(self, number, words):
        assert ordinal(number) == words
        assert stage_name(number) == f"第{words}阶段"

    def test_shares(self):
        assert (share(1, 3), share(5, 0), share(9, 3)) == ("33.33%", "0%", "100.00%")
        assert percent(1_830, 2_560) == "71.5%"
