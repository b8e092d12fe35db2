"""Signed tree heads: what is signed, and how anybody checks it with the published keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from subsidy.log_leaves import canonical, utc

# Signed in front of the head, so that a signature made for anything else is never one of a head.
PURPOSE = b"mapai tree head\0"


class HeadSigner(Protocol):
    """Holds the private key of the log; exists only where the log is written."""

    @property
    def key_id(self) -> int:
        """The id, 1 to 255, under which the public key is published."""

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature, 64 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One tree head as it is signed and published: the root over the first ``size`` leaves of a programme's log."""

    programme: str
    size: int
    root: bytes
    at: datetime
    key_id: int
    signature: bytes

    def to_json(self) -> dict[str, Any]:
        """Return the document that is published: hashes and signature in hexadecimal, the instant in UTC."""
        return {
            "programme": self.programme,
            "size": self.size,
            "root": self.root.hex(),
            "at": utc(self.at),
            "key_id": self.key_id,
            "signature": self.signature.hex(),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Head:
        """Return the head written by to_json. Raises KeyError, TypeError or ValueError on anything else."""
        at = datetime.fromisoformat(plain["at"])
        if at.tzinfo is None or not isinstance(plain["size"], int) or not isinstance(plain["key_id"], int):
            raise ValueError("no tree head")
        return cls(
            programme=str(plain["programme"]),
            size=plain["size"],
            root=bytes.fromhex(plain["root"]),
            at=at,
            key_id=plain["key_id"],
            signature=bytes.fromhex(plain["signature"]),
        )

    def is_signed(self, keys: Mapping[int, bytes]) -> bool:
        """Say whether one of our keys (id → 32 bytes) signed it."""
        key = keys.get(self.key_id)
        if key is None:
            return False
        message = signed_words(programme=self.programme, size=self.size, root=self.root, at=self.at)
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(self.signature, message)
        except InvalidSignature:
            return False
        return True


def signed_words(*, programme: str, size: int, root: bytes, at: datetime) -> bytes:
    """Return the bytes that a head's signature covers."""
    said = {"programme": programme, "size": size, "root": root.hex(), "at": utc(at)}
    return PURPOSE + canonical(said).encode()


def sign_head(*, signer: HeadSigner, programme: str, size: int, root: bytes, at: datetime) -> Head:
    """Return the signed head."""
    signature = signer.sign(signed_words(programme=programme, size=size, root=root, at=at))
    return Head(programme=programme, size=size, root=root, at=at, key_id=signer.key_id, signature=signature)
