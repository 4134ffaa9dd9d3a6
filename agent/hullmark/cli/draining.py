"""Waiting for hosts that are being drained: until nothing of theirs goes any more by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hullmark.cli.absentees import Absentees
from hullmark.cli.client import Client
from hullmark.cli.polling import HOLD_S, newer
from hullmark.model.host import Availability
from hullmark.model.hostlife import HostDetail

STUCK_S = 2.0
"""The leader plans at once; a host that was just heard, or a port that was just given back, is in the next plan."""

Seen = Callable[[HostDetail], None]


@dataclass(frozen=True)
class Drained:
    """`outcome` is `settled`, `stays`, `unplaced`: no other host fits what is left, `timeout`, or `superseded`:
    somebody ended the drain meanwhile."""

    outcome: str
    hosts: tuple[HostDetail, ...]


def await_drained(
    client: Client, names: Sequence[str], timeout_s: float, seen: Seen, told: bool = False
) -> Drained:
    """`seen` is called with each answer. `told`: a host that is lost is named on standard error. Raises what `Client.ask` does once time is over and no master answers,
    NotFound for a host that was removed meanwhile."""
    begin = time.monotonic()
    hosts: tuple[HostDetail, ...] = ()
    absentees = Absentees(client if told else None, timeout_s)
    # What was stuck on one may have found a place while the others were waited for.
    for _ in range(min(len(names), 2)):
        hosts = tuple(_last(client, name, begin, timeout_s, seen, absentees) for name in names)
    return _judged(hosts)


def _last(
    client: Client, name: str, begin: float, timeout_s: float, seen: Seen, absentees: Absentees
) -> HostDetail:
    """One host, when nothing goes any more or time is over."""
    version, deadline, planned = 0, begin + timeout_s, False
    while True:
        passed_s = time.monotonic() - begin
        hold_s = min(absentees.left_s, HOLD_S if planned else max(0.0, STUCK_S - passed_s))
        detail = newer(client, HostDetail, f"/v1/hosts/{name}", version, hold_s, deadline)
        seen(detail)
        if not detail.left or passed_s >= timeout_s or not _is_draining(detail):
            return detail
        planned = time.monotonic() - begin >= STUCK_S
        if planned and _is_stuck(detail):
            return detail
        absentees.awaited([name] if detail.host.state == "lost" else ())
        version = detail.version


def _is_draining(detail: HostDetail) -> bool:
    return detail.host.availability is Availability.DRAINING


def _is_stuck(detail: HostDetail) -> bool:
    return set(detail.left) <= {stuck.name for stuck in detail.stuck}


def _judged(hosts: tuple[HostDetail, ...]) -> Drained:
    if not all(map(_is_draining, hosts)):
        return Drained("superseded", hosts)
    if any(detail.left for detail in hosts):
        return Drained("unplaced" if all(map(_is_stuck, hosts)) else "timeout", hosts)
    return Drained("stays" if any(detail.stays for detail in hosts) else "settled", hosts)
