"""The keys of the published log, apart from those of plate codes, and how many owners hide each other in it.

MAPAI_LOG_SIGNING_KEYS   file with the private keys, only where the scheduler runs; the last without an end signs
MAPAI_LOG_KEYS           file with public keys, as GET /api/log-keys gives them: enough to publish and to check
MAPAI_LOG_CROWD          a head is public once it covers so many new events of owners; default 50, in a demo 1

Files are those of plate keys (app/plate_keys.py) in form and rotation. A demo's scheduler makes its own in the data
folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.config import Settings
from app.data_folder import claim
from app.plate_keys import PUBLIC_KEYS, SIGNING_KEYS, PlateKeys, PlateKeysMissing, plate_keys, rotate
from app.startup import CannotStart
from registry.base import Refusal
from registry.plate_codes import FIRST_DAY

LOG_SIGNING_KEYS = "MAPAI_LOG_SIGNING_KEYS"
LOG_PUBLIC_KEYS = "MAPAI_LOG_KEYS"
CROWD = "MAPAI_LOG_CROWD"
OWN_FILE = "log-signing-keys.json"
CROWD_IN_PRODUCTION = 50


class LogKeysMissing(Refusal):
    """This installation was given no key of the published log."""

    code = "log_keys_missing"
    kind = "unavailable"
    zh = "公开日志的签名密钥还没有装好。"
    en = "The keys of the published log are not installed."
    remedy_zh = "请联系平台管理员；其他业务不受影响。"
    remedy_en = "Ask the administrator; nothing else is affected."


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTerms:
    """What the scheduler publishes with: the settings its keys are found by, and the crowd (events of owners)."""

    settings: Settings
    crowd: int

    @classmethod
    def of(cls, settings: Settings, environ: Mapping[str, str] | None = None) -> LogTerms:
        """Read the terms from the environment; raises CannotStart where the crowd is no number from 1 on."""
        env = os.environ if environ is None else environ
        told = env.get(CROWD) or ("1" if settings.mode != "production" else str(CROWD_IN_PRODUCTION))
        if not told.isdecimal() or int(told) < 1:
            raise CannotStart(f"{CROWD} is {told!r}: it must be a whole number from 1 on.")
        return cls(settings=settings, crowd=int(told))


def log_keys(settings: Settings, environ: Mapping[str, str] | None = None) -> PlateKeys:
    """Return the log's keys; raises LogKeysMissing where there are none, CannotStart for a bad file."""
    env = os.environ if environ is None else environ
    own, public = env.get(LOG_SIGNING_KEYS), env.get(LOG_PUBLIC_KEYS)
    if own is None and settings.mode != "production" and (settings.data_dir / OWN_FILE).exists():
        own = str(settings.data_dir / OWN_FILE)
    # Whoever only publishes what others sign has a file of public keys alone; it serves as either.
    if own is None and public is None:
        raise LogKeysMissing
    named = {SIGNING_KEYS: own or str(public), **({PUBLIC_KEYS: public} if public else {})}
    try:
        return plate_keys(settings, named)
    except PlateKeysMissing as missing:
        raise LogKeysMissing from missing


def signing_log_keys(settings: Settings, environ: Mapping[str, str] | None = None) -> PlateKeys:
    """Return the keys of an installation that signs: a demo's are made the first time; raises LogKeysMissing."""
    env = os.environ if environ is None else environ
    path = settings.data_dir / OWN_FILE
    if not env.get(LOG_SIGNING_KEYS) and settings.mode != "production" and not path.exists():
        rotate(path, today=FIRST_DAY)
    keys = log_keys(settings, env)
    if keys.signer is None:
        raise LogKeysMissing
    return keys


def rotated(settings: Settings, environ: Mapping[str, str] | None = None) -> tuple[Path, int]:
    """Make a new signing key and end the last; return the file and the new id. Raises CannotStart without a file."""
    env = os.environ if environ is None else environ
    given = env.get(LOG_SIGNING_KEYS)
    if given is None and settings.mode == "production":
        raise CannotStart(f"{LOG_SIGNING_KEYS} is missing: name the file that keeps the private keys.")
    if settings.mode != "production":
        claim(settings.data_dir)
    path = Path(given) if given else settings.data_dir / OWN_FILE
    return path, rotate(path, today=settings.clock.now().date())


def public_bytes(keys: PlateKeys) -> dict[int, bytes]:
    """Return the public keys by id, 32 bytes each."""
    return {key_id: key.public_key for key_id, key in keys.public.items()}
