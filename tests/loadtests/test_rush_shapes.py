"""The shapes of a rush: nobody is told before his turn, everybody is told in the end, and the crowd is never empty."""

from __future__ import annotations

import json
import os
import stat
from itertools import pairwise
from pathlib import Path

import pytest

from loadtests.rush_ground import Sizes
from loadtests.rush_shapes import SHAPES, counters_among, on_line
from loadtests.users_known import KNOWN_FILE, Callback, Counter, Known, Owner, Seen, Walk, known_in

SHARES = [step / 200 for step in range(-20, 241)]


@pytest.mark.parametrize("name", SHAPES)
def test_words_fall_due_steadily_and_all_of_them_before_the_end(name: str) -> None:
    told = [SHAPES[name].told_at(share) for share in SHARES]
    assert all(before <= after for before, after in pairwise(told))
    assert SHAPES[name].told_at(0.0) == 0.0
    assert SHAPES[name].told_at(0.98) == told[-1] == 1.0


@pytest.mark.parametrize("name", SHAPES)
def test_the_crowd_is_never_empty_and_at_one_time_complete(name: str) -> None:
    crowd = [SHAPES[name].crowd_at(share) for share in SHARES]
    assert min(crowd) > 0.2
    assert max(crowd) == 1.0


def test_the_spikes_stand_where_the_stage_turns() -> None:
    opening, last = SHAPES["opening"], SHAPES["last-minute"]
    assert opening.crowd_at(opening.turn) == last.crowd_at(last.turn) == 1.0
    assert opening.told_at(opening.turn) < 0.1 < 0.5 < opening.told_at(opening.turn + 0.2)
    assert last.told_at(last.turn) - last.told_at(last.turn - 0.25) > 0.5


def test_a_line_goes_straight_from_corner_to_corner() -> None:
    corners = ((0.0, 1.0), (0.5, 2.0), (1.0, 0.0))
    assert [on_line(corners, share) for share in (-1, 0, 0.25, 0.5, 0.75, 1, 2)] == [1, 1, 1.5, 2, 1, 0, 0]


@pytest.mark.parametrize(("users", "seconds"), [(20, 10.0), (300, 30.0), (2_000, 120.0), (2_000, 3_600.0)])
def test_there_is_enough_for_everybody_and_no_more_than_a_machine_holds(users: int, seconds: float) -> None:
    sizes = Sizes(users=users, seconds=seconds)
    assert 60 <= sizes.plates <= 90_000
    assert sizes.wallets <= sizes.plates
    assert sizes.counters == counters_among(users)
    assert sizes.counters * sizes.walks_a_counter <= 2_000
    # As many customers as a counter can serve in the time: ten steps each, a pause before each.
    assert sizes.walks_a_counter * 10 * sizes.think_s >= seconds * 0.99


def test_what_users_know_is_theirs_alone_and_read_as_written(tmp_path: Path) -> None:
    known = Known(
        shape="ramp",
        seconds=10.0,
        think_s=0.1,
        plates_key="00",
        seen=str(tmp_path / "seen"),
        summary=str(tmp_path / "summary"),
        callbacks=[Callback("A1", "O000001", "330105195001010001", "119322000000001")],
        owners=[Owner("token", "GS-7K2M-94")],
        counters=[Counter("token", [Walk(0, "A000000", "陈建英", "330105", "138", "F1", "1085")])],
        staff=["token"],
    )
    path = tmp_path / "known.json"
    known.write(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert known_in({KNOWN_FILE: str(path)}) == known
    assert known_in({}) is None


def test_what_is_noted_is_a_line_each(tmp_path: Path) -> None:
    seen = Seen(str(tmp_path / "seen"))
    seen.note("breach", what="两次")
    seen.note("repeated", position=1)
    seen.close()
    lines = (tmp_path / "seen").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"kind": "breach", "what": "两次"},
        {"kind": "repeated", "position": 1},
    ]
    nowhere = Seen(None)
    nowhere.note("breach", what="x")
    nowhere.close()
