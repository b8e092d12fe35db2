"""``mapai verify``: replays everything and names every difference."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import click
import psycopg

from app.config import Settings
from app.db import psycopg_conninfo
from app.log_keys import LogKeysMissing, log_keys, public_bytes
from subsidy.ledger_verification import verify
from subsidy.log_heads import Head
from subsidy.verification import Difference

SHOWN = 200


def run(settings: Settings) -> int:
    """Print every difference of the district, at most 200 of them; return 1 where there is one, 0 where none."""
    found = 0
    is_signed = signatures(settings)
    with psycopg.connect(psycopg_conninfo(settings, application="mapai-verify")) as connection:
        for difference in find_differences(connection, is_signed):
            found += 1
            if found <= SHOWN:
                click.echo(f"✗ {difference}")
        events, claims = counts(connection)
    if found:
        click.echo(f"发现 {found:,} 处不符 · {found:,} differences")
        return 1
    click.echo(f"核对无误：{events:,} 个事件、{claims:,} 笔申领，逐笔重算，分文不差 · verified, no difference")
    return 0


def find_differences(
    connection: psycopg.Connection, is_signed: Callable[[Head], bool] | None = None
) -> Iterator[Difference]:
    """Yield every difference of the district (subsidy.ledger_verification.verify), without the garbage collector.

    A replay makes millions of small objects and no circle; walking them again and again costs a third of its time.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield from verify(connection=connection, is_signed=is_signed)
    finally:
        if collecting:
            gc.enable()


def signatures(settings: Settings) -> Callable[[Head], bool] | None:
    """Return how to check a head of the published log; None, said aloud, where this host holds no key of it."""
    try:
        keys = public_bytes(log_keys(settings))
    except LogKeysMissing as missing:
        click.echo(f"{missing.message_zh}公开日志的签名没有核对。 {missing.message_en} No signature was checked.")
        return None
    return lambda head: head.is_signed(keys)


def counts(connection: psycopg.Connection) -> tuple[int, int]:
    """Return how many events and claims there are."""
    row = connection.execute("SELECT (SELECT count(*) FROM queue_event), (SELECT count(*) FROM claim)").fetchone()
    assert row is not None
    return row[0], row[1]
