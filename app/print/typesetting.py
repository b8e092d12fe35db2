"""Sets a template with data: one document at a time for each web worker, each in a process of its own.

What is printed reaches a template as JSON data and never as markup: whatever a shop is called stands there as it is
written. Fonts are the two that ``mapai assets`` fetches and no others, so that every machine prints the same.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from app.build_assets import FONTS, fonts_are_there
from app.clock import epoch_seconds
from app.refusals import EdgeRefusal

HERE = Path(__file__).parent
SETTER = HERE / "setter.py"
# Five hundred labels take two seconds of a whole core: a worker's threads have better to do than to stand in line.
WAITING_AT_MOST = 3
PATIENCE_S = 20.0
LONGEST_S = 30.0
_turn = threading.Semaphore(1)
_seats = threading.Semaphore(1 + WAITING_AT_MOST)

Format = Literal["pdf", "png"]


class FontsMissing(EdgeRefusal):
    """The fonts of print were never fetched on this machine."""

    code = "fonts_missing"
    kind = "unavailable"
    status = 503
    zh = "这台服务器还没有装好打印用的字体。"
    en = "The fonts for printing are not installed on this server."
    remedy_zh = "请平台管理员在服务器上运行 mapai assets，然后再试。"
    remedy_en = "Ask the administrator to run «mapai assets» on the server, then try again."


class PrinterBusy(EdgeRefusal):
    """Several documents wait in this worker already, or this one took too long and was stopped."""

    code = "printer_busy"
    kind = "unavailable"
    status = 503
    retry_after_s = 5
    zh = "现在打印的人多，这一份没有做成。"
    en = "Several documents are being made; this one was not."
    remedy_zh = "请过几秒再试。"
    remedy_en = "Try again in a few seconds."


class TypesettingFailed(Exception):
    """A template and its data do not fit: a fault of ours, not of who asked."""


def typeset(
    template: str, data: Mapping[str, Any], *, now: datetime, form: Format = "pdf", ppi: float = 144
) -> list[bytes]:
    """Return the document that ``template`` (a file of this folder) makes of ``data``: one PDF, or a PNG a page.

    ``now`` becomes the PDF's date of making: the same data and second give the same bytes. Raises FontsMissing and
    PrinterBusy; TypesettingFailed where the template is at fault.
    """
    if not fonts_are_there():
        raise FontsMissing
    job = {
        "root": str(HERE),
        "template": template,
        "fonts": str(FONTS),
        "data": data,
        "form": form,
        "ppi": ppi if form == "png" else None,
        "made_at": int(epoch_seconds(now)),
    }
    with _one_at_a_time():
        return [base64.b64decode(page) for page in json.loads(_set(json.dumps(job)))]


def _set(job: str) -> bytes:
    try:
        # Our own interpreter and our own file; what is printed goes in by stdin. -I: nothing of the environment counts.
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-I", str(SETTER)],
            input=job.encode(),
            capture_output=True,
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired as wrong:
        raise PrinterBusy from wrong
    if done.returncode:
        raise TypesettingFailed(done.stderr.decode("utf-8", "replace")[-2_000:])
    return done.stdout


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if not _seats.acquire(blocking=False):
        raise PrinterBusy
    try:
        if not _turn.acquire(timeout=PATIENCE_S):
            raise PrinterBusy
        try:
            yield
        finally:
            _turn.release()
    finally:
        _seats.release()
