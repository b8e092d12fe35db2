"""Fixtures for the tests of the registry's operations."""

import pytest
from sqlalchemy.orm import Session

from app.config import Settings
from tests.registry.line import District, make_district


@pytest.fixture
def district(session: Session, settings: Settings) -> District:
    return make_district(session, settings.keyring)
