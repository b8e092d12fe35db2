"""Every word a page says has its English, and no English is left over."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from io import BytesIO

import pytest
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

from app.web.catalogue import missing, translated, unused, used
from tests.house_rules.tree import ROOT, syntax

CHINESE = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")
SAYS = {"_", "_l", "gettext", "ngettext", "pgettext"}
WEB = ROOT / "app" / "web"
# Not said to a reader: names of the district and its demo, what people type, words read back from our own records.
NOT_SAID = {"place.py", "demo_accounts.py"}
PLACEHOLDER = re.compile(r"%\((\w+)\)s|%%")
READER = Environment(extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True)


def _called(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _bare_in_python(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the Chinese text that goes through no call of ours; docstrings are not said."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and _called(node.func) in SAYS:
            waiting.extend(keyword.value for keyword in node.keywords)
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            if CHINESE.search(node.value):
                yield node.lineno, node.value
            continue
        waiting.extend(ast.iter_child_nodes(node))


def _bare_in_template(node: nodes.Node) -> Iterator[tuple[int, str]]:
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in SAYS:
        for keyword in node.kwargs:
            yield from _bare_in_template(keyword.value)
        return
    if isinstance(node, nodes.TemplateData) and CHINESE.search(node.data):
        yield node.lineno, node.data
    if isinstance(node, nodes.Const) and isinstance(node.value, str) and CHINESE.search(node.value):
        yield node.lineno, node.value
    for child in node.iter_child_nodes():
        yield from _bare_in_template(child)


@pytest.mark.parametrize("name", sorted(path.name for path in WEB.glob("*.py") if path.name not in NOT_SAID))
def test_python_says_chinese_only_through_the_catalogue(name: str) -> None:
    assert list(_bare_in_python(syntax(WEB / name))) == []


@pytest.mark.parametrize("name", sorted(path.name for path in (WEB / "templates").glob("*.html")))
def test_a_template_says_chinese_only_through_the_catalogue(name: str) -> None:
    tree = READER.parse((WEB / "templates" / name).read_text("utf-8"))
    bare = [(line, text.strip()) for line, text in _bare_in_template(tree)]
    # The way to the Chinese pages is written in Chinese on the English ones.
    assert [(line, text) for line, text in bare if 'hreflang="zh-CN">中文' not in text] == []


def test_everything_said_has_its_english() -> None:
    assert list(missing()) == []


def test_no_english_is_left_over() -> None:
    assert unused() == []


def test_english_speaks_english_and_keeps_what_is_filled_in() -> None:
    for (context, chinese, _plural), forms in translated().items():
        for english in forms:
            assert not CHINESE.search(english), (context, english)
        first, *others = (set(PLACEHOLDER.findall(english)) for english in forms)
        assert first == set(PLACEHOLDER.findall(chinese)), (chinese, forms)
        # Of one thing the number may go unsaid.
        assert all(other >= first for other in others), (chinese, forms)


def test_a_plain_entry_is_no_english_for_what_is_said_of_a_number() -> None:
    entries = (
        'msgid "辆"\nmsgstr "bikes"\n\nmsgid "%(n)s 笔"\nmsgid_plural "%(n)s 笔"\nmsgstr[0] "%(n)s"\nmsgstr[1] ""\n'
    )
    read = translated(read_po(BytesIO(entries.encode()), locale="en"))
    assert read == {(None, "辆", False): ("bikes",), (None, "%(n)s 笔", True): ("%(n)s", "")}
    said = used()
    assert (None, "辆", True) in said
    assert not [key for key in said if (*key[:2], not key[2]) in said], "a catalogue keeps only one of the two"
