"""The traffic police without a wire: the same desk, the same magic values, the same fault plan as the server."""

from __future__ import annotations

from collections.abc import Iterable

from app.clients.faults import Fault, FaultPlan
from app.clients.plates import LABEL, scenarios
from app.clients.plates.callbacks import read_callback
from app.clients.plates.desk import Options, PlateDesk
from app.clients.proceedings import ManualOutgoing, attend_in_memory
from registry.plate_authority import CancelAnswer, PlateAnswer, PlateRecord


class FakePolice:
    """An in-memory PlateAuthority. Nothing happens later by itself: ``pass_time`` lets it."""

    def __init__(self, options: Options) -> None:
        self._outgoing = ManualOutgoing()
        self._plan = FaultPlan(seed=options.seed, rate=options.fault_rate)
        self.desk = PlateDesk(options, self._outgoing)

    def load(self, records: Iterable[PlateRecord]) -> int:
        """Take plates over from the registry; returns how many were new or changed."""
        return self.desk.load(records)

    def pass_time(self, seconds: float = 3600.0) -> None:
        """Let everything pending within ``seconds`` be concluded and called back."""
        self._outgoing.pass_time(seconds)

    @property
    def callbacks(self) -> list[PlateAnswer | CancelAnswer]:
        """What was called back so far, in order."""
        return [read_callback(body) for body in self._outgoing.sent]

    def look_up(self, *, plate_no: str) -> PlateRecord | None:
        return attend_in_memory(
            label=LABEL,
            plan=self._plan,
            operation="look_up",
            number=plate_no,
            magic=scenarios.fault_in(scenarios.for_plate(plate_no, scenarios.LOOK_UPS)),
            work=lambda fault: self.desk.look_up(plate_no),
        )

    def cancel(self, *, message_no: str, plate_no: str, owner_id_no: str) -> CancelAnswer:
        def work(fault: Fault | None) -> CancelAnswer:
            return self.desk.cancel(message_no=message_no, plate_no=plate_no, owner_id_no=owner_id_no, fault=fault)

        return attend_in_memory(
            label=LABEL,
            plan=self._plan,
            operation="cancel",
            number=message_no,
            magic=scenarios.fault_in(scenarios.for_plate(plate_no, scenarios.CANCELLATIONS)),
            calls_back=True,
            work=work,
        )

    def find_cancellation(self, *, message_no: str) -> CancelAnswer | None:
        return attend_in_memory(
            label=LABEL,
            plan=self._plan,
            operation="find_cancellation",
            number=message_no,
            work=lambda fault: self.desk.find_cancellation(message_no),
        )

    def apply(self, *, application_no: str, vehicle_code: str, holder_name: str, holder_id_no: str) -> PlateAnswer:
        def work(fault: Fault | None) -> PlateAnswer:
            return self.desk.apply(
                application_no=application_no,
                vehicle_code=vehicle_code,
                holder_name=holder_name,
                holder_id_no=holder_id_no,
                fault=fault,
            )

        return attend_in_memory(
            label=LABEL,
            plan=self._plan,
            operation="apply",
            number=application_no,
            magic=scenarios.fault_in(scenarios.for_vehicle(vehicle_code)),
            calls_back=True,
            work=work,
        )

    def find_application(self, *, application_no: str) -> PlateAnswer | None:
        return attend_in_memory(
            label=LABEL,
            plan=self._plan,
            operation="find_application",
            number=application_no,
            work=lambda fault: self.desk.find_application(application_no),
        )
