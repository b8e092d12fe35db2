"""The import of dealers (销售商户) and their counter accounts: two lists, told apart by their headers.

A dealer already known keeps its history; its name, address, telephone, hours and people are corrected to the list. A
list never takes a licence away and never gives one to a dealer that the platform knows already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from registry import audit
from registry.base import Refusal
from registry.cases import close_case
from registry.dealer_account_import import store_accounts
from registry.dealer_commitments import CommitmentVersion, approved_versions
from registry.dealer_inputs import (
    credit_code_doubt,
    open_mobile,
    open_representative,
    sealed_people,
)
from registry.dealer_report import RowsReport
from registry.dealer_rows import (
    ACCOUNT_HEADERS,
    CONTACT,
    DEALER_HEADERS,
    DealerCellInvalid,
    ListedAccount,
    ListedDealer,
    clean_account_row,
    clean_dealer_row,
)
from registry.dealer_rules import EnrolmentRules
from registry.dealer_store import CASE, store_dealers, version_on
from registry.dealers import Dealer, local_day
from registry.filing_file import FilingFile, read_columns, read_header
from registry.people import mask_name, mask_phone
from registry.sealing import Keyring


class DealerTaken(Refusal):
    """Credit code, name or plaque number stands in an earlier row of the list, or belongs to another dealer."""

    code = "dealer_taken"
    kind = "conflict"
    zh = "「{header}」{typed} 已属于另一家商户，或在名单里重复。"
    en = "This value belongs to another dealer, or stands in an earlier row."
    remedy_zh = "请核对是哪一行写错了，改正后再导入。"
    remedy_en = "Find out which row is wrong, correct it and import again."


class DealerHistoryKept(Refusal):
    """The platform knows another licence of this dealer than the list: what stands on the platform stays."""

    code = "dealer_history_kept"
    kind = "conflict"
    zh = "平台上这家商户的「{header}」是 {stored}，没有改。"
    en = "The platform has other facts on this dealer's licence; they were kept."
    remedy_zh = "授牌、续期、暂停、撤销都在平台上办；名单只补资料。"
    remedy_en = "Licences are given, renewed and ended on the platform; a list only adds what is missing."


class DealerCorrected(Refusal):
    """The dealer was brought in line with this row; the audit keeps what it said before."""

    code = "dealer_corrected"
    kind = "conflict"
    zh = "「{header}」已按这一行更正。"
    en = "This was corrected to the row."
    remedy_zh = "不用处理；原来的内容留在审计记录里。"
    remedy_en = "Nothing to do; the audit keeps what it said before."


class CreditCodeDoubtful(Refusal):
    """The credit code's check digit fails. The dealer is stored; a person at the bureau compares it."""

    code = "credit_code_doubtful"
    kind = "conflict"
    zh = "统一社会信用代码要核实：{doubt}。"
    en = "A person has to compare the credit code with the licence: its check digit or its kind is unusual."
    remedy_zh = "已导入，并转人工核实；写错了就改正再导入。"
    remedy_en = "It was stored and waits for a person; if it is wrong, correct the row and import again."


class SignedTooEarly(Refusal):
    """The commitment was signed before the platform's first version was in force: it was another text."""

    code = "signed_too_early"
    zh = "签署日期早于第一版承诺书，签的不是现行文本。"
    en = "It was signed before the first version of the commitment was in force."
    remedy_zh = "请把承诺书及以后各列留空，由商户到平台上重新签署。"
    remedy_en = "Leave the commitment and what follows empty; the dealer signs on the platform."
    default_field = "signed_on"


@dataclass(slots=True, kw_only=True)
class _Work:
    """What an import of dealers needs at hand, and what it finds."""

    session: Session
    keyring: Keyring
    rules: EnrolmentRules
    actor: str
    now: datetime
    versions: Sequence[CommitmentVersion]
    report: RowsReport
    known: dict[str, Dealer]
    taken: dict[str, dict[str, str]]
    fresh: list[ListedDealer] = field(default_factory=list)


