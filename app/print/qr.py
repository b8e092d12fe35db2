"""QR codes on paper, as SVG: drawn sharp at any size, with their quiet zone of four modules."""

from __future__ import annotations

import qrcode
from qrcode.constants import ERROR_CORRECT_M, ERROR_CORRECT_Q

from app.plate_image import QUIET_MODULES, svg_of


def qr_for_wall(link: str, *, side_mm: int) -> str:
    """Return the QR of a link that hangs in the open: error correction Q mends what weather and stickers spoil."""
    return _svg(link, correction=ERROR_CORRECT_Q, side_mm=side_mm)


def qr_for_label(code: str, *, side_mm: int) -> str:
    """Return the QR of a short code on a small label: error correction M, for few and large modules."""
    return _svg(code, correction=ERROR_CORRECT_M, side_mm=side_mm)


def _svg(text: str, *, correction: int, side_mm: int) -> str:
    code = qrcode.QRCode(error_correction=correction, border=QUIET_MODULES)
    code.add_data(text)
    code.make(fit=True)
    return svg_of(code.get_matrix(), side_mm=side_mm).decode()
