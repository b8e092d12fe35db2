"""The JSON API under /api. Its description is made from the views: /api/openapi.json."""

from app.api.registration import register

__all__ = ["register"]
