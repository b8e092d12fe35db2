"""What the users of a rush know when they come, and what they were told: two files between the rush and Locust."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

KNOWN_FILE = "MAPAI_RUSH_KNOWN"


class Callback(NamedTuple):
    """A plate to be issued: what the police will say in their word."""

    application_no: str
    plate_no: str
    holder_id_no: str
    vehicle_code: str


class Owner(NamedTuple):
    """An owner who is signed in, and the own trade-in."""

    token: str
    reference: str


class Walk(NamedTuple):
    """A trade-in to be walked from the beginning: the old bike, its owner, the new bike in the point's stock."""

    number: int
    plate_no: str
    owner_name: str
    owner_id_no: str
    owner_phone: str
    frame_no: str
    vehicle_code: str


class Counter(NamedTuple):
    """A counter that is signed in, and the customers who will come to it."""

    token: str
    walks: list[Walk]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything made beforehand. ``think_s`` is how long people at a counter take between two steps on average.

    ``seen`` and ``summary`` are the files Locust leaves: a line for every completion told, and its figures at the end.
    """

    shape: str
    seconds: float
    think_s: float
    plates_key: str
    seen: str
    summary: str
    callbacks: list[Callback]
    owners: list[Owner]
    counters: list[Counter]
    staff: list[str]

    def write(self, path: Path) -> None:
        """Write the file, for this account's eyes only: it holds tokens."""
        with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            json.dump(asdict(self), out, ensure_ascii=False)

    @classmethod
    def read(cls, path: Path) -> Known:
        """Read what ``write`` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            **{
                **data,
                "callbacks": [Callback(*each) for each in data["callbacks"]],
                "owners": [Owner(*each) for each in data["owners"]],
                "counters": [Counter(token, [Walk(*walk) for walk in walks]) for token, walks in data["counters"]],
            }
        )


def known_in(environ: Mapping[str, str]) -> Known | None:
    """Return what the environment's file holds; None where it names none: then only the crowd that reads can come."""
    path = environ.get(KNOWN_FILE)
    return Known.read(Path(path)) if path else None


class Seen:
    """Writes down what users were told, a JSON line each; without a path nowhere."""

    def __init__(self, path: str | None) -> None:
        self._out: IO[str] | None = open(path, "a", encoding="utf-8") if path else None  # noqa: SIM115

    def note(self, kind: str, **facts: Any) -> None:
        """Write one line. Kinds: «acknowledged», «repeated», «walked» and «breach»; loadtests/rush_check.py reads."""
        if self._out is not None:
            self._out.write(json.dumps({"kind": kind, **facts}, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Put everything on the disk."""
        if self._out is not None:
            self._out.close()
            self._out = None
