"""The process that sets one document and ends: told on stdin, answering on stdout, importing nothing of ours.

Typst remembers what it laid out, for the next time: in a web worker that grew to 1.4 GB over forty large label sheets.
In a process of its own a document takes 160 MB and a fifth of a second, gives both back, and can be stopped when it
takes too long.
"""

from __future__ import annotations

import base64
import json
import sys
from datetime import UTC, datetime
from typing import Any, TextIO


def main(told: TextIO, answer: TextIO) -> None:
    """Read ``{root, template, fonts, data, form, ppi, made_at}``; write the pages as a list in Base64.

    A PDF is one item, PNG one item a page. ``made_at`` is in whole seconds since 1970.
    """
    import typst

    job: dict[str, Any] = json.load(told)
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[job["fonts"]])
    compiler = typst.Compiler(
        f"{job['root']}/{job['template']}", root=job["root"], font_paths=fonts, ignore_system_fonts=True
    )
    made = compiler.compile(
        format=job["form"],
        ppi=job["ppi"],
        sys_inputs={"data": json.dumps(job["data"], ensure_ascii=False)},
        timestamp=datetime.fromtimestamp(job["made_at"], tz=UTC),
    )
    pages = made if isinstance(made, list) else [made]
    json.dump([base64.b64encode(page or b"").decode() for page in pages], answer)


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
