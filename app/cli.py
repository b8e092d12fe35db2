"""The `mapai` command. Each command is a few lines here and lives in a module of its own, imported when it is run."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from app.config import PORTS, Settings
from app.data_folder import DEFAULT, holds_data
from app.die_with_parent import die_with_parent
from app.processes import STARTED_BY
from app.startup import CannotStart

HIGHEST_PORT = 65535 - max(PORTS.values())
SCENARIOS = ("gongshu",)
WHICH: Callable[..., Any] = click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=DEFAULT,
    show_default=True,
    envvar="MAPAI_DATA",
    help="The folder `mapai up` used; DATABASE_URL goes before it.",
)


class Sentences(click.Group):
    """A group whose commands end with one sentence and exit code 1 where they cannot start."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except CannotStart as reason:
            click.echo(f"mapai: {reason}", err=True)
            ctx.exit(1)


@click.group(cls=Sentences)
@click.version_option(package_name="mapai")
def main() -> None:
    """码牌 Mapai: trades old e-bikes in for compliant ones, and accounts for every fen."""
    parent = os.environ.get(STARTED_BY)
    if parent:
        die_with_parent(signal.SIGTERM, parent=int(parent))


@main.command()
@click.option("--port", type=click.IntRange(1, HIGHEST_PORT), default=8000, show_default=True, envvar="MAPAI_PORT")
@click.option("--data", type=click.Path(path_type=Path), default=DEFAULT, show_default=True, envvar="MAPAI_DATA")
def up(port: int, data: Path) -> None:
    """Start everything: database, demo district, partners, web and scheduler.

    The partners' servers and the scheduler take the four ports after the web's.
    """
    from app.up import run

    run(data=data, port=port)


@main.command()
def web() -> None:
    """Serve the pages and the API (MAPAI_HOST, MAPAI_PORT)."""
    settings = Settings.from_env()
    from app.serving import serve_web

    with _database(settings):
        serve_web(settings)


@main.command()
@click.option("--health-port", type=click.IntRange(1, 65535), help="Answer GET /health there, on this machine.")
def scheduler(health_port: int | None) -> None:
    """Switch stages, pay, reconcile and send; any number may run, one leads."""
    settings = Settings.from_env()
    from app.scheduler import run

    with _database(settings):
        run(settings, health_port=health_port)


@main.command("assets")
def fetch_assets() -> None:
    """Fetch the fonts of print and the pages' libraries from npm; `mapai up` does so at its first start.

    Does nothing where they are there. Without them nothing is printed, most browsers cannot scan, and pages do not
    renew themselves.
    """
    from app.build_assets import fetch, own_frontend

    fetched = fetch(own_frontend(), say=click.echo)
    click.echo("Fonts and libraries are in place." if fetched else "Fonts and libraries were in place already.")


def _partner(name: str, words: str, target: str, port_name: str) -> None:
    @main.command(name, help=words)
    @click.option("--port", type=click.IntRange(1, 65535), help="Port on this machine.  [default: from MAPAI_PORT]")
    @click.option("--fault-rate", type=click.FloatRange(0, 1), help="Share of requests that meet a fault.")
    @click.option("--answered-at-once", type=click.FloatRange(0, 1), help="Share of orders answered finally.")
    @click.option("--seed", type=int, help="Decides which requests meet which fault.")
    def run(port: int | None, **behaviour: Any) -> None:
        from dataclasses import replace

        from app import serving

        settings = Settings.from_env()
        told = {key: value for key, value in behaviour.items() if value is not None}
        serving.serve_partner(
            getattr(serving, target),
            port=port or settings.port + PORTS[port_name],
            misbehaviour=replace(serving.Misbehaviour.from_environ(), **told),
        )


_partner("plates-stub", "Serve the stub of the traffic police's plate system (云申领).", "PLATES", "plates")
_partner("ecny-sandbox", "Serve the sandbox of the digital yuan's operating bank (数字人民币).", "ECNY", "ecny")
_partner("sms-sandbox", "Serve the sandbox of the text-message gateway.", "SMS", "sms")


@main.group("db")
def database() -> None:
    """Look after the database."""


@database.command()
def upgrade() -> None:
    """Create role, schema and tables, or bring them to this version."""
    from app.migrate import upgrade as migrate

    settings = Settings.from_env()
    with _database(settings):
        migrate(settings)
    click.echo(f"{settings.schema} is at this version.")


@main.group("keys")
def keys() -> None:
    """Look after the keys that seal personal data."""


