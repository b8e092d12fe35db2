import pytest
from sqlalchemy import Engine

from app.config import Settings
from tests.subsidy.payout_rows import Books


@pytest.fixture
def books(engine: Engine, settings: Settings) -> Books:
    """A programme and a dealer on the test's own database."""
    return Books(engine, settings.keyring)
