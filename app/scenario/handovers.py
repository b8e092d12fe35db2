"""Filed bikes that change hands (过户) after the cut-off day: opened at a point, confirmed by the codes of both.

By the domain's own calls and not over HTTP: from one address the platform sends sixty codes an hour, and here every
point would ask from the same. Each asks from an address of its own, as it would in the district.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from sqlalchemy.orm import Session

from app.clock import real
from app.config import Settings
from app.district.line import plate_record
from app.scenario.calls import ScenarioFailed, Server
from app.scenario.plan import Planned
from app.scenario.shops import ACTOR
from registry.code_limits import Asker
from registry.transferring import confirm_transfer, open_transfer, send_transfer_code
from registry.transfers import PARTIES


class Phones:
    """Both people's phones, in place of the message gateway: ``code`` reads the last message."""

    def __init__(self) -> None:
        self._last = ""

    def send(self, *, message_no: str, phone: str, text: str) -> None:
        self._last = text

    def code(self) -> str:
        """Return the code in the last message."""
        found = re.search(r"验证码 (\d{6})", self._last)
        if found is None:
            raise ScenarioFailed(f"no code stands in «{self._last}»")
        return found[1]


def hand_over(session: Session, settings: Settings, trade_ins: Iterable[Planned], points: Sequence[int]) -> None:
    """Have each bike change hands from the owner it was filed with to the one who will trade it in."""
    phones = Phones()
    for planned in trade_ins:
        _hand_over(session, settings, planned, dealer_id=points[planned.point], phones=phones)
        session.commit()


def tell_police(police: Server, *, district: str, trade_ins: Iterable[Planned]) -> None:
    """Tell the police's stub who owns these bikes now: the two registers are kept by different offices."""
    records = [asdict(plate_record(planned.filing, district=district)) for planned in trade_ins]
    reply = police.post("/demo/plates", records)
    if reply.status != 200:
        raise ScenarioFailed(f"the police's stub took no new owners: {reply.status}")


def _hand_over(session: Session, settings: Settings, planned: Planned, *, dealer_id: int, phones: Phones) -> None:
    transfer = open_transfer(
        session=session,
        keyring=settings.keyring,
        plate_no=planned.filed.plate_no,
        seller_name=planned.filed.owner_name,
        seller_id_no=planned.filed.id_no,
        buyer_name=planned.filing.owner_name,
        buyer_id_no=planned.filing.id_no,
        buyer_phone=planned.filing.phone,
        dealer_id=dealer_id,
        actor=ACTOR,
        now=settings.clock.now(),
    )
    transfer_no = transfer.transfer_no
    session.commit()
    for party in PARTIES:
        send_transfer_code(
            session=session,
            keyring=settings.keyring,
            gateway=phones,
            transfer_no=transfer_no,
            dealer_id=dealer_id,
            party=party,
            asker=Asker(address=f"10.1.{planned.point // 250}.{planned.point % 250 + 1}", device=None),
            real_now=real(),
        )
        transfer = confirm_transfer(
            session=session,
            keyring=settings.keyring,
            transfer_no=transfer_no,
            dealer_id=dealer_id,
            party=party,
            code=phones.code(),
            actor=ACTOR,
            now=settings.clock.now(),
            real_now=real(),
        )
        session.commit()
    if transfer.state != "completed":
        raise ScenarioFailed(f"the transfer of {planned.filed.plate_no} stands at {transfer.state}")
