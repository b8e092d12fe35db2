"""Digital-yuan wallets (数币钱包) that owners confirmed, sealed; shown by their last four characters."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    String,
    bindparam,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.audit import record
from registry.base import Base, Instant, Refusal
from registry.cases import open_case
from registry.people import Person, open_name
from registry.sealing import Keyring
from registry.trade_ins import TradeIn
from subsidy.operator import PayoutOperator, WalletAnswer
from subsidy.payouts import PAYOUT, Payout
from subsidy.wallet_checks import count_wallet_check

# No format is published: an opaque number of at most 68 characters, as a machine would make one.
_WALLET_ID = re.compile(r"[0-9A-Za-z._@-]{4,68}")


class Wallet(Base):
    """The wallet confirmed for one trade-in. A later one supersedes it (``superseded_at``); nothing is overwritten.

    A wallet to which a payment was finally rejected is superseded by nothing: the owner confirms one again.
    """

    __tablename__ = "wallet"
    __table_args__ = (
        Index("uq_wallet_current", "trade_in_id", unique=True, postgresql_where=text("superseded_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    trade_in_id: Mapped[int] = mapped_column(ForeignKey("trade_in.id"), index=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    wallet_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    wallet_index: Mapped[bytes] = mapped_column(LargeBinary, index=True)
    tail: Mapped[str] = mapped_column(String(4))
    confirmed_at: Mapped[datetime] = mapped_column(Instant)
    superseded_at: Mapped[datetime | None] = mapped_column(Instant)


class WalletInvalid(Refusal):
    """The text cannot be a wallet number."""

    code = "wallet_invalid"
    zh = "钱包编号不对。"
    en = "This is not a wallet number."
    remedy_zh = "请在数字人民币 App 里点开钱包，把「钱包编号」完整复制过来，4 到 68 个字符，只有字母、数字和 - _ . @。"
    remedy_en = "Copy the whole wallet number from the digital-yuan app: 4 to 68 letters, digits and - _ . @."
    default_field = "wallet_id"


class WalletUnknown(Refusal):
    """The bank knows no such wallet."""

    code = "wallet_unknown"
    zh = "银行查不到这个钱包。"
    en = "The bank knows no such wallet."
    remedy_zh = "请对照数字人民币 App 把钱包编号再核对一遍，或者换一个钱包。"
    remedy_en = "Compare the number with the digital-yuan app, or take another wallet."
    default_field = "wallet_id"


class WalletNameMismatch(Refusal):
    """The wallet belongs to another name than the owner's: the subsidy goes to the owner alone."""

    code = "wallet_name_mismatch"
    zh = "这个钱包的实名不是车主本人。"
    en = "This wallet is not in the owner's name."
    remedy_zh = "补贴只能发给车主本人，请填车主自己实名开通的钱包。"
    remedy_en = "The subsidy goes to the owner only: enter a wallet opened in the owner's own name."
    default_field = "wallet_id"


class WalletFrozen(Refusal):
    """The bank has frozen the wallet."""

    code = "wallet_frozen"
    zh = "这个钱包被银行冻结了，收不了钱。"
    en = "The bank has frozen this wallet; it cannot take money."
    remedy_zh = "请联系开立钱包的银行解冻，或者换一个您本人的钱包。"
    remedy_en = "Ask the wallet's bank to release it, or enter another wallet of yours."
    default_field = "wallet_id"


class WalletTierLimit(Refusal):
    """The wallet's tier takes no more money today."""

    code = "wallet_tier_limit"
    zh = "这个钱包今天的收款限额用完了。"
    en = "This wallet's limit for today is used up."
    remedy_zh = "请在数字人民币 App 里把钱包升级为实名钱包，或者明天再填，也可以换一个您本人的钱包。"
    remedy_en = "Upgrade the wallet in the digital-yuan app, come back tomorrow, or enter another wallet of yours."
    default_field = "wallet_id"


