"""What keys of one configuration ask of each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from hullmark.errors import Problem

ETCD = "store.etcd."
PAIRS = (("cert", "key"), ("user", "password_file"))
"""Of `store.etcd`: neither is anything without the other."""


def master_problems(values: Mapping[str, Any], sources: Mapping[str, str]) -> list[Problem]:
    """`values` and `sources` by dotted key; a source is `FILE:LINE`, or `default`."""
    if values["store.kind"] != "etcd":
        return []
    found = []
    endpoints = values[ETCD + "endpoints"]
    if not endpoints:
        found.append(
            _problem(
                sources,
                "store.kind",
                "etcd, but store.etcd.endpoints names no member",
                "store.etcd.endpoints: [https://HOST:2379, ...], the members of etcd",
            )
        )
    if any(endpoint.startswith("https:") for endpoint in endpoints) and not values[ETCD + "ca"]:
        found.append(
            _problem(
                sources,
                ETCD + "endpoints",
                "https, but store.etcd.ca names no authority to check the members by",
                "store.etcd.ca: the file with etcd's authority",
            )
        )
    for one, other in PAIRS:
        for given, missing in ((one, other), (other, one)):
            if values[ETCD + given] and not values[ETCD + missing]:
                message = f"nothing without {ETCD}{missing}"
                found.append(_problem(sources, ETCD + given, message, "both, or neither"))
    return found


def _problem(sources: Mapping[str, str], key: str, message: str, allowed: str) -> Problem:
    file, _, line = sources[key].rpartition(":")
    number: Optional[int] = int(line) if file else None
    return Problem(message, file=file, line=number, field=key, allowed=allowed)
