"""``python -m tests.journeys.lighthouse``: Lighthouse's mobile profile on the pages owners see most.

It starts a platform of its own, fetches Lighthouse from npm (once, by the hashes of its lock file), prints the scores
as JSON, one line a page, and leaves with 1 where one is below the goal.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from app.build_assets import own_frontend
from app.demo import PAID_OWNER
from tests.house_rules.tree import ROOT
from tests.journeys.ground import Ground, launched, standing

GOAL = 95
CATEGORIES = ("performance", "accessibility", "best-practices")
LOCKED = Path(__file__).parent / "lighthouse"
INSTALLED = ROOT / "build" / "lighthouse"
LONGEST_S = 300


def install() -> Path:
    """Put Lighthouse in place where it is not yet, or was made from another lock file; return its command file."""
    lock = (LOCKED / "package-lock.json").read_bytes()
    mark = INSTALLED / "made-from"
    if not mark.is_file() or mark.read_bytes() != lock:
        shutil.rmtree(INSTALLED, ignore_errors=True)
        shutil.copytree(LOCKED, INSTALLED)
        npm = [*own_frontend().npm, "ci", "--omit=dev", "--ignore-scripts"]
        subprocess.run(npm, cwd=INSTALLED, check=True, stdout=sys.stderr, timeout=LONGEST_S)
        mark.write_bytes(lock)
    return INSTALLED / "node_modules" / "lighthouse" / "cli" / "index.js"


def node() -> str:
    """Return the node that belongs to the npm in use."""
    npm = own_frontend().npm
    return npm[0] if len(npm) > 1 else str(Path(npm[0]).parent / "node")


def scores(command: Path, url: str, cookies: str) -> dict[str, int]:
    """Let Lighthouse look at one address; return each category's score of 100."""
    with tempfile.TemporaryDirectory(prefix="mapai-lighthouse-") as folder:
        report, headers = Path(folder) / "report.json", Path(folder) / "headers.json"
        headers.write_text(json.dumps({"Cookie": cookies} if cookies else {}), "utf-8")
        chrome = shutil.which("chromium") or shutil.which("chromium-browser") or "chromium"
        subprocess.run(
            [
                *(node(), str(command), url, "--quiet", "--output=json", f"--output-path={report}"),
                *(f"--only-categories={','.join(CATEGORIES)}", f"--extra-headers={headers}"),
                *(f"--chrome-path={chrome}", "--chrome-flags=--headless=new --no-sandbox --disable-gpu"),
            ],
            check=True,
            timeout=LONGEST_S,
        )
        found = json.loads(report.read_text("utf-8"))
    kept = INSTALLED / f"{url.rsplit('/', 1)[-1].partition('?')[0] or 'front'}.json"
    kept.write_text(json.dumps(found), "utf-8")
    return {name: round(100 * (found["categories"][name]["score"] or 0)) for name in CATEGORIES}


def pages(ground: Ground) -> list[tuple[str, str, str]]:
    """Return name, path and cookies of the pages: the front page, the bike check, a trade-in of one's own."""
    with ground.visitor() as owner:
        owner.sign_in(PAID_OWNER.login)
        owner.page.wait_for_url("**/my**")
        owner.page.locator("a[href^='/my/GS-'], a[href^='/my/']").first.click()
        mine = owner.page.url.removeprefix(ground.address)
        cookies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in owner.context.cookies())
    return [
        ("front page", "/", ""),
        ("bike check", f"/check?plate_no={PAID_OWNER.plate_no}", ""),
        ("my trade-in", mine, cookies),
    ]


def main() -> int:
    """Print each page's scores; return 1 where one misses the goal."""
    command, missed = install(), False
    with launched() as chromium, standing(chromium) as ground:
        for name, path, cookies in pages(ground):
            found = scores(command, f"{ground.address}{path}", cookies)
            missed |= min(found.values()) < GOAL
            sys.stdout.write(json.dumps({"page": name, **found, "goal": GOAL}) + "\n")
            sys.stdout.flush()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
