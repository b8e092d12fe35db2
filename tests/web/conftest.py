from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from app.config import Settings
from tests.web.scene import Browser, Scene, make_scene


@pytest.fixture
def scene(settings: Settings, session: Session) -> Iterator[Scene]:
    """A district with one licensed point, its account, and a clerk; no programme yet."""
    scene = make_scene(settings, session)
    yield scene
    scene.close()


@pytest.fixture
def running(scene: Scene) -> Scene:
    """The same district with the three stages' programme, the first stage open."""
    scene.programme()
    return scene


@pytest.fixture
def point(running: Scene) -> Browser:
    """The point, signed in."""
    browser = Browser(running.app())
    browser.sign_in("point")
    return browser
