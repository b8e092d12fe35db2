"""The numbers of enrolment that a bureau sets for itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRules:
    """What it takes to become a point, and for how long.

    A test draws ``questions`` from the bank and is passed with ``pass_mark`` right answers; a dealer may draw
    ``attempts_a_day`` tests a day (Asia/Shanghai). A licence runs ``licence_days`` days, the first one included, and
    may be renewed from ``renew_from_days`` days before its end.
    """

    questions: int = 10
    pass_mark: int = 8
    attempts_a_day: int = 3
    licence_days: int = 365
    renew_from_days: int = 60
