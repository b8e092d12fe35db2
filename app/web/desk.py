"""What waits at the desk: every work queue with its count, those first that wait for the reader."""

from __future__ import annotations

from dataclasses import dataclass

from flask import render_template, url_for
from flask_babel.speaklater import LazyString
from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import InstrumentedAttribute

from app.access import STAFF, requires
from app.auth import caller
from app.db import db
from app.remembered import remembered
from app.web.blueprint import web
from app.web.desk_words import listed
from app.web.language import _, _l
from app.web.staff_accounts import DECIDES
from app.web.staff_words import ROLE_WORDS
from registry.cases import Case
from registry.dealer_applications import DealerApplication
from registry.dealer_commitments import CommitmentVersion
from registry.dealer_licences import DealerRevocation
from registry.dealers import Dealer
from registry.staff_requests import StaffRequest
from registry.trade_ins import EVERYBODYS
from subsidy.appeals import Appeal
from subsidy.corrections import waiting_for_correction
from subsidy.holds import ClaimHold
from subsidy.overrules import Overrule
from subsidy.payouts import PaymentBatch, Payout, PayoutEnd
from subsidy.programme_change import ProgrammeChange
from subsidy.returns import ReturnCase
from subsidy.statement_lines import StatementRow, Verdict
from subsidy.statement_resolution import PROPOSED

SNAPSHOT = "mapai.desk_counts"


@dataclass(frozen=True, slots=True)
class Queue:
    """One work queue: where it is worked (``endpoint``, of one ``state`` where that is named) and by which roles.

    ``readers`` may open it; nobody else is shown that there is such a queue.
    """

    key: str
    title: LazyString
    line: LazyString
    roles: tuple[str, ...]
    endpoint: str
    state: str | None = None
    readers: tuple[str, ...] = STAFF

    @property
    def path(self) -> str:
        """Where the queue is worked."""
        return url_for(self.endpoint, state=self.state)


# In the order in which they block others: money first, then people who wait, then the rest.
QUEUES = (
    Queue("batches", _l("付款批次等批准"), _l("批准了才付钱。"), ("finance", "reviewer"), "web.batches"),
    Queue("owed", _l("要付的钱还没有编成批次"), _l("编成批次，财务才能批准。"), ("operator", "finance"), "web.batches"),
    Queue("changes", _l("活动变更等批准"), _l("新规则、暂停和恢复，批准了才生效。"), ("reviewer",), "web.programme"),
    Queue("overrules", _l("改判建议等决定"), _l("由提出人以外的复核员决定。"), ("reviewer",), "web.overrules"),
    Queue("appeals", _l("申诉等答复"), _l("有期限，到期日在里面。"), ("operator",), "web.appeals"),
    Queue(
        "holds",
        _l("扣下核对的申领"),
        _l("核对完了放行，由扣下的人以外的人办。"),
        ("operator", "reviewer"),
        "web.held_claims",
    ),
    Queue("corrections", _l("等更正的申领"), _l("等车主或者代办点改，名额留着。"), (), "web.held_claims"),
    Queue("returns", _l("退回等决定"), _l("由提出人以外的复核员决定。"), ("reviewer",), "web.returns"),
    Queue("repayments", _l("等车主退款"), _l("退款到了，由财务记下来。"), ("finance",), "web.returns", "demanded"),
    Queue("applications", _l("商户申请等审核"), _l("写明通过或者不通过的理由。"), ("operator",), "web.applications"),
    Queue(
        "enrolments",
        _l("培训合格，等开通"),
        _l("由受理员开通置换功能。"),
        ("operator",),
        "web.dealers",
        "trained",
    ),
    Queue(
        "licences", _l("已开通，等授牌"), _l("由开通的人以外的复核员授牌。"), ("reviewer",), "web.dealers", "enrolled"
    ),
    Queue("revocations", _l("撤销授牌等决定"), _l("由提出人以外的复核员决定。"), ("reviewer",), "web.dealers"),
    Queue("frozen", _l("冻结的发放"), _l("银行前后说法不一，凭凭证提出了结。"), ("finance",), "web.frozen_payouts"),
    Queue(
        "ends",
        _l("冻结发放的了结等批准"),
        _l("由提出人以外的财务或者复核员批准。"),
        ("finance", "reviewer"),
        "web.frozen_payouts",
    ),
    Queue(
        "commitments", _l("承诺书新版等批准"), _l("批准以后，每家商户都要重新签。"), ("reviewer",), "web.commitments"
    ),
    Queue("differences", _l("对账差异没有了结"), _l("查明一条，了结一条。"), ("operator", "finance"), "web.statements"),
    Queue(
        "write_offs",
        _l("对账差异的了结等批准"),
        _l("由提出人以外的财务或者复核员批准。"),
        ("finance", "reviewer"),
        "web.statements",
    ),
    Queue(
        "staff",
        _l("账号申请等决定"),
        _l("由提出人以外的管理员决定。"),
        ("administrator",),
        "web.staff",
        readers=DECIDES,
    ),
    Queue(
        "cases", _l("其他要人核对的"), _l("机器定不了的，在看板上。"), ("operator", "reviewer", "finance"), "web.board"
    ),
)


