"""What every page must keep to: checked on each page the tests fetch."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import html5lib
from werkzeug.test import TestResponse

VOID = {"meta", "link", "input", "img", "br", "hr", "rect", "path", "line", "circle", "use"}
TEMPLATE = re.compile(r"<template\b[^>]*>(.*?)</template>", re.S)
LABELLED = ("input", "select", "textarea")


class Markup(HTMLParser):
    """Reads a page once and keeps what the rules ask about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: Counter[str] = Counter()
        self.title = ""
        self.lang: str | None = None
        self.links: list[str] = []
        self.actions: list[tuple[str, str]] = []
        self.faults: list[str] = []
        self.references: list[tuple[str, str]] = []
        self.labels: set[str] = set()
        self.fields: list[dict[str, str | None]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        if self._open:
            self.faults.append(f"never closed: {self._open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if len(found) != len(attrs):
            self.faults.append(f"an attribute stands twice on <{tag}>")
        self.tags[tag] += 1
        if "id" in found:
            self.ids.append(found["id"] or "")
        self._look(tag, found)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self._open[-1:] or 'nothing'} at {self.getpos()}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "title":
            self.title += data
        if self._open and self._open[-1] in ("script", "style") and data.strip():
            self.faults.append(f"inline {self._open[-1]}")
        if "Undefined" in data or "None" in data.split():
            self.faults.append(f"a value is missing: {data.strip()[:60]}")

    def _look(self, tag: str, found: dict[str, str | None]) -> None:
        if tag == "html":
            self.lang = found.get("lang")
        if "style" in found or any(name.startswith("on") for name in found):
            self.faults.append(f"inline style or handler on <{tag}>")
        if tag == "a":
            self.links.append(found.get("href") or "")
        if tag == "form":
            self.actions.append(((found.get("method") or "get").upper(), found.get("action") or ""))
        if tag == "label" and found.get("for"):
            self.labels.add(found["for"] or "")
        if tag in LABELLED and found.get("type") != "hidden":
            self.fields.append({**found, "in_label": "yes" if "label" in self._open else None})
        for name in ("aria-labelledby", "aria-describedby", "for"):
            self.references += [(name, each) for each in (found.get(name) or "").split()]
        if tag == "img" and not found.get("alt"):
            self.faults.append("a picture without words")


def check_strictly(page: TestResponse) -> None:
    """Assert that the page is valid HTML, without a slip that a browser would quietly mend."""
    whole, *contents = [TEMPLATE.sub("", page.text), *TEMPLATE.findall(page.text)]
    parser = html5lib.HTMLParser()
    parser.parse(whole)
    slips = [(whole.splitlines()[line - 1].strip()[:200], code) for (line, _), code, _ in parser.errors]
    assert slips == [], (page.request.path, slips)
    for content in contents:  # the parser is older than <template>, which may stand in the head
        html5lib.HTMLParser(strict=True).parseFragment(content)


def check_page(page: TestResponse, *, english: bool = False) -> Markup:
    """Assert that the page keeps to the rules, and return what was read."""
    where = f"{page.request.path} ({page.status_code})"
    text = page.text
    markup = Markup(text)
    assert text.startswith("<!DOCTYPE html>"), where
    assert markup.faults == [], where
    assert markup.lang == ("en" if english else "zh-CN"), where
    assert markup.title.strip().endswith(" · Mapai" if english else "：码牌"), where
    assert len(markup.title.strip()) > len(" · Mapai" if english else "：码牌"), where
    assert markup.tags["h1"] == 1, (where, markup.tags["h1"])
    assert markup.tags["main"] == 1, where
    twice = [name for name, times in Counter(markup.ids).items() if times > 1]
    assert twice == [], (where, twice)
    for name, target in markup.references:
        assert target in markup.ids, (where, name, target)
    for link in markup.links:
        assert not link.startswith("#") or link[1:] in markup.ids, (where, link)
    for found in markup.fields:
        assert found["in_label"] or found.get("id") in markup.labels or found.get("aria-label"), (where, found)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy, where
    assert "unsafe" not in policy, where
    assert "frame-ancestors 'none'" in policy, where
    assert page.headers["X-Content-Type-Options"] == "nosniff", where
    assert text.count('class="btn"') <= 1, f"more than one main button on {where}"
    assert text.count('class="stage"') <= 1, f"more than one plate card on {where}"
    return markup
