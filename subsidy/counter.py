"""What a trade-in point does for an owner without a smartphone (柜台代办): name the wallet, file an appeal.

The owner, or the proxy on record, stands at the counter and signs a paper; its number goes into the audit trail with
the deed. The owner is told by text at once, so that nobody can do it behind his back. The money goes to a wallet in
the owner's own name all the same: the bank checks it as ever.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy.orm import Session

from registry.audit import record
from registry.codes import clean_paper_number
from registry.inputs import Inputs
from registry.messages import owe_message
from registry.sealing import Keyring
from registry.trade_ins import Reach, get_trade_in
from subsidy.appeals import Appeal, file_appeal
from subsidy.operator import PayoutOperator
from subsidy.wallets import Wallet, clean_wallet_id, confirm_wallet

# A wallet in the owner's phone, or a card (硬钱包) that works without one; the bank tells them apart, we keep it.
WalletKind = Literal["app", "card"]
WALLET_KINDS: dict[WalletKind, str] = {"app": "数字人民币钱包", "card": "数字人民币硬钱包卡"}


def confirm_wallet_at_counter(
    *,
    session: Session,
    keyring: Keyring,
    operator: PayoutOperator,
    reference: str,
    reach: Reach,
    kind: WalletKind,
    wallet_id: str,
    authority_no: str,
    actor: str,
    now: datetime,
) -> Wallet:
    """Confirm the wallet, or the card, that the owner opened or brought; ``authority_no`` is on the paper he signed.

    COMMITS before the bank is asked, as ``confirm_wallet`` does; what follows is the caller's to commit. Raises
    TradeInNotFound, CodeInvalid, and what ``confirm_wallet`` raises.
    """
    trade_in = get_trade_in(session=session, reference=reference, reach=reach)
    inputs = Inputs()
    wallet_id = inputs.take("wallet_id", clean_wallet_id, wallet_id)
    authority_no = inputs.take("authority_no", clean_paper_number, authority_no)
    inputs.check()
    wallet = confirm_wallet(
        session=session,
        keyring=keyring,
        operator=operator,
        trade_in=trade_in,
        wallet_id=wallet_id,
        actor=actor,
        now=now,
    )
    detail = {"authority_no": authority_no, "kind": kind, "wallet": wallet.id}
    record(session=session, actor=actor, action="wallet_at_counter", subject=f"trade_in:{reference}", detail=detail)
    what = f"收款的{WALLET_KINDS[kind]}，尾号 {wallet.tail}，查询号 {reference}"
    body = f"代办点替您登记了{what}。不是您要办的，请拨打 12345。"
    owe_message(session=session, person_id=trade_in.owner_id, dedupe_key=f"wallet-at-counter:{wallet.id}", body=body)
    session.flush()
    return wallet


def file_appeal_at_counter(
    *,
    session: Session,
    reference: str,
    reach: Reach,
    body: str,
    authority_no: str,
    working_days: int,
    actor: str,
    now: datetime,
) -> Appeal:
    """File the appeal that the owner dictated and signed, due in ``working_days``; the owner is told by text.

    The transaction is left to the caller. Raises TradeInNotFound, CodeInvalid, and what ``file_appeal`` raises.
    """
    inputs = Inputs()
    authority_no = inputs.take("authority_no", clean_paper_number, authority_no)
    inputs.check()
    appeal = file_appeal(
        session=session,
        reference=reference,
        reach=reach,
        body=body,
        working_days=working_days,
        actor=actor,
        now=now,
    )
    detail = {"authority_no": authority_no, "appeal": appeal.reference}
    record(session=session, actor=actor, action="appeal_at_counter", subject=f"trade_in:{reference}", detail=detail)
    session.flush()
    return appeal
