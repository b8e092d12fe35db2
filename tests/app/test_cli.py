"""The command line: every command explains itself, and every «no» is one sentence."""

import pytest
from click.testing import CliRunner

from app.cli import main
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


def test_verify_of_a_folder_without_data_says_so_and_makes_none(tmp_path, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    folder = tmp_path / "nothing"
    result = CliRunner().invoke(main, ["verify", "--data", str(folder)])
    assert result.exit_code == 1
    assert "holds no Mapai data" in result.output
    assert "--data" in result.output
    assert not folder.exists()
