"""The QR of a plate code as it is printed: a square of 40 mm with its quiet zone, error correction H, version 23.

A link with a host of 33 characters would fit version 10 (57 modules of 0.62 mm). But H mends about 32 % of the code
words of each block, a patch of dirt spoils every code word it touches, and in small versions a patch over a fifth
of the code touches more than that in one block or another: of 100 codes with such a patch 93 were read at version 10,
97 at 11, 75 at 15, 100 at 23 (tests/plates/degraded.py: 998 of 1,000). At version 23 a module is 0.34 mm, which a phone
sees from a hand's breadth and a printer of 600 dots per inch draws with 8 dots. Q would mend 25 % only.
"""

from __future__ import annotations

from io import BytesIO
from urllib.parse import urlsplit

import qrcode
from qrcode.constants import ERROR_CORRECT_H

PRINTED_MM = 40
QUIET_MODULES = 4
VERSION = 23
# 600 dots per inch on 40 mm, rounded down to whole dots a module.
_PRINTED_PX = round(PRINTED_MM / 25.4 * 600)


def link_of(*, payload: str, public_url: str) -> str:
    """Return the link in the QR. Scheme and host in capitals, which keeps to QR's shorter alphanumeric mode."""
    parts = urlsplit(public_url)
    return f"{parts.scheme.upper()}://{parts.netloc.upper()}{parts.path}/P/{payload}"


def modules_of(link: str) -> list[list[bool]]:
    """Return the QR's modules, row by row, True for dark, its quiet zone of four modules included."""
    code = qrcode.QRCode(version=VERSION, error_correction=ERROR_CORRECT_H, border=QUIET_MODULES)
    code.add_data(link)
    code.make(fit=True)
    matrix: list[list[bool]] = code.get_matrix()
    return matrix


def as_png(link: str) -> bytes:
    """Return the QR as PNG: black on white, about 600 dots per inch, its printed size of 40 mm written into it."""
    from PIL import Image

    matrix = modules_of(link)
    scale = _PRINTED_PX // len(matrix)
    small = Image.new("1", (len(matrix), len(matrix)))
    small.putdata([0 if dark else 1 for row in matrix for dark in row])
    large = small.resize((len(matrix) * scale, len(matrix) * scale), Image.Resampling.NEAREST)
    dots_per_inch = large.width / PRINTED_MM * 25.4
    stream = BytesIO()
    large.save(stream, "PNG", dpi=(dots_per_inch, dots_per_inch))
    return stream.getvalue()


def as_svg(link: str) -> bytes:
    """Return the QR as SVG of 40 mm."""
    return svg_of(modules_of(link), side_mm=PRINTED_MM)


def svg_of(matrix: list[list[bool]], *, side_mm: int) -> bytes:
    """Return modules as SVG of ``side_mm``: one unit a module, every run of dark modules a bar."""
    bars = "".join(f"M{x} {y}h{length}v1h-{length}z" for y, row in enumerate(matrix) for x, length in _runs(row))
    side = len(matrix)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side_mm}mm" height="{side_mm}mm"'
        f' viewBox="0 0 {side} {side}" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{side}v{side}H0z"/><path d="{bars}"/></svg>'
    ).encode()


def _runs(row: list[bool]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for x, dark in enumerate(row):
        if dark and runs and sum(runs[-1]) == x:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        elif dark:
            runs.append((x, 1))
    return runs
