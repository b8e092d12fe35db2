"""What every journey stands on: one running platform, visitors with a browser of their own, owners nobody has met."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Locator, Page, expect, sync_playwright
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.auth import hash_password
from app.config import PORTS, Settings
from app.db import engine_for
from app.demo import PASSWORD, DemoOwner
from app.platform_run import Platform
from app.seed import seed
from registry.accounts import Account
from registry.filings import FiledBike
from registry.people import Person, mask_name, open_id_number, open_name, open_phone
from registry.trade_ins import TradeIn
from tests.conftest import throwaway_folder

PHONE = {"width": 390, "height": 844}
TABLET = {"width": 768, "height": 1024}
DESK = {"width": 1440, "height": 900}
STEP_MS = 20_000
# The outbox of a device tries again every fifteen seconds, however often a line comes and goes.
LINE_MS = 45_000
SETTLED_MS = 60_000
FILINGS = 1_000
# Short of the age at which a filing counts no more.
TOO_OLD = timedelta(days=6 * 365)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
)
# A picture of noise: JPEG cannot make it small, so 2,400 by 1,800 pixels weigh more than the server takes.
DRAW = """([width, height]) => {
  const canvas = document.createElement("canvas");
  canvas.width = width; canvas.height = height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  for (let i = 0; i < picture.data.length; i += 4) {
    picture.data[i] = Math.random() * 255; picture.data[i + 1] = Math.random() * 255;
    picture.data[i + 2] = Math.random() * 255; picture.data[i + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
  return canvas.toDataURL("image/jpeg", 0.92).split(",")[1];
}"""


def free_ports() -> int:
    """Return a port that is free together with those after it that the platform uses."""
    for _ in range(50):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        try:
            for offset in PORTS.values():
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", first + offset))
        except (OSError, OverflowError):
            continue
        return int(first)
    raise AssertionError("no free ports in a row")


class Visitor:
    """Somebody with a browser of their own. Whatever the page complains about is kept."""

    def __init__(self, context: BrowserContext) -> None:
        context.set_default_timeout(STEP_MS)
        self.context = context
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", self._fail)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _fail(self, error: Error) -> None:
        self.complaints.append(str(error))

    @property
    def main(self) -> Locator:
        """The page's own content, without head and foot."""
        return self.page.locator("main")

    def open(self, path: str) -> Page:
        """Go to an address of the platform."""
        self.page.goto(path)
        return self.page

    def choose(self, **look: str) -> None:
        """Choose a look as the links in the page's head and foot do: ``mode="elder"``, ``lang="en"``, ``theme``."""
        chosen = "&".join(f"{name}={value}" for name, value in look.items())
        self.page.goto(f"/look?{chosen}&back=/")

    def sign_in(self, login: str, password: str = PASSWORD) -> None:
        """Sign in by login and password, on the Chinese page."""
        self.page.goto("/sign-in")
        self.page.get_by_label("账号", exact=True).fill(login)
        self.page.get_by_label("密码", exact=True).fill(password)
        self.page.get_by_role("button", name="登录", exact=True).click()
        self.page.wait_for_url(lambda url: urlsplit(url).path != "/sign-in", timeout=STEP_MS)

    def press(self, button: str, then: str) -> None:
        """Press a button and wait until the page that follows says so."""
        self.page.get_by_role("button", name=button).click()
        self.arrived(then)

    def arrived(self, words: str | re.Pattern[str], timeout: int = STEP_MS) -> None:
        """Wait until the page says so and its scripts have run: what is clicked earlier, none of them hears."""
        expect(self.main).to_contain_text(words, timeout=timeout)
        self.page.wait_for_load_state("domcontentloaded", timeout=timeout)

    def picture(self, name: str, width: int, height: int) -> tuple[dict[str, Any], int]:
        """A picture as a phone's camera would hand it over, and its weight in bytes."""
        image = base64.b64decode(self.page.evaluate(DRAW, [width, height]))
        return {"name": name, "mimeType": "image/jpeg", "buffer": image}, len(image)


@dataclass(kw_only=True)
class Ground:
    """The running platform, its browser, and what tests ask of both.

    The platform is shared by all journeys of a test process: take an owner of your own by ``owner()``, and leave the
    programme as you found it.
    """

    chromium: Browser
    platform: Platform
    environ: dict[str, str]
    met: set[int] = field(default_factory=set)

    @property
    def address(self) -> str:
        """Where the pages are."""
        return f"http://127.0.0.1:{self.platform.settings.port}"

    @contextmanager
    def visitor(self, viewport: dict[str, int] = PHONE, **options: Any) -> Iterator[Visitor]:
        """Yield somebody new; ``options`` go to Playwright's ``new_context``. Fails on what the pages complain of."""
        context = self.chromium.new_context(
            viewport=viewport,  # type: ignore[arg-type]
            **{"locale": "zh-CN", "base_url": self.address, **options},
        )
        try:
            visitor = Visitor(context)
            yield visitor
            assert visitor.complaints == []
        finally:
            context.close()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Yield a session on the platform's own database, to look and to prepare."""
        engine = engine_for(self.platform.settings, application="journey")
        try:
            with Session(engine) as session:
                yield session
        finally:
            engine.dispose()

    def owner(self, *, account: bool = True, filed_last: bool = False) -> DemoOwner:
        """Return an owner no journey has met, with one filed bike nobody has traded in, and an account by wish.

        The bike was filed early, so that it may be traded in; with ``filed_last`` it is the latest filing there is.
        """
        keyring = self.platform.settings.keyring
        order = FiledBike.filed_on.desc() if filed_last else FiledBike.filed_on
        taken = select(TradeIn.owner_id).union(select(Account.person_id).where(Account.person_id.is_not(None)))
        once = select(FiledBike.owner_id).group_by(FiledBike.owner_id).having(func.count() == 1)
        query = (
            select(FiledBike)
            .where(FiledBike.state == "filed", FiledBike.transferred_on.is_(None))
            .where(FiledBike.owner_id.in_(once), FiledBike.owner_id.not_in(taken), FiledBike.id.not_in(self.met))
            .where(FiledBike.filed_on > self.platform.settings.clock.now().date() - TOO_OLD)
            .order_by(order, FiledBike.id)
            .limit(1)
        )
        with self.session() as session:
            bike = session.scalars(query).one()
            self.met.add(bike.id)
            person = session.get_one(Person, bike.owner_id)
            phone = open_phone(person=person, keyring=keyring)
            found = DemoOwner(
                login=f"owner-{secrets.token_hex(4)}",
                name=open_name(person=person, keyring=keyring),
                id_no=open_id_number(person=person, keyring=keyring),
                phone=phone or "13900000000",
                plate_no=bike.plate_no,
                frame_no=bike.frame_no,
            )
            if account:
                session.add(
                    Account(
                        login=found.login,
                        display_name=mask_name(found.name),
                        role="owner",
                        person_id=person.id,
                        password_hash=hash_password(PASSWORD),
                    )
                )
                session.commit()
        return found

    def texts_to(self, phone: str) -> list[str]:
        """Return the texts the SMS sandbox has been given for a phone, oldest first."""
        asked = f"http://127.0.0.1:{self.platform.settings.port + PORTS['sms']}/messages?phone={phone}"
        with urlopen(asked, timeout=10) as answer:
            return [message["text"] for message in json.load(answer)["messages"]]

    def verify(self) -> str:
        """Let ``mapai verify`` go through the books; return what it printed, fail where it found a difference."""
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", "verify"],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def launched() -> Iterator[Browser]:
    """Yield Debian's Chromium, headless. Raises RuntimeError where it is missing."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise RuntimeError("Chromium is missing: install the Debian packages chromium and fonts-noto-cjk.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def standing(chromium: Browser) -> Iterator[Ground]:
    """Yield the platform with a small demo district, every process running, on ports and data of its own."""
    with throwaway_folder() as folder:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("MAPAI_", "DATABASE_URL"))}
        environ = {**own, "MAPAI_DATA": str(folder), "MAPAI_PORT": str(free_ports()), "MAPAI_WEB_WORKERS": "1"}
        with Platform(settings=Settings.from_env(environ), environ=environ) as platform:
            platform.check_ports()
            platform.start_database()
            platform.start_partners()
            seed(platform.settings, lambda what, done, total: None, filings=FILINGS)
            platform.start_web()
            platform.start_scheduler()
            yield Ground(chromium=chromium, platform=platform, environ=environ)
