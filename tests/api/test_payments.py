"""Payment batches, statements and dealers' money by API: who may, what is answered, what the workbook adds up to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine

from app.clients.ecny.fake import FakeBank
from app.config import Settings
from app.idempotency import REPLAYED
from registry.accounts import Account
from subsidy.dispatch import open_attempts, pay_next
from subsidy.operator import Statement, StatementLine
from subsidy.payment_batches import release_next
from subsidy.reconciliation import compare
from tests.api.conftest import HASH, PASSWORD, Api, Place, faults, walk
from tests.registry.line import PRICE, Owner
from tests.subsidy.payout_rows import AMOUNT_FEN, DAY, NEXT_MORNING, NOW, Books

MONTH = f"{datetime.now(UTC) + timedelta(hours=8):%Y-%m}"
PATH = "/api/payment-batches"


def second(place: Place, role: str) -> Api:
    """Another account of a role that has one."""
    account = Account(login=f"{role}-2", password_hash=HASH, display_name=role, role=role)
    place.district.session.add(account)
    place.district.session.commit()
    api = place.visitor()
    api.token = api.client.post("/api/sign-ins", json={"login": account.login, "password": PASSWORD}).json["token"]
    return api


@pytest.fixture
def books(engine: Engine, settings: Settings) -> Books:
    """Payouts written straight into the tables of the place's own database."""
    return Books(engine, settings.keyring)


@pytest.fixture
def bank(place: Place) -> FakeBank:
    found: FakeBank = place.app.extensions["mapai.partners"].operator
    return found


def test_a_batch_from_the_cut_to_the_payment(place: Place, books: Books, bank: FakeBank) -> None:
    payout_id = books.owed(released=False)
    operator, finance, auditor = (place.as_role(role) for role in ("operator", "finance", "auditor"))
    assert faults(auditor.post(PATH)) == {None: "wrong_role"}
    cut = operator.post(PATH, key="cut-once-and-for-all")
    assert cut.status_code == 201, cut.text
    assert (cut.json["state"], cut.json["payouts"], cut.json["total_fen"]) == ("cut", 1, AMOUNT_FEN)
    assert operator.post(PATH, key="cut-once-and-for-all").headers[REPLAYED] == "true"
    assert faults(operator.post(PATH)) == {None: "nothing_to_pay"}
    at = f"{PATH}/{cut.json['id']}"
    assert faults(operator.post(f"{at}/approval", {"total_fen": AMOUNT_FEN})) == {None: "wrong_role"}
    assert faults(finance.post(f"{at}/approval", {})) == {"total_fen": "required"}
    wrong = finance.post(f"{at}/approval", {"total_fen": 1})
    assert (wrong.status_code, faults(wrong)) == (409, {"total_fen": "payment_batch_total_differs"})
    approved = finance.post(f"{at}/approval", {"total_fen": AMOUNT_FEN})
    assert approved.json["state"] == "approved"
    assert approved.json["next_zh"]
    assert release_next(sessions=books.sessions, operator=bank, now=NOW) == "released"
    assert pay_next(sessions=books.sessions, operator=bank, keyring=books.keyring, now=lambda: NOW) == "settled"
    shown = auditor.get(at).json
    assert [(item["payout_id"], item["owner"], item["state"]) for item in shown["items"]] == [
        (payout_id, "陈*英", "settled")
    ]
    assert [batch["id"] for batch in auditor.get(PATH, state="released").json["batches"]] == [shown["id"]]
    assert faults(finance.post(f"{at}/cancellation", {"reason": "太晚了"})) == {None: "step_not_allowed"}
    assert auditor.get(f"{PATH}/999").status_code == 404


def test_above_the_threshold_a_reviewer_approves_second(place: Place, books: Books) -> None:
    object.__setattr__(place.app.extensions["mapai.settings"], "second_approval_fen", AMOUNT_FEN - 1)
    books.owed(released=False)
    finance, reviewer = place.as_role("finance"), place.as_role("reviewer")
    cut = second(place, "finance").post(PATH).json
    assert cut["needs_second"]
    at, seen = f"{PATH}/{cut['id']}/approval", {"total_fen": AMOUNT_FEN}
    assert faults(reviewer.post(at, seen)) == {None: "finance_approves_first"}
    assert finance.post(at, seen).json["state"] == "half"
    again = finance.post(at, seen)
    assert (again.status_code, faults(again)) == (403, {None: "second_person_needed"})
    assert reviewer.post(at, seen).json["state"] == "approved"


def differing(books: Books) -> None:
    """A statement of DAY with a line of ours that is right and one nobody here ordered."""
    books.owed()
    number = books.do(
        lambda session: open_attempts(session=session, keyring=books.keyring, now=NOW, most=1)[0]
    ).bank_number
    lines = tuple(
        StatementLine(bank_number=each, amount_fen=AMOUNT_FEN, state="settled") for each in (number, "X20260620")
    )
    of = Statement(day=DAY, settled_count=2, settled_fen=2 * AMOUNT_FEN, lines=lines)
    books.do(lambda session: compare(session=session, statement=of, now=NEXT_MORNING))


