"""`mapai keys rotate`: everything personal under the active data key, while everybody goes on working."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.orm import Session, sessionmaker

from app.config import FIELD_KEYS, Settings
from app.db import engine_for
from app.startup import CannotStart
from registry.base import table_of
from registry.dealer_inputs import DEALERS
from registry.import_jobs import ImportChunk
from registry.key_rotation import PEOPLE, Rotation, SealedTable, keys_in_use, rotate
from registry.owner_drafts import OWNER_DRAFTS
from registry.sealing import Unsealable
from registry.second_factor import SECOND_FACTORS
from registry.staff_requests import STAFF_REQUESTS
from subsidy.wallets import Wallet

WALLETS = SealedTable(
    table=table_of(Wallet),
    fields={"wallet_sealed": "wallet"},
)
# Pieces of a megabyte: a few at a time.
IMPORTS = SealedTable(
    table=table_of(ImportChunk),
    fields={"body_sealed": "import"},
    block=10,
)
TABLES = (PEOPLE, DEALERS, WALLETS, IMPORTS, OWNER_DRAFTS, SECOND_FACTORS, STAFF_REQUESTS)
ACTOR = "command:keys"


def run(settings: Settings) -> int:
    """Rotate, print what was done; return 0 where the older keys may be removed now, else 1.

    Raises CannotStart where a value does not open with the keys given.
    """
    engine = engine_for(settings, application="mapai-keys", pool_size=1)
    sessions = sessionmaker(engine)
    began = time.monotonic()
    try:
        with _bar() as progress:
            result = rotate(sessions=sessions, keyring=settings.keyring, tables=TABLES, actor=ACTOR, progress=progress)
        _show(settings, sessions, result, seconds=time.monotonic() - began)
    except Unsealable as closed:
        raise CannotStart(
            f"{closed}: add the key it was sealed with to {FIELD_KEYS}, behind the current one."
        ) from closed
    finally:
        engine.dispose()
    return 0 if result.complete else 1


def _show(settings: Settings, sessions: sessionmaker[Session], result: Rotation, *, seconds: float) -> None:
    rows = sum(result.rotated.values())
    click.echo(f"换密钥完成 {rows:,} 行，用时 {seconds:.1f} 秒，每秒 {rows / max(seconds, 0.001):,.0f} 行。")
    with sessions() as session:
        for sealed in TABLES:
            used = keys_in_use(session=session, sealed=sealed)
            words = "，".join(f"密钥 {number}：{many:,}" for number, many in used.items()) or "没有数据"
            click.echo(f"  {sealed.table.name}: {words}")
    if result.complete:
        others = [str(number) for number in settings.field_keys if number != settings.keyring.active]
        if others:
            click.echo(f"旧密钥 {'、'.join(others)} 已经没有数据在用，可以从 {FIELD_KEYS} 里删去。")
    else:
        left = sum(result.left.values())
        click.echo(f"还有 {left:,} 行在旧密钥下：请先用新的 {FIELD_KEYS} 重启所有进程，再运行一次。", err=True)


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("keys")
        yield lambda done, total: bar.update(task, completed=done, total=total)
