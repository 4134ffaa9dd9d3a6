"""What is said of hosts while they are drained, and of what is still there at the end: why, and what to type."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from hullmark.cli.client import Client
from hullmark.cli.words import one_line
from hullmark.errors import HullmarkError
from hullmark.model.api import HostList
from hullmark.model.explanation import Explanation
from hullmark.model.hostlife import LOCAL_DATA, RUNS_ON_EACH, HostDetail

NAMED = 10
"""Instances that one line names."""


class Departures:
    """Lines on standard error: how many are left when it begins, then what is gone."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[str, ...]] = {}

    def seen(self, detail: HostDetail) -> None:
        host, left = detail.host.name, detail.left
        before = self._left.get(host)
        self._left[host] = left
        if before is None and left:
            sys.stderr.write(f"{host}: {len(left)} left: {_listed(left)}\n")
        gone = [name for name in before or () if name not in left]
        if gone:
            verb = "is" if len(gone) == 1 else "are"
            sys.stderr.write(f"{_listed(gone)} {verb} gone from {host}, {len(left)} left\n")
        sys.stderr.flush()


def obstacles(client: Client, detail: HostDetail) -> Iterator[str]:
    """What is still there, why, and what to type."""
    host = detail.host.name
    alone = any(stay.why != RUNS_ON_EACH for stay in detail.stays) and _is_alone(client)
    for stay in detail.stays:
        yield f"{stay.name} stays on {host}: {stay.why}"
        if stay.why == RUNS_ON_EACH:
            yield "  it goes once nothing else stays"
        elif alone:
            yield "  there is no other host: hullmark invite HOST"
        else:
            more = " --accept-data-loss" if stay.why == LOCAL_DATA else ""
            yield f"  to give it another host: hullmark move {stay.name}{more}"
    held: dict[tuple[str, str], list[str]] = {}
    for stuck in detail.stuck:
        held.setdefault((_service(stuck.name), stuck.why), []).append(stuck.name)
    for (service, why), names in held.items():
        yield f"{_listed(names)} {'stays' if len(names) == 1 else 'stay'} on {host}: {one_line(why)}"
        yield from _helps(client, service, why, names)
    known = {stuck.name for stuck in detail.stuck}
    for name in detail.left:
        if name not in known:
            yield f"{name} is still on {host}"
            yield f"  what keeps it: hullmark explain {_service(name)}"


def _is_alone(client: Client) -> bool:
    """Whether there is one host only, as far as a master says."""
    try:
        return len(client.ask(HostList, "/v1/hosts").hosts) == 1
    except HullmarkError:
        return False  # then a move says so


def _helps(client: Client, service: str, why: str, names: Sequence[str]) -> Iterator[str]:
    """Of instances of one service that no other host fits."""
    if why == RUNS_ON_EACH:
        yield "  it goes once nothing else is left"
        return
    app, _, name = service.partition("/")
    commands: dict[str, None] = {}
    try:
        found = client.ask(Explanation, f"/v1/apps/{app}/explain", {"service": name})
    except HullmarkError:
        found = None  # what it would say is still to be had by the command
    for each in () if found is None else found.services:
        for slot in each.slots:
            commands.update(dict.fromkeys(slot.commands if slot.name in names else ()))
    for command in commands:
        yield f"  what would help: {one_line(command)}"
    yield f"  what keeps it, host by host: hullmark explain {service}"


def _service(name: str) -> str:
    """`APP/SERVICE` of an instance."""
    return name.rpartition(".")[0]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
