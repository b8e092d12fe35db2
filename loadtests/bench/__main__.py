"""``python -m loadtests.bench NAME``: run one benchmark, print its JSON line; exit 1 where its goal is not met.

``all`` runs one after the other and ends with a table; ``--quick`` does everything with small numbers, to see that it
runs: its figures say little.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from typing import Any

# Name → module, function, and its small numbers.
BENCHMARKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "claim": ("claims", "run", {"requests": 500, "warm_up": 100}),
    "claim-crowd": ("claims", "run_crowd", {"requests": 500, "warm_up": 100, "connections": 300}),
    "read": ("reads", "run", {"requests": 500, "warm_up": 100}),
    "mixed": ("reads", "run_mixed", {"requests": 500, "warm_up": 100}),
    "growth": ("growth", "run", {"requests": 400, "claims": 20_000, "before": 2_000}),
    "allocate": ("allocation", "run", {"claims": 20_000}),
    "import": ("imports", "run", {"rows": 5_000}),
    "verify": ("verification", "run", {"claims": 20_000}),
    "payout": ("payouts", "run", {"seconds": 2}),
    "limit": ("limits", "run", {"requests": 500, "seconds": 0.2, "warm_up": 100}),
    "memory": ("memory", "run", {"minutes": 5, "a_minute": 200}),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.add_argument("name", choices=["all", *BENCHMARKS])
    parser.add_argument("--claims", type=int, help="verify and growth: how many claims")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it runs")
    given = parser.parse_args()
    if given.claims is not None and given.name not in ("verify", "growth"):
        parser.error("--claims belongs to verify and growth")
    names = list(BENCHMARKS) if given.name == "all" else [given.name]
    outcomes = [_run(name, claims=given.claims, quick=given.quick) for name in names]
    if given.name == "all":
        print(table(outcomes))
    return 0 if all(outcome["met"] for outcome in outcomes) else 1


def table(outcomes: list[dict[str, Any]]) -> str:
    """Return the outcomes as a table in Markdown, a row for each part."""
    parts = [part for outcome in outcomes for part in outcome.get("parts", [outcome])]
    rows = ["| name | ratio | from – to | p99 ratio | errors | goal | met |", "|---|---|---|---|---|---|---|"]
    for part in parts:
        ratio, spread = part.get("ratio", part.get("best")), f"{part.get('min', '')} – {part.get('max', '')}"
        p99 = "" if part.get("p99_ratio") is None else part["p99_ratio"]
        met = "yes" if part["met"] else "no"
        rows.append(
            f"| {part['name']} | {ratio} | {spread} | {p99} | {part.get('errors', 0)} | {part['goal']} | {met} |"
        )
    return "\n".join(rows)


def _run(name: str, *, claims: int | None, quick: bool) -> dict[str, Any]:
    module, function, small = BENCHMARKS[name]
    sizes = (small if quick else {}) | ({} if claims is None else {"claims": claims})
    run = getattr(importlib.import_module(f"loadtests.bench.{module}"), function)
    outcome: dict[str, Any] = run(progress=lambda words: print(words, file=sys.stderr, flush=True), **sizes)
    print(json.dumps(outcome), flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
