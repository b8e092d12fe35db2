"""Pictures sent as a form instead of as JSON."""

from __future__ import annotations

from typing import Any

from flask import Request
from marshmallow import ValidationError

from registry.trade_ins import PHOTO_KINDS


def read_photo_form(request: Request) -> dict[str, Any]:
    """Return ``{"kind": str, "image": bytes}`` of a multipart form; raises ValidationError naming each wrong part."""
    faults: dict[str, list[str]] = {}
    kind, image = request.form.get("kind"), request.files.get("image")
    if kind is None:
        faults["kind"] = ["required"]
    elif kind not in PHOTO_KINDS:
        faults["kind"] = [f"not_a_choice|{'、'.join(PHOTO_KINDS)}"]
    if image is None:
        faults["image"] = ["required"]
    for name in ({*request.form} - {"kind"}) | ({*request.files} - {"image"}):
        faults[name] = ["unknown_field"]
    if faults or image is None:
        raise ValidationError(faults)
    return {"kind": kind, "image": image.stream.read()}
