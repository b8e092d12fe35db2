"""``mapai plate-code``: verifying a plate's code offline, issuing those that are missing, rotating the signing key."""

from __future__ import annotations

from pathlib import Path

import click

from app.config import Settings
from app.data_folder import claim
from app.startup import CannotStart
from registry.base import Refusal

ISSUED_AT_ONCE = 500
ACTOR = "system:plate-code"


def verify(text: str, keys: Path) -> int:
    """Say whether a scanned code or link is genuine, with the published keys in a file; return 0 if so, else 1.

    Needs no settings, database or network. Raises CannotStart where the file is none of plate keys.
    """
    from app.plate_keys import read_public
    from registry.plate_codes import verify_code

    try:
        facts = verify_code(text=text, keys=read_public(keys))
    except Refusal as refusal:
        click.echo(f"{refusal.message_zh}{refusal.help_zh} · {refusal.message_en} {refusal.help_en}")
        return 1
    click.echo(
        f"真码：号牌 {facts.plate_no}，赋码 {facts.registration_code}，第 {facts.edition} 版，"
        f"{facts.issued_on.isoformat()} 签发，密钥 {facts.key_id}。"
        "有没有注销、报失或换发，要联网才知道。"
    )
    click.echo(f"genuine: {facts.plate_no} {facts.registration_code} edition {facts.edition} key {facts.key_id}")
    return 0


def issue(settings: Settings) -> int:
    """Issue the first code of every plate that has none and say how many; return 1 where some cannot be coded, else 0.

    May be cut off and run again. Raises CannotStart where this installation does not sign.
    """
    from sqlalchemy.orm import Session

    from app.api.documents import LOCAL
    from app.db import engine_for
    from app.plate_keys import plate_keys
    from registry.plates import issue_missing

    try:
        signer = plate_keys(settings).must_sign()
    except Refusal as refusal:
        raise CannotStart(f"{refusal.message_en} Set MAPAI_PLATE_SIGNING_KEYS.") from refusal
    now = settings.clock.now()
    engine = engine_for(settings, application="mapai-plate-code", pool_size=1)
    issued = left = 0
    last_id: int | None = 0
    try:
        while last_id is not None:
            with Session(engine) as session, session.begin():
                done, unfit, last_id = issue_missing(
                    session=session,
                    signer=signer,
                    actor=ACTOR,
                    today=now.astimezone(LOCAL).date(),
                    now=now,
                    limit=ISSUED_AT_ONCE,
                    after_id=last_id,
                )
            issued, left = issued + done, left + unfit
    finally:
        engine.dispose()
    click.echo(f"签发 {issued:,} 枚；{left:,} 块号牌写不进二维码。 {issued} issued, {left} cannot be coded.")
    return 1 if left else 0


def new_key(settings: Settings) -> int:
    """Make a new signing key, end the last, and print the new id; raises CannotStart where none may be kept here."""
    from app.api.documents import LOCAL
    from app.plate_keys import rotate, signing_file

    if settings.mode != "production":
        claim(settings.data_dir)
    path = signing_file(settings)
    if path is None:
        raise CannotStart("MAPAI_PLATE_SIGNING_KEYS is missing: name the file that keeps the private keys.")
    key_id = rotate(path, today=settings.clock.now().astimezone(LOCAL).date())
    click.echo(f"{path}: key {key_id} signs from now on; codes signed before stay good.")
    return 0