def import_dealer_list(
    *,
    session: Session,
    keyring: Keyring,
    file: FilingFile,
    rules: EnrolmentRules,
    actor: str,
    now: datetime,
    password_hash: str,
) -> RowsReport:
    """Store the rows of a list of dealers, or of counter accounts (header 登录名); return how it went.

    Good rows go in, the others are named by line and column; the same list again changes nothing. All in the caller's
    transaction: to roll it back is a dry run. New accounts get ``password_hash``, which should be that of no password.
    Raises the refusals of registry/filing_file.py.
    """
    # Nobody applies or is licensed meanwhile, so that what is free now still is when the rows are written.
    session.execute(text("LOCK TABLE dealer IN SHARE ROW EXCLUSIVE MODE"))
    if ACCOUNT_HEADERS["login"] in read_header(file):
        return _import_accounts(session=session, file=file, actor=actor, password_hash=password_hash)
    report = RowsReport(name_zh="销售商户", headers=DEALER_HEADERS)
    known = {dealer.credit_code: dealer for dealer in session.scalars(select(Dealer))}
    work = _Work(
        session=session,
        keyring=keyring,
        rules=rules,
        actor=actor,
        now=now,
        versions=approved_versions(session=session),
        report=report,
        known=known,
        taken={
            "name": {dealer.name: dealer.credit_code for dealer in known.values()},
            "point_no": {dealer.point_no: dealer.credit_code for dealer in known.values() if dealer.point_no},
            "credit_code": {},
        },
    )
    for line, cells in read_columns(file, tuple(DEALER_HEADERS.values())):
        report.read += 1
        _take(work, line, cells)
    if work.fresh:
        store_dealers(
            session=session, keyring=keyring, rules=rules, actor=actor, now=now, versions=work.versions, rows=work.fresh
        )
    if report.stored or report.corrected:
        _note_import(session, report, actor)
    session.flush()
    return report


def _import_accounts(*, session: Session, file: FilingFile, actor: str, password_hash: str) -> RowsReport:
    report = RowsReport(name_zh="店内账号", headers=ACCOUNT_HEADERS)
    good: list[tuple[ListedAccount, Sequence[str]]] = []
    for line, cells in read_columns(file, tuple(ACCOUNT_HEADERS.values())):
        report.read += 1
        checked = clean_account_row(line=line, cells=cells)
        if isinstance(checked, ListedAccount):
            good.append((checked, cells))
        else:
            _refuse(report, line, cells, checked)
    store_accounts(session=session, rows=good, report=report, actor=actor, password_hash=password_hash)
    if report.stored:
        _note_import(session, report, actor)
    return report


def _take(work: _Work, line: int, cells: Sequence[str]) -> None:
    checked = clean_dealer_row(line=line, cells=cells, today=local_day(work.now))
    if not isinstance(checked, ListedDealer):
        _refuse(work.report, line, cells, checked)
        return
    mistyped = _mistyped(work, checked)
    refusals = _conflicts(work, checked, formerly=mistyped.credit_code if mistyped else None)
    if refusals:
        _refuse(work.report, line, cells, refusals)
        return
    for name, owners in work.taken.items():
        if (value := getattr(checked, name)) is not None:
            owners[value] = checked.credit_code
    doubt = credit_code_doubt(checked.credit_code)
    dealer = work.known.get(checked.credit_code) or mistyped
    if dealer is not None:
        _compare(work, dealer, checked, cells)
        return
    if doubt is not None:
        refusal = CreditCodeDoubtful(field="credit_code", doubt=doubt)
        work.report.tell(line=line, kind="noted", refusal=refusal, cells=cells)
    work.fresh.append(checked)
    work.report.stored += 1


def _mistyped(work: _Work, listed: ListedDealer) -> Dealer | None:
    """The dealer of this very name whose code was doubtful, where the row brings a sound one; None otherwise."""
    stored = work.taken["name"].get(listed.name)
    dealer = work.known.get(stored or "")
    if dealer is None or listed.credit_code in work.known or credit_code_doubt(listed.credit_code) is not None:
        return None
    return dealer if credit_code_doubt(dealer.credit_code) is not None else None


def _correct_code(work: _Work, dealer: Dealer, new: str) -> list[str]:
    """Give the dealer the sound code; its case is closed. Return the old one and the new."""
    old = dealer.credit_code
    dealer.credit_code = new
    work.known[new] = work.known.pop(old)
    for owners in work.taken.values():
        owners.update({value: new for value, owner in owners.items() if owner == old})
    outcome = f"credit code corrected from {old} to {new}"
    close_case(session=work.session, kind=CASE, subject=f"dealer:{dealer.id}", actor=work.actor, outcome=outcome)
    return [old, new]


