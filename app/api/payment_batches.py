"""Payment batches: cut by staff, approved by finance, above a threshold by a second person."""

from __future__ import annotations

from typing import Any

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant
from app.auth import caller
from app.context import business_now, keyring, settings
from app.db import db
from app.idempotency import idempotent
from app.schemas.payouts import (
    BatchAnswer,
    BatchApprovalRequest,
    BatchCancellationRequest,
    BatchDetailAnswer,
    BatchList,
    BatchQuery,
)
from subsidy.payment_batches import approve_batch, cancel_batch, cut_batch, find_batch, items_of, list_batches
from subsidy.payouts import BATCH, PAYOUT, PaymentBatch

blueprint = ApiBlueprint(
    "payment_batches", __name__, url_prefix="/api/payment-batches", description="Payouts gathered, approved and sent"
)

NEXT = {
    "cut": ("请财务核对总额后批准。", "Finance checks the total and approves."),
    "half": ("请另一位财务或复核员批准。", "Another finance officer or a reviewer approves."),
    "approved": (
        "系统正在向运营机构核对资金，随后自动付款。",
        "The fund is checked with the operator; then it is sent.",
    ),
    "short": (
        "运营机构账户里的钱不够这个批次，请补足；补足后自动付款。",
        "Our account at the operator does not hold enough: fill it; the batch is sent by itself then.",
    ),
    "released": ("正在付款，不用再办。", "It is being sent; there is nothing to do."),
    "finished": ("全部有了结果。", "Every payout has come to its end."),
    "cancelled": ("已取消，里面的发放会编入下一个批次。", "Cancelled; its payouts go into the next batch."),
}
INSTANTS = ("cut_at", "first_at", "second_at", "fund_asked_at", "released_at", "ended_at")
PLAIN = ("id", "state", "payouts", "total_fen", "needs_second", "cut_by", "first_by", "second_by", "fund_fen", "reason")


@blueprint.route("", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 422, 503)
@blueprint.arguments(BatchQuery, location="query")
@blueprint.response(200, BatchList)
def show_batches(query: dict[str, Any]) -> dict[str, Any]:
    """The payment batches, newest first

    Of one state where it is named.
    """
    limit = query.pop("limit")
    found = list_batches(session=db.session(), limit=limit + 1, **query)
    page = found[:limit]
    return {
        "batches": [batch_document(batch) for batch in page],
        "next_before": page[-1].id if len(found) > limit else None,
    }


@blueprint.route("", methods=["POST"])
@requires("operator", "finance")
@idempotent
@described(blueprint, writes=True)
@blueprint.response(201, BatchAnswer)
def cut() -> dict[str, Any]:
    """Cut a batch

    Of every payout that is owed and in no batch. The scheduler cuts one a day besides.
    """
    batch = cut_batch(
        session=db.session(),
        actor=caller().actor,
        threshold_fen=settings().second_approval_fen,
        now=business_now(),
    )
    return batch_document(batch)


@blueprint.route("/<int:batch_id>", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 404, 503)
@blueprint.response(200, BatchDetailAnswer)
def show_batch(batch_id: int) -> dict[str, Any]:
    """One batch with what is in it"""
    session = db.session()
    batch = find_batch(session=session, batch_id=batch_id)
    items = [
        {
            "payout_id": item.payout_id,
            "reference": item.reference,
            "owner": item.owner,
            "amount_fen": item.amount_fen,
            "state": item.state,
            "state_zh": PAYOUT.words[item.state],
        }
        for item in items_of(session=session, keyring=keyring(), batch_id=batch.id)
    ]
    return {**batch_document(batch), "items": items}


@blueprint.route("/<int:batch_id>/approval", methods=["POST"])
@requires("finance", "reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(BatchApprovalRequest)
@blueprint.response(200, BatchAnswer)
def approve(asked: dict[str, Any], batch_id: int) -> dict[str, Any]:
    """Approve a batch

    Finance first; where two are needed, another finance officer or a reviewer second. Who cut it approves nothing.
    """
    account = caller()
    batch = approve_batch(
        session=db.session(),
        batch_id=batch_id,
        total_fen=asked["total_fen"],
        actor=account.actor,
        role=account.role,
        now=business_now(),
    )
    return batch_document(batch)


@blueprint.route("/<int:batch_id>/cancellation", methods=["POST"])
@requires("operator", "finance")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(BatchCancellationRequest)
@blueprint.response(200, BatchAnswer)
def cancel(asked: dict[str, Any], batch_id: int) -> dict[str, Any]:
    """Cancel a batch of which nothing was sent"""
    batch = cancel_batch(
        session=db.session(), batch_id=batch_id, reason=asked["reason"], actor=caller().actor, now=business_now()
    )
    return batch_document(batch)


def batch_document(batch: PaymentBatch) -> dict[str, Any]:
    """Return a batch as the API tells it."""
    next_zh, next_en = NEXT[batch.state]
    return {
        **{name: getattr(batch, name) for name in PLAIN},
        **{name: instant(getattr(batch, name)) for name in INSTANTS},
        "state_zh": BATCH.words[batch.state],
        "next_zh": next_zh,
        "next_en": next_en,
    }
