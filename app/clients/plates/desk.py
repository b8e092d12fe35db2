"""The traffic police's desk in memory: what is behind both the stub server and the fake."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from app.clients.faults import Fault, draw
from app.clients.http import NumberReused
from app.clients.journal import Journal
from app.clients.outgoing import Outgoing
from app.clients.partner_server import ServerOptions
from app.clients.plates import scenarios
from app.clients.plates.callbacks import cancel_answer_document, plate_answer_document, read_plate_record
from app.clients.plates.scenarios import Scenario
from app.clients.proceedings import answers_at_once, call_back
from app.clients.wire import as_bytes, read_instant
from registry.plate_authority import AnswerState, CancelAnswer, PlateAnswer, PlateRecord, PlateStatus

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # no I and no O: they read as 1 and 0
ANOTHER_NAME, ANOTHER_ID_NO = "另有其人", "330105199003070012"
ANOTHER_DISTRICT = "330106"


@dataclass(frozen=True, kw_only=True)
class Options(ServerOptions):
    """The plate desk's options. ``district_code`` is the district in which new plates are registered."""

    district_code: str = "330105"


@dataclass(slots=True, kw_only=True)
class Application:
    """An application for a plate, as we asked and as it stands. ``issued_at`` is ISO 8601 in UTC."""

    application_no: str
    vehicle_code: str
    holder_name: str
    holder_id_no: str
    fault: str | None
    state: AnswerState = "pending"
    plate_no: str | None = None
    issued_at: str | None = None
    issued_to: str | None = None
    issued_for: str | None = None
    reason: str | None = None

    def answer(self) -> PlateAnswer:
        return PlateAnswer(
            application_no=self.application_no,
            state=self.state,
            plate_no=self.plate_no,
            issued_at=read_instant(self.issued_at),
            holder_id_no=self.issued_to,
            vehicle_code=self.issued_for,
            reason=self.reason,
        )


@dataclass(slots=True, kw_only=True)
class Cancellation:
    """A cancellation of a plate, as we asked and as it stands. ``cancelled_at`` is ISO 8601 in UTC."""

    message_no: str
    plate_no: str
    owner_id_no: str
    fault: str | None
    state: AnswerState = "pending"
    cancelled_at: str | None = None
    reason: str | None = None

    def answer(self) -> CancelAnswer:
        return CancelAnswer(
            message_no=self.message_no,
            plate_no=self.plate_no,
            state=self.state,
            cancelled_at=read_instant(self.cancelled_at),
            reason=self.reason,
        )


