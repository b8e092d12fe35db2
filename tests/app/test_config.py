"""What the environment may say, and the sentence for everything it may not."""

import json
import secrets
import threading
from pathlib import Path

import pytest

from app.config import FIELD_KEYS, SECRETS, Settings
from app.data_folder import MARKER, claim, locked
from app.startup import CannotStart


def production(**changes: str) -> dict[str, str]:
    given = {name: secrets.token_hex(32) for name in SECRETS}
    given |= {
        FIELD_KEYS: f"2:{secrets.token_hex(32)},1:{secrets.token_hex(32)}",
        "MAPAI_MODE": "production",
        "DATABASE_URL": "postgresql://owner:pass-word@db.example/mapai",
        "MAPAI_PUBLIC_URL": "https://mapai.example/",
        "MAPAI_PLATES_URL": "https://plates.example",
        "MAPAI_ECNY_URL": "https://bank.example",
        "MAPAI_SMS_URL": "https://sms.example",
    }
    return {**given, **changes}


def test_a_demo_needs_nothing(tmp_path: Path) -> None:
    settings = Settings.from_env({"MAPAI_DATA": str(tmp_path / "data")})
    assert (settings.mode, settings.schema, settings.port, settings.embedded) == ("demo", "d330105", 8000, True)
    assert settings.clock.is_real
    assert settings.plates_url == "http://127.0.0.1:8001"
    assert settings.owner_url != settings.database_url
    assert "mapai_app@" in settings.database_url


def test_how_many_proxies_are_trusted_is_a_small_number() -> None:
    assert Settings.from_env(production()).trusted_proxies == 0
    assert Settings.from_env(production(MAPAI_TRUSTED_PROXIES="2")).trusted_proxies == 2
    for wrong in ("-1", "11", "yes"):
        with pytest.raises(CannotStart, match="MAPAI_TRUSTED_PROXIES"):
            Settings.from_env(production(MAPAI_TRUSTED_PROXIES=wrong))


def test_a_demo_makes_its_keys_once(tmp_path: Path) -> None:
    first = Settings.from_env({"MAPAI_DATA": str(tmp_path / "data")})
    second = Settings.from_env({"MAPAI_DATA": str(tmp_path / "data")})
    other = Settings.from_env({"MAPAI_DATA": str(tmp_path / "other")})
    assert first == second
    assert first.index_key != other.index_key
    assert (tmp_path / "data" / "keys.json").stat().st_mode & 0o077 == 0


