"""``mapai prove`` and ``mapai log-consistency``: checking a receipt and the growth of the log, from outside.

Neither needs settings or a database. What a receipt says is checked offline with the published keys; the newest head
and the leaves since come from the platform named by --url, or from files saved before. Where neither is named, the
platform on this machine is asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx2

from app.startup import CannotStart
from registry.base import Refusal
from subsidy.log_heads import Head
from subsidy.merkle import proves_consistency
from subsidy.receipt_answers import KINDS_EN, KINDS_ZH
from subsidy.receipt_checks import Receipt, Step, check_receipt, check_since, later_leaves, read_receipt, say_outcome

TIMEOUT_S = 10.0
PAGE = 1000
DEFAULT_PORT = 8000
NEWEST = "newest"
SIGNS = {True: "✓", False: "✗", None: "…"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """The published log as its API gives it. Raises CannotStart where it does not answer."""

    url: str

    def get(self, path: str, **query: int) -> Any:
        """Return the JSON document at ``path``."""
        try:
            answer = httpx2.get(f"{self.url.rstrip('/')}{path}", params=query, timeout=TIMEOUT_S)
            answer.raise_for_status()
            return answer.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as failed:
            raise CannotStart(
                f"{self.url} does not answer for {path}: {failed}. "
                "Name the platform with --url, or work with files: --keys."
            ) from failed

    def keys(self) -> dict[int, bytes]:
        """Return the published keys."""
        return _keys(self.get("/api/log-keys"))

    def head(self, programme: str) -> Head:
        """Return the newest public head."""
        return _head(self.get(f"/api/log/{programme}/head"), self.url)

    def leaves(self, programme: str, start: int, end: int) -> list[dict[str, Any]]:
        """Return the leaves from ``start`` up to ``end``, page by page."""
        found: list[dict[str, Any]] = []
        while start + len(found) < end:
            at = start + len(found)
            page = self.get(f"/api/log/{programme}/entries", start=at, end=min(end, at + PAGE))["entries"]
            if not page:
                break
            found += page
        return found


def prove(receipt: Path, *, keys: Path | None, head: Path | None, log: Path | None, url: str | None) -> int:
    """Say what the receipt proves and what happened to its position since; return 1 where anything is wrong, else 0.

    ``head`` and ``log`` (pages of entries) stand for the platform where it is not asked. Raises CannotStart.
    """
    platform = _platform(url, saved=keys)
    document = _read(receipt)
    try:
        found = read_receipt(document)
    except Refusal as refusal:
        raise CannotStart(f"{receipt}: {refusal.message_en} {refusal.help_en}") from refusal
    known = _known_keys(keys, platform)
    steps = check_receipt(found, keys=known)
    newest = _head(_read(head), str(head)) if head else platform.head(found.programme) if platform else None
    since: Sequence[dict[str, Any]] = []
    if newest is not None:
        since = _since(found, newest, log, platform)
        steps.append(check_since(found, newest=newest, since=since, keys=known))
    return _say(found, steps, newest, since)


def log_consistency(first: Path, second: str, *, keys: Path | None, proof: Path | None, url: str | None) -> int:
    """Say whether the head in ``second`` (a file, or «newest») continues that in ``first``; return 1 if not, else 0."""
    platform = _platform(url, saved=keys)
    older = _head(_read(first), str(first))
    if second == NEWEST:
        if platform is None:
            raise CannotStart("«newest» is asked of the platform: name it with --url.")
        newer = platform.head(older.programme)
    else:
        newer = _head(_read(Path(second)), second)
    if newer.size < older.size:
        older, newer = newer, older
    known = _known_keys(keys, platform)
    told = _read(proof) if proof else None
    if told is None and platform is not None:
        sizes = {"first": older.size, "second": newer.size}
        told = platform.get(f"/api/log/{older.programme}/consistency", **sizes)
    if told is None:
        raise CannotStart("Name the platform with --url, or a saved answer of …/consistency with --proof.")
    signed = older.is_signed(known) and newer.is_signed(known) and older.programme == newer.programme
    grown = proves_consistency(
        first=older.size,
        first_root=older.root,
        second=newer.size,
        second_root=newer.root,
        proof=[bytes.fromhex(sha256) for sha256 in told["proof"]],
    )
    click.echo(f"{SIGNS[signed]} 两个树头都有签名 · both heads are signed")
    click.echo(
        f"{SIGNS[grown]} 前 {older.size} 条一字未改 · the first {older.size} of {newer.size} leaves are the same"
    )
    return 0 if signed and grown else 1


def _say(receipt: Receipt, steps: Sequence[Step], newest: Head | None, since: Sequence[dict[str, Any]]) -> int:
    for step in steps:
        click.echo(f"{SIGNS[step.ok]} {step.zh} · {step.en}")
    zh, en = say_outcome(receipt.decision.entry)
    click.echo(f"序号 {receipt.position}：{zh} · position {receipt.position}: {en}")
    for entry in later_leaves(receipt, since):
        kind = str(entry["kind"])
        said = say_outcome(entry) if "outcome" in entry else ("", "")
        click.echo(
            f"！后来：{KINDS_ZH.get(kind, kind)} {said[0]} · later: {KINDS_EN.get(kind, kind)} {said[1]}".rstrip()
        )
    if newest is None:
        click.echo("没有问最新的树头，后来有没有变化不知道 · the newest head was not asked for")
    wrong = any(step.ok is False for step in steps)
    click.echo("✗ 凭证有问题 · the receipt does not hold" if wrong else "✓ 凭证是真的 · the receipt holds")
    return 1 if wrong else 0


def _since(found: Receipt, newest: Head, log: Path | None, platform: Platform | None) -> list[dict[str, Any]]:
    start, end = found.head.size, newest.size
    if log is not None:
        files = sorted(log.glob("*.json")) if log.is_dir() else [log]
        pages = [page for page in map(_read, files) if "entries" in page]
        leaves = {page["start"] + n: leaf for page in pages for n, leaf in enumerate(page["entries"])}
        missing = [number for number in range(start, end) if number not in leaves]
        if missing:
            raise CannotStart(f"{log} lacks leaf {missing[0]}: save the entries from {start} to {end} there.")
        return [leaves[number] for number in range(start, end)]
    if platform is not None:
        return platform.leaves(found.programme, start, end)
    if end > start:
        raise CannotStart(f"The head is newer: name the leaves from {start} to {end} with --log, or --url.")
    return []


def _platform(url: str | None, *, saved: Path | None) -> Platform | None:
    """The platform to ask: the named one, else this machine's unless the keys were saved before."""
    if url is None and saved is not None:
        return None
    return Platform(url=url or f"http://127.0.0.1:{os.environ.get('MAPAI_PORT', DEFAULT_PORT)}")


def _known_keys(path: Path | None, platform: Platform | None) -> dict[int, bytes]:
    if path is not None:
        return _keys(_read(path))
    assert platform is not None, "asked where no keys were saved"
    return platform.keys()


def _keys(document: Any) -> dict[int, bytes]:
    try:
        return {int(key["key_id"]): bytes.fromhex(key["public_key"]) for key in document["keys"]}
    except (LookupError, TypeError, ValueError) as wrong:
        raise CannotStart("That is no list of keys as GET /api/log-keys gives it.") from wrong


def _head(document: Any, place: str) -> Head:
    try:
        return Head.from_json(document)
    except (LookupError, TypeError, ValueError) as wrong:
        raise CannotStart(f"{place} holds no tree head as GET /api/log/PROGRAMME/head gives it.") from wrong


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as wrong:
        raise CannotStart(f"{path} cannot be read as JSON: {wrong}.") from wrong