class WalletFull(Refusal):
    """The wallet holds as much as its tier allows."""

    code = "wallet_full"
    zh = "这个钱包的余额满了，收不下了。"
    en = "This wallet holds as much as its tier allows."
    remedy_zh = "请先转出一些，或者在数字人民币 App 里升级为实名钱包，也可以换一个您本人的钱包。"
    remedy_en = "Move some money out, upgrade the wallet in the digital-yuan app, or enter another wallet of yours."
    default_field = "wallet_id"


class WalletNotNeeded(Refusal):
    """The wallet can no longer be changed: the money is on its way, has arrived, or will not be paid."""

    code = "wallet_not_needed"
    kind = "conflict"
    zh = "现在不能更换钱包：这笔补贴{why_zh}。"
    en = "The wallet cannot be changed now: this subsidy {why_en}."
    remedy_zh = "您不用做什么；没有发成的，我们会请您另填一个。"
    remedy_en = "There is nothing you need to do; if the payment fails we ask you for another one."


_CHECK_REFUSALS: dict[str, type[Refusal]] = {
    "unknown_wallet": WalletUnknown,
    "name_mismatch": WalletNameMismatch,
    "frozen": WalletFrozen,
    "tier_limit": WalletTierLimit,
    "wallet_full": WalletFull,
}
_TOO_LATE = {
    "in_flight": ("已经交给银行，正在等答复", "is with the bank and awaits its answer"),
    "settled": ("已经到账", "has arrived already"),
    "frozen": ("正在由工作人员核对", "is being checked by staff"),
    "withdrawn": ("已经取消", "was withdrawn"),
}


# Every confirmation runs these: made once, because putting a statement together takes longer than running it.
_ONE_AT_A_TIME = select(
    func.pg_advisory_xact_lock(
        func.hashtextextended(
            func.concat("wallet:", func.current_schema(), ":", bindparam("trade_in_id", type_=BigInteger)), 0
        )
    )
)
_CURRENT = select(Wallet).where(Wallet.trade_in_id == bindparam("trade_in_id"), Wallet.superseded_at.is_(None))
_PAYOUT_LOCKED = (
    select(Payout)
    .where(Payout.trade_in_id == bindparam("trade_in_id"))
    .with_for_update()
    .execution_options(populate_existing=True)
)
_STATE = select(TradeIn.state).where(TradeIn.id == bindparam("trade_in_id"))
_OF_ANOTHER = (
    select(Wallet.person_id)
    .where(Wallet.wallet_index == bindparam("wallet_index"), Wallet.person_id != bindparam("person_id"))
    .limit(1)
)


def clean_wallet_id(typed: str) -> str:
    """Return the wallet number without the spaces around it; raises WalletInvalid."""
    wallet_id = typed.strip()
    if not _WALLET_ID.fullmatch(wallet_id):
        raise WalletInvalid
    return wallet_id


def current_wallet(*, session: Session, trade_in_id: int) -> Wallet | None:
    """Return the wallet money for this trade-in goes to, None while the owner has confirmed none."""
    return session.scalar(_CURRENT, {"trade_in_id": trade_in_id})


def open_wallet_id(*, wallet: Wallet, keyring: Keyring) -> str:
    """Return the wallet's number in clear: for the bank only."""
    return keyring.open(wallet.wallet_sealed, field="wallet")


