"""A list sent as the part ``file`` of a form, put where the readers of lists can open it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Request
from marshmallow import ValidationError

FORM: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {
                        "type": "string",
                        "contentMediaType": "application/octet-stream",
                        "description": "CSV (UTF-8 or GBK) or Excel, at most 5 MB and 2,000 rows",
                    }
                },
            }
        }
    },
}


@contextmanager
def uploaded_file(request: Request) -> Iterator[Path]:
    """Lend the file of the form as a path, gone when the block ends; raises ValidationError naming each wrong part."""
    file = request.files.get("file")
    faults: dict[str, list[str]] = {name: ["unknown_field"] for name in {*request.form} | ({*request.files} - {"file"})}
    if file is None:
        faults["file"] = ["required"]
    if faults or file is None:
        raise ValidationError(faults)
    with tempfile.TemporaryDirectory(prefix="mapai-upload-") as folder:
        path = Path(folder) / "list"
        file.save(path)
        yield path
