"""The whole length in a real browser: from the point's first screen to the money in the owner's wallet.

Every process runs for real: embedded PostgreSQL, the partners' servers, web under granian, the scheduler.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright

from app.config import PORTS, Settings
from app.demo import DEALER_LOGIN, PASSWORD, READY_OWNER
from app.platform_run import Platform
from app.seed import seed
from registry.receiving import LARGEST_PHOTO_BYTES

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FILINGS = 1_000
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}
STEP_MS = 20_000
SETTLED_MS = 60_000
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
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
    """A port that is free together with those after it that the platform uses."""
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


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; without it this test fails, because nothing else walks the whole length."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.fail("Chromium is missing: install the Debian packages chromium and fonts-noto-cjk.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def environ(data_dir: Path) -> dict[str, str]:
    """What every process of this journey is told."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAPAI_", "DATABASE_URL"))}
    return {**own, "MAPAI_DATA": str(data_dir), "MAPAI_PORT": str(free_ports()), "MAPAI_WEB_WORKERS": "1"}


@pytest.fixture
def platform(environ: dict[str, str]) -> Iterator[Platform]:
    """The platform with a small demo district, every process running."""
    with Platform(settings=Settings.from_env(environ), environ=environ) as running:
        running.check_ports()
        running.start_database()
        running.start_partners()
        seed(running.settings, lambda what, done, total: None, filings=FILINGS)
        running.start_web()
        running.start_scheduler()
        yield running


class Visitor:
    """Somebody with a browser of their own. Whatever the page complains about is kept."""

    def __init__(self, browser: Browser, address: str, viewport: dict[str, int]) -> None:
        context = browser.new_context(viewport=viewport, locale="zh-CN", base_url=address)  # type: ignore[arg-type]
        context.set_default_timeout(STEP_MS)
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", self._fail)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _fail(self, error: Error) -> None:
        self.complaints.append(str(error))

    def sign_in(self, login: str) -> None:
        self.page.goto("/sign-in")
        self.page.get_by_label("账号", exact=True).fill(login)
        self.page.get_by_label("密码", exact=True).fill(PASSWORD)
        self.page.get_by_role("button", name="登录", exact=True).click()

    def press(self, button: str, then: str) -> None:
        """Press a button and wait until the page that follows says so."""
        self.page.get_by_role("button", name=button).click()
        expect(self.page.locator("main")).to_contain_text(then, timeout=STEP_MS)

    def picture(self, name: str, width: int, height: int) -> tuple[dict[str, object], int]:
        """A picture as a phone's camera would hand it over, and its weight in bytes."""
        image = base64.b64decode(self.page.evaluate(DRAW, [width, height]))
        return {"name": name, "mimeType": "image/jpeg", "buffer": image}, len(image)


def wait_until_small(page: Page, selector: str) -> None:
    """Wait until the page has made the chosen picture small enough to be sent."""
    for _ in range(STEP_MS // 100):
        if page.locator(selector).evaluate("input => input.files[0].size") < LARGEST_PHOTO_BYTES:
            return
        page.wait_for_timeout(100)
    raise AssertionError("the picture was not made smaller")


def at_the_point(visitor: Visitor) -> int:
    """Take the ready owner's bike through every step at the counter; return the position it got."""
    page, owner = visitor.page, READY_OWNER
    visitor.sign_in(DEALER_LOGIN)
    expect(page.get_by_role("heading", name="谁在等谁")).to_be_visible()
    page.get_by_role("link", name="登记一辆旧车").click()
    page.get_by_label("旧车的号牌号码").fill(owner.plate_no.lower())
    page.get_by_label("车主姓名").fill(owner.name)
    page.get_by_label("车主身份证号码").fill(owner.id_no)
    page.get_by_label("车主手机号码").fill(owner.phone)
    visitor.press("登记，和交警核对", "核对通过，可以收旧车了")
    heavy, weight = visitor.picture("frame.jpg", 2_400, 1_800)
    assert weight > LARGEST_PHOTO_BYTES, "this picture would pass without being made smaller"
    page.locator("#f-frame_no").set_input_files(heavy)  # type: ignore[arg-type]
    wait_until_small(page, "#f-frame_no")
    for kind in ("plate", "whole"):
        page.locator(f"#f-{kind}").set_input_files(visitor.picture(f"{kind}.jpg", 320, 240)[0])  # type: ignore[arg-type]
    visitor.press("存照片", "存好了 3 张")
    page.get_by_label("车架号", exact=True).fill(owner.frame_no)
    page.get_by_label("报废电动自行车回收证明编号").fill("HS-2026-061173")
    page.get_by_label("车架、电机、电池都在").check()
    visitor.press("收下旧车", "旧车收下了")
    visitor.press("向交警申请注销旧号牌", "旧号牌已注销")
    page.get_by_label("卖哪一辆").select_option(index=1)
    page.get_by_label("发票号码").fill("24332000000061173")
    for label, typed in (("标价", "3,299"), ("车企让利", "200"), ("旧车回收抵扣", "100"), ("车主实付", "2,999.00")):
        page.get_by_label(label).fill(typed)
    visitor.press("卖出，记下发票", "新车卖出了")
    visitor.press("向交警申请新号牌", "补贴 300 元")
    return int(re.search(r"序号 ([\d,]+)", page.locator("main").inner_text())[1].replace(",", ""))  # type: ignore[index]


def at_home(visitor: Visitor, position: int) -> None:
    """The owner confirms a wallet and watches, without touching the page, until the money has arrived."""
    page = visitor.page
    visitor.sign_in(READY_OWNER.login)
    expect(page.get_by_role("heading", name="我的换新")).to_be_visible()
    expect(page.locator(".stage")).to_contain_text(f"{position:,}号")
    page.get_by_label("数字人民币钱包编号").fill("0062000000000003306")
    visitor.press("核对并用这个钱包", "尾号 3306")
    expect(page.locator(".stage")).to_contain_text("补贴已到账", timeout=SETTLED_MS)
    expect(page.get_by_role("heading", name="已到账", exact=True)).to_be_visible()
    expect(page.locator("main")).to_contain_text("300.00 元")


def at_the_bureau(visitor: Visitor, position: int) -> None:
    """The clerk sees it on the board, and the board adds up."""
    page = visitor.page
    visitor.sign_in("operator")
    expect(page.locator("main")).to_contain_text("四项之和等于总额")
    page.get_by_role("link", name=f"{position:,}", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("已到账")
    expect(page.locator("main")).to_contain_text("9 条通过，0 条不通过")
    expect(page.locator("main")).to_contain_text("第一阶段已发放")


def test_an_old_bike_becomes_money_in_its_owners_wallet(chromium, platform, environ):
    address = f"http://127.0.0.1:{platform.settings.port}"
    point, owner, clerk = (Visitor(chromium, address, size) for size in (PHONE, PHONE, DESK))
    position = at_the_point(point)
    at_home(owner, position)
    at_the_bureau(clerk, position)
    assert [visitor.complaints for visitor in (point, owner, clerk)] == [[], [], []]
    verified = subprocess.run(
        [sys.executable, "-m", "app.cli", "verify"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
