"""Every expected «no» has a stable code of its own and says in two languages what is wrong and what to do."""

import ast
import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

import app
import registry
import subsidy
from registry.base import Refusal
from tests.house_rules.tree import python_files, relative, syntax

CHINESE = re.compile(r"[\u4e00-\u9fff]")
CODE = re.compile(r"[a-z][a-z0-9_]*")


def below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for each in kind.__subclasses__():
        yield each
        yield from below(each)


@cache
def refusals() -> tuple[type[Refusal], ...]:
    """Every refusal of the product, found by importing all of it; without those that only hold a family together."""
    for package in (registry, subsidy, app):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    ours = {each for each in below(Refusal) if each.__module__.split(".")[0] in {"registry", "subsidy", "app"}}
    return tuple(sorted(ours - families(ours), key=lambda each: each.__qualname__))


def families(kinds: set[type[Refusal]]) -> set[type[Refusal]]:
    """Those with members and without wording of their own."""
    return {each for each in kinds if each.__subclasses__() and "zh" not in vars(each)}


def test_there_are_refusals() -> None:
    assert len(refusals()) > 3


def test_no_family_is_raised_itself() -> None:
    refusals()
    names = {each.__name__ for each in families(set(below(Refusal)))} | {"Refusal"}
    raised = [
        f"{relative(path)}:{node.lineno}"
        for path in python_files("app", "registry", "subsidy")
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and getattr(node.exc.func, "id", getattr(node.exc.func, "attr", "")) in names
    ]
    assert not raised


def test_every_code_stands_for_one_refusal() -> None:
    assert not [code for code, times in Counter(each.code for each in refusals()).items() if times > 1]
    assert not [each.__name__ for each in refusals() if not CODE.fullmatch(each.code)]


def test_every_refusal_speaks_both_languages() -> None:
    silent = [
        each.__name__
        for each in refusals()
        if not (
            CHINESE.search(each.zh) and CHINESE.search(each.remedy_zh) and each.en.strip() and each.remedy_en.strip()
        )
    ]
    assert not silent


def test_english_wording_is_english() -> None:
    mixed = [each.__name__ for each in refusals() if CHINESE.search(each.en + each.remedy_en)]
    assert not mixed
