"""The signed text of a plate code: what it holds, and that nothing else passes for one."""

from __future__ import annotations

import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.cli import main
from app.plate_image import as_png, as_svg, link_of
from app.plate_keys import Ed25519Signer, PlateKeysMissing, key_document, plate_keys, rotate
from registry.codes import new_registration_code
from registry.plate_codes import (
    FIRST_DAY,
    PlateCodeForged,
    PlateCodeUnreadable,
    PlateFacts,
    PlateKey,
    PlateNotCodable,
    make_code,
    verify_code,
)
from tests.plates.degraded import HOST, cover, read, render, survivors

DAY = date(2026, 7, 1)
IN_CI = 60


def signer(key_id: int = 1) -> Ed25519Signer:
    return Ed25519Signer(key_id=key_id, private_key=Ed25519PrivateKey.generate())


def published(by: Ed25519Signer, **days: date) -> dict[int, PlateKey]:
    public = by.private_key.public_key().public_bytes_raw()
    return {by.key_id: PlateKey(key_id=by.key_id, public_key=public, **{"signs_from": FIRST_DAY, **days})}


def facts(**changed: Any) -> PlateFacts:
    usual = {"registration_code": new_registration_code(), "edition": 1, "key_id": 1, "issued_on": DAY}
    return PlateFacts(**{"plate_no": "D000001", **usual, **changed})


@pytest.mark.parametrize("plate_no", ["D000001", "0", "Z", "ABCDEFGHI", "000000000", "ZZZZZZZZZ"])
@pytest.mark.parametrize("registration_code", ["2222222222", None])
def test_a_code_says_what_was_signed(plate_no: str, registration_code: str | None) -> None:
    by = signer()
    told = facts(plate_no=plate_no, registration_code=registration_code or new_registration_code(), edition=255)
    code = make_code(facts=told, signer=by)
    assert len(code) == 130
    assert verify_code(text=code, keys=published(by)) == told
    link = link_of(payload=code, public_url="https://mapai.example:8443/base")
    assert link == f"HTTPS://MAPAI.EXAMPLE:8443/base/P/{code}"
    assert verify_code(text=f" {link.lower()}\n", keys=published(by)) == told


def test_every_character_changed_makes_it_forged_or_unreadable() -> None:
    by = signer()
    code = make_code(facts=facts(), signer=by)
    for at in range(len(code)):
        other = "B" if code[at] == "A" else "A"
        changed = code[:at] + other + code[at + 1 :]
        with pytest.raises((PlateCodeForged, PlateCodeUnreadable)):
            verify_code(text=changed, keys=published(by))


def test_another_key_another_id_and_another_day_are_forged() -> None:
    by = signer()
    code = make_code(facts=facts(), signer=by)
    with pytest.raises(PlateCodeForged):
        verify_code(text=code, keys=published(signer()))
    with pytest.raises(PlateCodeForged):
        verify_code(text=code, keys=published(signer(2)))
    for days in ({"signs_until": date(2026, 6, 30)}, {"signs_from": date(2026, 7, 2)}):
        with pytest.raises(PlateCodeForged):
            verify_code(text=code, keys=published(by, **days))
    assert verify_code(text=code, keys=published(by, signs_from=DAY, signs_until=DAY)).issued_on == DAY


def test_a_signature_made_for_something_else_is_no_plate_code() -> None:
    class Careless:
        key_id = 1

        def __init__(self, by: Ed25519Signer) -> None:
            self._by = by

        def sign(self, message: bytes) -> bytes:
            return self._by.sign(message.partition(b"\0")[2])

    by = signer()
    with pytest.raises(PlateCodeForged):
        verify_code(text=make_code(facts=facts(), signer=Careless(by)), keys=published(by))


@pytest.mark.parametrize("text", ["", "https://mapai.example/P/", "A" * 129, "A" * 131, "1" * 130, "A" * 129 + "车"])
def test_other_texts_are_no_plate_codes(text: str) -> None:
    with pytest.raises(PlateCodeUnreadable):
        verify_code(text=text, keys=published(signer()))


