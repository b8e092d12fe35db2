"""``python -m tests.journeys.pictures``: takes the README's three pictures from a demo district of its own.

They are kept small: sixty-four colours are enough for quiet pages.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

from app.demo import DEALER_LOGIN
from tests.journeys.ground import DESK, PHONE, launched, standing

FOLDER = Path(__file__).parent / "pictures"
COLOURS = 64
# name, who looks (nobody: the public), address, size of the window
TAKEN = (
    ("owner", None, "/", PHONE),
    ("point", DEALER_LOGIN, "/point", PHONE),
    ("bureau", "operator", "/board", DESK),
)


def small(png: bytes) -> bytes:
    """Return the picture with few colours, as a PNG."""
    kept = BytesIO()
    Image.open(BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(kept, "PNG", optimize=True)
    return kept.getvalue()


def main() -> int:
    """Take them all; print each one's weight."""
    FOLDER.mkdir(exist_ok=True)
    with launched() as chromium, standing(chromium) as ground:
        for name, login, address, size in TAKEN:
            with ground.visitor(size) as visitor:
                if login is not None:
                    visitor.sign_in(login)
                    visitor.page.wait_for_load_state("networkidle")
                visitor.open(address)
                picture = small(visitor.page.screenshot())
                (FOLDER / f"{name}.png").write_bytes(picture)
                sys.stdout.write(f"{name}.png {len(picture) // 1024} KB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
