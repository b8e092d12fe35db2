"""A bank of test questions as staff type it: a block each, the question on top, an option a line, the right one marked.

    Who is paid first?
    whoever opened first
    * whoever finished first

Blocks are divided by an empty line. A star or a tick, of either width, marks the right option.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from app.web.language import _
from registry.training_material import (
    LEAST_OPTIONS,
    LONGEST_OPTION,
    LONGEST_QUESTION,
    MOST_OPTIONS,
    MOST_QUESTIONS,
    Question,
)

RIGHT = "*"
MARKS = (RIGHT, "√", "✓", "✔")


class Asked(Protocol):
    """A question, kept or only typed."""

    @property
    def question(self) -> str: ...
    @property
    def options(self) -> Sequence[str]: ...
    @property
    def answer(self) -> int: ...


def written(bank: Iterable[Asked]) -> str:
    """Return a bank as it is typed."""
    return "\n\n".join(
        "\n".join(
            [each.question, *(f"{RIGHT} {told}" if n == each.answer else told for n, told in enumerate(each.options))]
        )
        for each in bank
    )


def read(text: str) -> tuple[tuple[Question, ...], list[str]]:
    """Return the questions of a typed bank, and what is wrong with them, in words: either is empty."""
    blocks = [block.split("\n") for block in _blocks(text)]
    faults = [] if len(blocks) <= MOST_QUESTIONS else [_("题目太多，最多 %(most)s 道。", most=MOST_QUESTIONS)]
    found = []
    for place, (question, *lines) in enumerate(blocks, start=1):
        options = [_option(line) for line in lines]
        right = [number for number, (marked, _told) in enumerate(options) if marked]
        told = tuple(words for _marked, words in options)
        faults += _faults(place, question, told, right)
        if len(right) == 1:
            found.append(Question(question=question, options=told, answer=right[0]))
    return ((), faults) if faults else (tuple(found), [])


def _blocks(text: str) -> Iterator[str]:
    lines: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            lines.append(line.strip())
        elif lines:
            yield "\n".join(lines)
            lines = []


def _option(line: str) -> tuple[bool, str]:
    marked = unicodedata.normalize("NFKC", line[:1]) in MARKS
    return marked, line[1:].strip() if marked else line


def _faults(place: int, question: str, options: tuple[str, ...], right: list[int]) -> Iterator[str]:
    if len(question) > LONGEST_QUESTION:
        yield _("第 %(n)s 题太长，最多 %(longest)s 个字。", n=place, longest=LONGEST_QUESTION)
    if not LEAST_OPTIONS <= len(options) <= MOST_OPTIONS:
        yield _(
            "第 %(n)s 题有 %(many)s 个选项，要 %(least)s 到 %(most)s 个。",
            n=place,
            many=len(options),
            least=LEAST_OPTIONS,
            most=MOST_OPTIONS,
        )
    elif len(right) != 1:
        yield _("第 %(n)s 题要在对的那一项前面打 *，只打一项。", n=place)
    if any(not 0 < len(told) <= LONGEST_OPTION for told in options):
        yield _("第 %(n)s 题有选项是空的，或者超过 %(longest)s 个字。", n=place, longest=LONGEST_OPTION)
    if len(set(options)) != len(options):
        yield _("第 %(n)s 题有两个选项一样。", n=place)
