"""What the house rules look at: the files of the repository, without what is built, fetched or written by running."""

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {
    ".git",
    ".venv",
    "__pycache__",
    "node_modules",
    "vendor",
    "build",
    "dist",
    ".mapai",
    ".hypothesis",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".import_linter_cache",
}


@cache
def files() -> tuple[Path, ...]:
    """Every file of the repository."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS and not name.endswith(".egg-info")]
        found += [Path(folder) / name for name in names if not name.endswith(".log")]
    return tuple(sorted(found))


def python_files(*tops: str) -> Iterator[Path]:
    """The Python files under the given top-level names, all of them without a name."""
    for path in files():
        if path.suffix == ".py" and (not tops or relative(path).split("/")[0] in tops):
            yield path


def relative(path: Path) -> str:
    """The path as the repository knows it."""
    return path.relative_to(ROOT).as_posix()


@cache
def text(path: Path) -> str:
    """The file's text."""
    return path.read_text(encoding="utf-8")


@cache
def syntax(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(text(path), filename=str(path))
