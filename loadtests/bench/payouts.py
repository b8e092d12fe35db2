"""``payout``: payouts settled a second ÷ the rate the operator allows.

The platform's own scheduler against the bank's sandbox over HTTP: batches, fund check, attempt, transfer, ledger,
notice and seals. Every payout has to be paid once: the bank's own count is asked for, and `mapai verify` looks at the
books.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.request import urlopen

import psycopg
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from app.clients.ecny.client import BankClient
from app.clients.signing import HmacSm3
from app.clock import Clock
from app.config import Settings
from app.db import engine_for, psycopg_conninfo
from app.partners import partners_for
from app.processes import answers
from app.scheduler import Scheduler
from app.verify import run as run_verify
from loadtests.bench.comparison import Progress, Run, summary
from loadtests.bench.database import fresh_database, own_server
from loadtests.free_ports import free_port
from loadtests.ready import issued, make_ready, open_programme
from registry.trade_ins import TradeIn
from subsidy.completion import admit
from subsidy.wallets import Wallet, owe_confirmed

GOAL = 0.95
RUNS, PER_SECOND, SECONDS = 5, 50, 20
AT_ONCE = 100
PATIENCE = 6
SETTLED = text("SELECT count(*), min(at), max(at) FROM ledger_posting WHERE kind = 'settled'")


def run(
    *, progress: Progress, runs: int = RUNS, per_second: int = PER_SECOND, seconds: float = SECONDS
) -> dict[str, Any]:
    """Return the benchmark's JSON line; ``ours`` and ``reference`` are payouts a second."""
    with own_server() as template:
        measured = []
        for number in range(1, runs + 1):
            measured.append(measure(template, per_second=per_second, count=round(per_second * seconds)))
            progress(f"payout {number}/{runs}: {measured[-1].ours:.2f}/s of {per_second}/s allowed")
    return summary(name="payout", goal=GOAL, runs=measured)


def measure(template: Settings, *, per_second: int, count: int) -> Run:
    """Pay ``count`` payouts on a fresh database at no more than ``per_second``; errors are what is not paid once."""
    with ExitStack() as stack:
        settings = stack.enter_context(fresh_database(template))
        port = free_port()
        settings = replace(
            settings,
            ecny_url=f"http://127.0.0.1:{port}",
            ecny_per_second=per_second,
            payments_need_approval=False,
        )
        prepare(settings, count)
        stack.enter_context(_sandbox(settings, port))
        rate = _pay(settings, count, longest_s=PATIENCE * count / per_second + 30)
        with urlopen(f"{settings.ecny_url}/health", timeout=10) as health:
            transfers = json.load(health)["transfers"]
        errors = abs(transfers - count) + run_verify(settings)
    return Run(ours=rate, reference=float(per_second), errors=errors)


def prepare(settings: Settings, count: int) -> None:
    """Complete ``count`` trade-ins and confirm a wallet for each: their payouts are owed."""
    now, clock = datetime.now(UTC), Clock()
    open_programme(settings, places=count, now=now)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        ready = make_ready(connection=connection, keyring=settings.keyring, count=count, now=now)
        words = [issued(item, number=number, at=now) for number, item in enumerate(ready, start=1)]
        for first in range(0, count, AT_ONCE):
            block = words[first : first + AT_ONCE]
            admit(connection=connection, completions=block, clock=clock, district=settings.district)
    _confirm_wallets(settings, now)


def _confirm_wallets(settings: Settings, now: datetime) -> None:
    engine, keyring = engine_for(settings, application="bench"), settings.keyring
    with Session(engine) as session:
        wallets = [
            {
                "trade_in_id": trade_in_id,
                "person_id": owner_id,
                "wallet_sealed": keyring.seal(f"W{trade_in_id:08d}", field="wallet"),
                "wallet_index": keyring.index(f"W{trade_in_id:08d}", field="wallet"),
                "tail": f"{trade_in_id:04d}"[-4:],
                "confirmed_at": now,
            }
            for trade_in_id, owner_id in session.execute(select(TradeIn.id, TradeIn.owner_id))
        ]
        session.execute(insert(Wallet), wallets)
        owe_confirmed(session=session)
        session.commit()
    engine.dispose()


@contextmanager
def _sandbox(settings: Settings, port: int) -> Iterator[None]:
    """Serve the bank's sandbox for as long as the block runs; it remembers nothing of the run before."""
    (settings.data_dir / "ecny.journal").unlink(missing_ok=True)
    environ = {**os.environ, "MAPAI_DATA": str(settings.data_dir)}
    command = [sys.executable, "-m", "app.cli", "ecny-sandbox", "--port", str(port)]
    server = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            if answers(f"{settings.ecny_url}/health", seconds=1):
                break
            time.sleep(0.1)
        else:
            raise RuntimeError(f"the sandbox did not answer on port {port}")
        yield
    finally:
        server.terminate()
        server.wait(timeout=30)


def _pay(settings: Settings, count: int, *, longest_s: float) -> float:
    """Run the scheduler until all are settled or time is up; return payouts a second, first to last."""
    bank = BankClient(base_url=settings.ecny_url, signer=HmacSm3(settings.ecny_key))
    partners = replace(partners_for(settings), operator=bank)
    scheduler = Scheduler(settings=settings, partners=partners, name="bench")
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    engine = engine_for(settings, application="bench")
    try:
        deadline = time.monotonic() + longest_s
        while time.monotonic() < deadline:
            with engine.connect() as connection:
                settled, first, last = connection.execute(SETTLED).one()
            if settled >= count:
                break
            time.sleep(0.5)
        return float((settled - 1) / (last - first).total_seconds()) if settled > 1 else 0.0
    finally:
        scheduler.stop()
        thread.join(60)
        bank.close()
        engine.dispose()
