import pytest
from sqlalchemy import Engine

from app.config import Settings
from tests.subsidy.claim_scene import Scene
from tests.subsidy.payout_rows import Books


@pytest.fixture
def books(engine: Engine, settings: Settings) -> Books:
    """A programme and a dealer on the test's own database."""
    return Books(engine, settings.keyring)


@pytest.fixture
def scene(engine: Engine, settings: Settings) -> Scene:
    """A district in which trade-ins complete; the test opens its programme."""
    return Scene(settings=settings, engine=engine)
