"""The command line: every command explains itself, and every «no» is one sentence."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy.engine import make_url

from app.cli import main
from app.config import Settings
from tests.app.test_config import production

COMMANDS = [
    "up",
    "assets",
    "web",
    "scheduler",
    "plates-stub",
    "ecny-sandbox",
    "sms-sandbox",
    "db",
    "seed",
    "verify",
    "scenario",
]


def test_the_help_lists_every_command() -> None:
    shown = CliRunner().invoke(main, ["--help"])
    assert shown.exit_code == 0
    for name in COMMANDS:
        assert f"  {name} " in shown.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    shown = CliRunner().invoke(main, [command, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 3


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        (["db", "upgrade"], {"MAPAI_MODE": "live"}, "MAPAI_MODE is «live»"),
        (["web"], {"MAPAI_MODE": "production"}, "DATABASE_URL is missing"),
        (["scheduler"], {"MAPAI_PORT": "99999"}, "MAPAI_PORT is «99999»"),
        (["verify"], {"DATABASE_URL": "sqlite://"}, "PostgreSQL only"),
        (["plates-stub"], {"MAPAI_MISBEHAVIOUR": "{"}, "write a JSON object with some of fault_rate"),
        (["db", "upgrade"], {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "cannot be reached"),
    ],
)
def test_what_cannot_start_says_one_sentence(
    arguments: list[str], environ: dict[str, str], words: str, tmp_path: object
) -> None:
    told = CliRunner().invoke(main, arguments, env={"MAPAI_DATA": str(tmp_path), **environ})
    assert told.exit_code == 1
    assert told.stdout == ""
    assert words in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1
    assert told.stderr.startswith("mapai: ")


def test_seeding_is_refused_in_production() -> None:
    told = CliRunner().invoke(main, ["seed"], env=production())
    assert told.exit_code == 1
    assert "does not run in production" in told.stderr


def test_up_is_refused_in_production(tmp_path: object) -> None:
    told = CliRunner().invoke(main, ["up", "--data", f"{tmp_path}/data"], env=production())
    assert told.exit_code == 1
    assert "`mapai up` runs a demo" in told.stderr


def test_an_unknown_scenario_is_refused() -> None:
    told = CliRunner().invoke(main, ["scenario", "atlantis"])
    assert told.exit_code == 2
    assert "gongshu" in told.stderr


ON_A_PLATFORM = (
    ["verify"],
    ["import-filings", "LIST"],
    ["import-earlier", "LIST"],
    ["import-dealers", "LIST"],
    ["keys", "rotate"],
    ["staff", "add", "li.min", "--name", "李敏", "--role", "operator"],
    ["plate-code", "issue"],
    ["plate-code", "new-key"],
    ["new-log-key"],
)


@pytest.mark.parametrize("named", ["--data", "MAPAI_DATA", "by default"])
@pytest.mark.parametrize("command", ON_A_PLATFORM, ids=" ".join)
def test_a_command_on_a_platform_says_where_there_is_none_and_makes_none(
    command: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("MAPAI_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text("x\n", encoding="utf-8")
    words = ["list.csv" if word == "LIST" else word for word in command]
    if named == "--data":
        words += ["--data", "elsewhere"]
    told = CliRunner().invoke(main, words, env={"MAPAI_DATA": "elsewhere"} if named == "MAPAI_DATA" else {})
    assert (told.exit_code, told.stdout) == (1, "")
    folder = ".mapai" if named == "by default" else "elsewhere"
    assert told.stderr == f"mapai: {folder} holds no Mapai data: name the folder `mapai up` used with --data.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]


@pytest.mark.parametrize("command", ON_A_PLATFORM[1:5:3], ids=" ".join)
def test_a_database_without_the_district_is_one_sentence(
    command: list[str], base_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text("x\n", encoding="utf-8")
    empty = make_url(base_settings.owner_url).set(database="postgres")
    monkeypatch.setenv("DATABASE_URL", empty.render_as_string(hide_password=False))
    monkeypatch.setenv("MAPAI_DATA", str(tmp_path / "data"))
    told = CliRunner().invoke(main, [str(listed) if word == "LIST" else word for word in command])
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr.startswith("mapai: The database of DATABASE_URL holds nothing of district ")
    assert len(told.stderr.splitlines()) == 1
