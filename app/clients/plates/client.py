"""The traffic police over HTTP, as the registry needs them (registry.plate_authority.PlateAuthority)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from app.clients.http import PartnerHttp
from app.clients.plates import LABEL
from app.clients.plates.callbacks import (
    MalformedPlateDocument,
    read_cancel_answer,
    read_plate_answer,
    read_plate_record,
)
from app.clients.signing import Signer
from registry.base import PartnerSilent
from registry.plate_authority import CancelAnswer, PlateAnswer, PlateRecord

T = TypeVar("T")


class PoliceClient:
    """Asks the plate system at ``base_url``. Share one among threads; ``read_s`` is the read time-out in seconds.

    Beyond what PlateAuthority promises, every call raises PartnerMisunderstood (a PartnerUnavailable) where the police
    refuse our signature or shape, and NumberReused where one of our numbers comes with other content.
    """

    def __init__(self, *, base_url: str, signer: Signer, read_s: float = 3.0, connect_s: float = 1.0) -> None:
        self._http = PartnerHttp(label=LABEL, base_url=base_url, signer=signer, read_s=read_s, connect_s=connect_s)

    def look_up(self, *, plate_no: str) -> PlateRecord | None:
        answer = self._http.post("/plates/look-up", {"plate_no": plate_no}, idempotent=True)
        data = self._http.found(answer)
        return None if data is None else self._read(read_plate_record, data, plate_no=plate_no)

    def cancel(self, *, message_no: str, plate_no: str, owner_id_no: str) -> CancelAnswer:
        asked = {"message_no": message_no, "plate_no": plate_no, "owner_id_no": owner_id_no}
        answer = self._http.post("/cancellations", asked, idempotent=True)
        return self._read(read_cancel_answer, self._http.taken(answer, number=message_no), message_no=message_no)

    def find_cancellation(self, *, message_no: str) -> CancelAnswer | None:
        data = self._http.found(self._http.get(f"/cancellations/{message_no}"))
        return None if data is None else self._read(read_cancel_answer, data, message_no=message_no)

    def apply(self, *, application_no: str, vehicle_code: str, holder_name: str, holder_id_no: str) -> PlateAnswer:
        asked = {
            "application_no": application_no,
            "vehicle_code": vehicle_code,
            "holder_name": holder_name,
            "holder_id_no": holder_id_no,
        }
        answer = self._http.post("/applications", asked, idempotent=True)
        data = self._http.taken(answer, number=application_no)
        return self._read(read_plate_answer, data, application_no=application_no)

    def find_application(self, *, application_no: str) -> PlateAnswer | None:
        data = self._http.found(self._http.get(f"/applications/{application_no}"))
        return None if data is None else self._read(read_plate_answer, data, application_no=application_no)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def _read(self, reader: Callable[[dict[str, Any]], T], data: dict[str, Any], **asked: str) -> T:
        try:
            answer = reader(data)
        except MalformedPlateDocument:  # answered, but nobody can tell what: the outcome has to be asked for
            raise PartnerSilent(partner=LABEL) from None
        if any(getattr(answer, field) != value for field, value in asked.items()):
            raise PartnerSilent(partner=LABEL)  # somebody else's answer tells nothing about ours
        return answer
