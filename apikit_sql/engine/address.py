"""Which IP addresses a host has, and which of them a connector may reach: the public ones, and its own host's.

A name in a response may resolve to an address inside the caller's network, or to a cloud's metadata service.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any, Literal

import httpcore

from apikit_sql.errors import OriginError

#: Where an address is that is not on the public internet. Clouds tell secrets at link-local ones.
Place = Literal["loopback", "link-local", "private"]
EVERYWHERE: frozenset[Place] = frozenset({"loopback", "link-local", "private"})

#: Cloud services at addresses that do not look it: AWS over IPv6, Azure, Alibaba.
_METADATA = frozenset({"fd00:ec2::254", "168.63.129.16", "100.100.100.200"})
_UNICAST = (ipaddress.IPv4Network("0.0.0.0/0"), ipaddress.IPv6Network("2000::/3"))  # RFC 4291, section 2.4
_SPECIAL = ipaddress.IPv4Network("192.0.0.0/24")  # RFC 6890; Oracle's cloud tells its metadata there
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052


def place_of(address: str) -> Place | None:
    """Where the IP `address` is; None on the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else ip.ipv4_mapped or ip.sixtofour
        if inner is not None:
            return place_of(str(inner))
    if ip.is_loopback or ip.is_unspecified:
        return "loopback"
    if ip.is_link_local or str(ip) in _METADATA:
        return "link-local"
    is_public = ip.is_global and not ip.is_multicast and any(ip in network for network in _UNICAST)
    return None if is_public and ip not in _SPECIAL else "private"


def places_of(addresses: Iterable[str]) -> frozenset[Place]:
    """The places off the public internet where `addresses` are."""
    return frozenset(place for address in addresses if (place := place_of(address)) is not None)


def allowed(host: str, addresses: Iterable[str], reach: frozenset[Place]) -> list[str]:
    """Those of `addresses` that are within reach. Raises OriginError where none is."""
    found = [(address, place_of(address)) for address in addresses]
    allowed = [address for address, place in found if place is None or place in reach]
    if not allowed:
        message = (
            f"{host} is at a {found[0][1]} address, where the connector's own base URL is not; nothing was sent there."
        )
        raise OriginError(message)
    return allowed


def is_address(host: str) -> bool:
    """Whether `host` is an IP address itself."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def addresses_of(host: str, port: int | None) -> list[str]:
    """The IP addresses of `host`, in the order of preference. Raises httpcore.ConnectError."""
    try:
        return _distinct(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        message = f"{host} has no address: {error}"
        raise httpcore.ConnectError(message) from None


async def aaddresses_of(host: str, port: int | None) -> list[str]:
    """The IP addresses of `host`, in the order of preference. Raises httpcore.ConnectError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        message = f"{host} has no address: {error}"
        raise httpcore.ConnectError(message) from None
    return _distinct(found)


def _distinct(found: Iterable[tuple[Any, Any, Any, Any, Any]]) -> list[str]:
    return list(dict.fromkeys(address[0] for *_, address in found))