def _conflicts(work: _Work, listed: ListedDealer, *, formerly: str | None) -> list[Refusal]:
    refusals: list[Refusal] = []
    for name, owners in work.taken.items():
        value = getattr(listed, name)
        owner = owners.get(value) if value is not None else None
        if owner is not None and (name == "credit_code" or owner not in (listed.credit_code, formerly)):
            refusals.append(DealerTaken(field=name, header=DEALER_HEADERS[name], typed=value))
    if listed.signed_on is not None and version_on(versions=work.versions, day=listed.signed_on) is None:
        refusals.append(SignedTooEarly())
    if listed.correct is not None and listed.correct < work.rules.pass_mark:
        allowed = f"{work.rules.pass_mark} 分及以上；没通过的，培训和以后各列都留空"
        refusals.append(DealerCellInvalid(field="correct", typed=str(listed.correct), allowed=allowed))
    return refusals


def _refuse(report: RowsReport, line: int, cells: Sequence[str], refusals: Sequence[Refusal]) -> None:
    report.refused += 1
    for refusal in refusals:
        report.tell(line=line, kind="refused", refusal=refusal, cells=cells)


def _compare(work: _Work, dealer: Dealer, listed: ListedDealer, cells: Sequence[str]) -> None:
    """A dealer the platform knows: what is said about its shop is corrected, its history is not."""
    changed: dict[str, Any] = {
        name: [getattr(dealer, name), getattr(listed, name)]
        for name in CONTACT
        if getattr(dealer, name) != getattr(listed, name)
    }
    for name in changed:
        setattr(dealer, name, getattr(listed, name))
    if dealer.credit_code != listed.credit_code:
        changed["credit_code"] = _correct_code(work, dealer, listed.credit_code)
    changed |= _correct_people(work, dealer, listed)
    kept = [
        (name, stored)
        for name, stored in (("point_no", dealer.point_no), ("licensed_until", dealer.licensed_until))
        if getattr(listed, name) is not None and getattr(listed, name) != stored
    ]
    for name, stored in kept:
        refusal = DealerHistoryKept(field=name, header=DEALER_HEADERS[name], stored=stored or "空")
        work.report.tell(line=listed.line, kind="differs", refusal=refusal, cells=cells)
    for name in changed:
        refusal_of_name = DealerCorrected(field=name, header=DEALER_HEADERS[name])
        work.report.tell(line=listed.line, kind="corrected", refusal=refusal_of_name, cells=cells)
    if changed:
        detail = {name: {"old": old, "new": new} for name, (old, new) in changed.items()}
        subject = f"dealer:{dealer.id}"
        audit.record(session=work.session, actor=work.actor, action="dealer.corrected", subject=subject, detail=detail)
        work.report.corrected += 1
    elif kept:
        work.report.differing += 1
    else:
        work.report.unchanged += 1


def _correct_people(work: _Work, dealer: Dealer, listed: ListedDealer) -> dict[str, list[str | None]]:
    """Correct mobile number and representative, sealed; return what changed, masked."""
    changed: dict[str, list[str | None]] = {}
    mobile = open_mobile(dealer=dealer, keyring=work.keyring)
    representative = open_representative(dealer=dealer, keyring=work.keyring)
    if listed.mobile is not None and listed.mobile != mobile:
        changed["mobile"] = [mask_phone(mobile) if mobile else None, mask_phone(listed.mobile)]
    if listed.representative is not None and listed.representative != representative:
        changed["representative"] = [
            mask_name(representative) if representative else None,
            mask_name(listed.representative),
        ]
    for name, value in sealed_people(
        keyring=work.keyring,
        mobile=listed.mobile if "mobile" in changed else None,
        representative=listed.representative if "representative" in changed else None,
    ).items():
        setattr(dealer, name, value)
    return changed


def _note_import(session: Session, report: RowsReport, actor: str) -> None:
    names = ("read", "stored", "unchanged", "corrected", "differing", "refused")
    detail = {name: getattr(report, name) for name in names}
    audit.record(session=session, actor=actor, action="dealers.imported", subject=report.name_zh, detail=detail)
    session.flush()
