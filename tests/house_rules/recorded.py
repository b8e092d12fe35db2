"""Reads the source for the deeds it writes into the audit: their names, as ``record`` and its SQL get them.

A name is a literal, or a family (``dealer.{}``) whose members the caller knows. What cannot be read is told as such.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.house_rules.tree import ROOT

IN_SQL = re.compile(r"INSERT INTO audit_entry \([^)]*\)\s*(?:SELECT|VALUES \()\s*[^,]+,\s*(?:'([a-z_.]+)'|(%s))")
FAMILY = re.compile(r"[a-z_]+[._]\{\}")


@dataclass
class Module:
    """One file: its tree, its constants, and who in it takes the name of a deed at which place."""

    name: str
    tree: ast.Module
    constants: dict[str, str] = field(default_factory=dict)
    takers: dict[str, tuple[int, str]] = field(default_factory=dict)


@dataclass
class Recorded:
    """Names and families of deeds, and the places that could not be read."""

    names: set[str] = field(default_factory=set)
    families: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)


def recorded(*folders: str) -> Recorded:
    """Return what the files below these folders write into the audit."""
    modules = [_read(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    found, known = Recorded(), -1
    # A function that hands its own parameter on takes the name of a deed itself: until no more are found.
    while known != sum(len(module.takers) for module in modules):
        known, found = sum(len(module.takers) for module in modules), Recorded()
        for module in modules:
            _borrow(module, modules)
            for function, node in _with_function(module.tree, None):
                _look_at(module, function, node, found)
    return found


def _read(path: Path) -> Module:
    module = Module(".".join(path.relative_to(ROOT).with_suffix("").parts), ast.parse(path.read_text()))
    for node in module.tree.body:
        if isinstance(node, ast.Assign):
            names, values = (getattr(each, "elts", [each]) for each in (node.targets[0], node.value))
            for name, value in zip(names, values, strict=False):
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    module.constants[name.id] = value.value
    return module


def _borrow(module: Module, modules: list[Module]) -> None:
    """Functions imported from another module take what they take there."""
    theirs = {each.name: each.takers for each in modules}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name in theirs.get(node.module or "", {}):
                    module.takers.setdefault(alias.asname or alias.name, theirs[node.module or ""][alias.name])


def _with_function(node: ast.AST, function: ast.FunctionDef | None) -> Iterator[tuple[ast.FunctionDef | None, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        inner = child if isinstance(child, ast.FunctionDef) else function
        yield inner, child
        yield from _with_function(child, inner)


def _look_at(module: Module, function: ast.FunctionDef | None, node: ast.AST, found: Recorded) -> None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        for name, placeholder in IN_SQL.findall(node.value):
            if not placeholder:
                found.names.add(name)
            elif function is not None:  # it goes in beside the text, in the same function
                texts = {_family(each) for each in ast.walk(function) if isinstance(each, ast.JoinedStr)}
                found.families |= {text for text in texts if FAMILY.fullmatch(text)}
    if isinstance(node, ast.Dict):  # a row of the table, written many at a time
        row = {
            key.value: value for key, value in zip(node.keys, node.values, strict=True) if isinstance(key, ast.Constant)
        }
        if {"actor", "action", "subject"} <= set(row):
            _take(module, function, row["action"], found)
    if isinstance(node, ast.Call) and (name := _deed_of(module, node)) is not None:
        _take(module, function, name, found)


def _deed_of(module: Module, call: ast.Call) -> ast.expr | None:
    """The argument that names the deed, None where the call records nothing."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if called == "record":
        return keywords.get("action")
    place, name = module.takers.get(called, (-1, ""))
    return keywords.get(name) or (call.args[place] if 0 <= place < len(call.args) else None)


def _take(module: Module, function: ast.FunctionDef | None, deed: ast.expr, found: Recorded) -> None:
    if isinstance(deed, ast.Constant) and isinstance(deed.value, str):
        found.names.add(deed.value)
    elif isinstance(deed, ast.JoinedStr):
        found.families.add(_family(deed))
    elif isinstance(deed, ast.IfExp):
        _take(module, function, deed.body, found)
        _take(module, function, deed.orelse, found)
    elif isinstance(deed, ast.Name) and deed.id in module.constants:
        found.names.add(module.constants[deed.id])
    elif isinstance(deed, ast.Name) and function is not None and (given := _assigned(function, deed.id)):
        for each in given:
            _take(module, function, each, found)
    elif isinstance(deed, ast.Name) and function is not None and deed.id in (parameters := _parameters(function)):
        module.takers[function.name] = (parameters.index(deed.id), deed.id)
    else:
        found.unread.add(f"{module.name}:{deed.lineno} {ast.unparse(deed)}")


def _assigned(function: ast.FunctionDef, name: str) -> list[ast.expr]:
    return [
        each.value
        for each in ast.walk(function)
        if isinstance(each, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in each.targets)
    ]


def _parameters(function: ast.FunctionDef) -> list[str]:
    return [each.arg for each in (*function.args.args, *function.args.kwonlyargs)]


def _family(text: ast.JoinedStr) -> str:
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in text.values)
