"""WeChat's scanner inside WeChat: the signed configuration a page needs (JS-SDK), its client, its sandbox server.

Off unless it is set up: nothing is loaded from WeChat's hosts otherwise, and no page names them.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

LABEL = "微信公众平台"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeChatSetup:
    """The bureau's official account. ``url`` is WeChat's API, no slash at the end, ``script`` its browser script."""

    app_id: str
    secret: str = field(repr=False)
    url: str
    script: str

    @property
    def script_host(self) -> str:
        """The one host that pages may load a script from besides ours, as the content security policy names it."""
        parts = urlsplit(self.script)
        return f"{parts.scheme}://{parts.netloc}"


class TicketSource(Protocol):
    """Who hands out the ticket that signs pages for WeChat."""

    @property
    def app_id(self) -> str:
        """The official account the tickets are of."""

    def ticket(self) -> str:
        """Return a ticket that is good for some minutes at least.

        Raises PartnerUnavailable where WeChat cannot be reached, PartnerMisunderstood where it refuses the account.
        """


class PageElsewhere(Exception):
    """The page to be signed for is none of ours."""


def signed_config(*, app_id: str, ticket: str, page: str, site: str, at: datetime) -> dict[str, Any]:
    """Return what ``wx.config`` takes for the address ``page``; raises PageElsewhere where it is not below ``site``.

    The rule is WeChat's: SHA-1 over ticket, nonce, time and the address without its fragment, in this order.
    """
    address, _, _ = page.partition("#")
    if urlsplit(address)[:2] != urlsplit(site)[:2]:
        raise PageElsewhere
    nonce, timestamp = secrets.token_hex(8), int(at.timestamp())
    said = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={address}"
    signature = hashlib.sha1(said.encode(), usedforsecurity=False).hexdigest()
    return {"app_id": app_id, "timestamp": timestamp, "nonce": nonce, "signature": signature}
