"""From the police's word to a place in the queue."""

from __future__ import annotations

from registry.people import id_index
from registry.plate_authority import PlateAnswer
from registry.sealing import Keyring
from subsidy.completion import Completion


def completion_of(*, keyring: Keyring, answer: PlateAnswer) -> Completion:
    """Return the completion that an answer ``done`` stands for; ValueError for an answer that lacks a fact."""
    plate_no, issued_at, holder, code = answer.plate_no, answer.issued_at, answer.holder_id_no, answer.vehicle_code
    if answer.state != "done" or plate_no is None or issued_at is None or holder is None or code is None:
        raise ValueError(f"the answer to {answer.application_no} names no issued plate")
    return Completion(
        application_no=answer.application_no,
        plate_no=plate_no,
        issued_at=issued_at,
        holder_index=id_index(keyring=keyring, id_no=holder),
        vehicle_code=code,
    )
