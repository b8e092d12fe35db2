"""The OpenAPI document: complete, every field described, and true to the routes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import Place

METHODS = {"get", "post", "put", "patch", "delete"}
NO_KEY = {
    ("/api/sign-ins/by-code", "post"),
    ("/api/one-time-codes", "post"),
    ("/api/people/{person_id}/unmaskings", "post"),
    ("/api/sign-ins", "post"),
    ("/api/sign-ins", "delete"),
    ("/api/partners/plates/callbacks", "post"),
}


@pytest.fixture
def spec(place: Place) -> dict[str, Any]:
    answer = place.visitor().get("/api/openapi.json")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json
    return document


def operations(spec: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in spec["paths"].items():
        for method in METHODS & set(item):
            yield path, method, item[method]


def test_it_is_openapi_3_1_and_names_every_route(place: Place, spec: dict[str, Any]) -> None:
    assert spec["openapi"] == "3.1.0"
    described = set(spec["paths"])
    rules = [rule.rule for rule in place.app.url_map.iter_rules() if rule.rule.startswith("/api/")]
    routes = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule) for rule in rules}
    assert routes - described == {"/api/openapi.json", "/api/partners/ecny/callbacks"}


def test_every_operation_says_what_it_does_and_what_goes_wrong(spec: dict[str, Any]) -> None:
    for path, method, operation in operations(spec):
        assert operation["summary"], (method, path)
        problems = [code for code in operation["responses"] if code.isdigit() and int(code) >= 400]
        assert problems, (method, path)
        for code in problems:
            content = operation["responses"][code]["content"]
            assert content["application/problem+json"]["schema"]["$ref"].endswith("/Problem" + "Answer")


def test_every_writing_operation_asks_for_its_key(spec: dict[str, Any]) -> None:
    for path, method, operation in operations(spec):
        names = [parameter["name"] for parameter in operation.get("parameters", []) if "name" in parameter]
        writes = method != "get" and (path, method) not in NO_KEY
        assert ("Idempotency-Key" in names) is writes, (method, path)


def test_every_field_is_described(spec: dict[str, Any]) -> None:
    bare = [
        f"{name}.{field}"
        for name, schema in spec["components"]["schemas"].items()
        for field, facts in schema.get("properties", {}).items()
        if "description" not in facts and "$ref" not in facts and "allOf" not in facts and "anyOf" not in facts
    ]
    assert not bare


def test_money_and_measures_name_their_unit(spec: dict[str, Any]) -> None:
    units = {"_fen": "fen", "_g": " g", "_m_h": "m/h", "_w": "W", "_mv": "mV", "_s": "second"}
    for name, schema in spec["components"]["schemas"].items():
        for field, facts in schema.get("properties", {}).items():
            for ending, unit in units.items():
                if field.endswith(ending) and facts.get("type") in ("integer", ["integer", "null"]):
                    assert unit in facts["description"], f"{name}.{field}"
