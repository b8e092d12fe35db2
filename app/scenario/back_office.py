"""What the bureau's back office does all the time beside the programme: payment batches, and a wrong statement.

Owed payouts are cut into batches, finance approves each, above a threshold a reviewer does so too. One day's statement
lists a transfer nobody ordered: the difference is found, written up, taken up with the bank, and corrected by it.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import psycopg

from app.clock import Clock
from app.scenario.calls import ScenarioFailed, Server
from app.scenario.staff import FINANCE, OPERATOR, REVIEWER, Staff
from subsidy.reconciliation import business_day

# How often (real seconds) it glances at the attempts; of its glances, every which looks after batches, and cuts one.
GLANCE_S, LOOK_EVERY, CUT_EVERY = 0.2, 3, 18
# The day that is spoilt: so many days on, each of them three real seconds and more.
AHEAD = timedelta(days=2)
CORRECTED_WITHIN_S = 90.0
SENT = "SELECT count(*) FROM payout_attempt"
UNKNOWN = "SELECT bank_number FROM payout_attempt WHERE state = 'unknown'"
CLEAN = "SELECT (findings->>'clean')::boolean FROM bank_statement WHERE day = %s"


class BackOffice:
    """A thread of its own. ``seen`` counts batches approved, by how many people; ``unknown`` holds bank numbers seen.

    Use it as a context manager; ``check`` raises what went wrong in it.
    """

    def __init__(self, *, staff: Staff, bank: Server, clock: Clock, conninfo: str) -> None:
        self._staff = staff
        self._bank = bank
        self._clock = clock
        self._conninfo = conninfo
        self._over = threading.Event()
        self._failure: Exception | None = None
        self._steps = self._wrong_statement()
        self._thread = threading.Thread(target=self._work, name="back-office", daemon=True)
        self.seen: Counter[str] = Counter()
        self.unknown: set[str] = set()
        self.statement_over = False

    def __enter__(self) -> BackOffice:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Raise ScenarioFailed where the back office could not go on."""
        if self._failure is not None:
            raise ScenarioFailed(f"the back office: {self._failure}") from self._failure

    def _work(self) -> None:
        try:
            with psycopg.connect(self._conninfo, autocommit=True) as connection:
                self._connection = connection
                for turn in itertools.count(1):
                    if self._over.wait(GLANCE_S):
                        return
                    self.unknown.update(row[0] for row in connection.execute(UNKNOWN))
                    if turn % LOOK_EVERY == 0:
                        self._look_after(cut=turn % CUT_EVERY == 0)
        except Exception as failure:  # told by ``check`` in the thread that waits for it
            self._failure = failure

    def _look_after(self, *, cut: bool) -> None:
        if cut:
            self._cut()
        self._approve()
        if not self.statement_over:
            self.statement_over = next(self._steps)

    def _cut(self) -> None:
        reply = self._staff.ask(OPERATOR, "/payment-batches")
        if reply.status not in (201, 409):  # nothing is owed
            raise ScenarioFailed(f"a batch could not be cut: {reply.body[:300].decode()}")

    def _approve(self) -> None:
        for state, role in (("cut", FINANCE), ("half", REVIEWER)):
            for batch in self._staff.look(role, f"/payment-batches?state={state}")["batches"]:
                document = {"total_fen": batch["total_fen"]}
                approved = self._staff.do(role, f"/payment-batches/{batch['id']}/approval", document)
                if approved["state"] != "half":
                    self.seen["by_two" if approved["needs_second"] else "by_one"] += 1

    def _wrong_statement(self) -> Iterator[bool]:
        """Go through the whole story of one wrong statement, a step at a time; True once it is over."""
        while not self._one(SENT, ()):
            yield False
        day = business_day(self._clock.now()) + AHEAD
        self._have_bank_give_out(day, "extra_line")
        while (line := self._strange_line(day)) is None:
            yield False
        document = {"resolution": "wait_next_statement", "finding": "运营机构多列一笔，不是我方指令，已去函更正"}
        self._staff.do(OPERATOR, f"/statement-lines/{line}/resolution", document)
        self._have_bank_give_out(day, "none")
        deadline_s = time.monotonic() + CORRECTED_WITHIN_S
        while not self._one(CLEAN, (day,)):
            if time.monotonic() > deadline_s:
                raise ScenarioFailed(f"the corrected statement of {day} is not clean")
            yield False
        yield True

    def _strange_line(self, day: date) -> int | None:
        """The id of the line about a transfer that is not ours, None while the day was not compared."""
        if self._one(CLEAN, (day,)) is None:
            return None
        lines = self._staff.look(FINANCE, f"/statements/{day}/lines?verdict=missing_here&open=yes")["lines"]
        return next((int(line["id"]) for line in lines), None)

    def _have_bank_give_out(self, day: date, fault: str) -> None:
        reply = self._bank.post("/demo/statements", {"day": day.isoformat(), "fault": fault})
        if reply.status != 200:
            raise ScenarioFailed(f"the bank's sandbox answered {reply.status} about the statement of {day}")

    def _one(self, query: str, parameters: tuple[object, ...]) -> Any:
        row = self._connection.execute(query, parameters).fetchone()
        return row[0] if row else None