def test_processes_starting_at_once_end_up_with_the_same_keys(tmp_path: Path) -> None:
    claim(tmp_path / "data")
    found: list[Settings] = []
    threads = [
        threading.Thread(target=lambda: found.append(Settings.from_env({"MAPAI_DATA": str(tmp_path / "data")})))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert {each.secret_key for each in found} == {found[0].secret_key}


def test_damaged_keys_are_not_replaced(tmp_path: Path) -> None:
    data = claim(tmp_path / "data")
    (data / "keys.json").write_text(json.dumps({"MAPAI_SECRET_KEY": "ab"}))
    with pytest.raises(CannotStart, match="damaged"):
        Settings.from_env({"MAPAI_DATA": str(data)})
    assert json.loads((data / "keys.json").read_text()) == {"MAPAI_SECRET_KEY": "ab"}


def test_production_reads_everything_it_is_given() -> None:
    settings = Settings.from_env(production())
    assert settings.owner_url == settings.database_url == "postgresql+psycopg://owner:pass-word@db.example/mapai"
    assert settings.public_url == "https://mapai.example"
    assert list(settings.field_keys) == [2, 1]
    sealed = settings.keyring.seal("张三", field="name")
    assert (sealed[0], settings.keyring.open(sealed, field="name")) == (2, "张三")
    assert not settings.embedded


def test_the_application_may_have_a_login_of_its_own() -> None:
    settings = Settings.from_env(production(MAPAI_APP_DATABASE_URL="postgres://app@db.example/mapai"))
    assert settings.database_url == "postgresql+psycopg://app@db.example/mapai"


def test_no_secret_is_shown(tmp_path: Path) -> None:
    settings = Settings.from_env(production())
    shown = repr(settings)
    assert "pass-word" not in shown
    for secret in (settings.secret_key, settings.index_key.hex(), repr(settings.plates_key), repr(settings.index_key)):
        assert secret not in shown


@pytest.mark.parametrize("name", [*SECRETS, FIELD_KEYS])
@pytest.mark.parametrize(
    ("value", "words"), [("", "missing"), ("secret", "hexadecimal|not a list"), ("ab" * 32, "placeholder|not a list")]
)
def test_production_refuses_a_secret_that_is_none(name: str, value: str, words: str) -> None:
    with pytest.raises(CannotStart, match=f"{name}.*({words})"):
        Settings.from_env(production(**{name: value}))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_URL", "", "DATABASE_URL is missing"),
        ("DATABASE_URL", "sqlite:///x.db", "PostgreSQL only"),
        ("DATABASE_URL", "not a url", "not a database URL"),
        ("DATABASE_URL", "postgresql://db.example", "names no database"),
        ("MAPAI_PUBLIC_URL", "", "MAPAI_PUBLIC_URL is missing"),
        ("MAPAI_PLATES_URL", "", "MAPAI_PLATES_URL is missing"),
        ("MAPAI_ECNY_URL", "bank.example", "MAPAI_ECNY_URL.*write an address"),
        ("MAPAI_SMS_URL", "http://sms.example:99999", "MAPAI_SMS_URL.*write an address"),
        ("MAPAI_MODE", "live", "MAPAI_MODE is «live»"),
        ("MAPAI_DISTRICT", "33010", "six digits"),
        ("MAPAI_DISTRICT", "３３０１０５", "six digits"),
        ("MAPAI_DISTRICT", '330105"; drop', "six digits"),
        ("MAPAI_PORT", "http", "MAPAI_PORT is «http»"),
        ("MAPAI_PORT", "65535", "from 1 to 65531"),
        ("MAPAI_WEB_WORKERS", "0", "MAPAI_WEB_WORKERS"),
        ("MAPAI_WEB_THREADS", "-3", "MAPAI_WEB_THREADS"),
        ("MAPAI_CLOCK", "2026-06-01T00:00:00+08:00@0x60", "real time"),
        ("MAPAI_INDEX_KEY", "00112233445566778899aabbccddeeff", "16 bytes long"),
        (FIELD_KEYS, "0:" + "00" * 32, "from 1 to 255"),
        (FIELD_KEYS, f"1:{bytes(range(32)).hex()},1:{bytes(range(32)).hex()}", "two keys under the ID 1"),
        (FIELD_KEYS, f"1:{bytes(range(40)).hex()}", "exactly 32 bytes"),
    ],
)
def test_every_bad_value_has_its_sentence(name: str, value: str, words: str) -> None:
    with pytest.raises(CannotStart, match=words) as refused:
        Settings.from_env(production(**{name: value}))
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(CannotStart, match="holds other things"):
        claim(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStart, match="not a folder"):
        claim(tmp_path / "file")


def test_a_folder_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = claim(tmp_path / "data")
    (folder / MARKER).write_text("Format 2.")
    with pytest.raises(CannotStart, match="another version"):
        claim(folder)


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    folder = claim(tmp_path / "data")
    with (
        locked(folder, "up", busy="busy."),
        pytest.raises(CannotStart, match="busy"),
        locked(folder, "up", busy="busy."),
    ):
        pass
    with locked(folder, "up", busy="busy."):
        pass


def test_where_a_subsidy_is_paid_back_to_is_read_as_owners_read_it(tmp_path: Path) -> None:
    env = {"MAPAI_DATA": str(tmp_path / "data")}
    assert Settings.from_env(env).repay_to is None
    typed = {**env, "MAPAI_REPAY_TO": " 区市场监管局，\n账号 1202 "}
    assert Settings.from_env(typed).repay_to == "区市场监管局， 账号 1202"
    with pytest.raises(CannotStart, match="MAPAI_REPAY_TO has 121 characters"):
        Settings.from_env({**env, "MAPAI_REPAY_TO": "账" * 121})