@keys.command("rotate")
@WHICH
def rotate_keys(data: Path) -> None:
    """Seal everything personal again under the first key of MAPAI_FIELD_KEYS. Exit code 1 where some is left.

    Runs while everybody works, may be cut off and run again. Restart all processes with the new key first.
    """
    from app.commands_keys import run

    with _standing(data) as settings:
        sys.exit(run(settings))


@main.group("staff")
def staff() -> None:
    """Make the bureau's first accounts; later ones are asked for and decided by two on the pages."""


@staff.command("add")
@click.argument("login")
@click.option("--name", required=True, help="The person's name, as records show it.")
@click.option("--role", required=True, help="operator, reviewer, finance, auditor or administrator.")
@WHICH
def add_staff_account(login: str, name: str, role: str, data: Path) -> None:
    """Add the account LOGIN and print its first password, once."""
    from app.commands_staff import add

    with _standing(data) as settings:
        add(settings, login=login, name=name, role=role)


@main.group("plate-code")
def plate_code() -> None:
    """Look after the signed codes on plates."""


@plate_code.command("verify")
@click.argument("text")
@click.option("--keys", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True)
def verify_plate_code(text: str, keys: Path) -> None:
    """Say offline whether TEXT, a scanned code or link, is genuine. FILE is the answer of GET /api/plate-keys.

    Exit code 1 where it is forged or no plate code.
    """
    from app.commands_plates import verify

    sys.exit(verify(text, keys))


@plate_code.command("issue")
@WHICH
def issue_plate_codes(data: Path) -> None:
    """Issue the first code of every plate that has none; the web server does so too when one is asked for."""
    from app.commands_plates import issue

    with _standing(data) as settings:
        sys.exit(issue(settings))


@plate_code.command("new-key")
@WHICH
def new_plate_key(data: Path) -> None:
    """Make a new signing key and end the last. Codes signed before stay good; no restart is needed."""
    from app.commands_plates import new_key

    sys.exit(new_key(_settings_in(data)))


@main.command("seed")
def seed_district() -> None:
    """Fill an empty demo district; the police stub must be running. Never in production."""
    settings = Settings.from_env()
    if settings.mode == "production":
        raise CannotStart("`mapai seed` makes up people and bikes: it does not run in production.")
    from app.seed import is_seeded, seed

    with _database(settings):
        if is_seeded(settings):
            raise CannotStart(f"District {settings.district} holds data already: name another folder with MAPAI_DATA.")
        seed(settings, lambda what, done, total: click.echo(f"{what}: {done} of {total}"))


@main.command("import-filings")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@WHICH
@click.option("--dry-run", is_flag=True, help="Check everything and store nothing.")
@click.option(
    "--problems", type=click.Path(dir_okay=False, path_type=Path), help="Write what is wrong there: .xlsx or CSV."
)
def import_list(file: Path, dry_run: bool, problems: Path | None, data: Path) -> None:
    """Import a list of filed bikes (Excel or CSV with Chinese headers); the same list again changes nothing.

    Good rows go in, corrected ones update theirs, the others are named by line and column. Exit code 1 where a row was
    refused or differs.
    """
    from app.commands_import import run_command

    with _standing(data) as settings:
        sys.exit(run_command(settings, file, dry_run=dry_run, problems=problems))


@main.command("import-earlier")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@WHICH
@click.option("--dry-run", is_flag=True, help="Check everything and store nothing.")
@click.option(
    "--problems", type=click.Path(dir_okay=False, path_type=Path), help="Write what is wrong there: .xlsx or CSV."
)
def import_earlier_list(file: Path, dry_run: bool, problems: Path | None, data: Path) -> None:
    """Import trade-ins or plates from before Mapai (Excel or CSV), so that those bikes cannot claim.

    Columns 旧车号牌, 新车整车编码, 办结日期; or 号牌号码, 整车编码, 发牌日期. Exit code 1 where a row was
    refused or differs.
    """
    from app.commands_earlier import run_command

    with _standing(data) as settings:
        sys.exit(run_command(settings, file, dry_run=dry_run, problems=problems))


@main.command("import-dealers")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@WHICH
@click.option("--dry-run", is_flag=True, help="Check everything and store nothing.")
@click.option(
    "--problems", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows with problems there, as .xlsx."
)
def import_dealers(file: Path, dry_run: bool, problems: Path | None, data: Path) -> None:
    """Import a list of dealers, or of their counter accounts (Excel or CSV with Chinese headers).

    The same list again changes nothing. Managers set their passwords by the dealer's phone. Exit code 1 where a row
    was refused or differs.
    """
    from app.commands_dealers import run_command

    with _standing(data) as settings:
        sys.exit(run_command(settings, file, dry_run=dry_run, problems=problems))


