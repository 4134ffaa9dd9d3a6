"""Who has which address of a host at one port, by what is seen to listen there."""

from __future__ import annotations

from collections.abc import Iterable

from hullmark.model.host import PROXY, Listener

_OF_ALL = ("", "::")
_MAPPED = "::ffff:"
"""Before an address of IPv4 that a socket of IPv6 has (RFC 4291 section 2.5.5.2)."""


def covers(listener: Listener, address: str) -> bool:
    """Whether a connection to the address comes to it. On `::` a socket has IPv4 as well unless it asked not to (ipv6(7), IPV6_V6ONLY), which
    nobody is told."""
    where = listener.address
    if where.startswith(_MAPPED):
        where = where[len(_MAPPED) :]
    return where in (address, *_OF_ALL) or (where == "0.0.0.0" and ":" not in address)


def name_of(listener: Listener) -> str:
    """Empty where it can't be seen."""
    return listener.container or listener.process


def holder_instead(listeners: Iterable[Listener], port: int, address: str) -> str:
    """The name of what has the TCP port at the address in place of the host's proxy; empty: nothing that has a name, or the proxy has it. An
    engine is another program there: of its listeners for our containers hosts don't tell."""
    found = [
        one
        for one in listeners
        if (one.port, one.protocol) == (port, "tcp") and covers(one, address)
    ]
    if any(one.process == PROXY for one in found):
        return ""
    return max((name_of(one) for one in found), default="")
