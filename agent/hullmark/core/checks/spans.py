"""Addresses in the words of packet filters: networks, addresses, ranges and sets of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Span:
    """Addresses of one version of IP, from the first to the last."""

    version: int
    first: int
    last: int


def spans_of(places: str) -> tuple[Span, ...]:
    """Of one network, address or range, or of a set of them in braces. What is none of these is left out."""
    return tuple(span for word in places.strip("{} ").split(",") for span in _span(word.strip()))


def all_spans_of(places: str) -> Optional[tuple[Span, ...]]:
    """As `spans_of`; None where a word is none of these."""
    found = spans_of(places)
    return found if len(found) == places.count(",") + 1 else None


def _span(word: str) -> Iterator[Span]:
    first, dash, last = word.partition("-")
    try:
        network = ipaddress.ip_network(first, strict=False)
        end = ipaddress.ip_network(last, strict=False) if dash else network
    except ValueError:
        return
    if network.version == end.version:
        yield Span(network.version, int(network.network_address), int(end.broadcast_address))


def is_in(one: Span, others: Sequence[Span]) -> bool:
    """Whether all of it is in the others, also where it takes several that are side by side."""
    at = one.first
    for other in sorted(others, key=lambda other: other.first):
        if other.version == one.version and other.first <= at <= other.last:
            at = other.last + 1
    return at > one.last


def meet(ones: Sequence[Span], others: Sequence[Span]) -> bool:
    """Whether they have an address in common."""
    return any(
        one.version == other.version and one.first <= other.last and other.first <= one.last
        for one in ones
        for other in others
    )
