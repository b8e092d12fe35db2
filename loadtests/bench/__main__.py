"""``python -m loadtests.bench NAME``: run one benchmark, print its JSON line; exit 1 where its goal is not met."""

from __future__ import annotations

import argparse
import importlib
import json
import sys

BENCHMARKS = {"claim": "loadtests.bench.claims", "import": "loadtests.bench.imports"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    name = parser.parse_args().name
    outcome = importlib.import_module(BENCHMARKS[name]).run(progress=lambda words: print(words, file=sys.stderr))
    print(json.dumps(outcome), flush=True)
    return 0 if outcome["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
