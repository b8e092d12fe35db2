"""The ground of a rush: trade-ins that wait for their plate, customers on their way to the points, people signed in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.orm import Session

from app.auth import hash_password
from app.clock import Clock
from app.config import Settings
from app.db import engine_for, psycopg_conninfo
from app.district.dealers import import_made_dealers, made_bike, made_models
from app.district.filings import generate_filings
from app.district.programme import LOCAL
from app.scenario.calls import Server
from app.scenario.ground import import_list, tell_police
from loadtests.ready import Ready, make_ready, one_stage
from loadtests.rush_shapes import SHAPES, counters_among
from loadtests.signed_in import make_account, sign_in
from loadtests.users_known import Callback, Counter, Known, Owner, Walk
from registry.bike_models import catalogue_missing
from registry.codes import new_reference
from registry.filing_rows import FilingRow
from registry.stocking import stock_in
from subsidy.queue import create_programme
from subsidy.rules import StageRules

SEED = 7
ACTOR = "rush"
STAFF_ROLES = ("operator", "reviewer", "finance", "auditor")
AMOUNTS_FEN = (30_000, 20_000)
# Each stage has places for so many of all plates: the others wait.
PLACES_SHARE = 0.3
STEPS_A_WALK = 10
MOST_WALKS_A_COUNTER = 20
MOST_SIGNED_IN = 4_000
MOST_PLATES = 90_000
PLATES_A_USER_SECOND = 0.1
FEWEST_PLATES = 60
WALLETS_A_SECOND = 15
WALLETS_SHARE = 0.3
LICENSED_BEFORE = timedelta(days=45)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much has to be there for so many users in so many seconds."""

    users: int
    seconds: float

    @property
    def plates(self) -> int:
        """How many plates the police issue in bursts."""
        return min(MOST_PLATES, FEWEST_PLATES + int(self.users * self.seconds * PLATES_A_USER_SECOND))

    @property
    def counters(self) -> int:
        """How many counters are open."""
        return min(counters_among(self.users), 234)

    @property
    def think_s(self) -> float:
        """How long people at a counter take between two steps: about a second, longer in a long run."""
        return max(min(1.0, self.seconds / 100), self.seconds / (STEPS_A_WALK * MOST_WALKS_A_COUNTER))

    @property
    def walks_a_counter(self) -> int:
        """How many customers come to each counter."""
        return min(MOST_WALKS_A_COUNTER, math.ceil(self.seconds / (STEPS_A_WALK * self.think_s)))

    @property
    def wallets(self) -> int:
        """How many owners gave their wallet before: so many that the money goes out during the run."""
        return min(int(self.plates * WALLETS_SHARE), int(WALLETS_A_SECOND * self.seconds))


def make_ground(settings: Settings, *, shape: str, sizes: Sizes, folder: Path, progress: Progress) -> Known:
    """Make everything a rush needs but the programme; the police's stub must be running. ``folder`` takes its files."""
    now = datetime.now(UTC)
    with psycopg.connect(psycopg_conninfo(settings, application="mapai-rush")) as connection:
        ready = make_ready(connection=connection, keyring=settings.keyring, count=sizes.plates, now=now)
        references = _give_references(connection, ready)
        _give_wallets(connection, settings, sizes.wallets, now)
        owners = _sign_owners_in(connection, references)
        progress("号牌在办", len(ready), sizes.plates)
        counters = _open_counters(connection, settings, sizes, folder, progress)
        staff = [
            sign_in(connection, make_account(connection, login=role, role=role, password_hash=hash_password(role)))
            for role in STAFF_ROLES
        ]
        connection.commit()
    return Known(
        shape=shape,
        seconds=sizes.seconds,
        think_s=sizes.think_s,
        plates_key=settings.plates_key.hex(),
        seen=str(folder / "seen.jsonl"),
        summary=str(folder / "locust.json"),
        # No O is in the stub's plates: what it issues to those who walk must not collide.
        callbacks=[
            Callback(each.application_no, f"O{number:06d}", each.holder_id_no, each.vehicle_code)
            for number, each in enumerate(ready, start=1)
        ],
        owners=owners,
        counters=counters,
        staff=staff,
    )


def open_programme(settings: Settings, *, known: Known, begins_at: datetime) -> int:
    """Publish a programme of two stages, the second from the shape's turn on; return how many places both have."""
    turn = begins_at + timedelta(seconds=known.seconds * SHAPES[known.shape].turn)
    places = max(1, int(len(known.callbacks) * PLACES_SHARE))
    opens, ends = begins_at - timedelta(hours=1), begins_at + timedelta(days=30)
    first_fen, second_fen = AMOUNTS_FEN
    stages = (
        StageRules(1, first_fen, places, places * first_fen, opens, turn),
        # Its money goes before its places do.
        StageRules(2, second_fen, places + 20, places * second_fen, turn, ends),
    )
    with psycopg.connect(psycopg_conninfo(settings, application="mapai-rush")) as connection:
        create_programme(
            connection=connection,
            code="RUSH",
            name_zh="压测",
            name_en="rush",
            rules=replace(one_stage(now=begins_at, places=places), stages=stages),
            clock=Clock(),
            drafted_by="rush-draft",
            approved_by="rush-approve",
        )
        connection.commit()
    return places


