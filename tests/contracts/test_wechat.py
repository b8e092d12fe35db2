"""WeChat's tickets over HTTP, against the sandbox: kept as long as they hold, and honest where there is none."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from app.clients.http import PartnerMisunderstood
from app.clients.wechat import PageElsewhere, WeChatSetup, signed_config
from app.clients.wechat.client import EARLIER_S, WeChatClient
from app.clients.wechat.server import LASTS_S, Options, create_stub
from registry.base import PartnerUnavailable
from tests.contracts.conftest import Serving

SECRET = "the secret of an official account"
NOON = datetime(2026, 6, 16, 4, 0, tzinfo=UTC)
PAGE = "https://mapai.example/check?plate_no=A1"


class Hours:
    """Real seconds as the client counts them; a test moves them."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def wechat(serving: Serving, app_id: str = "wx1", secret: str = SECRET) -> tuple[WeChatClient, dict[str, int], Hours]:
    stub = create_stub(Options(secret=SECRET, slow_s=0.05, silent_s=2.4))
    setup = WeChatSetup(app_id=app_id, secret=secret, url=serving(stub), script="https://script.example/wx.js")
    hours = Hours()
    return WeChatClient(setup, monotonic=hours), stub.extensions["platform"].asked, hours


def test_a_ticket_is_fetched_once_and_again_before_it_ends(serving: Serving) -> None:
    client, asked, hours = wechat(serving)
    first = client.ticket()
    assert client.ticket() == first
    hours.now = LASTS_S - EARLIER_S - 1
    assert client.ticket() == first
    assert asked == {"token": 1, "ticket": 1}
    hours.now = LASTS_S - EARLIER_S
    assert client.ticket().startswith("ticket-")
    assert asked == {"token": 2, "ticket": 2}


def test_a_token_ended_by_another_system_is_fetched_anew(serving: Serving) -> None:
    client, asked, _ = wechat(serving, "wx1.token_over")
    assert client.ticket().startswith("ticket-")
    assert asked == {"token": 2, "ticket": 2}


@pytest.mark.parametrize("word", ["unavailable", "error_after", "busy"])
def test_where_wechat_is_away_there_is_no_ticket_and_the_next_asking_may_get_one(serving: Serving, word: str) -> None:
    client, _, _ = wechat(serving, f"wx1.{word}")
    with pytest.raises(PartnerUnavailable):
        client.ticket()
    once, _, _ = wechat(serving, "wx1.unavailable_once")
    with pytest.raises(PartnerUnavailable):
        once.ticket()
    assert once.ticket().startswith("ticket-")


def test_nobody_waits_for_a_silent_wechat(serving: Serving) -> None:
    client, _, _ = wechat(serving, "wx1.silent")
    with pytest.raises(PartnerUnavailable):
        client.ticket()


def test_a_slow_answer_is_an_answer(serving: Serving) -> None:
    assert wechat(serving, "wx1.slow")[0].ticket().startswith("ticket-")


@pytest.mark.parametrize(("app_id", "secret"), [("wx1", "a wrong secret"), ("wx1.address_not_listed", SECRET)])
def test_a_refused_account_is_told_apart(serving: Serving, app_id: str, secret: str) -> None:
    client, _, _ = wechat(serving, app_id, secret)
    with pytest.raises(PartnerMisunderstood) as refused:
        client.ticket()
    assert secret not in refused.value.message_zh


def test_a_page_is_signed_as_wechat_checks_it() -> None:
    said = signed_config(app_id="wx1", ticket="T", page=f"{PAGE}#main", site="https://mapai.example", at=NOON)
    words = f"jsapi_ticket=T&noncestr={said['nonce']}&timestamp={int(NOON.timestamp())}&url={PAGE}"
    assert said["signature"] == hashlib.sha1(words.encode(), usedforsecurity=False).hexdigest()
    assert set(said) == {"app_id", "timestamp", "nonce", "signature"}


@pytest.mark.parametrize(
    "page", ["", "https://elsewhere.example/", "http://mapai.example/", "https://mapai.example.cn/"]
)
def test_no_other_page_is_signed(page: str) -> None:
    with pytest.raises(PageElsewhere):
        signed_config(app_id="wx1", ticket="T", page=page, site="https://mapai.example", at=NOON)
