"""The demo's partner servers: told the right things, and calling back where the platform really listens."""

import pytest

from app import serving
from app.config import Settings
from app.startup import CannotStart


def test_partners_call_back_where_the_platform_listens(settings: Settings) -> None:
    from app.factory import create_app

    rules = {rule.rule for rule in create_app(settings).url_map.iter_rules() if "POST" in (rule.methods or ())}
    assert set(serving.CALLBACK_PATHS.values()) <= rules


def test_misbehaviour_travels_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    told = serving.Misbehaviour(fault_rate=0.25, seed=7, answered_at_once=0.5, silent_s=0.4)
    for name, value in told.to_environ().items():
        monkeypatch.setenv(name, value)
    assert serving.Misbehaviour.from_environ() == told


def test_without_a_word_partners_behave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(serving.MISBEHAVIOUR, raising=False)
    assert serving.Misbehaviour.from_environ().fault_rate == 0


@pytest.mark.parametrize("text", ["{", "[]", '{"mood": 1}', "7"])
def test_nonsense_is_refused_in_words(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(serving.MISBEHAVIOUR, text)
    with pytest.raises(CannotStart, match="write a JSON object with some of fault_rate"):
        serving.Misbehaviour.from_environ()
