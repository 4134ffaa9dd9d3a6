"""Waiting for hosts that are being drained: until nothing of theirs goes any more by itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from hullmark.cli.client import Client
from hullmark.cli.polling import HOLD_S, newer
from hullmark.model.host import Availability
from hullmark.model.hostlife import HostDetail


@dataclass(frozen=True)
class Drained:
    """`outcome` is `settled`, `stays`, `timeout`, or `superseded`: somebody ended the drain meanwhile."""

    outcome: str
    hosts: tuple[HostDetail, ...]


def await_drained(client: Client, names: Sequence[str], timeout_s: float) -> Drained:
    """Raises what `Client.ask` does once time is over and no master answers, NotFound for a host that was removed
    meanwhile."""
    deadline = time.monotonic() + timeout_s
    return _judged(tuple(_last(client, name, deadline) for name in names))


def _last(client: Client, name: str, deadline: float) -> HostDetail:
    """One host, when nothing goes any more or time is over."""
    version = 0
    while True:
        over = time.monotonic() >= deadline
        detail = newer(client, HostDetail, f"/v1/hosts/{name}", version, HOLD_S, deadline)
        if not detail.left or over or not _is_draining(detail):
            return detail
        version = detail.version


def _is_draining(detail: HostDetail) -> bool:
    return detail.host.availability is Availability.DRAINING


def _judged(hosts: tuple[HostDetail, ...]) -> Drained:
    if not all(map(_is_draining, hosts)):
        return Drained("superseded", hosts)
    if any(detail.left for detail in hosts):
        return Drained("timeout", hosts)
    return Drained("stays" if any(detail.stays for detail in hosts) else "settled", hosts)
