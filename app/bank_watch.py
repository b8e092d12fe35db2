"""Notices that the operating bank answers again after an outage, and has whoever waited through it asked about soon.

Questions about a payout come at growing intervals, up to five minutes. That spares a bank that takes its time; an
owner whose payout met an outage would wait on for as long as the outage lasted, though the bank is back.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from sqlalchemy.orm import Session, sessionmaker

from subsidy.dispatch import hasten_questions

ANSWERED = ("sent", "settled", "rejected")
UNANSWERED = ("silent", "unavailable", "unknown")
# One question that is lost is no outage; so many runs of a job in a row without a single answer are.
SILENT_RUNS = 3


class BankWatch:
    """Hears what became of each run's talk with the bank. Safe to share among jobs.

    It begins as after an outage: a process that starts does not know what was before.
    """

    def __init__(self, *, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._lock = threading.Lock()
        self._silent_runs = SILENT_RUNS

    def hear(self, outcomes: Mapping[str, int]) -> int:
        """Take a run's outcomes (subsidy/dispatch.py names them), hasten where the bank is back; return how many."""
        if not self._is_back(outcomes):
            return 0
        with self._sessions.begin() as session:
            return hasten_questions(session=session)

    def _is_back(self, outcomes: Mapping[str, int]) -> bool:
        with self._lock:
            if any(outcomes.get(word) for word in ANSWERED):
                was_away, self._silent_runs = self._silent_runs >= SILENT_RUNS, 0
                return was_away
            if any(outcomes.get(word) for word in UNANSWERED):
                self._silent_runs += 1
            return False