def confirm_wallet(
    *,
    session: Session,
    keyring: Keyring,
    operator: PayoutOperator,
    trade_in: TradeIn,
    wallet_id: str,
    actor: str,
    now: datetime,
) -> Wallet:
    """Confirm the wallet for a trade-in, at any time after its opening, and return it; a payout waiting for it is owed.

    ``actor`` is who typed it, as the audit trail names them: the owner, or staff at the owner's word.

    Place and decision are not touched. The same wallet again returns the one that stands. COMMITS what the session
    holds before the bank is asked, so that nothing is locked meanwhile; what it writes afterwards is the caller's to
    commit. Raises WalletInvalid, WalletNotNeeded, TooManyWalletChecks, what the bank's check refuses (WalletUnknown,
    WalletNameMismatch, WalletFrozen, WalletTierLimit, WalletFull), PartnerUnavailable and PartnerSilent.
    """
    cleaned = clean_wallet_id(wallet_id)
    trade_in_id, owner_id = trade_in.id, trade_in.owner_id
    _require_changeable(session=session, trade_in_id=trade_in_id)
    holder_name = open_name(person=session.get_one(Person, owner_id), keyring=keyring)
    count_wallet_check(session=session, actor=actor, trade_in_id=trade_in_id)
    session.commit()
    answer = operator.check_wallet(wallet_id=cleaned, holder_name=holder_name)
    if not answer.ok:
        raise _CHECK_REFUSALS[answer.reason or "unknown_wallet"]
    # One confirmation at a time for a trade-in. Its row stays unlocked: the queue skips trade-ins that are locked.
    session.execute(_ONE_AT_A_TIME, {"trade_in_id": trade_in_id})
    payout = _require_changeable(session=session, trade_in_id=trade_in_id)
    index = keyring.index(cleaned, field="wallet")
    wallet = current_wallet(session=session, trade_in_id=trade_in_id)
    if wallet is None or wallet.wallet_index != index:
        if wallet is not None:
            wallet.superseded_at = now
            session.flush()
        wallet = _add_wallet(session, keyring, trade_in, wallet_id=cleaned, answer=answer, actor=actor, now=now)
    if payout is not None and payout.state == "awaiting_wallet":
        payout.state = PAYOUT.after(state=payout.state, step="confirm_wallet")
        payout.problem = None
    session.flush()
    return wallet


def owe_confirmed(*, session: Session) -> int:
    """Make owed every payout that awaits a wallet and has one; return how many.

    A wallet confirmed in the very moment in which the queue awards the claim is seen by neither transaction.
    """
    wallet = select(Wallet.id).where(Wallet.trade_in_id == Payout.trade_in_id, Wallet.superseded_at.is_(None))
    missed = (
        select(Payout.id)
        .where(Payout.state == "awaiting_wallet", wallet.exists())
        .with_for_update(skip_locked=True, of=Payout)
    )
    owed = update(Payout).where(Payout.id.in_(missed), Payout.state == "awaiting_wallet")
    changed = session.execute(owed.values(state="owed", problem=None).returning(Payout.id))
    return len(changed.all())


def _require_changeable(*, session: Session, trade_in_id: int) -> Payout | None:
    """Lock and return the trade-in's payout, None while there is none; raises WalletNotNeeded."""
    payout = session.scalars(_PAYOUT_LOCKED, {"trade_in_id": trade_in_id}).one_or_none()
    if payout is not None and payout.state in _TOO_LATE:
        why_zh, why_en = _TOO_LATE[payout.state]
        raise WalletNotNeeded(why_zh=why_zh, why_en=why_en)
    if session.scalar(_STATE, {"trade_in_id": trade_in_id}) == "withdrawn":
        raise WalletNotNeeded(why_zh="对应的置换已撤回", why_en="belongs to a withdrawn trade-in")
    return payout


def _add_wallet(
    session: Session,
    keyring: Keyring,
    trade_in: TradeIn,
    *,
    wallet_id: str,
    answer: WalletAnswer,
    actor: str,
    now: datetime,
) -> Wallet:
    index, person_id = keyring.index(wallet_id, field="wallet"), trade_in.owner_id
    wallet = Wallet(
        trade_in_id=trade_in.id,
        person_id=person_id,
        wallet_sealed=keyring.seal(wallet_id, field="wallet"),
        wallet_index=index,
        tail=(answer.tail or wallet_id)[-4:],
        confirmed_at=now,
    )
    session.add(wallet)
    session.flush()
    subject = f"trade_in:{trade_in.reference}"
    record(session=session, actor=actor, action="wallet_confirmed", subject=subject)
    other = session.scalar(_OF_ANOTHER, {"wallet_index": index, "person_id": person_id})
    if other is not None:
        # One wallet for several people is how collected identities were paid out elsewhere: a person looks at it.
        detail = {"reference": trade_in.reference, "person_id": person_id, "other_person_id": other}
        open_case(session=session, kind="wallet_shared", subject=f"wallet:{wallet.id}", detail=detail)
    return wallet
