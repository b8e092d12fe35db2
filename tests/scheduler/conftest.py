"""A district behind the API, as its own tests have it, and rows that payouts stand on."""

import pytest
from sqlalchemy import Engine

from app.config import Settings
from tests.api.conftest import owner, place, point, programme  # noqa: F401  (fixtures)
from tests.subsidy.payout_rows import Books


@pytest.fixture
def books(engine: Engine, settings: Settings) -> Books:
    return Books(engine, settings.keyring)
