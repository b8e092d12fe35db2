"""The repository holds our own work only, and its first page tells the truth about how to run it."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.house_rules.tree import ROOT, files, relative, text

LARGEST_BYTES = 400_000
FOREIGN = (".min.js", ".min.css", ".map", ".woff", ".woff2", ".ttf", ".otf", ".eot", ".whl", ".tgz", ".gz", ".zip")
PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".ico", ".pdf"}
# Addresses that are names, not places to fetch from.
HOSTS_ALLOWED = re.compile(
    r"(127\.0\.0\.1|localhost|0\.0\.0\.0|HOST|USER|([\w-]+\.)*example(\.\w+)*|[\w.-]+\.(test|invalid)|"
    r"www\.w3\.org|www\.apache\.org|\{.*|\$.*|<.*|\[.*)"
)
# Written in pieces, so that this file passes its own test.
REGISTRIES = [
    ".".join(pieces)
    for pieces in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("npmmirror", "com"),
        ("jsdelivr", "net"),
        ("unpkg", "com"),
        ("cloudflare", "com"),
        ("googleapis", "com"),
        ("gstatic", "com"),
        ("debian", "org"),
        ("github", "com"),
        ("githubusercontent", "com"),
        ("docker", "io"),
    )
]
ADDRESS = re.compile(r"(?:https?|ftp)://([^\s/:\"'`)\]>?#,;，。]+)")


def readable() -> list[Path]:
    return [path for path in files() if path.suffix not in PICTURES]


def test_no_third_party_asset_is_in_the_tree() -> None:
    foreign = [relative(path) for path in files() if path.name.endswith(FOREIGN)]
    assert not foreign


def test_no_file_is_large() -> None:
    large = [relative(path) for path in files() if path.stat().st_size > LARGEST_BYTES]
    assert not large


@pytest.mark.parametrize("host", REGISTRIES)
def test_no_registry_is_named(host: str) -> None:
    naming = [relative(path) for path in readable() if host in text(path)]
    assert not naming


def test_no_address_leads_out() -> None:
    leading = [
        f"{relative(path)}: {host}"
        for path in readable()
        for host in ADDRESS.findall(text(path))
        if not HOSTS_ALLOWED.fullmatch(host.split("@")[-1])
    ]
    assert not leading


def commands() -> list[str]:
    """The README's commands, one a block."""
    return [block.strip() for block in re.findall(r"```sh\n(.*?)```", text(ROOT / "README.md"), re.DOTALL)]


def test_the_readme_has_two_commands_of_one_line_each() -> None:
    start, test = commands()
    assert "\n" not in start + test
    assert start.endswith(" && .venv/bin/mapai up")
    assert test.endswith(" && .venv/bin/python -m tests")
    assert test.replace("requirements-dev.txt", "requirements.txt").rpartition("&&")[0] == start.rpartition("&&")[0]


def test_ci_runs_the_readmes_test_command() -> None:
    assert text(ROOT / ".ci/run").rstrip().splitlines()[-1] == commands()[1]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_pin_has_hashes(name: str) -> None:
    joined = text(ROOT / name).replace("\\\n", " ")
    pins = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    assert pins
    assert not [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin]


@pytest.mark.parametrize(("name", "extra"), [("requirements.txt", False), ("requirements-dev.txt", True)])
def test_every_dependency_is_pinned(name: str, extra: bool) -> None:
    project = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]
    asked = project["dependencies"] + (project["optional-dependencies"]["dev"] if extra else [])
    pinned = {canonical(line) for line in text(ROOT / name).splitlines() if "==" in line}
    assert {canonical(line) for line in asked} - pinned == set()


def canonical(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name.group()).lower()
