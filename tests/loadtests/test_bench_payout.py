"""The payout benchmark pays what it prepared, each once, no faster than allowed."""

from loadtests.bench.database import own_server
from loadtests.bench.payouts import measure


def test_a_small_run_pays_everybody_once() -> None:
    with own_server() as template:
        run = measure(template, per_second=40, count=20)
    assert run.errors == 0
    assert 0 < run.ours < 44
    assert run.reference == 40
