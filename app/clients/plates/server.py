"""The traffic police's stub SERVER (云申领). Signed JSON over HTTP; every number is ours and makes its call idempotent.

POST /plates/look-up            {plate_no}                                          → record, or 404 not_found
POST /cancellations             {message_no, plate_no, owner_id_no}                 → answer
GET  /cancellations/<number>                                                        → answer, or 404 not_found
POST /applications              {application_no, vehicle_code, holder_name, holder_id_no} → answer
GET  /applications/<number>                                                         → answer, or 404 not_found
GET  /health
POST /demo/plates, /demo/hold, /demo/release, unsigned, closed in production
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, request

from app.clients.faults import Fault
from app.clients.outgoing import CallbackSender
from app.clients.partner_server import Door, NotFound, WrongShape, as_json, document
from app.clients.plates import scenarios
from app.clients.plates.callbacks import (
    MalformedPlateDocument,
    cancel_answer_document,
    plate_answer_document,
    read_plate_record,
)
from app.clients.plates.desk import Options, PlateDesk
from registry.plate_authority import PlateRecord

__all__ = ["Options", "create_stub"]


def create_stub(options: Options) -> Flask:
    """Return the server as a WSGI application. It keeps its state in one process: serve it with one worker.

    ``app.extensions`` holds ``desk`` and ``callbacks`` for whoever embeds it.
    """
    app = Flask("mapai-plates-stub")
    sender = CallbackSender(
        url=options.callback_url,
        signer=options.signer(),
        partner="plates",
        threads=options.callback_threads,
    )
    desk = PlateDesk(options, sender)
    door = Door(app, options)
    app.extensions.update(desk=desk, callbacks=sender)
    _route_plates(app, door, desk)
    _route_cancellations(app, door, desk)
    _route_applications(app, door, desk)
    _route_demo(app, desk)

    @app.get("/health")
    def health() -> Response:
        return as_json({"ok": True, "partner": "plates", **desk.counts(), "callbacks": sender.health()})

    return app


def _route_plates(app: Flask, door: Door, desk: PlateDesk) -> None:
    @app.post("/plates/look-up")
    def look_up() -> Response:
        plate_no = document(plate_no=str)["plate_no"]

        def work(fault: Fault | None) -> dict[str, Any]:
            record = desk.look_up(plate_no)
            if record is None:
                raise NotFound
            return {field: getattr(record, field) for field in PlateRecord.__slots__}

        magic = scenarios.fault_in(scenarios.for_plate(plate_no, scenarios.LOOK_UPS))
        return door.attend(operation="look_up", number=plate_no, work=work, magic=magic)


def _route_cancellations(app: Flask, door: Door, desk: PlateDesk) -> None:
    @app.post("/cancellations")
    def cancel() -> Response:
        asked = document(message_no=str, plate_no=str, owner_id_no=str)
        number, plate_no, owner = asked["message_no"], asked["plate_no"], asked["owner_id_no"]
        return door.attend(
            operation="cancel",
            number=number,
            work=lambda fault: cancel_answer_document(
                desk.cancel(message_no=number, plate_no=plate_no, owner_id_no=owner, fault=fault)
            ),
            magic=scenarios.fault_in(scenarios.for_plate(plate_no, scenarios.CANCELLATIONS)),
            calls_back=True,
        )

    @app.get("/cancellations/<number>")
    def find_cancellation(number: str) -> Response:
        def work(fault: Fault | None) -> dict[str, Any]:
            answer = desk.find_cancellation(number)
            if answer is None:
                raise NotFound
            return cancel_answer_document(answer)

        return door.attend(operation="find_cancellation", number=number, work=work)


def _route_applications(app: Flask, door: Door, desk: PlateDesk) -> None:
    @app.post("/applications")
    def apply() -> Response:
        asked = document(application_no=str, vehicle_code=str, holder_name=str, holder_id_no=str)
        number, vehicle_code = asked["application_no"], asked["vehicle_code"]
        name, id_no = asked["holder_name"], asked["holder_id_no"]
        return door.attend(
            operation="apply",
            number=number,
            work=lambda fault: plate_answer_document(
                desk.apply(
                    application_no=number, vehicle_code=vehicle_code, holder_name=name, holder_id_no=id_no, fault=fault
                )
            ),
            magic=scenarios.fault_in(scenarios.for_vehicle(vehicle_code)),
            calls_back=True,
        )

    @app.get("/applications/<number>")
    def find_application(number: str) -> Response:
        def work(fault: Fault | None) -> dict[str, Any]:
            answer = desk.find_application(number)
            if answer is None:
                raise NotFound
            return plate_answer_document(answer)

        return door.attend(operation="find_application", number=number, work=work)


def _route_demo(app: Flask, desk: PlateDesk) -> None:
    @app.post("/demo/plates")
    def demo_plates() -> Response:
        return as_json({"loaded": desk.load(list(_records_in(request.get_data())))})

    @app.post("/demo/hold")
    def demo_hold() -> Response:
        desk.hold()
        return as_json({"holding": True})

    @app.post("/demo/release")
    def demo_release() -> Response:
        return as_json({"holding": False, "released": desk.release()})


def _records_in(body: bytes) -> Iterator[PlateRecord]:
    """Read a JSON list of records, or one record a line."""
    try:
        rows = json.loads(body) if body.lstrip().startswith(b"[") else map(json.loads, body.splitlines())
        for row in rows:
            yield read_plate_record(row)
    except (ValueError, TypeError, MalformedPlateDocument):
        raise WrongShape(wrong="body") from None
