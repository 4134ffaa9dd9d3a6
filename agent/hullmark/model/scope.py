"""Scopes: whether a host, or a service, belongs to the cardholder data environment (PCI DSS 12.5.2).

A host's scope is what its own policy says, a service's what its app says (`x-hullmark.scope`); nothing said is `out`.
What is `cde` runs only on hosts that are `cde`, and everything else only on hosts that are not.
"""

from __future__ import annotations

CDE = "cde"
OUT = "out"
UNKNOWN = "unknown"
"""Of a host whose policy can't be read: it creates and starts nothing, so nothing is placed there."""


def fits(service: str, host: str) -> bool:
    """Both as they are told; empty is `out`."""
    return host != UNKNOWN and (service == CDE) == (host == CDE)
