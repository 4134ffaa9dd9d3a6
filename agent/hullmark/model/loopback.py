"""Whether an address is loopback: who calls it reaches the machine that it calls from, and nobody else reaches what listens there."""

from __future__ import annotations

import ipaddress
from typing import Optional, Union

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


def bare(text: str) -> Optional[Address]:
    """The address that the system takes it for: without a zone (`::1%lo`), and of IPv4 where it is one of IPv4 that is written as IPv6
    (`::ffff:127.0.0.1`, RFC 4291 section 2.5.5.2). None for what is no address, brackets included."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv4Address):
        return found
    return found.ipv4_mapped or ipaddress.IPv6Address(int(found))


def is_loopback(text: str) -> bool:
    """Of an address or a host's name. Of names only `localhost` is, which /etc/hosts has: another below it may be asked of a name server."""
    found = bare(text)
    return text.lower() == "localhost" if found is None else found.is_loopback
