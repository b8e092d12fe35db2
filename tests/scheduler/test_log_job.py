"""The scheduler writes the published log by itself, with keys that a demo makes the first time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, select

from app.cli import main
from app.config import Settings
from app.data_folder import claim
from app.log_keys import CROWD, LOG_SIGNING_KEYS, LogKeysMissing, LogTerms, log_keys, rotated, signing_log_keys
from app.startup import CannotStart
from subsidy.log_tables import LogHead
from tests.api.conftest import Place
from tests.scheduler.test_jobs import eventually, one, scheduling


@pytest.mark.usefixtures("programme")
def test_what_is_committed_is_published_and_signed(place: Place, engine: Engine, settings: Settings) -> None:
    with scheduling(settings, place.app.extensions["mapai.partners"]):
        eventually(lambda: one(engine, select(LogHead.size).where(LogHead.is_public)))
    head = place.visitor().get("/api/log/GS-2026/head").json
    assert (head["size"], head["key_id"]) == (2, log_keys(settings).must_sign().key_id)


def test_keys_of_the_log_are_its_own_and_rotate(base_settings: Settings, tmp_path) -> None:
    settings = replace(base_settings, data_dir=claim(tmp_path / "own"))
    with pytest.raises(LogKeysMissing):
        log_keys(settings, {})
    first = signing_log_keys(settings, {}).must_sign()
    path, key_id = rotated(settings, {})
    assert (path, key_id) == (tmp_path / "own" / "log-signing-keys.json", 2)
    keys = log_keys(settings, {})
    assert set(keys.public) == {1, 2}
    assert keys.must_sign().key_id == 2 != first.key_id
    assert not (tmp_path / "own" / "plate-signing-keys.json").exists()
    other = {"MAPAI_DATA": str(claim(tmp_path / "other"))}
    Settings.from_env(other)  # it stands, with keys of its own
    told = CliRunner().invoke(main, ["new-log-key"], env=other)
    assert (told.exit_code, "key 1 signs tree heads" in told.output) == (0, True), told.output
    strict = replace(settings, mode="production")
    with pytest.raises(LogKeysMissing):
        signing_log_keys(strict, {})
    with pytest.raises(CannotStart, match=LOG_SIGNING_KEYS):
        rotated(strict, {})
    assert signing_log_keys(strict, {LOG_SIGNING_KEYS: str(path)}).must_sign().key_id == 2
    assert (LogTerms.of(strict, {}).crowd, LogTerms.of(settings, {}).crowd) == (50, 1)
    for wrong in ("0", "many", "-3"):
        with pytest.raises(CannotStart, match=CROWD):
            LogTerms.of(settings, {CROWD: wrong})
