"""The message gateway without a wire: the same gateway, the same magic numbers, the same fault plan as the server."""

from __future__ import annotations

from app.clients.faults import FaultPlan
from app.clients.proceedings import attend_in_memory
from app.clients.sms import LABEL, scenarios
from app.clients.sms.gateway import Gateway, Message, Options


class FakeGateway:
    """An in-memory SmsGateway. ``messages`` is what it received, oldest first."""

    def __init__(self, options: Options) -> None:
        self._plan = FaultPlan(seed=options.seed, rate=options.fault_rate)
        self.gateway = Gateway(options)

    @property
    def messages(self) -> list[Message]:
        return self.gateway.messages()

    def send(self, *, message_no: str, phone: str, text: str) -> None:
        attend_in_memory(
            label=LABEL,
            plan=self._plan,
            operation="send",
            number=message_no,
            magic=scenarios.for_phone(phone),
            work=lambda fault: self.gateway.receive(message_no=message_no, phone=phone, text=text),
        )
