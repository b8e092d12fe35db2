"""The traffic police's documents on the wire: records, answers, and the callback they send us."""

from __future__ import annotations

from typing import Any

import orjson

from app.clients.wire import is_number, read_instant, read_reason
from registry.base import Refusal
from registry.plate_authority import AnswerState, CancelAnswer, PlateAnswer, PlateRecord, PlateStatus

STATES: tuple[AnswerState, ...] = ("done", "pending", "refused")
STATUSES: tuple[PlateStatus, ...] = ("normal", "cancelled", "stolen", "disputed")


class MalformedPlateDocument(Refusal):
    """The document is signed right and says nothing we can use."""

    code = "malformed_plate_document"
    kind = "invalid"
    zh = "号牌系统发来的内容读不懂：{detail}。"
    en = "The plate system's document cannot be read: {detail}."
    remedy_zh = "请按接口说明核对字段，改正后重发。"
    remedy_en = "Check the fields against the interface and resend."


def plate_answer_document(answer: PlateAnswer) -> dict[str, Any]:
    """Return the answer as the wire has it."""
    return {
        "kind": "application",
        "application_no": answer.application_no,
        "state": answer.state,
        "plate_no": answer.plate_no,
        "issued_at": answer.issued_at and answer.issued_at.isoformat(),
        "holder_id_no": answer.holder_id_no,
        "vehicle_code": answer.vehicle_code,
        "reason": answer.reason,
    }


def cancel_answer_document(answer: CancelAnswer) -> dict[str, Any]:
    """Return the answer as the wire has it."""
    return {
        "kind": "cancellation",
        "message_no": answer.message_no,
        "plate_no": answer.plate_no,
        "state": answer.state,
        "cancelled_at": answer.cancelled_at and answer.cancelled_at.isoformat(),
        "reason": answer.reason,
    }


def read_plate_answer(data: dict[str, Any]) -> PlateAnswer:
    """Read an application's answer; raises MalformedPlateDocument."""
    try:
        answer = PlateAnswer(
            application_no=data["application_no"],
            state=data["state"],
            plate_no=data.get("plate_no"),
            issued_at=read_instant(data.get("issued_at")),
            holder_id_no=data.get("holder_id_no"),
            vehicle_code=data.get("vehicle_code"),
            reason=read_reason(data.get("reason")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedPlateDocument(detail=str(error)) from None
    facts = (answer.plate_no, answer.holder_id_no, answer.vehicle_code)
    done_without = answer.state == "done" and not (all(facts) and answer.issued_at)
    if answer.state not in STATES or done_without or not _numbered(answer.application_no, *facts):
        raise MalformedPlateDocument(detail="state, plate_no, issued_at, holder_id_no, vehicle_code")
    return answer


def read_cancel_answer(data: dict[str, Any]) -> CancelAnswer:
    """Read a cancellation's answer; raises MalformedPlateDocument."""
    try:
        answer = CancelAnswer(
            message_no=data["message_no"],
            plate_no=data["plate_no"],
            state=data["state"],
            cancelled_at=read_instant(data.get("cancelled_at")),
            reason=read_reason(data.get("reason")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedPlateDocument(detail=str(error)) from None
    done_without = answer.state == "done" and answer.cancelled_at is None
    if answer.state not in STATES or done_without or not _numbered(answer.message_no, answer.plate_no):
        raise MalformedPlateDocument(detail="state, cancelled_at")
    return answer


def read_plate_record(data: dict[str, Any]) -> PlateRecord:
    """Read a plate's record; raises MalformedPlateDocument."""
    try:
        record = PlateRecord(
            plate_no=data["plate_no"],
            status=data["status"],
            district_code=data["district_code"],
            owner_name=data["owner_name"],
            owner_id_no=data["owner_id_no"],
        )
    except KeyError as error:
        raise MalformedPlateDocument(detail=str(error)) from None
    if record.status not in STATUSES:
        raise MalformedPlateDocument(detail="status")
    return record


def read_callback(body: bytes) -> PlateAnswer | CancelAnswer:
    """Read the body of a callback whose signature is already checked; raises MalformedPlateDocument."""
    try:
        data = orjson.loads(body)
        kind = data["kind"]
    except (ValueError, TypeError, KeyError):
        raise MalformedPlateDocument(detail="kind") from None
    if kind == "application":
        return read_plate_answer(data)
    if kind == "cancellation":
        return read_cancel_answer(data)
    raise MalformedPlateDocument(detail="kind")


def _numbered(our_number: object, *facts: object) -> bool:
    # What the database cannot store or nobody can read must not reach the queue: it would fail a whole batch.
    return is_number(our_number) and all(fact is None or is_number(fact) for fact in facts)
