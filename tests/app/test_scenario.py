"""A whole programme, small: it ends well, and the very same checks see every hand-made hurt to its books."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from app.config import Settings
from app.scenario.expected import expected, expected_deeds, fingerprint
from app.scenario.gongshu import run
from app.scenario.ground import filing_list
from app.scenario.plan import make_plan
from app.scenario.shops import POINTS

SEED, TRADE_INS, FILINGS = 3, 100, 1_500
COUNTS = "各阶段、各原因的笔数"
DEALT = "更正、暂停、提前截止"
PLACES = "每笔置换只有一个序号"
BUDGET = "名额和预算从没有超过"
MONEY = "收支相等"
ORDER = "先购先得"
ARRIVED = "每笔补贴都已到账"
STATEMENTS = "每天的对账单"
BANK = "银行的账"
TOLD = "该通知的车主都已通知"
CASES = "没有待人工核对的事项"
REPLAY = "逐笔重算"
PUBLISHED = "公开日志"
AN_AWARD = """(SELECT min(leaf) FROM log_leaf WHERE entry LIKE '%"amount_fen":3000_,%"outcome":"award"%')"""
FIRST_PAID = "(SELECT min(position) FROM ledger_posting WHERE kind = 'settled')"
# What is done to the books, what undoes it, and which checks have to see it.
HURTS: tuple[tuple[str, str, set[str]], ...] = (
    (
        f"UPDATE ledger_posting SET amount_fen = amount_fen + 1 WHERE kind = 'settled' AND position = {FIRST_PAID}",
        f"UPDATE ledger_posting SET amount_fen = amount_fen - 1 WHERE kind = 'settled' AND position = {FIRST_PAID}",
        {BUDGET, MONEY, REPLAY},
    ),
    (
        "UPDATE account_balance SET balance_fen = balance_fen + 1 WHERE account = 'paid:2'",
        "UPDATE account_balance SET balance_fen = balance_fen - 1 WHERE account = 'paid:2'",
        {COUNTS, BANK, REPLAY},
    ),
    (
        "UPDATE payout SET state = 'owed' WHERE position = (SELECT min(position) FROM claim WHERE state = 'awarded')",
        "UPDATE payout SET state = 'settled' WHERE state = 'owed'",
        {COUNTS, ARRIVED, REPLAY},
    ),
    (
        "UPDATE claim SET amount_fen = 5 WHERE position = (SELECT min(position) FROM claim WHERE amount_fen = 30000)",
        "UPDATE claim SET amount_fen = 30000 WHERE amount_fen = 5",
        {COUNTS, ORDER, ARRIVED, REPLAY},
    ),
    (
        "UPDATE bank_statement SET findings = findings || '{\"clean\": false}' WHERE settled_count > 0",
        "UPDATE bank_statement SET findings = findings || '{\"clean\": true}' WHERE settled_count > 0",
        {STATEMENTS},
    ),
    (
        "UPDATE message SET state = 'given_up' WHERE id = (SELECT min(id) FROM message)",
        "UPDATE message SET state = 'sent' WHERE state = 'given_up'",
        {TOLD},
    ),
    (
        "INSERT INTO staff_case (kind, subject, detail) VALUES ('made_by_hand', 'claim:1', '{}')",
        "DELETE FROM staff_case WHERE kind = 'made_by_hand'",
        {CASES},
    ),
    (
        "UPDATE return_case SET decided_by = opened_by || '' WHERE state = 'repaid'",
        "UPDATE return_case SET decided_by = 'account:0' WHERE state = 'repaid'",
        {DEALT},
    ),
    (
        "UPDATE repayment SET amount_fen = amount_fen - 1",
        "UPDATE repayment SET amount_fen = amount_fen + 1",
        {DEALT, ARRIVED, BANK},
    ),
    (
        "UPDATE statement_line SET resolved_at = NULL WHERE found_by IS NOT NULL",
        "UPDATE statement_line SET resolved_at = now() WHERE found_by IS NOT NULL",
        {DEALT},
    ),
    (
        f"UPDATE log_leaf SET entry = replace(entry, ':30000', ':30001') WHERE leaf = {AN_AWARD}",
        f"UPDATE log_leaf SET entry = replace(entry, ':30001', ':30000') WHERE leaf = {AN_AWARD}",
        {PUBLISHED, REPLAY},
    ),
    ("DELETE FROM claim WHERE position = 3", "SELECT 1", {COUNTS, PLACES, REPLAY}),
)


def broken(shown: str) -> set[str]:
    """The rules that a printed verdict calls broken."""
    lines = [line.removeprefix("✗ ") for line in shown.splitlines() if line.startswith("✗ ")]
    names = (COUNTS, DEALT, PUBLISHED, PLACES, BUDGET, MONEY, ORDER, ARRIVED, STATEMENTS, BANK, TOLD, CASES, REPLAY)
    return {name for name in names if any(line.startswith(name) for line in lines)}


@pytest.mark.slow
def test_a_small_programme_ends_well_and_a_hurt_one_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    seen: dict[str, tuple[int, set[str]]] = {}
    shown: list[str] = []

    def hurt_and_look(settings: Settings, look_again: Callable[[], int]) -> None:
        shown.append(capsys.readouterr().out)
        plain = settings.owner_url.replace("postgresql+psycopg", "postgresql")
        options = f"-c search_path={settings.schema}"
        with psycopg.connect(plain, options=options, autocommit=True) as forger:
            forger.execute("SET session_replication_role = replica")
            for hurt, mended, _ in HURTS:
                forger.execute(hurt)
                seen[hurt] = (look_again(), broken(capsys.readouterr().out))
                forger.execute(mended)

    verdict = run(seed=SEED, trade_ins=TRADE_INS, filings=FILINGS, afterwards=hurt_and_look)

    assert verdict == 0, shown[0]
    assert "全部规则成立" in shown[0]
    assert "✗" not in shown[0]
    assert f"counts sha256 {wanted_fingerprint()}" in shown[0]
    for hurt, _, rules in HURTS:
        exit_code, named = seen[hurt]
        assert exit_code == 1, hurt
        assert rules <= named, f"{hurt}: {named}"


def wanted_fingerprint() -> str:
    """What the seed alone says, reckoned without running anything."""
    filings = filing_list(seed=SEED, count=FILINGS)
    plan = make_plan(seed=SEED, trade_ins=TRADE_INS, points=POINTS, filings=filings, count=FILINGS)
    return fingerprint(expected(plan), expected_deeds(plan))
