"""The bureau's staff over HTTP, each with an account of his own: one proposes, another decides."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from app.district.programme import LOCAL
from app.scenario.calls import Reply, ScenarioFailed, Server

OPERATOR, REVIEWER, FINANCE, AUDITOR = "operator", "reviewer", "finance", "auditor"
ROLES = (OPERATOR, REVIEWER, FINANCE, AUDITOR)
PAID_WITHIN_S, LOOK_S = 120.0, 0.5


class Staff:
    """Operator, reviewer and finance at their desks. ``tokens`` go by role; ``programme`` is its code."""

    def __init__(self, *, web: Server, tokens: dict[str, str], programme: str) -> None:
        self._web = web
        self._tokens = tokens
        self._at = f"/api/programmes/{programme}"
        self._serial = itertools.count(1)

    def look(self, role: str, path: str) -> dict[str, Any]:
        """Return what an address tells this role. Raises ScenarioFailed where it is refused."""
        return _expect(self._web.get(f"/api{path}", token=self._tokens[role]), 200)

    def ask(self, role: str, path: str, document: Any = None) -> Reply:
        """Do one thing under a key of its own and return the answer, refusals too."""
        key = f"staff-{next(self._serial):05d}"
        return self._web.post(f"/api{path}", document, token=self._tokens[role], key=key)

    def do(self, role: str, path: str, document: Any = None) -> dict[str, Any]:
        """Do one thing. Raises ScenarioFailed where it is refused."""
        return _expect(self.ask(role, path, document), 200, 201)

    def mark_photos(self, references: Iterable[str]) -> None:
        """Mark a photo of each running trade-in as unreadable."""
        for reference in references:
            document = {"field": "photo:plate", "note": "号牌照片反光，看不清"}
            self.do(OPERATOR, f"/trade-ins/{reference}/faults", document)

    def hold(self, references: Iterable[str]) -> None:
        """Hold each claim before its payment."""
        for reference in references:
            document = {"reason_code": "sale", "reason": "抽查：核对购车发票"}
            self.do(OPERATOR, f"/trade-ins/{reference}/hold", document)

    def release(self, references: Iterable[str]) -> None:
        """Let each held claim go on: another person than the one who held it."""
        for reference in references:
            self.do(REVIEWER, f"/trade-ins/{reference}/release", {"reason": "发票已核对无误"})

    def overrule(self, references: Iterable[str]) -> None:
        """Overrule each decline."""
        for reference in references:
            document = {"reason": "原始备案凭证证明未超年限"}
            proposed = self.do(OPERATOR, f"/trade-ins/{reference}/overrules", document)
            self.do(REVIEWER, f"/overrules/{proposed['reference']}/approval")

    def uphold(self, appeals: Iterable[str]) -> None:
        """Answer each appeal that its owner is right, and have the overrule approved that follows from it."""
        for appeal in appeals:
            document = {"upheld": True, "answer": "经核对原始备案凭证，您的申诉成立。"}
            answered = self.do(OPERATOR, f"/appeals/{appeal}/answer", document)
            proposals = self.look(REVIEWER, "/overrules?state=proposed")["overrules"]
            mine = next(each for each in proposals if each["trade_in"] == answered["trade_in"])
            self.do(REVIEWER, f"/overrules/{mine['reference']}/approval")

    def take_back(self, references: Iterable[str]) -> list[dict[str, Any]]:
        """Return each claim whose new bike came back; the answers say what is demanded."""
        taken = []
        for reference in references:
            serial = next(self._serial)
            document = {"kind": "bike_returned", "reason": "车主退回新车，已开红字发票", "proof_no": f"HZ{serial:08d}"}
            opened = self.do(OPERATOR, f"/trade-ins/{reference}/returns", document)
            taken.append(self.do(REVIEWER, f"/returns/{opened['reference']}/approval"))
        return taken

    def collect(self, references: Iterable[str], *, now: Callable[[], datetime]) -> None:
        """Return each claim that was paid, once the money has arrived, and enter its repayment."""
        waiting = list(references)
        for reference in waiting:
            self._await_payment(reference)
        for case in self.take_back(waiting):
            if case["state"] != "demanded" or not case["amount_fen"]:
                raise ScenarioFailed(f"the return {case['reference']} of a paid award stands at {case['state']}")
            document = {
                "document_no": f"YH{next(self._serial):08d}",
                "amount_fen": case["amount_fen"],
                "received_on": now().astimezone(LOCAL).date().isoformat(),
            }
            self.do(FINANCE, f"/returns/{case['reference']}/repayment", document)

    def pause(self, *, reason_zh: str, reason_en: str) -> None:
        """Pause the programme, and wait until the public is told why."""
        document = {"reason_zh": reason_zh, "reason_en": reason_en, "note": "等候核对结果"}
        self._switch("pauses", document)
        self._await_told(reason_zh)

    def resume(self) -> None:
        """End the pause, and wait until the public is told."""
        document = {"reason_zh": "核对完毕，恢复兑付", "reason_en": "All is checked.", "note": "核对结果已到"}
        self._switch("resumptions", document)
        self._await_told(None)

    def draft(self, rules: dict[str, Any], *, note: str, grace_reserves: bool | None) -> Reply:
        """Draft a version of the rules; ``grace_reserves`` where an open stage closes early."""
        document: dict[str, Any] = {"rules": rules, "note": note}
        if grace_reserves is not None:
            document["grace_reserves"] = grace_reserves
        return self.ask(OPERATOR, f"{self._at[4:]}/changes", document)

    def approve(self, change_no: int) -> bool:
        """Approve a change; where the queue refuses it by now, have it withdrawn and return False."""
        reply = self.ask(REVIEWER, f"{self._at[4:]}/changes/{change_no}/approval")
        if reply.status == 200:
            return True
        self.do(OPERATOR, f"{self._at[4:]}/changes/{change_no}/withdrawal")
        return False

    def _switch(self, door: str, document: dict[str, str]) -> None:
        proposed = self.do(OPERATOR, f"{self._at[4:]}/{door}", document)
        if not self.approve(proposed["change_no"]):
            raise ScenarioFailed(f"the reviewer could not approve {door}")

    def _await_told(self, reason_zh: str | None) -> None:
        for _ in range(round(PAID_WITHIN_S / LOOK_S)):
            told = self._web.get("/api/programmes/current").data
            if (told["paused"], told["pause_reason_zh"]) == (reason_zh is not None, reason_zh):
                return
            self._web.pause(LOOK_S)
        raise ScenarioFailed(f"the public is told «{told['pause_reason_zh']}», not «{reason_zh}»")

    def _await_payment(self, reference: str) -> None:
        for _ in range(round(PAID_WITHIN_S / LOOK_S)):
            payout = self.look(OPERATOR, f"/trade-ins/{reference}")["payout"]
            if payout and payout["state"] == "settled":
                return
            self._web.pause(LOOK_S)
        raise ScenarioFailed(f"{reference} was not paid within {PAID_WITHIN_S:.0f} s: {payout}")


def _expect(reply: Reply, *statuses: int) -> dict[str, Any]:
    if reply.status not in statuses:
        raise ScenarioFailed(f"answered {reply.status} instead of {statuses}: {reply.body[:600].decode()}")
    return reply.data
