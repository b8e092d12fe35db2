"""Applications (申请) to be a dealer: proved by a phone, reviewed by a person, followed by reference."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, LargeBinary, String, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.accounts import Account
from registry.base import Base, Instant, Refusal
from registry.cases import close_case, open_case
from registry.codes import new_application_reference
from registry.dealer_hours import Span, write_hours
from registry.dealer_inputs import (
    clean_address,
    clean_credit_code,
    clean_dealer_name,
    clean_sub_district,
    clean_telephone,
    credit_code_doubt,
    sealed_people,
)
from registry.dealer_steps import take_step
from registry.dealers import DEALER, Dealer, lock_dealer
from registry.inputs import Inputs
from registry.one_time_codes import prove_phone
from registry.people import clean_mobile, clean_name, phone_index
from registry.receiving import LARGEST_PHOTO_BYTES, PhotoTooLarge, PhotoUnreadable, is_picture
from registry.sealing import Keyring
from registry.transitions import Transitions
from registry.uniqueness import refusing_duplicates

PURPOSE = "dealer_application"
CASE = "dealer_credit_code"
APPLICATION = Transitions(
    noun_zh="这份申请",
    noun_en="application",
    words={"waiting": "待审核", "accepted": "已通过", "refused": "未通过"},
    edges={"waiting": {"accept": "accepted", "refuse": "refused"}, "accepted": {}, "refused": {}},
)


class DealerApplication(Base):
    """One application. What it says stands on the dealer; ``doubt`` is what a person has to look at in the credit code.

    ``phone_proof`` is the number of the one-time code that proved the phone, ``reason`` why it was refused.
    """

    __tablename__ = "dealer_application"
    __table_args__ = (
        Index("uq_dealer_application_waiting", "dealer_id", unique=True, postgresql_where=text("state = 'waiting'")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    reference: Mapped[str] = mapped_column(String(16), unique=True)
    dealer_id: Mapped[int] = mapped_column(ForeignKey("dealer.id"))
    state: Mapped[str] = mapped_column(String(12), server_default="waiting", index=True)
    doubt: Mapped[str | None] = mapped_column(String(200))
    licence_sha256: Mapped[bytes | None] = mapped_column(LargeBinary)
    licence_photo: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    phone_proof: Mapped[str] = mapped_column(String(32))
    submitted_at: Mapped[datetime] = mapped_column(Instant)
    decided_by: Mapped[str | None] = mapped_column(String(60))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    reason: Mapped[str | None] = mapped_column(String(200))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationForm:
    """An application as typed. ``phone`` is the shop's telephone, ``mobile`` the number that will sign for it."""

    name: str
    credit_code: str
    sub_district: str
    address: str
    phone: str
    opening_hours: Sequence[Span]
    representative: str
    mobile: str
    licence_photo: bytes | None = None


class AlreadyApplied(Refusal):
    """The business has an application that waits. Its reference is told to whoever holds its phone, to nobody else."""

    code = "already_applied"
    kind = "conflict"
    zh = "这家商户已有申请在审核{where_zh}。"
    en = "An application of this business is being reviewed{where_en}."
    remedy_zh = "请凭受理编号查询进度；不是本单位申请的，请联系区市场监管局。"
    remedy_en = "Follow it by its reference; if it was not you who applied, tell the bureau."
    default_field = "credit_code"


class DealerKnown(Refusal):
    """The business is a dealer on the platform already."""

    code = "dealer_known"
    kind = "conflict"
    zh = "统一社会信用代码 {credit_code} 的商户已经在平台上。"
    en = "The business {credit_code} is on the platform already."
    remedy_zh = "请用已有账号登录；资料有变化的，请联系区市场监管局。"
    remedy_en = "Sign in with its account; to change what is registered, ask the bureau."
    default_field = "credit_code"


class DealerNameTaken(Refusal):
    """Another dealer has this very name."""

    code = "dealer_name_taken"
    kind = "conflict"
    zh = "「{name}」已有另一家商户在用。"
    en = "Another dealer is registered as «{name}»."
    remedy_zh = "请加上所在街道或分店名称，和门头、执照对得上。"
    remedy_en = "Add the sub-district or the branch to the name."
    default_field = "name"


class ApplicationNotFound(Refusal):
    """There is no application of this reference."""

    code = "application_not_found"
    kind = "not_found"
    zh = "没有这个受理编号的申请。"
    en = "There is no application of this reference."
    remedy_zh = "请照提交申请时给的编号核对，例如 SQ-7K2M-94QX。"
    remedy_en = "Compare with the reference given when it was sent, for example SQ-7K2M-94QX."
    default_field = "reference"


