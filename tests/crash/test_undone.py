"""The wait after a rush: patient with whoever moves, at an end with whoever stands still."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sqlalchemy import Engine, text

from app.config import Settings
from tests.crash.undone import Patience, Standing, standing, what_is_left
from tests.subsidy.payout_rows import Books

FULL = Standing(polled=3, unpaid=40, unsealed=100, settled=10, asked=0)


def waited(*steps: tuple[float, Standing]) -> str | None:
    """What is said at the last of these (second, standing); before it nothing may be over."""
    patience = Patience(stuck_s=90, longest_s=240)
    *before, (last_s, last) = steps
    for now_s, stands in before:
        assert patience.why_over(stands, now_s=now_s) is None
    return patience.why_over(last, now_s=last_s)


def test_it_is_done_when_nothing_is_left() -> None:
    nothing = Standing(polled=0, unpaid=0, unsealed=0, settled=50, asked=7)
    assert waited((0, FULL), (1, nothing)) == "done"
    assert waited((0, nothing)) == "done"


@pytest.mark.parametrize("moved", [{"polled": 2}, {"unpaid": 39}, {"unsealed": 120}, {"settled": 11}, {"asked": 1}])
def test_whatever_moves_is_waited_for(moved: dict[str, int]) -> None:
    assert waited((0, FULL), (89, replace(FULL, **moved)), (178, replace(FULL, **moved))) is None


def test_who_stands_still_is_given_up_and_so_is_who_never_ends() -> None:
    assert waited((5, FULL), (94, FULL), (95, FULL)) == "nothing has moved for 90 s"
    moving = [(float(now_s), replace(FULL, asked=now_s)) for now_s in range(0, 241, 60)]
    assert waited(*moving) == "not done within 240 s"


def test_what_is_left_is_told_row_by_row(engine: Engine, settings: Settings) -> None:
    books = Books(engine, settings.keyring)
    payout_id = books.owed()
    settled_id = books.owed("W1002")
    books.execute(f"UPDATE payout SET state = 'settled' WHERE id = {settled_id}")
    now = standing(settings)
    with books.sessions() as session:
        entries = session.scalar(text("SELECT count(*) FROM audit_entry"))
    assert (now.polled, now.unpaid, now.unsealed, now.settled) == (0, 1, entries, 1)
    told = what_is_left(settings)
    assert re.search(rf"unpaid: .*'id': {payout_id}, 'state': 'owed'.*'batch': 'released'", told)
    assert f"'id': {settled_id}, 'state'" not in told
    assert "unsealed: " in told
