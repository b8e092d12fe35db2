"""Personal data at rest: sealed under rotating data keys, found again by a blind index under a key of its own."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class Unsealable(Exception):
    """A sealed value does not open: its key is missing or the bytes were changed."""


class Keyring:
    """The keys that seal fields and the key that indexes them.

    ``data_keys`` maps a key id (1–255) to 32 bytes; ``active`` seals what is new, the others only open what is old.
    ``index_key`` never rotates with them: the blind index of one person stays the same for life.
    """

    def __init__(self, *, data_keys: Mapping[int, bytes], active: int, index_key: bytes) -> None:
        if active not in data_keys:
            raise ValueError(f"active key id {active} is not among the data keys {sorted(data_keys)}")
        if any(not 1 <= key_id <= 255 or len(key) != 32 for key_id, key in data_keys.items()):
            raise ValueError("data keys are 32 bytes each, under ids 1 to 255")
        if len(index_key) < 32:
            raise ValueError("the index key is at least 32 bytes")
        self.active = active
        self._ciphers = {key_id: AESGCM(key) for key_id, key in data_keys.items()}
        self._prefix = bytes([active])
        self._index_key = index_key

    def seal(self, text: str, *, field: str) -> bytes:
        """Return ``key id ‖ nonce ‖ AES-256-GCM(text)``, bound to the field's name."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._prefix + nonce + self._ciphers[self.active].encrypt(nonce, text.encode(), field.encode())

    def open(self, sealed: bytes, *, field: str) -> str:
        """Return the text sealed under any key still held; raises Unsealable."""
        if not sealed:
            raise Unsealable(f"the sealed {field} is empty")
        cipher = self._ciphers.get(sealed[0])
        if cipher is None:
            raise Unsealable(f"no data key with id {sealed[0]}")
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, body, field.encode()).decode()
        except InvalidTag as error:
            raise Unsealable(f"the sealed {field} was changed or belongs to another field") from error

    def reseal(self, sealed: bytes, *, field: str) -> bytes:
        """Return the value under the active key: itself where it stands there; raises Unsealable."""
        return sealed if sealed[:1] == self._prefix else self.seal(self.open(sealed, field=field), field=field)

    def index(self, text: str, *, field: str) -> bytes:
        """Return the 32-byte blind index (HMAC-SHA-256) by which the sealed text can be found."""
        return hmac.digest(self._index_key, f"{field}\0{text}".encode(), hashlib.sha256)
