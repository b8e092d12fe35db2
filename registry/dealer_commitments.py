"""Commitments (承诺书): their versions as data, and who signed which one, how and when. Signatures are never changed.

A version is drafted by one person and approved by another. A new one asks every dealer to sign again by ``sign_by``;
whoever has not signed the version in force gets no licence and no renewal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    Identity,
    Integer,
    Select,
    String,
    Text,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.code_limits import Asker
from registry.dealer_inputs import open_mobile
from registry.dealer_steps import DealerStepOfTwo, take_step
from registry.dealers import DEALER, Dealer, lock_dealer
from registry.one_time_codes import prove_phone, send_code
from registry.people import mask_phone
from registry.sealing import Keyring
from registry.sms_gateway import SmsGateway

PURPOSE = "commitment"
LEAST_CHARACTERS = 100
LARGEST_VERSION = 2**31 - 1


class CommitmentVersion(Base):
    """One version of the text. It binds from ``effective_at`` (a business instant) once ``approved_at`` is set."""

    __tablename__ = "commitment_version"

    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    text_zh: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    effective_at: Mapped[datetime] = mapped_column(Instant)
    sign_by: Mapped[date | None] = mapped_column(Date)
    drafted_by: Mapped[str] = mapped_column(String(60))
    drafted_at: Mapped[datetime] = mapped_column(Instant)
    approved_by: Mapped[str | None] = mapped_column(String(60))
    approved_at: Mapped[datetime | None] = mapped_column(Instant)


class CommitmentSignature(Base):
    """One signature. ``method`` is ``code`` (``evidence`` is the one-time code's number) or ``paper`` (of its file)."""

    __tablename__ = "commitment_signature"
    __table_args__ = (
        CheckConstraint("method IN ('code', 'paper')", name="method"),
        UniqueConstraint("dealer_id", "version"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    dealer_id: Mapped[int] = mapped_column(ForeignKey("dealer.id"))
    version: Mapped[int] = mapped_column(ForeignKey("commitment_version.version"))
    text_sha256: Mapped[str] = mapped_column(String(64))
    method: Mapped[str] = mapped_column(String(8))
    phone_masked: Mapped[str | None] = mapped_column(String(20))
    evidence: Mapped[str] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(60))
    signed_at: Mapped[datetime] = mapped_column(Instant)


class MobileMissing(Refusal):
    """The dealer has no registered mobile number, so nobody can sign for it by code."""

    code = "dealer_mobile_missing"
    kind = "conflict"
    zh = "本店还没有登记用来签署的手机号码。"
    en = "No mobile number is registered for this dealer."
    remedy_zh = "请带营业执照到区市场监管局登记。"
    remedy_en = "Bring the business licence to the bureau to have one registered."


class CommitmentNotCurrent(Refusal):
    """Only the version in force, or one that is announced, can be signed."""

    code = "commitment_not_current"
    kind = "conflict"
    zh = "第 {version} 版承诺书不在签署期，现行的是第 {current} 版。"
    en = "Version {version} of the commitment is not to be signed; version {current} is in force."
    remedy_zh = "请重新打开承诺书，看过现行版本再签。"
    remedy_en = "Read the version in force and sign that one."
    default_field = "version"


class CommitmentUnsigned(Refusal):
    """The step needs the dealer's signature under the version in force."""

    code = "commitment_unsigned"
    kind = "conflict"
    zh = "{name}还没有签署现行的第 {version} 版承诺书。"
    en = "{name} has not signed version {version} of the commitment, which is in force."
    remedy_zh = "请商户先登录签署，再办这一步。"
    remedy_en = "The dealer signs in and signs it first."


class CommitmentDraftInvalid(Refusal):
    """A draft is too short, or its days do not follow each other."""

    code = "commitment_draft_invalid"
    zh = "承诺书草稿不对：{why_zh}。"
    en = "The draft is not valid: {why_en}."
    remedy_zh = "请改正后再提交。"
    remedy_en = "Correct it and send it again."


class CommitmentNotFound(Refusal):
    """There is no such version, or it is approved already."""

    code = "commitment_not_found"
    kind = "not_found"
    zh = "没有待审批的第 {version} 版承诺书。"
    en = "There is no draft of version {version}."
    remedy_zh = "请刷新列表核对版本号。"
    remedy_en = "Check the number in the list of versions."
    default_field = "version"


def current_version(*, session: Session, now: datetime) -> CommitmentVersion:
    """Return the version in force; the first one comes with the tables."""
    query = _approved().where(CommitmentVersion.effective_at <= now).limit(1)
    return session.scalars(query).one()


def approved_versions(*, session: Session) -> Sequence[CommitmentVersion]:
    """Return every approved version, the newest first; one that is announced is among them."""
    return session.scalars(_approved()).all()


def draft_version(
    *, session: Session, text_zh: str, effective_at: datetime, sign_by: date, actor: str, now: datetime
) -> CommitmentVersion:
    """Draft the next version, to be signed by every dealer until the day ``sign_by``. Left to the caller to commit.

    Raises CommitmentDraftInvalid, also where an earlier draft still waits or would come into force later.
    """
    name = func.concat("commitment_version:", func.current_schema())
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
    last = session.scalars(select(CommitmentVersion).order_by(CommitmentVersion.version.desc()).limit(1)).one()
    text = text_zh.strip() + "\n"
    if len(text) < LEAST_CHARACTERS:
        raise CommitmentDraftInvalid(field="text_zh", why_zh="正文太短", why_en="its text is too short")
    if last.approved_at is None:
        raise CommitmentDraftInvalid(field=None, why_zh="上一版还没有审批", why_en="the draft before it still waits")
    if effective_at <= max(now, last.effective_at):
        raise CommitmentDraftInvalid(
            field="effective_at", why_zh="生效时间要在以后", why_en="it has to come into force in the future"
        )
    if sign_by < effective_at.date():
        raise CommitmentDraftInvalid(
            field="sign_by", why_zh="签署期限早于生效", why_en="it is to be signed before it comes into force"
        )
    version = CommitmentVersion(
        version=last.version + 1,
        text_zh=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        effective_at=effective_at,
        sign_by=sign_by,
        drafted_by=actor,
        drafted_at=now,
    )
    session.add(version)
    _note(session, actor, "commitment.drafted", version)
    return version


def approve_version(*, session: Session, version: int, actor: str, now: datetime) -> CommitmentVersion:
    """Approve a draft as a second person; approved late, it binds from now on. The transaction is left to the caller.

    Raises CommitmentNotFound and DealerStepOfTwo.
    """
    if version > LARGEST_VERSION:
        raise CommitmentNotFound(version=version)
    draft = session.get(CommitmentVersion, version, with_for_update=True, populate_existing=True)
    if draft is None or draft.approved_at is not None:
        raise CommitmentNotFound(version=version)
    if draft.drafted_by == actor:
        raise DealerStepOfTwo
    draft.approved_by, draft.approved_at = actor, now
    # What somebody signed yesterday is not made void by a text that nobody could have read then.
    draft.effective_at = max(draft.effective_at, now)
    _note(session, actor, "commitment.approved", draft)
    return draft


def send_signing_code(
    *,
    session: Session,
    keyring: Keyring,
    gateway: SmsGateway,
    dealer_id: int,
    asker: Asker,
    real_now: datetime,
) -> str:
    """Send a code to the dealer's registered mobile number and return the number masked; ``real_now`` is real. COMMITS.

    Raises DealerNotFound, MobileMissing and what registry.one_time_codes.send_code raises.
    """
    dealer = session.get_one(Dealer, dealer_id)
    mobile = open_mobile(dealer=dealer, keyring=keyring)
    if mobile is None:
        raise MobileMissing
    send_code(
        session=session,
        keyring=keyring,
        gateway=gateway,
        phone=mobile,
        asker=asker,
        now=real_now,
        purpose=PURPOSE,
        about=f"dealer:{dealer_id}",
        deed=f"为{dealer.name}签署商户承诺书",
    )
    return mask_phone(mobile)


def sign_commitment(
    *,
    session: Session,
    keyring: Keyring,
    dealer_id: int,
    version: int,
    code: str,
    actor: str,
    now: datetime,
    real_now: datetime,
) -> CommitmentSignature:
    """Sign a version for the dealer with the code sent to its registered mobile number; accepted → ``committed``.

    COMMITS the try at the code; the last transaction is left to the caller. Signing the same version again returns the
    first signature. Raises MobileMissing, CommitmentNotCurrent, StepNotAllowed and CodeWrong.
    """
    dealer = session.get_one(Dealer, dealer_id)
    mobile = open_mobile(dealer=dealer, keyring=keyring)
    if mobile is None:
        raise MobileMissing
    current = current_version(session=session, now=now)
    text = session.get(CommitmentVersion, version) if version <= LARGEST_VERSION else None
    if text is None or text.approved_at is None or version < current.version:
        raise CommitmentNotCurrent(version=version, current=current.version)
    proof = prove_phone(
        session=session,
        keyring=keyring,
        phone=mobile,
        purpose=PURPOSE,
        code=code,
        now=real_now,
        about=f"dealer:{dealer_id}",
    )
    dealer = lock_dealer(session=session, dealer_id=dealer_id)
    if dealer.state in ("applied", "refused", "revoked"):
        DEALER.after(state=dealer.state, step="commit")
    return keep_signature(
        session=session,
        dealer=dealer,
        version=text,
        method="code",
        phone_masked=mask_phone(mobile),
        evidence=proof,
        actor=actor,
        now=now,
    )


def keep_signature(
    *,
    session: Session,
    dealer: Dealer,
    version: CommitmentVersion,
    method: str,
    phone_masked: str | None,
    evidence: str,
    actor: str,
    now: datetime,
) -> CommitmentSignature:
    """Write a signature of the (locked) dealer down, once for each version; accepted → ``committed``."""
    row = insert(CommitmentSignature).values(
        dealer_id=dealer.id,
        version=version.version,
        text_sha256=version.sha256,
        method=method,
        phone_masked=phone_masked,
        evidence=evidence,
        actor=actor,
        signed_at=now,
    )
    new_id = session.scalar(
        row.on_conflict_do_nothing(index_elements=["dealer_id", "version"]).returning(CommitmentSignature.id)
    )
    mine = (CommitmentSignature.dealer_id == dealer.id, CommitmentSignature.version == version.version)
    signature = session.scalars(select(CommitmentSignature).where(*mine)).one()
    if new_id is not None:
        detail = {
            "version": version.version,
            "sha256": version.sha256,
            "method": method,
            "phone": phone_masked,
            "evidence": evidence,
        }
        subject = f"dealer:{dealer.id}"
        audit.record(session=session, actor=actor, action="commitment.signed", subject=subject, detail=detail)
    if dealer.state == "accepted":
        take_step(session=session, dealer=dealer, step="commit", actor=actor, now=now)
    session.flush()
    return signature


def signature_of(*, session: Session, dealer_id: int, version: int) -> CommitmentSignature | None:
    """Return the dealer's signature under a version, None where there is none."""
    mine = (CommitmentSignature.dealer_id == dealer_id, CommitmentSignature.version == version)
    return session.scalar(select(CommitmentSignature).where(*mine))


def require_signed(*, session: Session, dealer: Dealer, now: datetime) -> None:
    """Raise CommitmentUnsigned unless the dealer signed the version in force at ``now``."""
    version = current_version(session=session, now=now).version
    if signature_of(session=session, dealer_id=dealer.id, version=version) is None:
        raise CommitmentUnsigned(name=dealer.name, version=version)


def list_signatures(
    *, session: Session, version: int | None = None, before_id: int | None = None, limit: int = 300
) -> list[tuple[CommitmentSignature, Dealer]]:
    """Return who signed which version, newest first: what everybody may read."""
    query = (
        select(CommitmentSignature, Dealer)
        .join(Dealer, Dealer.id == CommitmentSignature.dealer_id)
        .order_by(CommitmentSignature.id.desc())
        .limit(limit)
    )
    if version is not None:
        query = query.where(CommitmentSignature.version == version)
    if before_id is not None:
        query = query.where(CommitmentSignature.id < before_id)
    return [(row[0], row[1]) for row in session.execute(query)]


def unsigned_dealers(*, session: Session, now: datetime, limit: int = 300) -> list[Dealer]:
    """Return the dealers past review, not revoked, that have not signed the version in force, by their ids."""
    version = current_version(session=session, now=now).version
    signed = select(CommitmentSignature.dealer_id).where(CommitmentSignature.version == version)
    query = select(Dealer).where(Dealer.state.not_in(("applied", "refused", "revoked")), Dealer.id.not_in(signed))
    return list(session.scalars(query.order_by(Dealer.id).limit(limit)))


def _approved() -> Select[CommitmentVersion]:
    approved = CommitmentVersion.approved_at.is_not(None)
    return select(CommitmentVersion).where(approved).order_by(CommitmentVersion.version.desc())


def _note(session: Session, actor: str, action: str, version: CommitmentVersion) -> None:
    detail = {
        "sha256": version.sha256,
        "effective_at": version.effective_at.isoformat(),
        "sign_by": version.sign_by.isoformat() if version.sign_by else None,
    }
    subject = f"commitment_version:{version.version}"
    audit.record(session=session, actor=actor, action=action, subject=subject, detail=detail)
    session.flush()
