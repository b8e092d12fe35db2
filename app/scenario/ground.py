"""The district the scenario plays in: a filing list imported, the police told, shops opened, people signed in.

Everything goes through the platform's own doors, but for the accounts of staff and owners: an administrator makes the
first ones by hand too, and thousands of sign-ins by one-time code would be all one waits for.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import psycopg
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.auth import LASTS, hash_password
from app.clock import real
from app.config import Settings
from app.db import engine_for, psycopg_conninfo
from app.district.filings import generate_filings, write_filings_csv
from app.district.line import plate_record
from app.district.programme import LOCAL
from app.scenario import handovers
from app.scenario.calls import ScenarioFailed, Server
from app.scenario.plan import Plan, Planned
from app.scenario.shops import open_shops
from app.scenario.sizes import Kind
from app.scenario.staff import ROLES
from registry.accounts import Account, SignIn
from registry.filing_file import look_through, read_rows
from registry.filing_import import import_filings
from registry.filing_rows import FilingRow
from registry.filings import FiledBike

PLATES_AT_ONCE = 10_000

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The district as made: the password everybody at a counter has, tokens of owners who are signed in already.

    ``owner_tokens`` goes by ID number, ``staff_ids`` by role.
    """

    password: str
    owner_tokens: dict[str, str]
    staff_ids: dict[str, int]


def filing_list(*, seed: int, count: int) -> Iterator[FilingRow]:
    """Yield the scenario's filing list; the same for the same seed."""
    return generate_filings(seed=seed, count=count)


def import_list(settings: Settings, *, seed: int, count: int, folder: Path, progress: Progress) -> None:
    """Write the list as a file, as a bureau hands it in, and import it. Raises ScenarioFailed for a refused row."""
    path = folder / "filings.csv"
    write_filings_csv(path, filing_list(seed=seed, count=count))
    with psycopg.connect(psycopg_conninfo(settings, application="mapai-scenario")) as connection:
        report = import_filings(
            connection=connection,
            keyring=settings.keyring,
            rows=read_rows(look_through(path)),
            today=settings.clock.now().astimezone(LOCAL).date(),
            progress=lambda done: progress("导入备案", done, count),
        )
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE person, filed_bike")
    if report.stored != count:
        raise ScenarioFailed(f"of {count} filings {report.stored} were stored: {report.counts}")


def tell_police(police: Server, *, district: str, rows: Iterable[FilingRow], count: int, progress: Progress) -> None:
    """Load the plates of the list into the police's stub."""
    records = (asdict(plate_record(row, district=district)) for row in rows)
    done = 0
    while block := list(islice(records, PLATES_AT_ONCE)):
        reply = police.post("/demo/plates", block)
        if reply.status != 200:
            raise ScenarioFailed(f"the police's stub took no plates: {reply.status}")
        done += len(block)
        progress("交警号牌", done, count)


def make_ground(settings: Settings, plan: Plan, *, police: Server, progress: Progress) -> Ground:
    """Open the shops, let some bikes change hands, and give everybody who signs in an account."""
    engine = engine_for(settings, application="mapai-scenario")
    password = secrets.token_urlsafe()
    password_hash = hash_password(password)
    transferred = [planned for planned in plan.trade_ins if planned.kind is Kind.TRANSFERRED]
    try:
        with Session(engine, expire_on_commit=False) as session:
            points = open_shops(session, settings, plan, password_hash=password_hash, progress=progress)
            handovers.hand_over(session, settings, transferred, points)
            handovers.tell_police(police, district=settings.district, trade_ins=transferred)
            staff_ids = _make_staff(session, password_hash)
            owner_tokens = _sign_owners_in(session, plan.trade_ins, password_hash)
            session.commit()
    finally:
        engine.dispose()
    return Ground(password=password, owner_tokens=owner_tokens, staff_ids=staff_ids)


def _make_staff(session: Session, password_hash: str) -> dict[str, int]:
    staff = [Account(login=role, password_hash=password_hash, display_name=role, role=role) for role in ROLES]
    session.add_all(staff)
    session.commit()
    return {account.role: account.id for account in staff}


def _sign_owners_in(session: Session, trade_ins: Iterable[Planned], password_hash: str) -> dict[str, str]:
    """Give each owner an account and a sign-in: trying thousands of passwords would be all one waits for."""
    id_nos = {planned.filing.plate_no: planned.filing.id_no for planned in trade_ins}
    query = select(FiledBike.plate_no, FiledBike.owner_id).where(FiledBike.plate_no.in_(list(id_nos)))
    people = {row.owner_id: id_nos[row.plate_no] for row in session.execute(query)}
    accounts = [
        {
            "login": f"owner-{person_id}",
            "password_hash": password_hash,
            "display_name": "车主",
            "role": "owner",
            "person_id": person_id,
        }
        for person_id in people
    ]
    made = session.execute(insert(Account).returning(Account.id, Account.person_id), accounts)
    tokens = {row.id: (people[row.person_id], secrets.token_urlsafe(32)) for row in made}
    until = real() + LASTS
    sign_ins = [
        {"account_id": account_id, "token_sha256": hashlib.sha256(token.encode()).digest(), "expires_at": until}
        for account_id, (_, token) in tokens.items()
    ]
    session.execute(insert(SignIn), sign_ins)
    return dict(tokens.values())