class CreditCodeUnconfirmed(Refusal):
    """The credit code's check digit fails: whoever accepts says that he compared it with the licence."""

    code = "credit_code_unconfirmed"
    zh = "统一社会信用代码还没有核实：{doubt}。"
    en = "The credit code has not been confirmed: its check digit or its kind is unusual."
    remedy_zh = "请对照营业执照原件或登记系统核实；确实无误的，勾选「已核实」再通过。"
    remedy_en = "Compare it with the licence or the register; if it is right, confirm that and accept."
    default_field = "credit_code_confirmed"


def apply_as_dealer(
    *, session: Session, keyring: Keyring, form: ApplicationForm, code: str, now: datetime, real_now: datetime
) -> DealerApplication:
    """Take in an application from whoever proves with ``code`` to hold its mobile number; → dealer ``applied``.

    A dealer that was refused applies again under a new reference. COMMITS the try at the code; the last transaction is
    left to the caller. A failing check digit of the credit code opens a case and refuses nothing.

    Raises what is wrong with the fields, CodeWrong, AlreadyApplied, DealerKnown and DealerNameTaken.
    """
    values, mobile, representative = _clean(form)
    proof = prove_phone(session=session, keyring=keyring, phone=mobile, purpose=PURPOSE, code=code, now=real_now)
    dealer = session.scalar(
        select(Dealer).where(Dealer.credit_code == values["credit_code"]).with_for_update(key_share=True)
    )
    if dealer is not None:
        _require_refused(session=session, keyring=keyring, dealer=dealer, mobile=mobile)
    names = {
        "uq_dealer_name": DealerNameTaken(name=values["name"]),
        "uq_dealer_credit_code": AlreadyApplied(where_zh="", where_en=""),
    }
    actor = "applicant"
    with refusing_duplicates(session, names):
        if dealer is None:
            dealer = Dealer(**values)
            session.add(dealer)
        else:
            for name, value in values.items():
                setattr(dealer, name, value)
        for name, sealed in sealed_people(keyring=keyring, mobile=mobile, representative=representative).items():
            setattr(dealer, name, sealed)
    if dealer.state == "refused":
        take_step(session=session, dealer=dealer, step="apply", actor=actor, now=now)
    return _write_down(session=session, dealer=dealer, photo=form.licence_photo, proof=proof, actor=actor, now=now)


def get_application(*, session: Session, reference: str) -> DealerApplication:
    """Return the application of this reference, whatever case or spaces were typed; raises ApplicationNotFound."""
    return _one(session, reference, lock=False)


def list_applications(
    *, session: Session, state: str | None = None, before_id: int | None = None, limit: int = 50
) -> Sequence[DealerApplication]:
    """Return applications, newest first, those in ``state`` where it is named, older than ``before_id``."""
    query = select(DealerApplication).order_by(DealerApplication.id.desc()).limit(limit)
    if state is not None:
        query = query.where(DealerApplication.state == state)
    if before_id is not None:
        query = query.where(DealerApplication.id < before_id)
    return session.scalars(query).all()


def accept_application(
    *,
    session: Session,
    reference: str,
    credit_code_confirmed: bool,
    password_hash: str,
    actor: str,
    now: datetime,
) -> DealerApplication:
    """Accept; → dealer ``accepted``, with a first account whose login is the reference. Left to the caller to commit.

    ``password_hash`` should be that of no password: the dealer sets one by one-time code (dealer_staff.py). Raises
    ApplicationNotFound, StepNotAllowed and CreditCodeUnconfirmed.
    """
    application, dealer = _to_decide(session, reference, "accept")
    if application.doubt and not credit_code_confirmed:
        raise CreditCodeUnconfirmed(doubt=application.doubt)
    application.state = "accepted"
    application.decided_by, application.decided_at = actor, now
    take_step(session=session, dealer=dealer, step="accept", actor=actor, now=now)
    account = Account(
        login=application.reference,
        password_hash=password_hash,
        display_name="负责人",
        role="dealer",
        dealer_id=dealer.id,
        dealer_manager=True,
    )
    session.add(account)
    _close_case(session, application, actor, "credit code confirmed")
    session.flush()
    detail = {"login": account.login, "dealer_id": dealer.id, "manager": True}
    audit.record(session=session, actor=actor, action="account.added", subject=f"account:{account.id}", detail=detail)
    session.flush()
    return application