@main.command()
@WHICH
def verify(data: Path) -> None:
    """Replay the whole queue and compare every decision, balance, payout and seal. Exit code 1 on any difference."""
    from app.verify import run

    with _standing(data) as settings:
        sys.exit(run(settings))


@main.command()
def capacity() -> None:
    """Measure this machine, on a database of its own, and say how many points and owners it serves, and why."""
    # What measures a machine lives with the benchmarks, and nothing of the platform may need those.
    sys.exit(subprocess.call([sys.executable, "-m", "loadtests.capacity"]))


@main.command("prove")
@click.argument("receipt", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--url", help="The platform to ask for the newest head and the leaves since.  [default: the one here]")
@click.option("--keys", type=click.Path(exists=True, path_type=Path), help="Saved answer of GET /api/log-keys.")
@click.option("--head", type=click.Path(exists=True, path_type=Path), help="Saved answer of GET …/head.")
@click.option("--log", type=click.Path(exists=True, path_type=Path), help="Saved pages of GET …/entries, or a folder.")
def prove_receipt(receipt: Path, url: str | None, keys: Path | None, head: Path | None, log: Path | None) -> None:
    """Check an owner's receipt, and what happened to its position since. Exit code 1 where anything is wrong.

    The platform on this machine is asked for its keys and what came since, or the one of --url; with --keys none is,
    and signature, proofs and commitment are checked offline.
    """
    from app.commands_prove import prove

    sys.exit(prove(receipt, keys=keys, head=head, log=log, url=url))


@main.command("new-log-key")
@WHICH
def new_log_key(data: Path) -> None:
    """Make a new key that signs the published log and end the last; heads signed before stay good. No restart."""
    from app.log_keys import rotated

    path, key_id = rotated(_settings_in(data))
    click.echo(f"{path}: key {key_id} signs tree heads from now on; heads signed before stay good.")


@main.command("log-consistency")
@click.argument("first", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("second")
@click.option("--url", help="The platform to ask for the proof.  [default: the one here]")
@click.option("--keys", type=click.Path(exists=True, path_type=Path), help="Saved answer of GET /api/log-keys.")
@click.option("--proof", type=click.Path(exists=True, path_type=Path), help="Saved answer of GET …/consistency.")
def compare_heads(first: Path, second: str, url: str | None, keys: Path | None, proof: Path | None) -> None:
    """Check that the log under one saved head is the beginning of that under another (SECOND: a file, or «newest»)."""
    from app.commands_prove import log_consistency

    sys.exit(log_consistency(first, second, keys=keys, proof=proof, url=url))


@main.command()
@click.argument("name", type=click.Choice(SCENARIOS))
@click.option("--seed", type=int, default=1, show_default=True, help="Decides every count in the result.")
@click.option("--trade-ins", type=click.IntRange(1), default=4_000, show_default=True, help="About how many.")
@click.option("--filings", type=click.IntRange(1), default=180_000, show_default=True, help="Rows of the filing list.")
@click.option("--keep", is_flag=True, help="Keep the data folder, with logs and database.")
def scenario(name: str, seed: int, trade_ins: int, filings: int, keep: bool) -> None:
    """Run a whole programme in small time, on a database of its own. Exit code 1 when any rule was broken."""
    run = importlib.import_module(f"app.scenario.{name}").run
    sys.exit(run(seed=seed, trade_ins=trade_ins, filings=filings, keep=keep))


def _settings_in(data: Path) -> Settings:
    """The settings of a platform that stands already; raises CannotStart where none does, and makes nothing."""
    production = os.environ.get("MAPAI_MODE") == "production"
    if not production and not os.environ.get("DATABASE_URL") and not holds_data(data):
        raise CannotStart(f"{data} holds no Mapai data: name the folder `mapai up` used with --data.")
    return Settings.from_env({**os.environ, "MAPAI_DATA": str(data)})


@contextmanager
def _standing(data: Path) -> Iterator[Settings]:
    """The settings of a platform that stands already, its database running and of this version's making."""
    settings = _settings_in(data)
    with _database(settings):
        from app.migrate import refuse_unprepared

        refuse_unprepared(settings)
        yield settings


def _database(settings: Settings) -> AbstractContextManager[object]:
    """The embedded database for as long as the command runs, where it is used and nobody runs it already."""
    from app import postgres

    if not settings.embedded or os.environ.get(STARTED_BY):
        return nullcontext()
    return postgres.running(settings.data_dir)


if __name__ == "__main__":
    main()
