"""The composition root: which partners this process talks to. Tests hand in fakes instead."""

from __future__ import annotations

from dataclasses import dataclass

from app.clients.ecny.client import BankClient
from app.clients.plates.client import PoliceClient
from app.clients.signing import HmacSm3
from app.clients.sms.client import SmsClient
from app.clients.wechat import TicketSource
from app.clients.wechat.client import WeChatClient
from app.config import Settings
from registry.plate_authority import PlateAuthority
from registry.sms_gateway import SmsGateway
from subsidy.operator import PayoutOperator


@dataclass(frozen=True, slots=True, kw_only=True)
class Partners:
    """The three partners of a district, each as the domain sees it; WeChat for its pages, None unless it is set up."""

    plates: PlateAuthority
    operator: PayoutOperator
    sms: SmsGateway
    wechat: TicketSource | None = None


def partners_for(settings: Settings) -> Partners:
    """Return the real partners, over HTTP. Nothing is called until the first use."""
    return Partners(
        plates=PoliceClient(base_url=settings.plates_url, signer=HmacSm3(settings.plates_key)),
        operator=BankClient(base_url=settings.ecny_url, signer=HmacSm3(settings.ecny_key)),
        sms=SmsClient(base_url=settings.sms_url, signer=HmacSm3(settings.sms_key)),
        wechat=WeChatClient(settings.wechat) if settings.wechat is not None else None,
    )
