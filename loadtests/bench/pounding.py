"""A load client: so many connections kept open, each sending its next request when the last was answered."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

TIMEOUT_S = 120.0
T = TypeVar("T")

# Judges an answer by its status line and body.
Check = Callable[[bytes, bytes], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pounded:
    """What a run of requests came to. Latencies in seconds; ``failures`` are answers the check refused."""

    rate: float
    p99: float
    failures: int
    first_failure: str | None


def http_request(*, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return a POST of JSON as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def http_get(*, path: str, headers: dict[str, str]) -> bytes:
    """Return a GET as it goes over the wire."""
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def pound(*, port: int, requests: Sequence[bytes], connections: int, is_right: Check) -> Pounded:
    """Send every request once over ``connections`` connections to 127.0.0.1 and wait for each answer.

    Bounded by TIMEOUT_S.
    """
    gc.collect()
    return _apart(_pound(port, requests, connections, is_right))


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """People with a page open: each asks ``request`` every ``every_s``, not all at the same moment."""

    count: int
    request: bytes
    every_s: float
    is_right: Check


def pound_among(
    *, port: int, requests: Sequence[bytes], connections: int, is_right: Check, readers: Readers
) -> tuple[Pounded, Pounded]:
    """Do what ``pound`` does while readers ask until it is done; return what came of both. Bounded by TIMEOUT_S."""
    gc.collect()
    return _apart(_pound_among(port, requests, connections, is_right, readers))


def _apart(pounding: Coroutine[Any, Any, T]) -> T:
    """Run it in a thread of its own: whoever calls may have an event loop running."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(lambda: asyncio.run(asyncio.wait_for(pounding, TIMEOUT_S))).result()


async def _pound_among(
    port: int, requests: Sequence[bytes], connections: int, is_right: Check, readers: Readers
) -> tuple[Pounded, Pounded]:
    over = asyncio.Event()
    latencies: list[float] = []
    failures: list[str] = []
    begun = asyncio.Semaphore(0)

    async def read(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        begun.release()
        due = time.perf_counter() + readers.every_s * number / readers.count
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), max(0, due - time.perf_counter()))
                break
            due += readers.every_s
            sent = time.perf_counter()
            writer.write(readers.request)
            status, body = await _read_answer(reader)
            latencies.append(time.perf_counter() - sent)
            if not readers.is_right(status, body):
                failures.append(f"{status!r} {body[:200]!r}")
        writer.close()

    reading = asyncio.gather(*(read(number) for number in range(readers.count)))
    for _ in range(readers.count):
        await begun.acquire()
    started = time.perf_counter()
    pounded = await _pound(port, requests, connections, is_right)
    over.set()
    await reading
    return pounded, _summed_up(latencies, failures, time.perf_counter() - started)


async def _pound(port: int, requests: Sequence[bytes], connections: int, is_right: Check) -> Pounded:
    pending = iter(requests)
    latencies: list[float] = []
    failures: list[str] = []
    opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(connections)))

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for request in pending:
            sent = time.perf_counter()
            writer.write(request)
            status, body = await _read_answer(reader)
            latencies.append(time.perf_counter() - sent)
            if not is_right(status, body):
                failures.append(f"{status!r} {body[:200]!r}")
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(run(reader, writer) for reader, writer in opened))
    return _summed_up(latencies, failures, time.perf_counter() - started)


def _summed_up(latencies: list[float], failures: list[str], elapsed_s: float) -> Pounded:
    latencies.sort()
    return Pounded(
        rate=len(latencies) / elapsed_s,
        p99=latencies[int(len(latencies) * 0.99)],
        failures=len(failures),
        first_failure=failures[0] if failures else None,
    )


async def _read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    if b" 304 " in lower[:20]:
        return head[: head.index(b"\r\n")], b""
    at = lower.index(b"content-length:") + 15
    length = int(lower[at : lower.index(b"\r\n", at)])
    return head[: head.index(b"\r\n")], await reader.readexactly(length)
