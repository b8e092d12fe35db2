"""A rush of the police's callbacks that does not give up: what gets no answer, or 503, is sent again, as they would."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

from app.clients.signing import Signer, signed_headers
from loadtests.bench.pounding import http_request
from loadtests.checks import Acknowledged

CALLBACK = "/api/partners/plates/callbacks"
ANSWER_WITHIN_S = 25.0
BROKEN = (OSError, EOFError, asyncio.IncompleteReadError, TimeoutError)


class Rush:
    """Sends every body over some kept connections until each is acknowledged.

    ``bodies`` maps application numbers to the callback's body; ``pause_s`` is the mean pause of a connection after an
    acknowledgement; ``on_acknowledged`` hears how many there are. What was answered stands in ``acknowledged``, a final
    «no» in ``refused``, and ``trouble`` counts what had to be sent again: «no_answer» where the request had been sent
    and the connection broke, «unreachable», and statuses.
    """

    def __init__(
        self,
        *,
        port: int,
        signer: Signer,
        bodies: Mapping[str, bytes],
        connections: int,
        seed: int = 0,
        pause_s: float = 0.0,
        on_acknowledged: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._port = port
        self._signer = signer
        self._pending = iter(bodies.items())
        self._connections = connections
        self._random = random.Random(seed)
        self._pause_s = pause_s
        self._on_acknowledged = on_acknowledged
        self.acknowledged: list[Acknowledged] = []
        self.refused: list[str] = []
        self.trouble: Counter[str] = Counter()

    def run(self, *, seconds: float) -> None:
        """Send everything; raises TimeoutError where that takes longer."""
        asyncio.run(asyncio.wait_for(self._all(), seconds))

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self._connections):
                group.create_task(self._labour())

    async def _labour(self) -> None:
        line = _Line(self._port)
        for application_no, body in self._pending:
            sent_s = time.monotonic()
            while not await self._is_answered(line, application_no, body, sent_s):
                await asyncio.sleep(self._random.uniform(0.02, 0.2))
            if self._pause_s:
                await asyncio.sleep(self._random.uniform(0, 2 * self._pause_s))
        line.hang_up()

    async def _is_answered(self, line: _Line, application_no: str, body: bytes, sent_s: float) -> bool:
        headers = signed_headers(signer=self._signer, partner="plates", method="POST", path=CALLBACK, body=body)
        request = http_request(path=CALLBACK, body=body, headers=headers)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                status, answer = await line.ask(request)
        except BROKEN:
            self.trouble["no_answer" if line.is_open else "unreachable"] += 1
            line.hang_up()
            return False
        if status == 503:
            self.trouble["503"] += 1
            return False
        if status != 200:
            self.refused.append(f"{application_no}: {status} {answer[:300].decode(errors='replace')}")
            return True
        self._acknowledge(application_no, json.loads(answer), sent_s)
        return True

    def _acknowledge(self, application_no: str, document: dict[str, object], sent_s: float) -> None:
        self.acknowledged.append(
            Acknowledged(
                application_no=application_no,
                position=document["position"],
                state=document["state"],
                stage_no=document["stage"],
                amount_fen=document["amount_fen"],
                sent_s=sent_s,
                answered_s=time.monotonic(),
            )
        )
        self._on_acknowledged(len(self.acknowledged))


class _Line:
    """One connection, opened when it is needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def is_open(self) -> bool:
        return self._streams is not None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Return status and body. Raises one of BROKEN."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        at = head.index(b"content-length:") + 15
        length = int(head[at : head.index(b"\r\n", at)])
        return int(head.split(b" ", 2)[1]), await reader.readexactly(length)

    def hang_up(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()


class Running:
    """A rush in a thread of its own, so that the main one can keep the platform alive meanwhile."""

    def __init__(self, rush: Rush, *, seconds: float) -> None:
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(rush, seconds), name="rush")
        self._thread.start()

    def is_over(self) -> bool:
        """Whether everything was answered, or the rush failed."""
        return not self._thread.is_alive()

    def result(self) -> None:
        """Wait for the end; raises what the rush raised."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self, rush: Rush, seconds: float) -> None:
        try:
            rush.run(seconds=seconds)
        except BaseException as failure:
            self._failure = failure
