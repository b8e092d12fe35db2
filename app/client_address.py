"""Which address a request counts for where something is limited by address."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address

from flask import request

# One subscriber holds at least a whole /64 (RFC 6177): its addresses are one client, or a limit could be walked around.
SUBSCRIBER_BITS = 64


def counted_address() -> str:
    """Return the address this request counts for: an IPv4 address as it is, of an IPv6 address its network of 64 bits.

    Empty where the server knows none.
    """
    return counted(request.remote_addr or "")


def counted(address: str) -> str:
    """Return what ``address`` counts for; what is no address counts for itself."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return address
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(IPv6Network((int(known), SUBSCRIBER_BITS), strict=False))
