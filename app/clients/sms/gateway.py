"""The message gateway in memory: what is behind both the sandbox server and the fake."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass

from app.clients.http import NumberReused
from app.clients.journal import Journal
from app.clients.partner_server import ServerOptions


@dataclass(frozen=True, kw_only=True)
class Options(ServerOptions):
    """The gateway's options; it calls nobody back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message received. ``received_at`` is ISO 8601 in UTC, business time."""

    message_no: str
    phone: str
    text: str
    received_at: str


class Gateway:
    """All messages received, in order, behind one lock."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._journal = Journal(options.state_file)
        self._messages = {row["message_no"]: Message(**row) for row in self._journal.read()}

    def receive(self, *, message_no: str, phone: str, text: str) -> None:
        """Take a message, once per number; NumberReused where the number stands for another message."""
        with self._lock:
            known = self._messages.get(message_no)
            if known is not None:
                if (known.phone, known.text) != (phone, text):
                    raise NumberReused(number=message_no)
                return
            message = Message(
                message_no=message_no, phone=phone, text=text, received_at=self._options.now().isoformat()
            )
            self._messages[message_no] = message
            self._journal.write(asdict(message))

    def messages(self, *, phone: str | None = None) -> list[Message]:
        """Return what was received, oldest first, for one phone number or all."""
        with self._lock:
            return [message for message in self._messages.values() if phone in (None, message.phone)]

    def close(self) -> None:
        """Let another process have the journal."""
        self._journal.close()