def refuse_application(
    *, session: Session, reference: str, reason: str, actor: str, now: datetime
) -> DealerApplication:
    """Refuse with a reason the applicant is told; → dealer ``refused``. The transaction is left to the caller.

    Raises ApplicationNotFound and StepNotAllowed.
    """
    application, dealer = _to_decide(session, reference, "refuse")
    application.state, application.reason = "refused", reason
    application.decided_by, application.decided_at = actor, now
    take_step(session=session, dealer=dealer, step="refuse", actor=actor, now=now, reason=reason)
    _close_case(session, application, actor, "application refused")
    session.flush()
    return application


def _clean(form: ApplicationForm) -> tuple[dict[str, str], str, str]:
    inputs = Inputs()
    values = {
        "name": inputs.take("name", clean_dealer_name, form.name),
        "credit_code": inputs.take("credit_code", clean_credit_code, form.credit_code),
        "sub_district": inputs.take("sub_district", clean_sub_district, form.sub_district),
        "address": inputs.take("address", clean_address, form.address),
        "phone": inputs.take("phone", clean_telephone, form.phone),
        "opening_hours": inputs.take("opening_hours", write_hours, form.opening_hours),
    }
    representative = inputs.take("representative", clean_name, form.representative)
    mobile = inputs.take("mobile", clean_mobile, form.mobile)
    photo = form.licence_photo
    if photo is not None and len(photo) > LARGEST_PHOTO_BYTES:
        inputs.refuse(PhotoTooLarge(field="licence_photo"))
    elif photo is not None and not is_picture(photo):
        inputs.refuse(PhotoUnreadable(field="licence_photo"))
    inputs.check()
    return values, mobile, representative


def _require_refused(*, session: Session, keyring: Keyring, dealer: Dealer, mobile: str) -> None:
    if dealer.state == "applied":
        waiting = session.scalar(
            select(DealerApplication.reference).where(
                DealerApplication.dealer_id == dealer.id, DealerApplication.state == "waiting"
            )
        )
        own = waiting is not None and dealer.mobile_index == phone_index(keyring=keyring, phone=mobile)
        raise AlreadyApplied(
            where_zh=f"，受理编号 {waiting}" if own else "", where_en=f"; its reference is {waiting}" if own else ""
        )
    if not DEALER.allows(state=dealer.state, step="apply"):
        raise DealerKnown(credit_code=dealer.credit_code)


def _write_down(
    *, session: Session, dealer: Dealer, photo: bytes | None, proof: str, actor: str, now: datetime
) -> DealerApplication:
    application = DealerApplication(
        reference=new_application_reference(),
        dealer_id=dealer.id,
        doubt=credit_code_doubt(dealer.credit_code),
        licence_sha256=hashlib.sha256(photo).digest() if photo is not None else None,
        licence_photo=photo,
        phone_proof=proof,
        submitted_at=now,
    )
    session.add(application)
    session.flush()
    detail = {"dealer_id": dealer.id, "credit_code": dealer.credit_code, "licence_photo": photo is not None}
    subject = f"dealer_application:{application.reference}"
    audit.record(session=session, actor=actor, action="dealer.applied", subject=subject, detail=detail)
    if application.doubt:
        facts = {"credit_code": dealer.credit_code, "why": application.doubt}
        open_case(session=session, kind=CASE, subject=subject, detail=facts)
    session.flush()
    session.refresh(application)
    return application


def _to_decide(session: Session, reference: str, step: str) -> tuple[DealerApplication, Dealer]:
    """Application and dealer, both locked, the dealer first as everywhere."""
    dealer_id = _one(session, reference, lock=False).dealer_id
    dealer = lock_dealer(session=session, dealer_id=dealer_id)
    application = _one(session, reference, lock=True)
    APPLICATION.after(state=application.state, step=step)
    return application, dealer


def _close_case(session: Session, application: DealerApplication, actor: str, outcome: str) -> None:
    subject = f"dealer_application:{application.reference}"
    close_case(session=session, kind=CASE, subject=subject, actor=actor, outcome=outcome)


def _one(session: Session, reference: str, *, lock: bool) -> DealerApplication:
    query = select(DealerApplication).where(DealerApplication.reference == reference.strip().upper())
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    application = session.scalar(query)
    if application is None:
        raise ApplicationNotFound
    return application
