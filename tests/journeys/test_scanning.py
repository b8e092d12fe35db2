"""Scanning where it is used: the live camera, a photo, and words where a photo holds no code."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import qrcode
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, expect

from app.clients.wechat.server import SCRIPT
from tests.journeys.ground import ARGUMENTS, PHONE, STEP_MS, Ground, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FRAMES = 5
SEEN = (640, 480)


def code(text: str, *, on: tuple[int, int], tilt: float = 0) -> Image.Image:
    """A picture with a QR of this text somewhere in it, as a hand holds it."""
    drawn = qrcode.QRCode(border=4)
    drawn.add_data(text)
    side = min(on) // 2
    small = drawn.make_image().get_image().convert("L").resize((side, side), Image.Resampling.NEAREST)
    whole = Image.new("L", on, 210)
    whole.paste(small.rotate(tilt, fillcolor=210, expand=True), (on[0] // 4, on[1] // 5))
    return whole


def plate_of_letters(number: str = "A100001") -> Image.Image:
    """A photo of a plate that carries its number and no code: every number looks its own way."""
    whole = Image.new("L", (1200, 900), 230)
    drawing = ImageDraw.Draw(whole)
    for place, sign in enumerate(number):
        drawing.rectangle((150 + place * 130, 300, 200 + place * 130, 520 + ord(sign) * 2), fill=20)
    return whole


def as_file(picture: Image.Image, name: str = "photo.jpg") -> dict[str, object]:
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return {"name": name, "mimeType": "image/jpeg", "buffer": stream.getvalue()}


def as_video(picture: Image.Image, path: Path) -> Path:
    """The picture as a camera that stands still: a YUV4MPEG file."""
    wide, high = picture.size
    frame = b"FRAME\n" + picture.tobytes() + bytes([128]) * (wide * high // 2)
    path.write_bytes(f"YUV4MPEG2 W{wide} H{high} F10:1 Ip A1:1 C420jpeg\n".encode() + frame * FRAMES)
    return path


@pytest.fixture
def camera(ground: Ground, tmp_path: Path) -> Iterator[tuple[Browser, str]]:
    """A browser whose camera looks at an old plate's QR, and the plate's number."""
    plate_no = ground.owner(account=False).plate_no
    video = as_video(code(f"浙杭 {plate_no}", on=SEEN, tilt=8), tmp_path / "plate.y4m")
    looking = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={video}")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    browser = ground.chromium.browser_type.launch(executable_path=found, args=[*ARGUMENTS, *looking])
    yield browser, plate_no
    browser.close()


def test_the_camera_reads_a_plate_and_the_check_answers(ground: Ground, camera: tuple[Browser, str]) -> None:
    browser, plate_no = camera
    context = browser.new_context(viewport=PHONE, locale="zh-CN", base_url=ground.address)  # type: ignore[arg-type]
    visitor = Visitor(context)
    page = visitor.open("/check")
    page.get_by_role("button", name="扫码").click()
    page.wait_for_url(f"**/check?plate_no={plate_no}", timeout=STEP_MS)
    expect(visitor.main).to_contain_text(plate_no)
    assert visitor.complaints == []
    context.close()


def test_a_photo_of_a_code_is_read_on_the_phone(ground: Ground) -> None:
    plate_no = ground.owner(account=False).plate_no
    with ground.visitor() as visitor:
        page = visitor.open("/check")
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.method))
        large = code(f"https://plates.example/q?no={plate_no}", on=(3000, 2250), tilt=-12)
        page.locator("[data-scan-photo]").set_input_files(as_file(large))  # type: ignore[arg-type]
        page.wait_for_url(f"**/check?plate_no={plate_no}", timeout=STEP_MS)
        assert "POST" not in sent, "the photo stays on the phone"


def test_inside_wechat_its_own_scanner_is_used_once_it_is_set_up(ground: Ground) -> None:
    plate_no = ground.owner(account=False).plate_no
    signed = {"app_id": "wx1", "timestamp": 1, "nonce": "n", "signature": "s"}
    with ground.visitor(user_agent="Mozilla/5.0 (Linux; Android 13) MicroMessenger/8.0.49") as visitor:
        visitor.context.route("**/wechat/config?*", lambda route: route.fulfill(json=signed))
        visitor.context.route(
            "**/assets/wechat.js", lambda route: route.fulfill(body=SCRIPT, content_type="text/javascript")
        )
        page = visitor.open("/check")
        page.locator("[data-scan]").evaluate(
            """(box, scanned) => {
              box.dataset.wechat = "/wechat/config"; box.dataset.wechatScript = "/assets/wechat.js";
              window.scanned = scanned;
            }""",
            f"CODE_128,{plate_no}",
        )
        page.get_by_role("button", name="扫码").click()
        page.wait_for_url(f"**/check?plate_no={plate_no}", timeout=STEP_MS)


def test_a_photo_without_a_code_is_told_in_words_and_typing_stays(ground: Ground) -> None:
    with ground.visitor() as visitor:
        page = visitor.open("/check")
        page.locator("[data-scan-photo]").set_input_files(as_file(plate_of_letters()))  # type: ignore[arg-type]
        expect(page.locator("[data-scan-says]")).to_contain_text("没有找到二维码", timeout=STEP_MS)
        expect(page.get_by_label("旧车的号牌号码是多少？")).to_be_editable()
