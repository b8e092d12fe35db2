"""The OpenAPI document: complete, every field described, and true to the routes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import Place
from tests.house_rules.test_refusals import refusals

METHODS = {"get", "post", "put", "patch", "delete"}
NO_KEY = {
    ("/api/filings/search", "post"),
    ("/api/sign-ins/by-code", "post"),
    ("/api/one-time-codes", "post"),
    ("/api/dealer-applications", "post"),
    ("/api/dealer-passwords", "post"),
    ("/api/people/{person_id}/unmaskings", "post"),
    ("/api/sign-ins", "post"),
    ("/api/sign-ins", "delete"),
    ("/api/partners/plates/callbacks", "post"),
}


_document: dict[str, Any] = {}


@pytest.fixture
def spec(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The document, which is the same for every test: one district behind it is enough."""
    if not _document:
        place: Place = request.getfixturevalue("place")
        answer = place.visitor().get("/api/openapi.json")
        assert answer.status_code == 200
        _document.update(answer.json)
    return _document


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


def fields_of(spec: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every property of every schema, those written into an operation included, and every parameter."""

    def inside(where: str, schema: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
        if isinstance(schema, list):
            for each in schema:
                yield from inside(where, each)
        elif isinstance(schema, dict):
            if isinstance(schema.get("properties"), dict):
                for name, facts in schema["properties"].items():
                    yield where, name, facts
            for inner in schema.values():
                yield from inside(where, inner)

    for name, schema in spec["components"]["schemas"].items():
        yield from inside(name, schema)
    for path, method, operation in operations(spec):
        yield from inside(f"{method} {path}", operation.get("requestBody", {}))
        for parameter in operation.get("parameters", []):
            if parameter.get("in") == "query":
                yield f"{method} {path}", parameter["name"], parameter


def test_every_field_is_described(spec: dict[str, Any]) -> None:
    bare = [f"{where}.{name}" for where, name, facts in fields_of(spec) if not facts.get("description", "").strip()]
    assert not bare


def test_every_instant_and_day_names_its_zone(spec: dict[str, Any]) -> None:
    times = re.compile(r"(^|_)(at|instant|day)$|_(since|until|from|on)$")
    silent = []
    for where, name, facts in fields_of(spec):
        kind, said = facts.get("type") or facts.get("schema", {}).get("type"), facts.get("description", "")
        text = kind in ("string", ["string", "null"])
        dated = facts.get("format") in ("date", "date-time") or facts.get("schema", {}).get("format") == "date"
        if (dated or (text and times.search(name))) and not re.search(r"offset|Asia/Shanghai", said):
            silent.append(f"{where}.{name}: {said}")
    assert not silent, silent


def test_all_money_is_whole_fen(spec: dict[str, Any]) -> None:
    for where, name, facts in fields_of(spec):
        if name.endswith("_fen"):
            assert re.search(r"\bfen\b", facts["description"]), f"{where}.{name}"
            kind = facts.get("type") or facts.get("schema", {}).get("type")
            assert kind in ("integer", ["integer", "null"]), f"{where}.{name} is {kind}"


def test_every_refusal_is_listed_with_its_words(place: Place) -> None:
    answer = place.visitor().get("/api/refusals")
    assert answer.status_code == 200
    listed = {each["code"]: each for each in answer.json["refusals"]}
    assert list(listed) == sorted(listed)
    for each in listed.values():
        assert all(each[name] for name in ("zh", "en", "remedy_zh", "remedy_en")), each
        assert 400 <= each["status"] < 600
    assert listed["erasure_must_wait"]["status"] == 409
    assert listed["wrong_credentials"]["status"] == 401
    assert (listed["too_long"]["status"], listed["too_large"]["status"]) == (422, 413)
    assert listed["plate_invalid"]["field"] == "plate_no"
    missing = {each.code for each in refusals() if each.__module__.split(".")[0] in ("registry", "subsidy")}
    assert missing <= set(listed)


def test_an_operation_names_the_status_of_what_it_raises(spec: dict[str, Any]) -> None:
    """Everything a view may raise in a domain call is 404, 409, 422 or 503: an operation that writes names them."""
    for path, method, operation in operations(spec):
        signed_in = operation.get("security") == [{"bearer": []}]
        if not signed_in:
            continue
        named = {code for code in operation["responses"] if code.isdigit()}
        wanted = {"401", "403"} | (
            {"422", "503"} if method != "get" and (path, method) != ("/api/sign-ins", "delete") else set()
        )
        if "{" in path:
            wanted.add("404")
        assert wanted <= named, (method, path, wanted - named)


def test_money_and_measures_name_their_unit(spec: dict[str, Any]) -> None:
    units = {"_fen": "fen", "_g": " g", "_m_h": "m/h", "_w": "W", "_mv": "mV", "_s": "second"}
    for name, schema in spec["components"]["schemas"].items():
        for field, facts in schema.get("properties", {}).items():
            for ending, unit in units.items():
                if field.endswith(ending) and facts.get("type") in ("integer", ["integer", "null"]):
                    assert unit in facts["description"], f"{name}.{field}"
