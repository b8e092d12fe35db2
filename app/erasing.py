"""What the queue, the payouts and the edge hold on a person who asks for erasure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.orm import Session

from app.tables import FirstAnswer
from registry.accounts import Account
from registry.erasure import LOCAL
from registry.trade_ins import TradeIn
from subsidy.appeal_erasure import forget_appeals_of, keeps_appeal_text
from subsidy.appeals import OPEN, Appeal
from subsidy.claims import Claim
from subsidy.payouts import Payout
from subsidy.returns import ReturnCase
from subsidy.wallets import Wallet

# A claim that still has a place to get, and money that has neither arrived nor been called off.
CLAIM_OPEN = ("waiting", "held")
MONEY_OVER = ("settled", "withdrawn")
RETURN_OPEN = ("proposed", "demanded")


class ClaimsAndMoney:
    """registry.erasure.Elsewhere over the tables of subsidy/ and app/."""

    def unfinished(self, *, session: Session, person_id: int) -> Sequence[str]:
        """Return the references of completed trade-ins whose claim, appeal, payout or return is open."""
        claim = exists().where(Claim.trade_in_id == TradeIn.id, Claim.state.in_(CLAIM_OPEN))
        payout = exists().where(Payout.trade_in_id == TradeIn.id, Payout.state.not_in(MONEY_OVER))
        appeal = exists().where(Appeal.trade_in_id == TradeIn.id, Appeal.state.in_(OPEN))
        returned = exists().where(ReturnCase.trade_in_id == TradeIn.id, ReturnCase.state.in_(RETURN_OPEN))
        mine = select(TradeIn.reference).where(TradeIn.owner_id == person_id, or_(claim, payout, appeal, returned))
        return session.scalars(mine.order_by(TradeIn.id)).all()

    def kept_since(self, *, session: Session, person_id: int) -> date | None:
        """Return the day of the last claim or payment."""
        claimed = session.scalar(select(func.max(Claim.recorded_at)).where(Claim.person_id == person_id))
        paid = session.scalar(select(func.max(Payout.settled_at)).where(Payout.person_id == person_id))
        instants = [instant for instant in (claimed, paid) if instant is not None]
        return max(instants).astimezone(LOCAL).date() if instants else None

    def keeps(self, *, session: Session, person_id: int) -> Sequence[str]:
        """Return «appeals» while what the person wrote in one is held."""
        return ("appeals",) if keeps_appeal_text(session=session, person_id=person_id) else ()

    def forget(self, *, session: Session, person_id: int, now: datetime) -> Mapping[str, int]:
        """Remove wallets of withdrawn trade-ins, old appeals' texts, and kept answers to the person's requests."""
        withdrawn = select(TradeIn.id).where(TradeIn.owner_id == person_id, TradeIn.state == "withdrawn")
        paid = exists().where(Payout.trade_in_id == Wallet.trade_in_id)
        wallets = delete(Wallet).where(Wallet.trade_in_id.in_(withdrawn), ~paid).returning(Wallet.id)
        actors = select(func.concat("account:", Account.id)).where(Account.person_id == person_id)
        # An answer that is being made now is not a kept one.
        answers = delete(FirstAnswer).where(FirstAnswer.actor.in_(actors), FirstAnswer.status != 0)
        return {
            "wallets_of_withdrawn_trade_ins": len(session.execute(wallets).all()),
            "texts_of_appeals": forget_appeals_of(session=session, person_id=person_id, now=now),
            "kept_answers": len(session.execute(answers.returning(FirstAnswer.key)).all()),
        }
