"""The process that runs APScheduler: switches stages, pays, asks, reconciles, sends and cleans up.

Any number of them may run; one leads. The schedules stand here in code and in memory only; what must not happen twice
is fenced in the database (app/job_fence.py), so a second leader, however it came to be, does no harm.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import sessionmaker

from app import job_fence
from app.bank_watch import BankWatch
from app.clock import EPOCH, real
from app.combiner import Combiner
from app.config import Settings
from app.db import engine_for, psycopg_conninfo
from app.jobs import Equipment, Job, jobs_for
from app.leadership import Leadership
from app.log_keys import LogTerms
from app.pace import Pace, PacedOperator
from app.partners import Partners, partners_for
from app.payment_jobs import PaymentTerms
from registry.audit import Sealer

_log = structlog.get_logger()

# How often the lead is sought, and how often the leader makes sure of it.
WATCH_SECONDS = 0.5
ALIVE_SECONDS = 10.0
POOL_SIZE = 12
SKEW_SECONDS = 2.0


class Scheduler:
    """One scheduler process: ``run`` until ``stop``. Use it from one thread."""

    def __init__(self, *, settings: Settings, partners: Partners, name: str | None = None) -> None:
        self.name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._settings = settings
        self._stop = threading.Event()
        self._watched_s = time.monotonic()
        self._engine = engine_for(settings, application="mapai-scheduler", pool_size=POOL_SIZE)
        self._leadership = Leadership(conninfo=psycopg_conninfo(settings, application="mapai-leader"))
        self._combiner = Combiner(
            conninfo=psycopg_conninfo(settings, application="mapai-scheduler"),
            clock=settings.clock,
            district=settings.district,
        )
        sessions = sessionmaker(self._engine, expire_on_commit=False)
        operator = PacedOperator(operator=partners.operator, pace=Pace(per_second=settings.ecny_per_second))
        self._equipment = Equipment(
            clock=settings.clock,
            engine=self._engine,
            sessions=sessions,
            partners=Partners(plates=partners.plates, operator=operator, sms=partners.sms),
            keyring=settings.keyring,
            combiner=self._combiner,
            sealer=Sealer(sessions=sessions),
            bank_watch=BankWatch(sessions=sessions),
            leads=lambda: self._leadership.leads and not self._stop.is_set(),
            terms=PaymentTerms.of(settings),
            closing_soon=timedelta(hours=settings.closing_soon_hours),
            log=LogTerms.of(settings),
            enrolment=settings.enrolment,
            owners_pages=f"{settings.public_url}/my",
        )

    def run(self) -> None:
        """Seek the lead, and while leading run the jobs; returns after ``stop``, with every job ended."""
        background = self._background()
        background.start(paused=True)
        led = False
        try:
            while not self._stop.is_set():
                leads = self._leadership.check()
                self._watched_s = time.monotonic()
                if leads and not led:
                    background.resume()
                    _log.info("scheduler.leads", name=self.name)
                    self._log_skew()
                elif led and not leads:
                    background.pause()
                    _log.warning("scheduler.lost_the_lead", name=self.name)
                led = leads
                self._stop.wait(WATCH_SECONDS)
        finally:
            # The jobs see at once that it is over; the lock is let go when the last of them has ended.
            self._stop.set()
            background.shutdown(wait=True)
            self._combiner.close()
            self._leadership.give_up()
            self._engine.dispose()
            _log.info("scheduler.stopped", name=self.name)

    def stop(self) -> None:
        """Have ``run`` return. Safe from a signal handler and from any thread."""
        self._stop.set()

    def health(self) -> dict[str, Any]:
        """Return whether this process is alive and whether it leads."""
        alive = time.monotonic() - self._watched_s < ALIVE_SECONDS
        return {"alive": alive, "leads": self._leadership.leads, "name": self.name}

    def _background(self) -> BackgroundScheduler:
        jobs = jobs_for(self._settings.clock)
        background = BackgroundScheduler(
            timezone="UTC",
            jobstores={"default": MemoryJobStore()},
            # A thread for each job, so that one which waits for a partner keeps no other waiting.
            executors={"default": ThreadPoolExecutor(len(jobs))},
            job_defaults={"coalesce": True, "max_instances": 1},
        )
        for job in jobs:
            seconds = job.every.total_seconds()
            background.add_job(
                self._run_slot,
                # Ticks fall in the middle of the slots, so that a few milliseconds more or less miss none.
                IntervalTrigger(seconds=seconds, start_date=EPOCH + job.every / 2, timezone="UTC"),
                args=(job,),
                id=job.name,
                # A tick that a busy machine was late for is run all the same: the fence knows the slot it falls into.
                misfire_grace_time=None,
            )
        return background

    def _run_slot(self, job: Job) -> None:
        """Run the job's present slot if this process leads and nobody ran it. A failure is logged; the next tries."""
        if not self._equipment.leads():
            return
        slot = None
        started_s = time.monotonic()
        try:
            slot = job_fence.enter(engine=self._engine, job=job.name, every=job.every, leader=self.name)
            if slot is None:
                return
            outcome = job.work(self._equipment)
            if outcome is not None:
                _log.info("job.done", job=job.name, did=outcome, seconds=round(time.monotonic() - started_s, 3))
        except Exception as error:  # one job's failure must not end the others
            outcome = f"failed: {error!r}"
            _log.exception("job.failed", job=job.name)
        if slot is not None:
            self._leave(job=job, slot=slot, outcome=outcome)

    def _leave(self, *, job: Job, slot: Any, outcome: str | None) -> None:
        try:
            job_fence.leave(engine=self._engine, job=job.name, slot=slot, outcome=outcome)
        except Exception:
            _log.exception("job.not_written_down", job=job.name)

    def _log_skew(self) -> None:
        """Say so where this host's clock is off the database's: the queue takes nothing from such a host."""
        before = real()
        try:
            with self._engine.connect() as connection:
                database = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        except SQLAlchemyError:  # away again the moment after it came back: no reason to end
            _log.warning("scheduler.host_clock_not_compared")
            return
        off = max((before - database).total_seconds(), (database - real()).total_seconds())
        if off > SKEW_SECONDS:
            _log.error("scheduler.host_clock_off", seconds=round(off, 3))


def run(settings: Settings, *, health_port: int | None = None) -> None:
    """Run a scheduler until SIGTERM or SIGINT. With ``health_port`` GET /health answers on this machine."""
    _configure_logging()
    scheduler = Scheduler(settings=settings, partners=partners_for(settings))
    for signal_no in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_no, lambda *_: scheduler.stop())
    if health_port is not None:
        _serve_health(scheduler, port=health_port)
    scheduler.run()


def _configure_logging() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    )
    # It warns whenever a run lasts longer than its period, which is as intended here.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


def _serve_health(scheduler: Scheduler, *, port: int) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            health = scheduler.health()
            body = json.dumps(health).encode()
            self.send_response((200 if health["alive"] else 503) if self.path == "/health" else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing: it is asked every second."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Answer)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
