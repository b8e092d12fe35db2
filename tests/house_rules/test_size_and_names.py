"""Small files, small functions, names that say what is inside."""

import ast
import re

from tests.house_rules.tree import files, python_files, relative, syntax, text

LONGEST_FILE = 400
LONGEST_FUNCTION = 70
CODE = {".py", ".html", ".css", ".js", ".sh"}
BANNED = {"util", "utils", "helper", "helpers", "service", "services", "manager", "managers", "misc", "common"}
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
AVOIDED_TESTS = re.compile(r"pytest\.(mark\.)?(sk" + r"ip|xf" + r"ail)\w*|unittest\.sk" + r"ip")


def test_no_file_is_longer_than_400_lines() -> None:
    long = {
        relative(path): lines
        for path in files()
        if path.suffix in CODE and (lines := text(path).count("\n")) > LONGEST_FILE
    }
    assert not long


def test_no_function_is_longer_than_70_lines() -> None:
    long = [
        f"{relative(path)}:{node.lineno} {node.name}"
        for path in python_files()
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert not long


def test_no_module_is_named_after_nothing() -> None:
    named = [relative(path) for path in files() if BANNED & {part.lower() for part in (*path.parts, path.stem)}]
    assert not named


def test_every_module_of_ours_says_what_it_is_for() -> None:
    silent = [
        relative(path)
        for path in python_files("app", "registry", "subsidy", "wsgi.py")
        if text(path).strip() and not ast.get_docstring(syntax(path))
    ]
    assert not silent


def test_nothing_is_left_for_later() -> None:
    marked = [
        f"{relative(path)}: {found.group()}"
        for path in python_files()
        if (found := UNFINISHED.search(text(path)) or AVOIDED_TESTS.search(text(path)))
    ]
    assert not marked
