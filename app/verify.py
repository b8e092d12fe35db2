"""``mapai verify``: replays everything and names every difference."""

from __future__ import annotations

import click
import psycopg

from app.config import Settings
from app.db import psycopg_conninfo
from subsidy.ledger_verification import verify

SHOWN = 200


def run(settings: Settings) -> int:
    """Print every difference of the district, at most 200 of them; return 1 where there is one, 0 where none."""
    found = 0
    with psycopg.connect(psycopg_conninfo(settings, application="mapai-verify")) as connection:
        for difference in verify(connection=connection):
            found += 1
            if found <= SHOWN:
                click.echo(f"✗ {difference}")
        events, claims = counts(connection)
    if found:
        click.echo(f"发现 {found:,} 处不符 · {found:,} differences")
        return 1
    click.echo(f"核对无误：{events:,} 个事件、{claims:,} 笔申领，逐笔重算，分文不差 · verified, no difference")
    return 0


def counts(connection: psycopg.Connection) -> tuple[int, int]:
    """Return how many events and claims there are."""
    row = connection.execute("SELECT (SELECT count(*) FROM queue_event), (SELECT count(*) FROM claim)").fetchone()
    assert row is not None
    return row[0], row[1]
