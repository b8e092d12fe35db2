"""``python -m loadtests.bench NAME``: run one benchmark, print its JSON line; exit 1 where its goal is not met."""

from __future__ import annotations

import argparse
import importlib
import json
import sys

BENCHMARKS = {
    "allocate": "loadtests.bench.allocation",
    "claim": "loadtests.bench.claims",
    "import": "loadtests.bench.imports",
    "payout": "loadtests.bench.payouts",
    "verify": "loadtests.bench.verification",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--claims", type=int, help="verify alone: how many claims, 1,000,000 without it")
    given = parser.parse_args()
    if given.claims is not None and given.name != "verify":
        parser.error("--claims belongs to verify")
    sizes = {} if given.claims is None else {"claims": given.claims}
    module = importlib.import_module(BENCHMARKS[given.name])
    outcome = module.run(progress=lambda words: print(words, file=sys.stderr), **sizes)
    print(json.dumps(outcome), flush=True)
    return 0 if outcome["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
