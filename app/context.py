"""What a view needs of its application, by name."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from flask import current_app

from app.auth import Caller
from app.combiner import Combiner
from app.config import Settings
from app.partners import Partners
from registry.sealing import Keyring
from registry.trade_ins import EVERYBODYS, Reach


def settings() -> Settings:
    """Return the settings of this process."""
    return cast("Settings", current_app.extensions["mapai.settings"])


def business_now() -> datetime:
    """Return the business instant, aware UTC."""
    return settings().clock.now()


def keyring() -> Keyring:
    """Return the keys that seal personal data."""
    return cast("Keyring", current_app.extensions["mapai.keyring"])


def partners() -> Partners:
    """Return the partners this process talks to."""
    return cast("Partners", current_app.extensions["mapai.partners"])


def combiner() -> Combiner:
    """Return this process's combiner of completions."""
    return cast("Combiner", current_app.extensions["mapai.combiner"])


def reach_of(caller: Caller) -> Reach:
    """Return whose trade-ins this account may touch: a dealer's own, an owner's own, everybody's for staff."""
    if caller.role == "dealer":
        return Reach(dealer_id=caller.dealer_id)
    if caller.role == "owner":
        return Reach(owner_id=caller.person_id)
    return EVERYBODYS
