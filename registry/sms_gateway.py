"""The text-message gateway as the registry needs it. The client stands in app/clients/sms/."""

from __future__ import annotations

from typing import Protocol


class SmsGateway(Protocol):
    """Raises PartnerUnavailable (nothing was sent) or PartnerSilent (it may have been sent)."""

    def send(self, *, message_no: str, phone: str, text: str) -> None:
        """Send one message; ``message_no`` is ours and makes sending twice the same as sending once."""
