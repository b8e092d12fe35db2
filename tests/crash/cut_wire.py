"""A wire to PostgreSQL that can be cut at the worst moment: after the commit is done and before its answer arrives."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET = ".s.PGSQL.5432"
COMMIT = b"COMMIT"


class Wire:
    """Passes bytes between clients of the socket in ``folder`` and the server. Local sockets carry them unencrypted."""

    def __init__(self, server: Path, folder: Path) -> None:
        self.folder = folder
        self._server = server
        self._cut_next = threading.Event()
        self.cut = 0
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(folder / SOCKET))
        self._listener.listen()
        self._start(self._accept)

    def cut_at_next_commit(self) -> None:
        """Let the next COMMIT reach the server and be done there, and tell its sender nothing but a broken line."""
        self._cut_next.set()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                server.connect(str(self._server / SOCKET))
                committing = threading.Event()
                self._start(self._pass_questions, client, server, committing)
                self._start(self._pass_answers, client, server, committing)

    def _pass_questions(self, client: socket.socket, server: socket.socket, committing: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while question := client.recv(65536):
                if COMMIT in question and self._cut_next.is_set():
                    self._cut_next.clear()
                    committing.set()
                server.sendall(question)
        _hang_up(client, server)

    def _pass_answers(self, client: socket.socket, server: socket.socket, committing: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while answer := server.recv(65536):
                if committing.is_set():
                    self.cut += 1
                    break
                client.sendall(answer)
        _hang_up(client, server)

    def _start(self, work: object, *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()  # type: ignore[arg-type]


@contextmanager
def wire_to(server: Path) -> Iterator[Wire]:
    """Yield a wire to the PostgreSQL whose socket lies in that folder."""
    with tempfile.TemporaryDirectory(prefix="mapai-wire-") as folder:
        wire = Wire(server, Path(folder))
        try:
            yield wire
        finally:
            wire.close()


def _hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
