"""Text in a file of claims stays text, whatever sign it begins with."""

from __future__ import annotations

import pytest

from app.web.board_sheets import plain


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n"])
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(sign: str) -> None:
    assert plain(f"{sign}1+1") == f"'{sign}1+1"
    assert plain(f"1{sign}1") == f"1{sign}1"
