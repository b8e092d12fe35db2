"""The message gateway over HTTP, as the registry needs it (registry.sms_gateway.SmsGateway)."""

from __future__ import annotations

from app.clients.http import PartnerHttp
from app.clients.signing import Signer
from app.clients.sms import LABEL
from registry.base import PartnerSilent


class SmsClient:
    """Sends through the gateway at ``base_url``. Share one among threads; ``read_s`` is the read time-out in seconds.

    Beyond what SmsGateway promises, raises PartnerMisunderstood (a PartnerUnavailable) where the gateway refuses our
    signature or shape, and NumberReused where a message number comes with other content.
    """

    def __init__(self, *, base_url: str, signer: Signer, read_s: float = 3.0, connect_s: float = 1.0) -> None:
        self._http = PartnerHttp(label=LABEL, base_url=base_url, signer=signer, read_s=read_s, connect_s=connect_s)

    def send(self, *, message_no: str, phone: str, text: str) -> None:
        asked = {"message_no": message_no, "phone": phone, "text": text}
        data = self._http.taken(self._http.post("/messages", asked, idempotent=True), number=message_no)
        if data.get("message_no") != message_no or data.get("accepted") is not True:
            raise PartnerSilent(partner=LABEL)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()
