"""Reads just enough of the PDFs Typst writes: boxes, fonts, and the text as a reader would copy it."""

from __future__ import annotations

import re
import zlib

MM = 72 / 25.4
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def boxes(pdf: bytes, kind: str) -> list[tuple[float, float, float, float]]:
    """The boxes of this kind (MediaBox, TrimBox), a page each, in mm: left, bottom, width, height."""
    found = re.findall(rf"/{kind}\[([^\]]+)\]".encode(), pdf)
    sides = [[float(side) / MM for side in box.split()] for box in found]
    return [(round(a, 1), round(b, 1), round(c - a, 1), round(d - b, 1)) for a, b, c, d in sides]


def fonts(pdf: bytes) -> set[str]:
    """The names of its fonts; asserts that every one of them is embedded."""
    descriptors = re.findall(rb"/Type/FontDescriptor(.*?)>>", pdf)
    assert descriptors
    assert all(re.search(rb"/FontFile\d? \d+ 0 R", descriptor) for descriptor in descriptors)
    return {re.search(rb"/FontName/([^/]+)", descriptor)[1].decode() for descriptor in descriptors}


def text(pdf: bytes) -> str:
    """The text of all pages, in the order in which it is drawn."""
    objects = {int(number): body for number, body in re.findall(rb"(\d+) 0 obj\n(.*?)\nendobj", pdf, re.S)}
    written = []
    for page in objects.values():
        if b"/Type/Page/" not in page:
            continue
        resources = objects[_number(page, rb"/Resources (\d+)")]
        named = dict(re.findall(rb"/(f\d+) (\d+) 0 R", resources[resources.index(b"/Font<<") :]))
        maps = {name: _letters(objects, objects[int(number)]) for name, number in named.items()}
        written.append(_drawn(_stream(objects[_number(page, rb"/Contents (\d+)")]), maps))
    return "\n".join(written)


def _drawn(content: bytes, maps: dict[bytes, dict[bytes, str]]) -> str:
    words: list[str] = []
    letters: dict[bytes, str] = {}
    at = 0
    while found := re.compile(rb"/(f\d+) [\d.]+ Tf|<([0-9A-F]+)>|\(").search(content, at):
        if found[1]:
            letters, at = maps[found[1]], found.end()
            continue
        plain, at = (bytes.fromhex(found[2].decode()), found.end()) if found[2] else _string(content, found.end())
        words.append("".join(letters[plain[each : each + 2]] for each in range(0, len(plain), 2)))
    return "".join(words)


def _string(content: bytes, at: int) -> tuple[bytes, int]:
    """The string whose opening bracket stands before ``at``, and where it ends. Brackets in pairs need no escape."""
    plain, depth = bytearray(), 1
    while True:
        sign = content[at : at + 1]
        if sign == b"\\":
            octal = re.compile(rb"[0-7]{3}").match(content, at + 1)
            plain += (
                bytes([int(octal[0], 8)]) if octal else _ESCAPES.get(content[at + 1 : at + 2], content[at + 1 : at + 2])
            )
            at += 4 if octal else 2
            continue
        depth += {b"(": 1, b")": -1}.get(sign, 0)
        at += 1
        if not depth:
            return bytes(plain), at
        plain += sign


def _letters(objects: dict[int, bytes], font: bytes) -> dict[bytes, str]:
    table = _stream(objects[_number(font, rb"/ToUnicode (\d+)")])
    pairs = re.findall(rb"^<([0-9A-F]{4})> <([0-9A-F]+)>$", table, re.M)
    return {bytes.fromhex(code.decode()): bytes.fromhex(sign.decode()).decode("utf-16-be") for code, sign in pairs}


def _number(body: bytes, pattern: bytes) -> int:
    found = re.search(pattern, body)
    assert found is not None, pattern
    return int(found[1])


def _stream(body: bytes) -> bytes:
    head, _, data = body.partition(b"stream\n")
    data = data.rpartition(b"\nendstream")[0]
    return zlib.decompress(data) if b"/FlateDecode" in head else data
