"""What everybody asks for is made once and told to all; while completions arrive, readers leave threads free."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.config import Settings
from app.crowd import BUSY, FRONT, LIVE_API, LIVE_CARD, MOST_FORMS, Crowd
from app.factory import create_app

ENGLISH = "mode:standard.text:1.theme:system.lang:en"


class Framework:
    """What stands behind: it counts what reaches it, and answers when it may."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[tuple[str, str]] = [
            ("Content-Type", "text/plain"),
            ("Content-Encoding", "gzip"),
            ("ETag", '"its own"'),
        ]
        self.status = "200 OK"
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.entered = threading.Semaphore(0)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        self.asked.append(environ)
        self.entered.release()
        if not environ.get(BUSY):
            assert self.may_answer.wait(10)
        start_response("503 BUSY" if environ.get(BUSY) else self.status, list(self.headers))
        return [f"{len(self.asked)}".encode()]


def ask(crowd: Crowd, path: str, method: str = "GET", **environ: str) -> tuple[str, dict[str, str], bytes]:
    told: list[Any] = []
    request = {"PATH_INFO": path, "REQUEST_METHOD": method, **environ}
    body = b"".join(crowd(request, lambda status, headers, *_: told.extend((status, dict(headers)))))
    return told[0], told[1], body


@pytest.fixture
def framework() -> Framework:
    return Framework()


@pytest.mark.parametrize("path", [LIVE_API, LIVE_CARD, FRONT])
def test_what_is_the_same_for_all_is_made_once(framework: Framework, path: str) -> None:
    crowd = Crowd(framework, threads=8, kept_s=60)
    first, second = ask(crowd, path), ask(crowd, path)
    assert first == second
    assert len(framework.asked) == 1
    tag = first[1]["ETag"]
    assert tag != '"its own"'
    status, headers, body = ask(crowd, path, HTTP_IF_NONE_MATCH=tag)
    assert (status, headers.get("ETag"), body) == ("304 NOT MODIFIED", tag, b"")
    # A reader that unpacks what is said to be packed would choke on nothing.
    assert first[1].keys() - headers.keys() == {"Content-Type", "Content-Encoding"}
    assert ask(crowd, path, HTTP_IF_NONE_MATCH='"older"')[2] == first[2]


def test_it_is_kept_no_longer_than_told(framework: Framework) -> None:
    crowd = Crowd(framework, threads=8, kept_s=0)
    assert [ask(crowd, FRONT)[2] for _ in range(3)] == [b"1", b"2", b"3"]


def test_each_look_has_its_own_and_a_flood_of_looks_fills_nothing(framework: Framework) -> None:
    crowd = Crowd(framework, threads=8, kept_s=60)
    assert ask(crowd, FRONT)[2] != ask(crowd, FRONT, HTTP_COOKIE=f"mapai_look={ENGLISH}")[2]
    for number in range(3 * MOST_FORMS):
        ask(crowd, FRONT, HTTP_COOKIE=f"mapai_look=text:{number}")
    assert len(crowd._kept) == 2, "a look nobody can choose is a page like any other"
    assert MOST_FORMS >= 2 * 2 * 2 * 3 * 3 * 2


def test_who_asks_for_the_head_alone_leaves_the_words_to_the_others(full: Crowd) -> None:
    full.note_completion()
    assert ask(full, "/my/2", method="HEAD")[2] == b""
    status, _, body = ask(full, "/my/3")
    assert (status, body != b"") == ("503 BUSY", True)


@pytest.mark.parametrize(
    "more",
    [
        {"HTTP_COOKIE": "mapai_sign_in=abc"},
        {"HTTP_COOKIE": f"mapai_look={ENGLISH}; session=abc"},
        {"HTTP_AUTHORIZATION": "Bearer abc"},
        {"QUERY_STRING": "a=b"},
        {"method": "HEAD"},
    ],
)
def test_what_may_differ_is_never_kept(framework: Framework, more: dict[str, str]) -> None:
    crowd = Crowd(framework, threads=8, kept_s=60)
    assert [ask(crowd, FRONT, **more)[2] for _ in range(2)] == [b"1", b"2"]


