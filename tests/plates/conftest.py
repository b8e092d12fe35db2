"""The API's fixtures, for the tests of plates."""

from tests.api.conftest import owner, place, point, programme

__all__ = ["owner", "place", "point", "programme"]