def _give_references(connection: psycopg.Connection[Any], ready: Sequence[Ready]) -> list[str]:
    """Give the trade-ins references as people read them out; return them in the order of ``ready``."""
    references: dict[str, str] = {}
    while len(references) < len(ready):
        references.setdefault(new_reference(), ready[len(references)].application_no)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE given (reference text, application_no text) ON COMMIT DROP")
        with cursor.copy("COPY given FROM STDIN") as copy:
            for row in references.items():
                copy.write_row(row)
        cursor.execute(
            "UPDATE trade_in t SET reference = g.reference FROM given g WHERE t.application_no = g.application_no"
        )
    connection.commit()
    return list(references)


def _give_wallets(connection: psycopg.Connection[Any], settings: Settings, many: int, now: datetime) -> None:
    """Give that many owners, from all over the line, a wallet."""
    rows = connection.execute("SELECT id, owner_id FROM trade_in ORDER BY md5(id::text) LIMIT %s", (many,)).fetchall()
    keyring = settings.keyring
    columns = "(trade_in_id, person_id, wallet_sealed, wallet_index, tail, confirmed_at)"
    with connection.cursor().copy(f"COPY wallet {columns} FROM STDIN") as copy:
        for trade_in_id, person_id in rows:
            text = f"W{trade_in_id:08d}"
            sealed, index = keyring.seal(text, field="wallet"), keyring.index(text, field="wallet")
            copy.write_row((trade_in_id, person_id, sealed, index, text[-4:], now))


def _sign_owners_in(connection: psycopg.Connection[Any], references: Sequence[str]) -> list[Owner]:
    """Give owners an account and a sign-in. They prove who they are by a code, so no password ever fits."""
    rows = connection.execute(
        "SELECT owner_id, reference FROM trade_in WHERE reference = ANY(%s)", (list(references[:MOST_SIGNED_IN]),)
    ).fetchall()
    return [
        Owner(
            sign_in(connection, make_account(connection, login=f"owner-{person}", role="owner", person_id=person)), at
        )
        for person, at in rows
    ]


def _open_counters(
    connection: psycopg.Connection[Any], settings: Settings, sizes: Sizes, folder: Path, progress: Progress
) -> list[Counter]:
    """Import filings and tell the police their plates, license points, stock them, and sign the counters in."""
    count = sizes.counters * sizes.walks_a_counter
    connection.commit()
    import_list(settings, seed=SEED, count=count, folder=folder, progress=progress)
    police = Server(settings.plates_url)
    rows = list(generate_filings(seed=SEED, count=count))
    tell_police(police, district=settings.district, rows=rows, count=count, progress=progress)
    police.close()
    points, codes = _stock(settings, sizes, progress)
    counters = []
    for place, dealer_id in enumerate(points):
        account_id = make_account(connection, login=f"counter-{place + 1:04d}", role="dealer", dealer_id=dealer_id)
        numbers = range(place * sizes.walks_a_counter, (place + 1) * sizes.walks_a_counter)
        walks = [_walk(number, rows[number], codes[number]) for number in numbers]
        counters.append(Counter(sign_in(connection, account_id), walks))
    return counters


def _stock(settings: Settings, sizes: Sizes, progress: Progress) -> tuple[list[int], list[str]]:
    """Return the points' ids, and the vehicle codes of the bikes in stock: so many in a row for each point."""
    engine = engine_for(settings, application="mapai-rush")
    now = datetime.now(UTC)
    today = now.astimezone(LOCAL).date()
    count = sizes.counters * sizes.walks_a_counter
    codes = []
    try:
        with Session(engine, expire_on_commit=False) as session:
            licensed_on = (now - LICENSED_BEFORE).astimezone(LOCAL).date()
            points = list(
                islice(
                    import_made_dealers(
                        session=session, settings=settings, seed=SEED, licensed_on=licensed_on, actor=ACTOR, now=now
                    ),
                    sizes.counters,
                )
            )
            catalogue_missing(session=session, models=made_models(today=today), actor=ACTOR)
            for number in range(count):
                dealer_id = points[number // sizes.walks_a_counter]
                bike = made_bike(number, today=today)
                stock_in(session=session, dealer_id=dealer_id, bike=bike, actor=ACTOR, today=today)
                codes.append(bike.vehicle_code)
                if number % 200 == 199:
                    session.commit()
                    session.expunge_all()
                    progress("新车入库", number + 1, count)
            session.commit()
    finally:
        engine.dispose()
    return points, codes


def _walk(number: int, filing: FilingRow, vehicle_code: str) -> Walk:
    return Walk(
        number=number,
        plate_no=filing.plate_no,
        owner_name=filing.owner_name,
        owner_id_no=filing.id_no,
        owner_phone=filing.phone,
        frame_no=filing.frame_no,
        vehicle_code=vehicle_code,
    )
