"""What is known here of the ports that containers may listen on: for the check that looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from hullmark.agentd import statefile
from hullmark.agentd.directorykeeper import FILE, KeptDirectory
from hullmark.engine.listenerlooks import Declared, Sources
from hullmark.errors import BrokenState
from hullmark.host.listeners import of_containers
from hullmark.model.orders import InstanceId, Orders


def sources(state_dir: Path) -> Sources:
    """By the orders and the directory that this host accepted last, as they are on the disk: who looks may outlive whoever keeps them."""
    return Sources(lambda: _declared(state_dir), of_containers)


def exposed(orders: Orders, instance: InstanceId) -> frozenset[int]:
    """The TCP ports that the `expose` of this instance's app names."""
    assignment = orders.find(instance)
    bundle = None if assignment is None else orders.bundles.get(assignment.spec_hash)
    found = (text.partition("/") for text in (bundle.container.expose if bundle else ()))
    return frozenset(
        int(number) for number, _, protocol in found if number.isdigit() and protocol in ("", "tcp")
    )


def _declared(folder: Path) -> Optional[Declared]:
    damaged: list[str] = []
    try:
        kept = statefile.read_sealed(folder / FILE, "directory", KeptDirectory, damaged)
        orders = statefile.load(folder).orders
    except BrokenState:
        return None
    if kept is None or damaged:
        return None
    found: dict[str, set[str]] = {}
    for entry in kept.directory.services:
        found.setdefault(str(entry.name), set()).update(f"{port}/tcp" for port in entry.ports)
    for name, port in () if orders is None else _ordered(orders):
        found.setdefault(name, set()).add(port)
    return {name: frozenset(ports) for name, ports in found.items()}


def _ordered(orders: Orders) -> Iterator[tuple[str, str]]:
    for assignment in orders.assignments:
        name = f"{assignment.instance.app}/{assignment.instance.service}"
        for port in assignment.ports:
            yield name, f"{port.target}/{port.protocol}"
        bundle = orders.bundles.get(assignment.spec_hash)
        for text in () if bundle is None else bundle.container.expose:
            yield name, text if "/" in text else f"{text}/tcp"
