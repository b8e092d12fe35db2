"""The keys of plate codes: Ed25519 pairs by key id. Public ones are published, private ones stay where codes are made.

MAPAI_PLATE_SIGNING_KEYS   file with the private keys, only where codes are issued; the last without an end signs
MAPAI_PLATE_KEYS           file with public keys, as GET /api/plate-keys gives them: enough to verify

A demo or scenario makes its signing keys in the data folder the first time they are needed. Files are read again when
they change, so that a rotation needs no restart.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.config import Settings
from app.data_folder import locked
from app.startup import CannotStart
from registry.base import Refusal
from registry.plate_codes import FIRST_DAY, PlateKey

SIGNING_KEYS = "MAPAI_PLATE_SIGNING_KEYS"
PUBLIC_KEYS = "MAPAI_PLATE_KEYS"
OWN_FILE = "plate-signing-keys.json"


class PlateKeysMissing(Refusal):
    """This installation was given no key of the kind that is needed."""

    code = "plate_keys_missing"
    kind = "unavailable"
    zh = "号牌二维码的密钥还没有装好。"
    en = "The keys of plate codes are not installed."
    remedy_zh = "请联系平台管理员；其他业务不受影响。"
    remedy_en = "Ask the administrator; nothing else is affected."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ed25519Signer:
    """Signs plate codes with a private key held in memory."""

    key_id: int
    private_key: Ed25519PrivateKey

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self.private_key.sign(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateKeys:
    """What this installation holds: every public key by id, and the signer where it has one."""

    public: Mapping[int, PlateKey]
    signer: Ed25519Signer | None = None

    def must_sign(self) -> Ed25519Signer:
        """Return the signer; raises PlateKeysMissing where codes are only verified."""
        if self.signer is None:
            raise PlateKeysMissing
        return self.signer


def plate_keys(settings: Settings, environ: Mapping[str, str] | None = None) -> PlateKeys:
    """Return this installation's keys; raises PlateKeysMissing where it was given none, CannotStart for a bad file."""
    env = os.environ if environ is None else environ
    signing, public = signing_file(settings, env), env.get(PUBLIC_KEYS)
    found = _read(signing, _stamp(signing)) if signing else PlateKeys(public={})
    if public:
        path = Path(public)
        found = replace(found, public={**_read(path, _stamp(path)).public, **found.public})
    if not found.public:
        raise PlateKeysMissing
    return found


def signing_file(settings: Settings, environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the file of the private keys, made first where a demo needs it; None where there is none."""
    env = os.environ if environ is None else environ
    given = env.get(SIGNING_KEYS)
    if given:
        return Path(given)
    if settings.mode == "production":
        return None
    path = settings.data_dir / OWN_FILE
    if not path.exists():
        # The demo's business time may lie before today: its first key signs for every day.
        _write(path, [_new_pair(1, signs_from=FIRST_DAY)], anew=True)
    return path


def rotate(path: Path, *, today: date) -> int:
    """Make a new signing key in ``path`` and end the last; return its id. What was signed stays good.

    ``today`` is the new key's first day of issue and the last key's last. Makes the file where there is none. Raises
    CannotStart where it is damaged or holds 255 keys.
    """
    with locked(path.parent, path.name):
        entries = _entries(path) if path.exists() else []
        key_id = max((int(entry["key_id"]) for entry in entries), default=0) + 1
        if key_id > 255:
            raise CannotStart(f"{path} holds 255 keys: a code has no room for another id.")
        for entry in entries:
            entry["signs_until"] = entry.get("signs_until") or today.isoformat()
        _write(path, [*entries, _new_pair(key_id, signs_from=today)], anew=False)
    return key_id


def read_public(path: Path) -> dict[int, PlateKey]:
    """Return the public keys in a file as GET /api/plate-keys gives them; raises CannotStart."""
    return dict(_read(path, _stamp(path)).public)


def key_document(key: PlateKey) -> dict[str, Any]:
    """Return a public key as it is published: hexadecimal, days as YYYY-MM-DD."""
    return {
        "key_id": key.key_id,
        "public_key": key.public_key.hex(),
        "signs_from": key.signs_from.isoformat(),
        "signs_until": key.signs_until and key.signs_until.isoformat(),
    }


def _new_pair(key_id: int, *, signs_from: date) -> dict[str, Any]:
    private = Ed25519PrivateKey.generate()
    public = PlateKey(key_id=key_id, public_key=private.public_key().public_bytes_raw(), signs_from=signs_from)
    return {**key_document(public), "private_key": private.private_bytes_raw().hex()}


def _write(path: Path, entries: list[dict[str, Any]], *, anew: bool) -> None:
    """Write the file at once and whole; ``anew`` leaves the one that another process has just made."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="plate-keys.") as folder:
        fresh = Path(folder) / "fresh"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as stream:
            json.dump({"keys": entries}, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        if anew:
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
        else:
            fresh.replace(path)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as wrong:
        raise CannotStart(f"{path} cannot be read: name the file of plate keys.") from wrong
    return found.st_mtime_ns, found.st_ino


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        return list(json.loads(path.read_text(encoding="utf-8"))["keys"])
    except (OSError, ValueError, KeyError, TypeError) as wrong:
        raise CannotStart(f"{path} is no file of plate keys: restore it, or name another.") from wrong


@lru_cache(maxsize=8)
def _read(path: Path, stamp: tuple[int, int]) -> PlateKeys:
    # The stamp is part of the question: another stamp, another answer.
    public: dict[int, PlateKey] = {}
    signer: Ed25519Signer | None = None
    try:
        for entry in _entries(path):
            key = _public_key(entry)
            public[key.key_id] = key
            if "private_key" in entry and key.signs_until is None:
                private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(entry["private_key"]))
                if private.public_key().public_bytes_raw() != key.public_key:
                    raise ValueError("two keys that do not belong together")
                signer = Ed25519Signer(key_id=key.key_id, private_key=private)
    except (ValueError, KeyError, TypeError) as wrong:
        raise CannotStart(f"{path} is damaged ({wrong}): restore it.") from wrong
    return PlateKeys(public=public, signer=signer)


def _public_key(entry: dict[str, Any]) -> PlateKey:
    key_id, public_key = int(entry["key_id"]), bytes.fromhex(entry["public_key"])
    if not 1 <= key_id <= 255 or len(public_key) != 32:
        raise ValueError("a key is 32 bytes under an id from 1 to 255")
    until = entry.get("signs_until")
    return PlateKey(
        key_id=key_id,
        public_key=public_key,
        signs_from=date.fromisoformat(entry["signs_from"]),
        signs_until=date.fromisoformat(until) if until else None,
    )
