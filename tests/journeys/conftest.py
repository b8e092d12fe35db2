"""One Chromium and one platform for all journeys of a test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.ground import STEP_MS, Ground, launched, standing

# A machine that does much else at the same time is slow, and not wrong.
expect.set_options(timeout=STEP_MS)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One headless browser; every visitor has a context of his own. Where it is missing this fails, and never skips."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def ground(chromium: Browser) -> Iterator[Ground]:
    """The running platform; its books are verified when all journeys are over."""
    with standing(chromium) as ground:
        yield ground
        ground.verify()
