"""How a plate's QR fares outdoors: printed at 40 mm, photographed askew, out of focus, a fifth of it covered.

`python -m tests.plates.degraded [HOW_MANY]` prints the share that still reads; the test suite runs fewer.

What is covered: one patch, round or square, of a fifth of the code's area, of any colour from dark to light, anywhere
but on the three corner marks. A cover over a corner mark defeats every QR whatever its error correction; the plate
number stands beside the code for that.
"""

from __future__ import annotations

import math
import random
import sys
from datetime import date

import zxingcpp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from app.plate_image import PRINTED_MM, QUIET_MODULES, link_of, modules_of
from app.plate_keys import Ed25519Signer
from registry.codes import ALPHABET, check_character
from registry.plate_codes import FIRST_DAY, PlateFacts, PlateKey, make_code, verify_code

HOST = "https://mapai.gongshu.example"
# A phone at a hand's breadth sees more than this.
PIXELS_PER_MM = 12
COVERED = 0.20
MARK = 8
BLUR_MM = 0.1
LARGEST_TURN_DEGREES = 180.0


def render(link: str) -> Image.Image:
    """The printed square as grey pixels, 40 mm wide."""
    matrix = modules_of(link)
    small = Image.new("L", (len(matrix), len(matrix)), 255)
    small.putdata([0 if dark else 255 for row in matrix for dark in row])
    side = PRINTED_MM * PIXELS_PER_MM
    return small.resize((side * 4, side * 4), Image.Resampling.NEAREST).resize((side, side), Image.Resampling.BOX)


def cover(image: Image.Image, chance: random.Random, *, share: float = COVERED) -> tuple[Image.Image, float]:
    """The image with a patch over ``share`` of the code, and the share that is really covered."""
    module = image.width / len(modules_of(HOST))
    edge, inner = QUIET_MODULES * module, image.width - 2 * QUIET_MODULES * module
    marks = Image.new("1", image.size, 0)
    for x, y in ((0, 0), (1, 0), (0, 1)):
        corner = (edge + x * (inner - MARK * module), edge + y * (inner - MARK * module))
        ImageDraw.Draw(marks).rectangle((*corner, *(each + MARK * module for each in corner)), fill=1)
    stretch = chance.uniform(0.7, 1.4)
    round_one = chance.random() < 0.5
    area, covered, patch = share, 0.0, marks
    place = (chance.random(), chance.random())
    while covered < share:
        patch = Image.new("1", image.size, 0)
        width, height = (
            math.sqrt(area * (4 / math.pi if round_one else 1)) * inner * each for each in (stretch, 1 / stretch)
        )
        x, y = (edge + at * (inner - side) for at, side in zip(place, (width, height), strict=True))
        draw = ImageDraw.Draw(patch)
        (draw.ellipse if round_one else draw.rectangle)((x, y, x + width, y + height), fill=1)
        patch = ImageChops.subtract(patch.convert("L"), marks.convert("L")).convert("1")
        covered = patch.histogram()[255] / inner**2
        area += 0.001
    painted = image.copy()
    painted.paste(chance.choice((30, 90, 150, 200, 240)), mask=patch)
    return painted, covered


def photograph(image: Image.Image, chance: random.Random) -> Image.Image:
    """The image turned, seen from the side, out of focus and noisy, on a grey ground."""
    turned = image.rotate(
        chance.uniform(-LARGEST_TURN_DEGREES, LARGEST_TURN_DEGREES),
        resample=Image.Resampling.BICUBIC,
        expand=True,
        fillcolor=255,
    )
    width, height = turned.size
    tilt = [chance.uniform(0, 0.03) for _ in range(4)]
    corners = (
        -tilt[0] * width,
        -tilt[1] * height,
        -tilt[2] * width,
        height * (1 + tilt[3]),
        width * (1 + tilt[0]),
        height * (1 + tilt[1]),
        width * (1 + tilt[2]),
        -tilt[3] * height,
    )
    seen = turned.transform(turned.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC, fillcolor=255)
    blurred = seen.filter(ImageFilter.GaussianBlur(BLUR_MM * PIXELS_PER_MM))
    noise = Image.effect_noise(blurred.size, 10)
    return ImageChops.add(blurred, noise, scale=1, offset=-128)


def read(image: Image.Image) -> str | None:
    """What a phone reads, None where it reads nothing."""
    found = zxingcpp.read_barcodes(image, formats=zxingcpp.BarcodeFormat.QRCode)
    return found[0].text if found else None


def survivors(how_many: int, *, seed: int = 1) -> tuple[int, float]:
    """How many of so many plates read as what was signed, and the least share that was covered."""
    chance = random.Random(seed)
    private = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
    signer = Ed25519Signer(key_id=1, private_key=private)
    keys = {1: PlateKey(key_id=1, public_key=private.public_key().public_bytes_raw(), signs_from=FIRST_DAY)}
    good, least = 0, 1.0
    for number in range(how_many):
        stem = "".join(chance.choices(ALPHABET, k=9))
        facts = PlateFacts(
            plate_no=f"D{number:06d}",
            registration_code=stem + check_character(stem),
            edition=1,
            key_id=1,
            issued_on=date(2026, 7, 1),
        )
        link = link_of(payload=make_code(facts=facts, signer=signer), public_url=HOST)
        dirty, covered = cover(render(link), chance)
        least = min(least, covered)
        text = read(photograph(dirty, chance))
        good += text == link and verify_code(text=text, keys=keys) == facts
    return good, least


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    read_well, least_covered = survivors(wanted)
    sys.stdout.write(f"{read_well} of {wanted} read, at least {least_covered:.1%} covered\n")
    sys.exit(0 if read_well >= 0.99 * wanted else 1)