class PlateDesk:
    """All plates and orders behind one lock. Our numbers make orders idempotent: NumberReused for other content."""

    def __init__(self, options: Options, outgoing: Outgoing) -> None:
        self._options = options
        self._outgoing = outgoing
        self._lock = threading.RLock()
        self._records: dict[str, PlateRecord] = {}
        self._applications: dict[str, Application] = {}
        self._cancellations: dict[str, Cancellation] = {}
        self._plated: dict[str, str] = {}  # vehicle code → the live plate issued here for it
        self._bikes: dict[str, str] = {}  # and back
        self._settled: set[str] = set()  # plates issued or cancelled here: no load changes them
        self._holding = False
        self._held: list[Application] = []
        self._journal = Journal(options.state_file)
        for entry in self._journal.read():
            self._recall(entry)
        self._resume()

    # -- plates -----------------------------------------------------------------------------------------------

    def load(self, records: Iterable[PlateRecord]) -> int:
        """Take plates over from the registry; returns how many were new or changed.

        A plate cancelled or issued here keeps what happened to it, so the same file may be loaded again.
        """
        with self._lock:
            fresh = [record for record in records if self._records.get(record.plate_no) != record]
            fresh = [record for record in fresh if record.plate_no not in self._settled]
            for record in fresh:
                self._records[record.plate_no] = record
            if fresh:
                self._journal.write({"t": "plates", "rows": [asdict(record) for record in fresh]})
        return len(fresh)

    def look_up(self, plate_no: str) -> PlateRecord | None:
        """Return the plate's record as its magic value, if any, will have it."""
        with self._lock:
            record = self._records.get(plate_no)
        scenario = scenarios.for_plate(plate_no, scenarios.LOOK_UPS)
        if record is None or scenario is Scenario.UNKNOWN:
            return None
        if scenario is Scenario.ANOTHER_OWNER:
            return replace(record, owner_name=ANOTHER_NAME, owner_id_no=ANOTHER_ID_NO)
        if scenario is Scenario.ANOTHER_DISTRICT:
            return replace(record, district_code=ANOTHER_DISTRICT)
        statuses: dict[object, PlateStatus] = {
            Scenario.STOLEN: "stolen",
            Scenario.DISPUTED: "disputed",
            Scenario.CANCELLED: "cancelled",
        }
        return replace(record, status=statuses.get(scenario, record.status))

    # -- cancelling -------------------------------------------------------------------------------------------

    def cancel(self, *, message_no: str, plate_no: str, owner_id_no: str, fault: Fault | None) -> CancelAnswer:
        """Take a cancellation; the fault decides when and how it is answered."""
        with self._lock:
            known = self._cancellations.get(message_no)
            if known is not None:
                if (known.plate_no, known.owner_id_no) != (plate_no, owner_id_no):
                    raise NumberReused(number=message_no)
                return known.answer()
            order = Cancellation(message_no=message_no, plate_no=plate_no, owner_id_no=owner_id_no, fault=fault)
            self._cancellations[message_no] = order
            if answers_at_once(self._options, message_no, fault):
                self._retire(order)
                if fault is Fault.ANSWERED_TWICE:
                    news = as_bytes(cancel_answer_document(order.answer()))
                    self._outgoing.later(self._options.callback_delay_s, lambda: self._outgoing.send(news))
            else:
                self._journal.write({"t": "cancellation", **asdict(order)})
                self._outgoing.later(self._options.callback_delay_s, lambda: self._conclude_cancellation(order))
            return order.answer()

    def find_cancellation(self, message_no: str) -> CancelAnswer | None:
        with self._lock:
            order = self._cancellations.get(message_no)
            return None if order is None else order.answer()

    def _conclude_cancellation(self, order: Cancellation) -> None:
        with self._lock:
            earlier = as_bytes(cancel_answer_document(order.answer()))
            self._retire(order)
            news = as_bytes(cancel_answer_document(order.answer()))
        call_back(self._options, self._outgoing, _fault(order.fault), news=news, earlier=earlier)

    def _retire(self, order: Cancellation) -> None:
        order.reason = self._why_not_cancel(order)
        if order.reason is not None:
            order.state = "refused"
        else:
            order.state, order.cancelled_at = "done", self._options.now().isoformat()
        self._remember_cancellation(order)
        self._journal.write({"t": "cancellation", **asdict(order)})

    def _why_not_cancel(self, order: Cancellation) -> str | None:
        record = self._records.get(order.plate_no)
        if record is None:
            return "unknown_plate"
        if scenarios.for_plate(order.plate_no, scenarios.CANCELLATIONS) is Scenario.REFUSED:
            return "open_violation"
        if record.owner_id_no != order.owner_id_no:
            return "not_the_owner"
        return None if record.status == "normal" else f"plate_{record.status}"

    # -- issuing ----------------------------------------------------------------------------------------------

    def apply(
        self, *, application_no: str, vehicle_code: str, holder_name: str, holder_id_no: str, fault: Fault | None
    ) -> PlateAnswer:
        """Take an application; the fault, the magic vehicle code and ``hold`` decide when and how it is answered."""
        with self._lock:
            known = self._applications.get(application_no)
            if known is not None:
                if (known.vehicle_code, known.holder_name, known.holder_id_no) != (
                    vehicle_code,
                    holder_name,
                    holder_id_no,
                ):
                    raise NumberReused(number=application_no)
                return known.answer()
            order = Application(
                application_no=application_no,
                vehicle_code=vehicle_code,
                holder_name=holder_name,
                holder_id_no=holder_id_no,
                fault=fault,
            )
            self._applications[application_no] = order
            if self._holding or not answers_at_once(self._options, application_no, fault):
                self._journal.write({"t": "application", **asdict(order)})
                self._postpone(order)
            else:
                self._issue(order)
                self._tell_again(order)
            return order.answer()

    def find_application(self, application_no: str) -> PlateAnswer | None:
        with self._lock:
            order = self._applications.get(application_no)
            return None if order is None else order.answer()

    def hold(self) -> None:
        """From now on every application stays pending until ``release``."""
        with self._lock:
            self._holding = True

    def release(self) -> int:
        """Issue everything held in one burst and call back; returns how many."""
        with self._lock:
            held, self._held, self._holding = self._held, [], False
        for order in held:
            self._outgoing.later(0, lambda order=order: self._conclude_application(order))  # type: ignore[misc]
        return len(held)

    def _postpone(self, order: Application) -> None:
        if self._holding:
            self._held.append(order)
        else:
            self._outgoing.later(self._options.callback_delay_s, lambda: self._conclude_application(order))

    def _conclude_application(self, order: Application) -> None:
        with self._lock:
            earlier = as_bytes(plate_answer_document(order.answer()))
            self._issue(order)
            news = as_bytes(plate_answer_document(order.answer()))
            self._tell_again(order, only_differently=True)
        call_back(self._options, self._outgoing, _fault(order.fault), news=news, earlier=earlier)

    def _issue(self, order: Application) -> None:
        scenario = scenarios.for_vehicle(order.vehicle_code)
        if scenario is Scenario.REFUSED:
            order.state, order.reason = "refused", "vehicle_not_compliant"
        elif order.vehicle_code in self._plated:
            order.state, order.reason = "refused", "vehicle_already_plated"
        else:
            early = timedelta(hours=1 if scenario is Scenario.ISSUED_AN_HOUR_EARLY else 0)
            order.state = "done"
            order.plate_no = self._free_plate(order.application_no)
            order.issued_at = (self._options.now() - early).isoformat()
            order.issued_to = ANOTHER_ID_NO if scenario is Scenario.ISSUED_TO_ANOTHER else order.holder_id_no
            order.issued_for = order.vehicle_code
            if scenario is Scenario.ISSUED_FOR_ANOTHER_BIKE:
                order.issued_for = order.vehicle_code[:-8] + "99990000"
            elif scenario is Scenario.ISSUED_WITH_A_SLIP:
                order.issued_for = order.vehicle_code[:-2] + order.vehicle_code[:-3:-1]
        self._remember_application(order)
        self._journal.write({"t": "application", **asdict(order)})

    def _tell_again(self, order: Application, *, only_differently: bool = False) -> None:
        """Call back although the answer was given at once, and with another plate where the magic value says so."""
        differently = (
            order.state == "done" and scenarios.for_vehicle(order.vehicle_code) is Scenario.ISSUED_TWICE_DIFFERENTLY
        )
        if not differently and (only_differently or order.fault != Fault.ANSWERED_TWICE):
            return
        answer = order.answer()
        if differently:
            answer = replace(answer, plate_no=self._free_plate(order.application_no + "/2"))
        news = as_bytes(plate_answer_document(answer))
        self._outgoing.later(self._options.callback_delay_s, lambda: self._outgoing.send(news))

    def _free_plate(self, application_no: str) -> str:
        for attempt in range(1000):
            place = int(draw(self._options.seed, "plate", application_no, attempt) * len(LETTERS) * 1_000_000)
            plate_no = f"{LETTERS[place // 1_000_000]}{place % 1_000_000:06d}"
            if plate_no not in self._records and not scenarios.is_magic_plate(plate_no):
                return plate_no
        raise AssertionError("a thousand draws met no free plate among 24 million")

    # -- memory -----------------------------------------------------------------------------------------------

    def _remember_application(self, order: Application) -> None:
        self._applications[order.application_no] = order
        if order.state != "done":
            return
        assert order.plate_no is not None
        assert order.issued_to is not None
        to_another = order.issued_to != order.holder_id_no
        self._plated[order.vehicle_code] = order.plate_no
        self._bikes[order.plate_no] = order.vehicle_code
        self._settled.add(order.plate_no)
        self._records[order.plate_no] = PlateRecord(
            plate_no=order.plate_no,
            status="normal",
            district_code=self._options.district_code,
            owner_name=ANOTHER_NAME if to_another else order.holder_name,
            owner_id_no=order.issued_to,
        )

    def _remember_cancellation(self, order: Cancellation) -> None:
        self._cancellations[order.message_no] = order
        if order.state == "done":
            self._settled.add(order.plate_no)
            self._records[order.plate_no] = replace(self._records[order.plate_no], status="cancelled")
            # a bike handed back may be sold and plated again
            self._plated.pop(self._bikes.pop(order.plate_no, ""), None)

    def _recall(self, entry: dict[str, Any]) -> None:
        kind = entry.pop("t")
        if kind == "plates":
            for row in entry["rows"]:
                self._records[row["plate_no"]] = read_plate_record(row)
        elif kind == "application":
            self._remember_application(Application(**entry))
        else:
            self._remember_cancellation(Cancellation(**entry))

    def _resume(self) -> None:
        """Take up what was pending when the server stopped. A hold does not survive: a restart releases it."""
        for application in self._applications.values():
            if application.state == "pending":
                self._postpone(application)
        for cancellation in self._cancellations.values():
            if cancellation.state == "pending":
                self._outgoing.later(
                    self._options.callback_delay_s,
                    lambda cancellation=cancellation: self._conclude_cancellation(cancellation),  # type: ignore[misc]
                )

    def counts(self) -> dict[str, int]:
        """Return how many plates, orders and held applications the desk knows."""
        with self._lock:
            return {
                "plates": len(self._records),
                "applications": len(self._applications),
                "cancellations": len(self._cancellations),
                "held": len(self._held),
            }

    def close(self) -> None:
        """Let another process have the journal."""
        self._journal.close()


def _fault(name: str | None) -> Fault | None:
    return None if name is None else Fault(name)