def test_a_statements_difference_is_worked_to_its_end(place: Place, books: Books) -> None:
    differing(books)
    operator, finance, auditor = (place.as_role(role) for role in ("operator", "finance", "auditor"))
    [day] = auditor.get("/api/statements").json["statements"]
    assert (day["day"], day["same"], day["differences"], day["open_differences"]) == (DAY.isoformat(), 1, 1, 1)
    lines = f"/api/statements/{DAY}/lines"
    assert [line["verdict"] for line in auditor.get(lines).json["lines"]] == ["same", "missing_here"]
    [line] = auditor.get(lines, open="yes").json["lines"]
    assert auditor.get(lines, verdict="state_differs").json["lines"] == []
    assert auditor.get(lines, limit=1).json["next_after"] is not None
    at = f"/api/statement-lines/{line['id']}"
    asked: dict[str, Any] = {"resolution": "write_off", "finding": "银行记错了，金额不追"}
    assert faults(auditor.post(f"{at}/resolution", asked)) == {None: "wrong_role"}
    refused = operator.post(f"{at}/resolution", asked | {"resolution": "refund_received"})
    assert faults(refused) == {"resolution": "finance_decides", "document_no": "document_number_missing"}
    proposed = operator.post(f"{at}/resolution", asked)
    assert (proposed.json["resolution"], proposed.json["is_open"]) == ("write_off", True)
    decided = finance.post(f"{at}/decision", {"approve": True, "finding": "同意核销"})
    assert (decided.json["is_open"], decided.json["written_off_fen"]) == (False, -AMOUNT_FEN)
    assert books.cases() == []
    assert faults(finance.post(f"{at}/resolution", asked)) == {None: "statement_line_not_open"}
    assert auditor.get("/api/statements").json["statements"][0]["open_differences"] == 0
    assert auditor.get("/api/statements/2020-01-01/lines").status_code == 404
    assert auditor.get("/api/statements/someday/lines").status_code == 404


def test_a_frozen_payout_is_shown_and_ended_by_two(place: Place, books: Books) -> None:
    payout_id = books.owed(released=False)
    books.execute(f"UPDATE payout SET state = 'frozen', problem = 'transfer_refused' WHERE id = {payout_id}")
    finance, operator = place.as_role("finance"), place.as_role("operator")
    [shown] = operator.get("/api/payouts").json["payouts"]
    assert (shown["id"], shown["state"], shown["problem"], shown["attempts"]) == (
        payout_id,
        "frozen",
        "transfer_refused",
        [],
    )
    at = f"/api/payouts/{payout_id}"
    asked = {"resolution": "refund_received", "finding": "银行书面答复：从未收到", "document_no": "DF-1"}
    assert faults(operator.post(f"{at}/resolution", asked)) == {None: "wrong_role"}
    assert faults(finance.post(f"{at}/resolution", {**asked, "document_no": ""})) == {"document_no": "required"}
    proposed = finance.post(f"{at}/resolution", asked).json
    assert (proposed["state"], proposed["proposed_end"]["document_no"]) == ("frozen", "DF-1")
    assert faults(finance.post(f"{at}/resolution", asked)) == {None: "resolution_proposed"}
    end, word = (
        f"/api/payout-ends/{proposed['proposed_end']['id']}/decision",
        {"approve": True, "finding": "看过答复原件"},
    )
    assert faults(operator.post(end, word)) == {None: "wrong_role"}
    assert faults(finance.post(end, word)) == {None: "proposer_cannot_approve"}
    decided = place.as_role("reviewer").post(end, word).json
    assert (decided["state"], decided["proposed_end"]) == ("withdrawn", None)  # this award has no claim behind it
    assert faults(finance.post(end, word)) == {None: "nothing_proposed"}
    assert faults(finance.post(f"/api/payout-ends/{2**70}/decision", word)) == {None: "nothing_proposed"}
    assert faults(finance.post(f"{at}/resolution", asked)) == {None: "payout_not_frozen"}
    assert operator.get("/api/payouts", state="withdrawn").json["payouts"][0]["id"] == payout_id
    assert operator.get("/api/payouts/999").status_code == 404


def test_a_point_sees_its_month_and_the_workbook_adds_up(
    place: Place, point: Api, owner: Owner, programme: None
) -> None:
    reference = walk(point, place, owner, until="applied")
    money = point.get("/api/my-point/money").json
    [sale] = money["sales"]
    fronted = PRICE.discount_fen + PRICE.deduction_fen
    assert (sale["reference"], sale["fronted_fen"]) == (reference, fronted)
    assert money["month"] == MONTH
    assert money["totals"]["fronted_fen"] == fronted
    file = point.get("/api/my-point/statement.xlsx", month=MONTH)
    assert "settlement-" in file.headers["Content-Disposition"]
    rows = CalamineWorkbook.from_filelike(BytesIO(file.data)).get_sheet_by_index(0).to_python()
    header = next(number for number, row in enumerate(rows) if row[0] == "查询号")
    of_sale, total = rows[header + 1], rows[header + 2]
    assert of_sale[0] == reference
    assert total[0] == "合计 1 笔"
    assert [round(total[place] * 100) for place in (3, 4, 5)] == [PRICE.discount_fen, PRICE.deduction_fen, fronted]
    assert point.get("/api/my-point/money", month="2020-01").json["sales"] == []
    assert faults(point.get("/api/my-point/money", month="2020-13")) == {"month": "not_a_day"}
    assert place.as_role("finance").get("/api/my-point/money").status_code == 403