@pytest.mark.parametrize(
    "changed",
    [
        {"plate_no": "杭A1"},
        {"plate_no": ""},
        {"plate_no": "ABCDEFGHIJ"},
        {"registration_code": "2222222223"},
        {"registration_code": "KX"},
        {"edition": 256},
        {"issued_on": date(2019, 12, 31)},
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(PlateNotCodable):
        make_code(facts=facts(**changed), signer=signer())


def test_the_printed_pictures_hold_the_link() -> None:
    from io import BytesIO

    from PIL import Image

    link = link_of(payload=make_code(facts=facts(), signer=signer()), public_url="https://mapai.example")
    picture = Image.open(BytesIO(as_png(link)))
    assert read(picture.convert("L")) == link
    assert picture.width / picture.info["dpi"][0] * 25.4 == pytest.approx(40, abs=0.1)
    svg = as_svg(link).decode()
    assert 'width="40mm"' in svg
    assert "style" not in svg


def test_dirty_plates_still_read() -> None:
    good, least_covered = survivors(IN_CI)
    assert least_covered >= 0.20
    assert good >= 0.99 * IN_CI - 0.5


def test_more_dirt_than_that_is_too_much() -> None:
    link = link_of(payload=make_code(facts=facts(), signer=signer()), public_url=HOST)
    clean, chance = render(link), random.Random(1)
    assert read(clean) == link
    assert [read(cover(clean, chance, share=0.45)[0]) for _ in range(4)] == [None] * 4


def test_rotation_keeps_what_was_signed(settings: Any, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    told = {"MAPAI_PLATE_SIGNING_KEYS": str(path)}
    assert rotate(path, today=date(2026, 1, 1)) == 1
    old = plate_keys(settings, told).must_sign()
    code = make_code(facts=facts(), signer=old)
    assert rotate(path, today=DAY) == 2
    keys = plate_keys(settings, told)
    assert keys.must_sign().key_id == 2
    assert verify_code(text=code, keys=keys.public).key_id == 1
    with pytest.raises(PlateCodeForged):  # whoever stole the old key signs for no later day
        verify_code(text=make_code(facts=facts(issued_on=date(2026, 7, 2)), signer=old), keys=keys.public)
    assert path.stat().st_mode & 0o077 == 0


def test_public_keys_alone_verify_and_do_not_sign(settings: Any, tmp_path: Path) -> None:
    by = signer(7)
    path = tmp_path / "public.json"
    path.write_text(json.dumps({"keys": [key_document(key) for key in published(by).values()]}))
    keys = plate_keys(in_production(settings), {"MAPAI_PLATE_KEYS": str(path)})
    assert set(keys.public) == {7}
    with pytest.raises(PlateKeysMissing):
        keys.must_sign()
    with pytest.raises(PlateKeysMissing):
        plate_keys(in_production(settings), {})


def test_the_command_verifies_offline(tmp_path: Path) -> None:
    by = signer()
    path = tmp_path / "public.json"
    path.write_text(json.dumps({"keys": [key_document(key) for key in published(by).values()]}))
    code = make_code(facts=facts(), signer=by)
    genuine = CliRunner().invoke(main, ["plate-code", "verify", code, "--keys", str(path)])
    assert (genuine.exit_code, "真码：号牌 D000001" in genuine.output) == (0, True)
    forged = make_code(facts=facts(), signer=signer())
    answer = CliRunner().invoke(main, ["plate-code", "verify", forged, "--keys", str(path)])
    assert (answer.exit_code, "不是我们签发的" in answer.output) == (1, True)
    path.write_text("{}")
    damaged = CliRunner().invoke(main, ["plate-code", "verify", code, "--keys", str(path)])
    assert (damaged.exit_code, "no file of plate keys" in damaged.output) == (1, True)


def in_production(settings: Any) -> Any:
    from dataclasses import replace

    return replace(settings, mode="production")
