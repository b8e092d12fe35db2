"""A load client: so many connections kept open, each sending its next request when the last was answered."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pounded:
    """What a run of requests came to. Latencies in seconds; ``failures`` are answers the check refused."""

    rate: float
    p50: float
    p99: float
    failures: int
    first_failure: str | None


def http_request(*, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return a POST of JSON as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def pound(
    *, port: int, requests: Sequence[bytes], connections: int, is_right: Callable[[bytes, bytes], bool]
) -> Pounded:
    """Send every request once over ``connections`` connections to 127.0.0.1 and wait for each answer.

    ``is_right`` judges an answer by its status line and body. Bounded by TIMEOUT_S.
    """
    gc.collect()
    return asyncio.run(asyncio.wait_for(_pound(port, requests, connections, is_right), TIMEOUT_S))


async def _pound(
    port: int, requests: Sequence[bytes], connections: int, is_right: Callable[[bytes, bytes], bool]
) -> Pounded:
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
    elapsed = time.perf_counter() - started
    latencies.sort()
    return Pounded(
        rate=len(requests) / elapsed,
        p50=latencies[len(latencies) // 2],
        p99=latencies[int(len(latencies) * 0.99)],
        failures=len(failures),
        first_failure=failures[0] if failures else None,
    )


async def _read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    at = lower.index(b"content-length:") + 15
    length = int(lower[at : lower.index(b"\r\n", at)])
    return head[: head.index(b"\r\n")], await reader.readexactly(length)