@pytest.mark.parametrize("path", [LIVE_API, LIVE_CARD])
def test_the_live_state_is_the_same_for_the_signed_in_and_made_without_them(framework: Framework, path: str) -> None:
    crowd = Crowd(framework, threads=8, kept_s=60)
    signed_in = {"HTTP_COOKIE": f"mapai_sign_in=secret; mapai_look={ENGLISH}", "HTTP_AUTHORIZATION": "Bearer secret"}
    assert ask(crowd, path, **signed_in) == ask(crowd, path, HTTP_COOKIE=f"mapai_look={ENGLISH}; mapai_sign_in=other")
    (asked,) = framework.asked
    assert (asked["HTTP_COOKIE"], "HTTP_AUTHORIZATION" in asked) == (f"mapai_look={ENGLISH}", False)
    assert ask(crowd, LIVE_CARD, HTTP_COOKIE="mapai_sign_in=secret") == ask(crowd, LIVE_CARD)


@pytest.mark.parametrize("spoilt", [{"status": "503 AWAY"}, {"headers": [("Set-Cookie", "session=somebody's")]}])
def test_a_failure_or_somebodys_cookie_is_told_to_nobody_else(framework: Framework, spoilt: dict[str, Any]) -> None:
    vars(framework).update(spoilt)
    crowd = Crowd(framework, threads=8, kept_s=60)
    assert [ask(crowd, FRONT)[2] for _ in range(2)] == [b"1", b"2"]


@pytest.fixture
def full(framework: Framework) -> Iterator[Crowd]:
    """A process of eight threads, three of them held up by pages."""
    crowd = Crowd(framework, threads=8, kept_s=60)
    framework.may_answer.clear()
    readers = [threading.Thread(target=ask, args=(crowd, "/my/1")) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in readers:
        assert framework.entered.acquire(timeout=10)
    yield crowd
    framework.may_answer.set()
    for reader in readers:
        reader.join(10)
    assert ask(crowd, "/my/1")[0] == "200 OK"


def test_while_completions_arrive_readers_leave_a_thread_free(full: Crowd, framework: Framework) -> None:
    full.note_completion()
    status, _, body = ask(full, "/my/2", HTTP_COOKIE="mapai_sign_in=secret; mapai_look=lang:en")
    assert status == "503 BUSY"
    assert ask(full, "/my/3")[2] == body, "the same words for everybody"
    asked = framework.asked[-1]
    assert (asked["PATH_INFO"], asked["HTTP_COOKIE"]) == ("/", "mapai_look="), "nobody's address, nobody's sign-in"
    assert ask(full, "/api/trade-ins/1")[0] == "503 BUSY"


def test_who_is_signed_in_reads_it_in_his_own_language(full: Crowd, framework: Framework) -> None:
    full.note_completion()
    for cookies in (f"mapai_sign_in=secret; mapai_look={ENGLISH}", f"mapai_look={ENGLISH}; session=abc"):
        assert ask(full, "/my/2", HTTP_COOKIE=cookies)[0] == "503 BUSY"
    chinese = ask(full, "/my/2", HTTP_COOKIE="mapai_sign_in=secret")
    assert [asked["HTTP_COOKIE"] for asked in framework.asked[-2:]] == [f"mapai_look={ENGLISH}", "mapai_look="]
    assert ask(full, "/my/2", HTTP_COOKIE="mapai_sign_in=secret; mapai_look=lang:en; other=1") == chinese


def test_what_somebody_sends_is_never_turned_away(full: Crowd, framework: Framework) -> None:
    full.note_completion()
    framework.may_answer.set()
    assert ask(full, "/my/2", method="POST")[0] == "200 OK"


def test_without_completions_readers_may_have_every_thread(full: Crowd, framework: Framework) -> None:
    framework.may_answer.set()
    assert ask(full, "/my/2")[0] == "200 OK"


def test_the_words_say_so_and_come_again(settings: Settings) -> None:
    client = create_app(settings).test_client()
    page = client.get("/", environ_overrides={BUSY: True})
    assert (page.status_code, page.headers["Retry-After"]) == (503, "3")
    assert "现在来看的人太多" in page.text
    assert 'http-equiv="refresh"' in page.text
    problem = client.get(LIVE_API, environ_overrides={BUSY: True})
    assert (problem.status_code, problem.json["code"]) == (503, "too_crowded")
