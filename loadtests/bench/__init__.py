"""Benchmarks as ratios: ours against the plainest thing that does the same work, in one run on one machine.

``python -m loadtests.bench NAME`` prints one JSON line; what happens meanwhile goes to standard error. Absolute
figures drift with the machine, so the two sides run in turn and only the ratio of neighbours is judged.
"""
