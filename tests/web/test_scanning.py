"""Where a scanned text leads a visitor, and what of WeChat stands on pages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from app.clients.wechat import WeChatSetup
from app.config import Settings
from app.partners import partners_for
from app.startup import CannotStart
from registry.codes import new_registration_code
from tests.web.scene import Browser, Scene

SETUP = WeChatSetup(
    app_id="wx1", secret="not on any page", url="http://127.0.0.1:9", script="https://script.example/open/wx.js"
)
ALL_FOUR = {
    "MAPAI_WECHAT_APP_ID": "wx1",
    "MAPAI_WECHAT_SECRET": "secret",
    "MAPAI_WECHAT_URL": "https://api.example/",
    "MAPAI_WECHAT_SCRIPT": "https://script.example/open/wx.js",
}


LED = {
    "B417730": "/check?plate_no=B417730",
    "浙杭·b 417730": "/check?plate_no=B417730",
    "https://plates.example/q?no=B417730&x=1": "/check?plate_no=B417730",
    "HTTPS://MAPAI.EXAMPLE/P/" + "A2" * 65: "/p/" + "A2" * 65,
    "4402623123456789": "/check",
    "": "/check",
}


def test_a_scanned_text_leads_to_what_it_is_about_or_is_told_in_words(running: Scene) -> None:
    visitor = Browser(running.app())
    for text, to in LED.items():
        answer = visitor.client.get(f"/scan?text={quote(text)}")
        assert (answer.status_code, answer.headers["Location"]) == (303, to)
    visitor.open("/check")  # what was said above is read
    for text, words in (
        (new_registration_code(), "新车或电池的赋码标签"),
        ("https://cert.example/?vinCode=110221234567890", "一辆新车的整车编码"),
        ("WIFI:S:shop;;", "没有号牌号码"),
    ):
        visitor.open(f"/scan?text={quote(text)}")
        assert visitor.at == "/check"
        assert words in visitor.text


def test_pages_name_wechats_host_and_are_signed_for_only_where_it_is_set_up(running: Scene) -> None:
    plain = Browser(running.app())
    page = plain.open("/check")
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    assert 'data-wechat=""' in page.text
    assert "camera=(self)" in page.headers["Permissions-Policy"]
    assert plain.client.get("/wechat/config?url=http://127.0.0.1:8000/check").status_code == 404
    # and once it is: the script's one host, and a signature for our own pages alone
    running.settings = replace(running.settings, wechat=SETUP)
    app = running.app()
    visitor = Browser(app)
    page = visitor.open("/check")
    assert "script-src 'self' https://script.example;" in page.headers["Content-Security-Policy"]
    assert 'data-wechat-script="https://script.example/open/wx.js"' in page.text
    assert SETUP.secret not in page.text

    class Tickets:
        app_id = "wx1"

        def ticket(self) -> str:
            return "T"

    app.extensions["mapai.partners"] = replace(app.extensions["mapai.partners"], wechat=Tickets())
    site = running.settings.public_url
    said = visitor.client.get(f"/wechat/config?url={quote(site + '/check')}")
    assert said.json is not None
    assert (said.status_code, said.json["app_id"], len(said.json["signature"])) == (200, "wx1", 40)
    assert visitor.client.get("/wechat/config?url=https://elsewhere.example/").status_code == 404


def test_wechat_is_set_up_with_all_four_settings_or_none(tmp_path: Path) -> None:
    own = {"MAPAI_DATA": str(tmp_path / "data")}
    assert Settings.from_env(own).wechat is None
    assert partners_for(Settings.from_env(own)).wechat is None
    whole = Settings.from_env({**own, **ALL_FOUR})
    assert whole.wechat is not None
    assert (whole.wechat.url, whole.wechat.script_host) == ("https://api.example", "https://script.example")
    assert "secret" not in repr(whole.wechat)
    tickets = partners_for(whole).wechat
    assert tickets is not None
    assert tickets.app_id == "wx1"
    for name in ALL_FOUR:
        with pytest.raises(CannotStart, match=name):
            Settings.from_env({**own, **{each: value for each, value in ALL_FOUR.items() if each != name}})
    with pytest.raises(CannotStart, match="MAPAI_WECHAT_SCRIPT"):
        Settings.from_env({**own, **ALL_FOUR, "MAPAI_WECHAT_SCRIPT": "open/wx.js"})
