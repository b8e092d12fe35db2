"""Pictures for a demo: small PNG files, each different from every other, of nothing in particular."""

from __future__ import annotations

import struct
import zlib

WIDTH, HEIGHT = 96, 72


def made_picture(serial: int) -> bytes:
    """Return a valid PNG (96 × 72, a plain slope of one colour) that no other serial has."""
    hue = serial * 61 % 160
    rows = b"".join(
        b"\x00" + bytes(sign for x in range(WIDTH) for sign in (60 + hue, 90 + (x + y) % 120, 150 - hue // 2))
        for y in range(HEIGHT)
    )
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"tEXt", b"Title\x00demo %d" % serial),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
