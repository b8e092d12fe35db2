"""What the OpenAPI document says beyond the schemas: who may call, which problems come back, the signed callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask_smorest import Api

from app.api.blueprints import ApiBlueprint
from app.idempotency import HEADER
from app.schemas.answers import CallbackAnswer, ProblemAnswer

PROBLEMS = {
    400: "not readable as JSON",
    401: "not signed in, or the sign-in is over",
    403: "the account's role does not reach this",
    404: "not there, or not yours",
    409: "not the step that is due, used otherwise before, or the same request still runs",
    413: "larger than allowed",
    415: "not application/json",
    422: "a field is wrong: errors names each with its remedy",
    429: "too many tries",
    503: "nothing was done: send the same request again",
}
SPEC: dict[str, Any] = {
    "info": {
        "description": "An old bike comes in, a new one leaves with a plate, and the owner's place in one queue turns"
        " into money. Money is integer fen; instants are ISO 8601 with offset. Every writing request carries an"
        " Idempotency-Key: the same key and body get the first answer again, another body gets 409. Signing in and out"
        ", asking for a code and partners' callbacks take none: those are no deeds, these carry their own numbers."
    },
    "components": {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "token of POST /api/sign-ins"},
            "signature": {
                "type": "apiKey",
                "in": "header",
                "name": "Mapai-Signature",
                "description": "HMAC-SM3 over method, path, time, message number and SM3 of the body",
            },
        }
    },
}
KEY_PARAMETER = {
    "in": "header",
    "name": HEADER,
    "required": True,
    "description": "8 to 80 visible ASCII characters, fresh for each deed, the same when it is sent again",
    "schema": {"type": "string", "minLength": 8, "maxLength": 80},
}


def described(
    blueprint: ApiBlueprint, *statuses: int, signed_in: bool = True, writes: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Describe a view: the problems it answers with, its security, and its Idempotency-Key where it writes."""

    def describe(view: Callable[..., Any]) -> Callable[..., Any]:
        usual = (401, 403) if signed_in else ()
        written = (400, 409, 413, 415, 422, 503) if writes else ()
        for status in sorted({*statuses, *usual, *written}):
            answer = blueprint.alt_response(
                status, schema=ProblemAnswer, description=PROBLEMS[status], content_type="application/problem+json"
            )
            view = answer(view)
        facts: dict[str, Any] = {"security": [{"bearer": []}] if signed_in else []}
        if writes:
            facts["parameters"] = [KEY_PARAMETER]
        return blueprint.doc(**facts)(view)

    return describe


def describe_callback(app: Flask, api: Api) -> None:
    """Describe the traffic police's callback, whose view carries no schema to stay lean."""
    problem = {"application/problem+json": {"schema": ProblemAnswer}}
    answers = {str(status): {"description": PROBLEMS[status], "content": problem} for status in (403, 404, 409, 422)}
    answers["200"] = {"description": "recorded", "content": {"application/json": {"schema": CallbackAnswer}}}
    answers["503"] = {"description": "nothing was recorded: send it again", "content": problem}
    nullable = {"type": ["string", "null"]}
    body = {
        "type": "object",
        "required": ["kind", "state"],
        "properties": {
            "kind": {"enum": ["application", "cancellation"], "description": "which of our requests is answered"},
            "state": {"enum": ["done", "pending", "refused"], "description": "what became of it"},
            "application_no": {"type": "string", "description": "our number (kind application)"},
            "message_no": {"type": "string", "description": "our number (kind cancellation)"},
            "plate_no": {**nullable, "description": "the plate issued or cancelled"},
            "issued_at": {**nullable, "description": "instant of issue, ISO 8601 with offset"},
            "cancelled_at": {**nullable, "description": "instant of cancellation, ISO 8601 with offset"},
            "holder_id_no": {**nullable, "description": "citizen ID number of the plate's holder"},
            "vehicle_code": {**nullable, "description": "vehicle code the plate was issued for"},
            "reason": {**nullable, "description": "why it was refused"},
        },
    }
    api.spec.path(
        rule=next(app.url_map.iter_rules("plate_callbacks.take_callback")),
        operations={
            "post": {
                "tags": ["partners"],
                "summary": "The traffic police's signed answer to a cancellation or a plate application",
                "description": "Idempotent by our own number. A plate issued completes the trade-in.",
                "security": [{"signature": []}],
                "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
                "responses": answers,
            }
        },
    )
