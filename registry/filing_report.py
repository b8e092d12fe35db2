"""The rows an import did not simply take, as a workbook: the bad cells marked, to be corrected and imported again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import xlsxwriter

from registry.base import Refusal
from registry.filing_findings import KIND_WORDS, FindingKind
from registry.filing_rows import HEADERS

MOST_ROWS = 1_000_000
_WORDS = {"原行号": 8, "结果": 12, "问题": 60, "怎么办": 60}
_WIDTHS = {"id_no": 22, "phone": 14, "frame_no": 18, "vehicle_code": 20}
_WIDTH = 12
# Text stays text: nothing in a cell is ever run, followed or counted, whoever typed it.
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


class RowFinding(Protocol):
    """What is to be said about one cell: the findings of every kind of list have this in common."""

    @property
    def line(self) -> int: ...
    @property
    def kind(self) -> FindingKind: ...
    @property
    def header(self) -> str: ...
    @property
    def refusal(self) -> Refusal: ...


class RowsOnTheirWay:
    """Lends a stream of rows to an import and remembers those that have not been spoken of yet."""

    def __init__(self) -> None:
        self._rows: deque[Any] = deque()
        self._gone = 0

    def watch(self, rows: Iterable[Any]) -> Iterator[Any]:
        """Yield the same rows."""
        for row in rows:
            self._rows.append(row)
            yield row

    def find(self, line: int) -> Any:
        """Return the row that begins on this line, forgetting those before it. Lines are asked for in order."""
        while self._rows[0].line < line:
            self._forget()
        return self._rows[0]

    def done(self, read: int) -> None:
        """Forget the first ``read`` rows of all: nothing more is said about them."""
        while self._gone < read:
            self._forget()

    def _forget(self) -> None:
        self._rows.popleft()
        self._gone += 1


class ProblemWorkbook:
    """Writes one row for each row with a finding: as it was typed, the cells in question marked, the words behind them.

    The columns of the list come first and under their own headers, so that the workbook, corrected, is a list again.
    It holds what was typed, personal data included. Beyond a million rows it says that there are more.
    """

    def __init__(
        self,
        book: xlsxwriter.Workbook,
        rows: RowsOnTheirWay,
        headers: Mapping[str, str],
        cell: Callable[[Any, str], str],
    ) -> None:
        self._rows = rows
        self._columns, self._cell = tuple(headers), cell
        self._sheet = book.add_worksheet("需要处理的行")
        self._plain = book.add_format({"num_format": "@"})
        self._bold = book.add_format({"bold": True})
        self._mark = book.add_format({"num_format": "@", "bg_color": "#FFC7CE", "font_color": "#9C0006"})
        widths = [_WIDTHS.get(name, _WIDTH) for name in self._columns] + [*_WORDS.values()]
        for place, width in enumerate(widths):
            self._sheet.set_column(place, place, width, self._plain)
        self._sheet.freeze_panes(1, 0)
        for place, header in enumerate([*headers.values(), *_WORDS]):
            self._sheet.write_string(0, place, header, self._bold)
        self._written = 0
        self._findings: list[RowFinding] = []

    def tell(self, finding: RowFinding) -> None:
        """Take the next finding; they come in the order of lines."""
        if self._findings and self._findings[0].line != finding.line:
            self.finish_row()
        self._findings.append(finding)

    def done(self, read: int) -> None:
        """Hear that the first ``read`` rows have been dealt with."""
        self.finish_row()
        self._rows.done(read)

    def finish_row(self) -> None:
        """Write the row the last findings were about."""
        if not self._findings:
            return
        findings, self._findings = self._findings, []
        self._written += 1
        if self._written > MOST_ROWS:
            if self._written == MOST_ROWS + 1:
                self._sheet.write_string(self._written, 0, "还有更多行，这张表放不下了。", self._mark)
            return
        row = self._rows.find(findings[0].line)
        marked = {finding.refusal.field for finding in findings}
        for place, name in enumerate(self._columns):
            self._write(place, self._cell(row, name), marked=name in marked)
        words = (
            str(row.line),
            "；".join(dict.fromkeys(KIND_WORDS[finding.kind] for finding in findings)),
            "\n".join(f"「{finding.header}」{finding.refusal.message_zh}" for finding in findings),
            "\n".join(dict.fromkeys(finding.refusal.help_zh for finding in findings)),
        )
        for place, text in enumerate(words, start=len(self._columns)):
            self._write(place, text, marked=False)

    def _write(self, place: int, text: str, *, marked: bool) -> None:
        # A blank marked cell shows where something is missing; Excel takes 32,767 characters a cell.
        self._sheet.write_string(self._written, place, _readable(text)[:32_000], self._mark if marked else self._plain)


@contextmanager
def problem_workbook(
    *,
    path: Path,
    rows: RowsOnTheirWay,
    headers: Mapping[str, str] = HEADERS,
    cell: Callable[[Any, str], str] = getattr,
) -> Iterator[ProblemWorkbook]:
    """Write the workbook at ``path``, readable by its owner alone; it is complete when the block ends.

    ``headers`` maps each column's name to its header, ``cell`` returns what was typed there in a row.
    """
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    # What it writes on its way holds the same data: it stays in the same folder.
    with xlsxwriter.Workbook(str(path), {**_OPTIONS, "tmpdir": str(path.parent)}) as book:
        workbook = ProblemWorkbook(book, rows, headers, cell)
        yield workbook
        workbook.finish_row()


def _readable(text: str) -> str:
    """Without the control characters that no workbook may hold."""
    return "".join(letter for letter in text if letter >= " " or letter in "\t\n")
