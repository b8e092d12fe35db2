"""The public pages in a real browser: large enough for old eyes and thumbs, alive without a flicker, read aloud."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.journeys.ground import PHONE, STEP_MS, Ground

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = ("/", "/check", "/check?plate_no=E382617", "/points", "/points?all=yes", "/sign-in", "/sign-in/phone")
LOOKS = (
    ({"mode": "standard", "lang": "zh"}, 44, 12, 1.0),
    ({"mode": "elder", "text": "1", "lang": "zh"}, 60, 18, 1.3),
    ({"mode": "elder", "text": "3", "lang": "en"}, 60, 18, 1.3),
)
# What may be touched must be as large as the look promises, what is read as large, its lines as far apart.
MEASURE = """([least, type, lines]) => {
  const faults = [];
  const touched = "a, button, select, textarea, summary, input:not([type=hidden]):not([type=checkbox]), label.tick";
  const shown = (node) => {
    const box = node.getBoundingClientRect(), style = getComputedStyle(node);
    return box.width > 0 && box.bottom > 0 && style.visibility !== "hidden" && style.opacity !== "0";
  };
  const say = (node) => `${node.tagName}.${node.className} «${(node.innerText || node.name || "").slice(0, 24)}»`;
  document.querySelectorAll(touched).forEach((node) => {
    const box = node.getBoundingClientRect();
    if (shown(node) && Math.min(box.width, box.height) < least - 0.5)
      faults.push(`${say(node)} is ${Math.round(box.width)} × ${Math.round(box.height)}`);
  });
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const node = words.currentNode.parentElement;
    if (!words.currentNode.data.trim() || !shown(node)) continue;
    const style = getComputedStyle(node), size = parseFloat(style.fontSize);
    if (size < type) faults.push(`${say(node)} has type of ${size}`);
    if (parseFloat(style.lineHeight) / size < lines - 0.01) faults.push(`${say(node)} has lines ${style.lineHeight}`);
  }
  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) faults.push(`the page is ${width} wide`);
  return [...new Set(faults)];
}"""
# Chromium without a screen has no voice: what it would have been given is kept instead.
LISTEN = """window.heard = [];
Object.defineProperty(window, "speechSynthesis", { value: {
  speaking: false, pending: false, cancel() {}, speak(said) { window.heard.push([said.lang, said.text]); }
} });"""


@pytest.mark.parametrize(("look", "least", "type_", "lines"), LOOKS, ids=["standard", "elder", "elder, largest"])
def test_what_is_read_and_touched_is_large_enough(
    ground: Ground, look: dict[str, str], least: int, type_: int, lines: float
) -> None:
    with ground.visitor(PHONE) as visitor:
        visitor.choose(**look)
        for path in PAGES:
            page = visitor.open(path)
            assert page.evaluate(MEASURE, [least, type_, lines]) == [], path


def test_the_figures_renew_themselves_and_leave_the_reader_alone(ground: Ground) -> None:
    with ground.visitor(PHONE) as visitor:
        page = visitor.open("/")
        plate, told = page.locator("#plate_no"), page.locator(".stage time")
        plate.fill("E38")
        before = told.get_attribute("datetime")
        page.evaluate("document.querySelector('.stage').dataset.old = 'yes'")
        scrolled = page.evaluate("scrollY")
        expect(page.locator(".stage:not([data-old])")).to_have_count(1, timeout=STEP_MS)
        assert told.get_attribute("datetime") != before
        expect(plate).to_be_focused()
        expect(plate).to_have_value("E38")
        assert page.evaluate("scrollY") == scrolled
        expect(page.locator("[data-auto]")).to_be_visible()


@pytest.mark.parametrize(("lang", "spoken", "words"), [("zh", "zh-CN", "名额还剩"), ("en", "en-GB", "Places left")])
def test_the_main_state_is_read_aloud_in_the_pages_language(ground: Ground, lang: str, spoken: str, words: str) -> None:
    with ground.visitor(PHONE) as visitor:
        visitor.context.add_init_script(LISTEN)
        visitor.choose(mode="elder", lang=lang)
        page = visitor.page
        button = page.locator("[data-aloud-button] button")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        (language, text), *more = page.evaluate("window.heard")
        assert (language, more) == (spoken, [])
        assert words in text


def test_without_a_voice_there_is_no_button(ground: Ground) -> None:
    with ground.visitor(PHONE) as visitor:
        visitor.context.add_init_script('Object.defineProperty(window, "speechSynthesis", { value: undefined });')
        visitor.choose(mode="elder")
        expect(visitor.page.locator("[data-aloud-button]")).to_be_hidden()
