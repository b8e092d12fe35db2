"""flask-smorest's blueprint with the types it lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask_smorest import Blueprint
from marshmallow import Schema
from webargs.flaskparser import FlaskParser

View = TypeVar("View", bound=Callable[..., Any])
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class StrictParser(FlaskParser):
    """Lets the schema decide on unknown fields everywhere; webargs would drop them from a query in silence."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {}

    def load_json(self, req: Any, schema: Schema) -> Any:
        """Read the body; what Python will not make a value of, a number of 5,000 digits for one, is unreadable too."""
        try:
            return super().load_json(req, schema)
        except ValueError as unreadable:
            return self._handle_invalid_json_error(unreadable, req)  # type: ignore[arg-type]


class ApiBlueprint(Blueprint):  # type: ignore[misc]
    """A part of the API: its views carry their schemas, and the OpenAPI document is made from them."""

    ARGUMENTS_PARSER = StrictParser()

    def route(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Register a view at ``rule``."""
        return cast("Callable[[View], View]", super().route(rule, **options))

    def arguments(self, schema: type[Schema], **options: Any) -> Decorator:
        """Validate the request with ``schema`` and hand it to the view as its first argument."""
        return cast("Decorator", super().arguments(schema, **options))

    def response(self, status_code: int, schema: type[Schema] | None = None, **options: Any) -> Decorator:
        """Answer with ``status_code`` and what the view returns, dumped with ``schema``."""
        return cast("Decorator", super().response(status_code, schema, **options))

    def alt_response(self, status_code: int, **options: Any) -> Decorator:
        """Describe another answer of the view."""
        return cast("Decorator", super().alt_response(status_code, **options))

    def doc(self, **facts: Any) -> Decorator:
        """Describe the view further, in OpenAPI's words."""
        return cast("Decorator", super().doc(**facts))
