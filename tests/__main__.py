"""The one test command: `python -m tests [pytest arguments]`.

Runs every check, all of them even when one fails, and pytest last, so that its closing line closes the output. Leaves
with 1 when any failed.
"""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CHECKS = (
    ("fonts and libraries", [str(BIN / "mapai"), "assets"]),
    ("ruff check", [str(BIN / "ruff"), "check", "."]),
    ("ruff format", [str(BIN / "ruff"), "format", "--check", "."]),
    ("mypy", [str(BIN / "mypy"), "app", "registry", "subsidy", "migrations"]),
    ("import-linter", [str(BIN / "lint-imports")]),
)

# Two at a time, each with a server of its own: most tests wait for a database to be made.
TOGETHER = ["-n", "2", "--dist", "worksteal"]


def main(arguments: list[str]) -> int:
    """Run the checks, then pytest with the given arguments; return the exit code."""
    failed = [name for name, command in CHECKS if not _passes(name, command)]
    if failed:
        _say(f"failed before pytest: {', '.join(failed)}")
    tested = _passes("pytest", [sys.executable, "-m", "pytest", *(arguments or TOGETHER)])
    return 0 if tested and not failed else 1


def _passes(name: str, command: list[str]) -> bool:
    begun = time.monotonic()
    _say(f"── {name}")
    passed = subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    if name != "pytest":
        _say(f"── {name} {'passed' if passed else 'FAILED'} in {time.monotonic() - begun:.1f} s")
    return passed


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
