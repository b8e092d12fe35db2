"""Magic plates and vehicle codes: what the traffic-police server does with them instead of the ordinary.

A magic plate ends in 9990NN (D999014), a magic vehicle code in 999000NN; NN picks the behaviour. Bikes seeded for
demonstrations stay clear of both ranges, and the server issues no plate that ends in 9990NN.
"""

from __future__ import annotations

from enum import StrEnum

from app.clients.faults import Fault


class Scenario(StrEnum):
    """What the police say that the ordinary case would not have."""

    UNKNOWN = "unknown"
    STOLEN = "stolen"
    DISPUTED = "disputed"
    CANCELLED = "cancelled"
    ANOTHER_OWNER = "another_owner"
    ANOTHER_DISTRICT = "another_district"
    REFUSED = "refused"
    ISSUED_TO_ANOTHER = "issued_to_another"  # the plate's holder is not whom we named
    ISSUED_TWICE_DIFFERENTLY = "issued_twice_differently"  # the callback names another plate than the answer
    ISSUED_FOR_ANOTHER_BIKE = "issued_for_another_bike"
    ISSUED_WITH_A_SLIP = "issued_with_a_slip"  # two digits of the code changed places, on our side or on theirs
    ISSUED_AN_HOUR_EARLY = "issued_an_hour_early"  # issued_at lies before our application


Behaviour = Scenario | Fault

LOOK_UPS: dict[str, Behaviour] = {
    "01": Scenario.UNKNOWN,
    "02": Scenario.STOLEN,
    "03": Scenario.DISPUTED,
    "04": Scenario.CANCELLED,
    "05": Scenario.ANOTHER_OWNER,
    "06": Scenario.ANOTHER_DISTRICT,
    "31": Fault.SLOW,
    "32": Fault.UNAVAILABLE,
    "33": Fault.UNAVAILABLE_ONCE,
    "35": Fault.LOST,
}

ORDERS: dict[str, Behaviour] = {
    "11": Scenario.REFUSED,
    "14": Fault.PENDING,
    "15": Fault.CALLBACK_NEVER,
    "16": Fault.CALLBACK_TWICE,
    "17": Fault.CALLBACK_LATE,
    "18": Fault.CALLBACK_OUT_OF_ORDER,
    "21": Fault.SLOW,
    "22": Fault.UNAVAILABLE,
    "23": Fault.UNAVAILABLE_ONCE,
    "24": Fault.ERROR_AFTER,
    "25": Fault.SILENT,
    "26": Fault.ANSWERED_TWICE,
    "27": Fault.LOST,
}

CANCELLATIONS = ORDERS

APPLICATIONS: dict[str, Behaviour] = {
    **ORDERS,
    "12": Scenario.ISSUED_TO_ANOTHER,
    "13": Scenario.ISSUED_TWICE_DIFFERENTLY,
    "19": Scenario.ISSUED_FOR_ANOTHER_BIKE,
    "20": Scenario.ISSUED_WITH_A_SLIP,
    "28": Scenario.ISSUED_AN_HOUR_EARLY,
}


def for_plate(plate_no: str, table: dict[str, Behaviour]) -> Behaviour | None:
    """Return what the plate provokes in a look-up (LOOK_UPS) or a cancellation (CANCELLATIONS), None for nothing."""
    return table.get(plate_no[-2:]) if plate_no[-6:-2] == "9990" else None


def for_vehicle(vehicle_code: str) -> Behaviour | None:
    """Return what the vehicle code provokes in an application, None for the ordinary."""
    return APPLICATIONS.get(vehicle_code[-2:]) if vehicle_code[-8:-2] == "999000" else None


def fault_in(behaviour: Behaviour | None) -> Fault | None:
    """Return the behaviour if it is a fault between machines, None otherwise."""
    return behaviour if isinstance(behaviour, Fault) else None


def is_magic_plate(plate_no: str) -> bool:
    """Say whether a plate lies in the magic range, used or not."""
    return plate_no[-6:-2] == "9990"
