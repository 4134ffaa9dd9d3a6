"""Audit records on their way to a master: what goes into one shipment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hullmark.model.auditline import place_of
from hullmark.model.protocol import Shipment

LINES_MOST = 500
BYTES_MOST = 512 << 10


def shipment_of(log: str, lines: Sequence[bytes]) -> Shipment:
    """As many of the lines, from the first on, as one shipment takes. A line that is damaged goes as it is, and whoever takes it
    says so."""
    place = place_of(lines[0]) if lines else None
    return Shipment(log, 0 if place is None else place.seq, tuple(_fitting(lines)))


def _fitting(lines: Sequence[bytes]) -> Iterator[str]:
    size = 0
    for line in lines[:LINES_MOST]:
        size += len(line)
        if size > BYTES_MOST and size != len(line):
            return
        yield line.rstrip(b"\n").decode("utf-8", "replace")