def waiting_for_me() -> int:
    """Return how many things wait for somebody of the reader's role, at most a second old: the figure on the tab."""
    counted = remembered(SNAPSHOT, counts)
    return sum(counted[queue.key] for queue in QUEUES if caller().role in queue.roles)


@web.get("/desk")
@requires(*STAFF)
def desk() -> str:
    """The work queues."""
    counted = counts()
    role = caller().role
    rows = [
        {
            "queue": queue,
            "number": counted[queue.key],
            "mine": role in queue.roles,
            "who": listed([str(ROLE_WORDS[one]) for one in queue.roles]) or _("车主、代办点"),
        }
        for queue in QUEUES
        if role in queue.readers
    ]
    return render_template(
        "desk.html",
        mine=[row for row in rows if row["mine"] and row["number"]],
        others=[row for row in rows if not row["mine"] and row["number"]],
        empty=[row for row in rows if not row["number"]],
        role=role,
    )


def counts() -> dict[str, int]:
    """Count every queue."""
    proposed = exists().where(PayoutEnd.payout_id == Payout.id, PayoutEnd.outcome.is_(None))
    open_line = (StatementRow.verdict != Verdict.SAME, StatementRow.resolved_at.is_(None))
    asked: dict[str, Select[int]] = {
        "batches": _of(PaymentBatch.id).where(PaymentBatch.state.in_(("cut", "half"))),
        "owed": _of(Payout.id).where(Payout.state == "owed", Payout.batch_id.is_(None)),
        "changes": _of(ProgrammeChange.id).where(ProgrammeChange.state == "drafted"),
        "overrules": _of(Overrule.id).where(Overrule.state == "proposed"),
        "appeals": _of(Appeal.id).where(Appeal.state == "filed"),
        "holds": _of(ClaimHold.id).where(ClaimHold.released_at.is_(None)),
        "returns": _of(ReturnCase.id).where(ReturnCase.state == "proposed"),
        "repayments": _of(ReturnCase.id).where(ReturnCase.state == "demanded"),
        "applications": _of(DealerApplication.id).where(DealerApplication.state == "waiting"),
        "enrolments": _of(Dealer.id).where(
            Dealer.state == "trained",
        ),
        "licences": _of(Dealer.id).where(
            Dealer.state == "enrolled",
        ),
        "revocations": _of(DealerRevocation.id).where(DealerRevocation.decided_at.is_(None)),
        "frozen": _of(Payout.id).where(Payout.state == "frozen", ~proposed),
        "ends": _of(PayoutEnd.id).where(PayoutEnd.outcome.is_(None)),
        "commitments": _of(CommitmentVersion.version).where(CommitmentVersion.approved_at.is_(None)),
        "differences": _of(StatementRow.id).where(*open_line),
        "write_offs": _of(StatementRow.id).where(*open_line, StatementRow.resolution.in_(PROPOSED)),
        "staff": _of(StaffRequest.id).where(StaffRequest.outcome.is_(None)),
        "cases": _of(Case.id).where(Case.closed_at.is_(None)),
    }
    row = db.session.execute(select(*(query.scalar_subquery().label(name) for name, query in asked.items()))).one()
    counted: dict[str, int] = dict(row._mapping)
    counted["corrections"] = len(waiting_for_correction(session=db.session(), reach=EVERYBODYS))
    return counted


def _of(column: InstrumentedAttribute[int]) -> Select[int]:
    return select(func.count()).select_from(column.class_)
