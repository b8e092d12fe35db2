"""The import benchmark measures what it says: both sides end with the same rows, and a lost row is an error."""

from loadtests.bench import imports


def test_a_small_run_answers_in_full() -> None:
    heard: list[str] = []
    line = imports.run(progress=heard.append, rows=400)

    assert line["name"] == "import"
    assert line["goal"] == 0.3
    assert line["errors"] == 0
    assert len(line["runs"]) == 5
    assert all(run["ours"] > 0 and run["reference"] > 0 for run in line["runs"])
    assert len(heard) == 6
