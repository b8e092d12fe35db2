"""Everything a process is told from outside, read once from the environment and checked in words.

DATABASE_URL        owner's login of an external PostgreSQL; without it the embedded one of the data folder is used
MAPAI_APP_DATABASE_URL   a login of its own for the application, a member of the role mapai_app and owner of nothing
MAPAI_MODE          demo (default) · scenario · production
MAPAI_DATA          data folder, default .mapai
MAPAI_DISTRICT      six digits of the division code, default 330105
MAPAI_HOST, MAPAI_PORT   where the web server listens, default 127.0.0.1 and 8000
MAPAI_PUBLIC_URL    the address partners call back and posters print, default that of the web server
MAPAI_TRUSTED_PROXIES   how many proxies of ours stand before the web server, default 0: so many entries of
                    X-Forwarded-For and X-Forwarded-Proto are believed, counted from the last
MAPAI_WEB_WORKERS, MAPAI_WEB_THREADS   default 2 and 64; each worker keeps ten connections to the database
MAPAI_CLOSING_SOON_HOURS   how long before a stage closes owners with an open trade-in are told, default 72; 0: not
MAPAI_TRAINING_PASS_MARK, MAPAI_TRAINING_ATTEMPTS   right answers of 10 that pass, tests drawn a day: 8 and 3
MAPAI_LICENCE_DAYS  how long a dealer's licence runs, default 365 days
MAPAI_ECNY_PER_SECOND   transfers a second that the operating bank allows, default 50
MAPAI_PAYMENTS_NEED_APPROVAL   1: finance approves every payment batch, the default in production; 0: none is asked
MAPAI_SECOND_APPROVAL_FEN   a batch above this total needs a second person's approval, default 5000000 (50,000 yuan)
MAPAI_FORFEIT_AFTER_DAYS   how long an award waits for a usable wallet, default 90 (0, for ever, in a scenario)
MAPAI_STATEMENT_OVERDUE_HOURS   after its day ended, until a missing bank statement is a case, default 24
MAPAI_PLATES_URL, MAPAI_ECNY_URL, MAPAI_SMS_URL   partners; default the demo's own servers on the ports after the web's
MAPAI_MOST_OVERDUE  how many old bikes without destruction papers a point may have and still open trade-ins, default 50
MAPAI_APPEAL_DAYS, MAPAI_REPAYMENT_DAYS   working days to answer an appeal, default 15; days to pay back, default 30
MAPAI_UNMASKINGS_PER_HOUR   fields that one account may see in clear within an hour, default 60
MAPAI_REPAY_TO      payee and account to which owners pay a demanded subsidy back, as they are to read it; unset: they
                    are sent to the bureau's counter or the point
MAPAI_STAFF_TOTP    required (the default in production): staff sign in with an authenticator; optional: who has one
MAPAI_WECHAT_APP_ID, MAPAI_WECHAT_SECRET, MAPAI_WECHAT_URL, MAPAI_WECHAT_SCRIPT   WeChat's scanner inside WeChat: the
                    official account, its API and its browser script; all four or none, which is the default
MAPAI_CLOCK         business time in a demo or scenario, see app/clock.py

Secrets, hexadecimal, 32 bytes or more; in production they must be given, a demo makes its own and keeps them in the
data folder: MAPAI_SECRET_KEY, MAPAI_INDEX_KEY, MAPAI_PLATES_KEY, MAPAI_ECNY_KEY, MAPAI_SMS_KEY, and MAPAI_FIELD_KEYS
as ``ID:HEX,ID:HEX`` with the current one first (IDs from 1 to 255, exactly 32 bytes each).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app import postgres
from app.clients.wechat import WeChatSetup
from app.clock import Clock
from app.data_folder import DEFAULT, claim
from app.startup import CannotStart
from registry.dealer_rules import EnrolmentRules
from registry.sealing import Keyring

Mode = Literal["demo", "scenario", "production"]
MODES = ("demo", "scenario", "production")
APP_ROLE = "mapai_app"
SECRETS = ("MAPAI_SECRET_KEY", "MAPAI_INDEX_KEY", "MAPAI_PLATES_KEY", "MAPAI_ECNY_KEY", "MAPAI_SMS_KEY")
FIELD_KEYS = "MAPAI_FIELD_KEYS"
SECRET_BYTES = 32
# It stands in a text message beside the amount, the day and the number.
LONGEST_REPAY_TO = 120
# The demo's own servers, and the scheduler's health answer, take the ports after the web server's.
PORTS = {"web": 0, "plates": 1, "ecny": 2, "sms": 3, "scheduler": 4}
DRIVER = "postgresql+psycopg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every process of one district needs. Keys are bytes; URLs have no slash at the end."""

    mode: Mode = "demo"
    data_dir: Path
    district: str = "330105"
    owner_url: str = field(repr=False)
    """SQLAlchemy URL of the login that owns the tables: migrations only."""
    database_url: str = field(repr=False)
    """SQLAlchemy URL of the login the application uses, always in the role mapai_app."""
    embedded: bool
    secret_key: str = field(repr=False)
    field_keys: Mapping[int, bytes] = field(repr=False)
    """Key id → 32 bytes; the first seals, all open."""
    index_key: bytes = field(repr=False)
    plates_url: str
    plates_key: bytes = field(repr=False)
    ecny_url: str
    ecny_key: bytes = field(repr=False)
    sms_url: str
    sms_key: bytes = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = "http://127.0.0.1:8000"
    trusted_proxies: int = 0
    web_workers: int = 2
    web_threads: int = 64
    ecny_per_second: int = 50
    payments_need_approval: bool = True
    second_approval_fen: int = 5_000_000
    forfeit_after_days: int = 90
    statement_overdue_hours: int = 24
    closing_soon_hours: int = 72
    most_overdue: int = 50
    appeal_working_days: int = 15
    repayment_days: int = 30
    repay_to: str | None = None
    """Payee, account and bank to which a demanded subsidy is paid back, in the words owners read."""
    unmaskings_per_hour: int = 60
    staff_totp_required: bool = True
    enrolment: EnrolmentRules = field(default_factory=EnrolmentRules)
    wechat: WeChatSetup | None = None
    clock: Clock = field(default_factory=Clock)

    @property
    def schema(self) -> str:
        """The PostgreSQL schema that holds the district's tables."""
        return f"d{self.district}"

    @property
    def keyring(self) -> Keyring:
        """The keys that seal personal data, and the one that indexes it."""
        return Keyring(data_keys=self.field_keys, active=next(iter(self.field_keys)), index_key=self.index_key)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment. Raises CannotStart with one sentence for the first bad or missing value.

        A demo or scenario claims its data folder and, the first time, makes its keys there.
        """
        env = os.environ if environ is None else environ
        mode = _mode(env)
        data_dir = claim(Path(env.get("MAPAI_DATA") or DEFAULT)) if mode != "production" else Path(DEFAULT)
        known = dict(env) if mode == "production" else {**_own_keys(data_dir), **{k: v for k, v in env.items() if v}}
        port = _number(env, "MAPAI_PORT", default=8000, low=1, high=65535 - max(PORTS.values()))
        host = env.get("MAPAI_HOST") or "127.0.0.1"
        owner_url, database_url, embedded = _databases(env, mode, data_dir)
        return cls(
            mode=mode,
            data_dir=data_dir,
            district=_district(env),
            owner_url=owner_url,
            database_url=database_url,
            embedded=embedded,
            secret_key=_secret(known, "MAPAI_SECRET_KEY").hex(),
            field_keys=_field_keys(known),
            index_key=_secret(known, "MAPAI_INDEX_KEY"),
            plates_url=_partner(env, mode, "plates", port),
            plates_key=_secret(known, "MAPAI_PLATES_KEY"),
            ecny_url=_partner(env, mode, "ecny", port),
            ecny_key=_secret(known, "MAPAI_ECNY_KEY"),
            sms_url=_partner(env, mode, "sms", port),
            sms_key=_secret(known, "MAPAI_SMS_KEY"),
            host=host,
            port=port,
            public_url=_public_url(env, mode, port),
            trusted_proxies=_number(env, "MAPAI_TRUSTED_PROXIES", default=0, low=0, high=10),
            web_workers=_number(env, "MAPAI_WEB_WORKERS", default=2, low=1, high=16),
            web_threads=_number(env, "MAPAI_WEB_THREADS", default=64, low=1, high=512),
            ecny_per_second=_number(env, "MAPAI_ECNY_PER_SECOND", default=50, low=1, high=10_000),
            payments_need_approval=bool(
                _number(env, "MAPAI_PAYMENTS_NEED_APPROVAL", default=int(mode == "production"), low=0, high=1)
            ),
            second_approval_fen=_number(env, "MAPAI_SECOND_APPROVAL_FEN", default=5_000_000, low=0, high=999_999_999),
            forfeit_after_days=_number(
                env, "MAPAI_FORFEIT_AFTER_DAYS", default=0 if mode == "scenario" else 90, low=0, high=3_650
            ),
            statement_overdue_hours=_number(env, "MAPAI_STATEMENT_OVERDUE_HOURS", default=24, low=1, high=720),
            closing_soon_hours=_number(env, "MAPAI_CLOSING_SOON_HOURS", default=72, low=0, high=2_400),
            most_overdue=_number(env, "MAPAI_MOST_OVERDUE", default=50, low=0, high=100_000),
            appeal_working_days=_number(env, "MAPAI_APPEAL_DAYS", default=15, low=1, high=120),
            repayment_days=_number(env, "MAPAI_REPAYMENT_DAYS", default=30, low=1, high=365),
            unmaskings_per_hour=_number(env, "MAPAI_UNMASKINGS_PER_HOUR", default=60, low=1, high=10_000),
            repay_to=_repay_to(env),
            staff_totp_required=_staff_totp(env, mode),
            enrolment=_enrolment(env),
            wechat=_wechat(env),
            clock=_clock(env, mode),
        )


def _mode(env: Mapping[str, str]) -> Mode:
    mode = env.get("MAPAI_MODE") or "demo"
    if mode not in MODES:
        raise CannotStart(f"MAPAI_MODE is «{mode}»: write one of {', '.join(MODES)}.")
    return cast("Mode", mode)


def _staff_totp(env: Mapping[str, str], mode: Mode) -> bool:
    text = env.get("MAPAI_STAFF_TOTP") or ("required" if mode == "production" else "optional")
    if text not in ("required", "optional"):
        raise CannotStart(f"MAPAI_STAFF_TOTP is «{text}»: write required or optional.")
    return text == "required"


def _repay_to(env: Mapping[str, str]) -> str | None:
    text = " ".join((env.get("MAPAI_REPAY_TO") or "").split())
    if len(text) > LONGEST_REPAY_TO:
        raise CannotStart(f"MAPAI_REPAY_TO has {len(text)} characters: write payee and account in {LONGEST_REPAY_TO}.")
    return text or None


def _district(env: Mapping[str, str]) -> str:
    district = env.get("MAPAI_DISTRICT") or "330105"
    if not re.fullmatch(r"[1-9]\d{5}", district, re.ASCII):
        raise CannotStart(f"MAPAI_DISTRICT is «{district}»: write the six digits of the division code, e.g. 330105.")
    return district


def _number(env: Mapping[str, str], name: str, *, default: int, low: int, high: int) -> int:
    text = env.get(name) or str(default)
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not low <= int(text) <= high:
        raise CannotStart(f"{name} is «{text}»: write a whole number from {low} to {high}.")
    return int(text)


def _enrolment(env: Mapping[str, str]) -> EnrolmentRules:
    usual = EnrolmentRules()
    return EnrolmentRules(
        pass_mark=_number(env, "MAPAI_TRAINING_PASS_MARK", default=usual.pass_mark, low=1, high=usual.questions),
        attempts_a_day=_number(env, "MAPAI_TRAINING_ATTEMPTS", default=usual.attempts_a_day, low=1, high=50),
        licence_days=_number(env, "MAPAI_LICENCE_DAYS", default=usual.licence_days, low=30, high=3_650),
    )


def _wechat(env: Mapping[str, str]) -> WeChatSetup | None:
    names = [f"MAPAI_WECHAT_{part}" for part in ("APP_ID", "SECRET", "URL", "SCRIPT")]
    missing = [name for name in names if not env.get(name)]
    if len(missing) == len(names):
        return None
    if missing:
        raise CannotStart(f"{missing[0]} is missing: WeChat's scanner needs all four of {', '.join(names)}, or none.")
    app_id, secret, url, script = (env[name] for name in names)
    return WeChatSetup(app_id=app_id, secret=secret, url=_http_url(names[2], url), script=_http_url(names[3], script))


def _clock(env: Mapping[str, str], mode: Mode) -> Clock:
    text = env.get("MAPAI_CLOCK")
    if not text:
        return Clock()
    if mode == "production":
        raise CannotStart("MAPAI_CLOCK is set, but production runs in real time: unset it.")
    return Clock.parse(text)


def _databases(env: Mapping[str, str], mode: Mode, data_dir: Path) -> tuple[str, str, bool]:
    given = env.get("DATABASE_URL")
    if not given:
        if mode == "production":
            raise CannotStart("DATABASE_URL is missing: production needs the address of its PostgreSQL.")
        return postgres.url(data_dir), postgres.url(data_dir, user=APP_ROLE), True
    owner = _database_url("DATABASE_URL", given)
    application = env.get("MAPAI_APP_DATABASE_URL")
    own = _database_url("MAPAI_APP_DATABASE_URL", application) if application else owner
    return own_text(owner), own_text(own), False


def own_text(url: URL) -> str:
    """Return a database URL with its password in it, which ``str`` would hide."""
    return url.render_as_string(hide_password=False)


def _database_url(name: str, text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as wrong:
        raise CannotStart(f"{name} is not a database URL: write postgresql://USER:PASSWORD@HOST/DATABASE.") from wrong
    if url.drivername not in {"postgres", "postgresql", DRIVER}:
        raise CannotStart(f"{name} names «{url.drivername}»: Mapai runs on PostgreSQL only (postgresql://…).")
    if not url.database:
        raise CannotStart(f"{name} names no database: write postgresql://USER:PASSWORD@HOST/DATABASE.")
    return url.set(drivername=DRIVER)


def _partner(env: Mapping[str, str], mode: Mode, partner: str, port: int) -> str:
    name = f"MAPAI_{partner.upper()}_URL"
    text = env.get(name)
    if not text and mode == "production":
        raise CannotStart(f"{name} is missing: production needs the partner's address.")
    return _http_url(name, text or f"http://127.0.0.1:{port + PORTS[partner]}")


def _public_url(env: Mapping[str, str], mode: Mode, port: int) -> str:
    text = env.get("MAPAI_PUBLIC_URL")
    if not text and mode == "production":
        raise CannotStart("MAPAI_PUBLIC_URL is missing: production needs the address partners call back.")
    return _http_url("MAPAI_PUBLIC_URL", text or f"http://127.0.0.1:{port}")


def _http_url(name: str, text: str) -> str:
    try:
        parts = urlsplit(text)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound:
        raise CannotStart(f"{name} is «{text}»: write an address such as https://HOST:PORT.")
    return text.rstrip("/")


def _secret(known: Mapping[str, str], name: str) -> bytes:
    text = known.get(name)
    if not text:
        raise CannotStart(f"{name} is missing: set it to {SECRET_BYTES} random bytes in hexadecimal.")
    return _bytes(name, text)


def _bytes(name: str, text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError as wrong:
        raise CannotStart(f"{name} is not hexadecimal: set it to {SECRET_BYTES} random bytes.") from wrong
    if len(key) < SECRET_BYTES:
        raise CannotStart(f"{name} is {len(key)} bytes long: set it to {SECRET_BYTES} random bytes in hexadecimal.")
    # 32 random bytes hold about 30 different values; fewer than 12 do not come from a random source.
    if len(set(key)) < 12:
        raise CannotStart(f"{name} is a placeholder: set it to {SECRET_BYTES} random bytes in hexadecimal.")
    return key


def _field_keys(known: Mapping[str, str]) -> dict[int, bytes]:
    text = known.get(FIELD_KEYS)
    if not text:
        raise CannotStart(f"{FIELD_KEYS} is missing: set it to ID:HEX, one pair for each key, the current one first.")
    keys: dict[int, bytes] = {}
    for pair in text.split(","):
        number, colon, value = pair.strip().partition(":")
        if not colon or not re.fullmatch(r"\d{1,3}", number, re.ASCII) or not 1 <= int(number) <= 255:
            raise CannotStart(f"{FIELD_KEYS} is not a list ID:HEX,ID:HEX with IDs from 1 to 255.")
        if int(number) in keys:
            raise CannotStart(f"{FIELD_KEYS} holds two keys under the ID {number}: give each its own.")
        keys[int(number)] = _bytes(f"{FIELD_KEYS} {number}", value)
        if len(keys[int(number)]) != SECRET_BYTES:
            raise CannotStart(f"{FIELD_KEYS} {number} is not exactly {SECRET_BYTES} bytes long.")
    return keys


def _own_keys(data_dir: Path) -> dict[str, str]:
    """The keys of a demo: made once, then read. Two processes making them at once end up with the same."""
    path = data_dir / "keys.json"
    if not path.exists():
        keys = {name: secrets.token_hex(SECRET_BYTES) for name in SECRETS}
        keys[FIELD_KEYS] = f"1:{secrets.token_hex(SECRET_BYTES)}"
        with tempfile.NamedTemporaryFile("w", dir=data_dir, prefix="keys.", encoding="utf-8") as fresh:
            json.dump(keys, fresh)
            fresh.flush()
            os.fsync(fresh.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(fresh.name, path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: str(found[name]) for name in (*SECRETS, FIELD_KEYS)}
    except (ValueError, KeyError, TypeError) as wrong:
        raise CannotStart(f"{path} is damaged: restore it, or the personal data stored stays sealed.") from wrong
    except PermissionError as wrong:
        raise CannotStart(f"{path} cannot be read by this account: run Mapai as its owner.") from wrong
