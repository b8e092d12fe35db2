"""What an import of dealers or accounts has to say, row by row, and the workbook to be corrected and imported again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import xlsxwriter

from registry.base import Refusal
from registry.filing_findings import KIND_WORDS, FindingKind

# Text stays text: nothing in a cell is ever run, followed or counted, whoever typed it.
_OPTIONS = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
_BEHIND = ("原行号", "结果", "问题", "怎么办")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFinding:
    """What is to be said about one cell. ``kind`` as in filing_findings.py; a row noted or corrected is stored."""

    line: int
    kind: FindingKind
    header: str
    refusal: Refusal


@dataclass(slots=True, kw_only=True)
class RowsReport:
    """How an import went: rows read = stored + unchanged + corrected + differing + refused.

    ``typed`` holds the cells of each row that something is said about, by its line.
    """

    name_zh: str
    headers: dict[str, str]
    read: int = 0
    stored: int = 0
    unchanged: int = 0
    corrected: int = 0
    differing: int = 0
    refused: int = 0
    findings: list[RowFinding] = field(default_factory=list)
    typed: dict[int, Sequence[str]] = field(default_factory=dict)

    def tell(self, *, line: int, kind: FindingKind, refusal: Refusal, cells: Sequence[str]) -> None:
        """Keep a finding with the row it is about."""
        header = self.headers.get(refusal.field or "", next(iter(self.headers.values())))
        self.findings.append(RowFinding(line=line, kind=kind, header=header, refusal=refusal))
        self.typed[line] = cells

    def counts(self) -> dict[str, int]:
        """Return how many findings there are of each code."""
        return dict(sorted(Counter(finding.refusal.code for finding in self.findings).items()))


def write_problems(*, path: Path, report: RowsReport) -> None:
    """Write every row that something is said about, as typed, the cells in question marked and the words behind them.

    The list's own columns come first, so that the workbook, corrected, is a list again. Readable by its owner alone.
    """
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    with xlsxwriter.Workbook(str(path), _OPTIONS) as book:
        sheet = book.add_worksheet("需要处理的行")
        plain = book.add_format({"num_format": "@"})
        mark = book.add_format({"num_format": "@", "bg_color": "#FFC7CE", "font_color": "#9C0006"})
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(report.headers) + len(_BEHIND), 18, plain)
        for place, header in enumerate((*report.headers.values(), *_BEHIND)):
            sheet.write_string(0, place, header, book.add_format({"bold": True}))
        for row, line in enumerate(sorted(report.typed), start=1):
            about = [finding for finding in report.findings if finding.line == line]
            wrong = {finding.header for finding in about}
            for place, (header, text) in enumerate(zip(report.headers.values(), report.typed[line], strict=True)):
                sheet.write_string(row, place, _readable(text), mark if header in wrong else plain)
            words = (
                str(line),
                "；".join(dict.fromkeys(KIND_WORDS[finding.kind] for finding in about)),
                "\n".join(f"「{finding.header}」{finding.refusal.message_zh}" for finding in about),
                "\n".join(dict.fromkeys(finding.refusal.help_zh for finding in about)),
            )
            for place, text in enumerate(words, start=len(report.headers)):
                sheet.write_string(row, place, _readable(text), plain)


def _readable(text: str) -> str:
    """Without what no workbook may hold."""
    return "".join(letter for letter in text if letter >= " " or letter in "\t\n")[:32_000]
