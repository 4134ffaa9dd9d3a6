"""What can be said of a service where no master answers: what an agent on this very host was told last, and what its proxy does.

What runs goes on without masters, so this is often all that is needed. Read from the agent's own files, which only root may.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, TypeVar

from hullmark.cli.enrolledhere import is_enrolled
from hullmark.core.whycommands import PROXY, with_remedy
from hullmark.core.whylinks import broken, first_broken, ok, together, unknown, verdict
from hullmark.errors import Forbidden, HullmarkError, InvalidInput
from hullmark.launchers import look_line
from hullmark.model import jsontext
from hullmark.model.directory import Directory, ServiceEntry, ServiceName
from hullmark.model.orders import Orders
from hullmark.model.proxy import Traffic
from hullmark.model.why import Link, ServiceWhy, Step, Verdict, Why
from hullmark.model.wire import from_wire

T = TypeVar("T")


@dataclass(frozen=True)
class Kept:
    """As the agent keeps a directory."""

    directory: Directory


def without_a_master(
    app: str, service: str, error: HullmarkError, file: str, caller: str = "", *, is_here: bool
) -> Why:
    """The link to the masters is the broken one; nobody knows more than this host does. `file`: its agent.yaml. `caller`: as `Why` has it.
    `is_here`: the master that was asked is on this machine."""
    then = look_line("masterd") if is_here else ""
    links = [broken(Step.COMMAND, with_remedy(error.message, error.remedy), then)]
    if caller:
        text = f"whether {caller} may call it, and by which names, only masters know"
        links.append(unknown(Step.RIGHT, text))
    services = tuple(_services(app, service, file))
    text, then, _ = first_broken(links)
    return Why(app, Verdict.UNKNOWN, tuple(links), services, text, then, caller)


def _services(app: str, service: str, file: str) -> Iterator[ServiceWhy]:
    from hullmark.config import load_agent  # it reads YAML, and is only needed here

    try:
        config = load_agent(file).config
    except HullmarkError:
        return
    folder = Path(config.state_dir)
    try:
        if not is_enrolled(config.state_dir):
            return
        orders = _orders(folder)
        kept = read_sealed(folder / "directory.json", "directory", Kept)
    except (Forbidden, PermissionError):
        told = unknown(Step.AGENT, f"{folder} may be read by root only: run this as root")
        yield ServiceWhy(service, Verdict.UNKNOWN, (told,))
        return
    carried = _carried(Path(config.proxy_folder), Path(config.proxy_run_dir))
    for name in [service] if service else _names(app, orders, kept):
        links = together(_links(app, name, orders, kept, carried))
        yield ServiceWhy(name, verdict(links), links)


def _names(app: str, orders: Optional[Orders], kept: Optional[Kept]) -> Sequence[str]:
    """The app's services of which this host knows."""
    ordered = orders.assignments if orders is not None else ()
    told = kept.directory.services if kept is not None else ()
    found = {item.instance.service for item in ordered if item.instance.app == app}
    return sorted(found | {entry.name.service for entry in told if entry.name.app == app})


def _carried(folder: Path, run_dir: Path) -> Traffic:
    from hullmark.engine.haproxy import Haproxy

    try:
        return Haproxy(folder, run_dir).traffic()
    except HullmarkError as error:
        return Traffic(why=error.message)


def _orders(folder: Path) -> Optional[Orders]:
    """Of the two copies the newer one."""
    copies = [read_sealed(folder / f"state-{one}.json", "orders", Orders) for one in "ab"]
    known = [one for one in copies if one is not None]
    return max(known, key=lambda one: (one.epoch, one.revision), default=None)


def read_sealed(path: Path, kind: str, cls: type[T]) -> Optional[T]:
    """What the agent keeps: a line with the digest of the rest, then JSON. None where it is not there or not whole. Raises PermissionError."""
    try:
        checksum, _, body = path.read_bytes().partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != checksum:
            return None
        return from_wire(cls, jsontext.loads(body)[kind], ignore_unknown=True)
    except PermissionError:
        raise
    except (OSError, ValueError, KeyError, TypeError, InvalidInput):
        return None


def _links(
    app: str, service: str, orders: Optional[Orders], kept: Optional[Kept], carried: Traffic
) -> Iterator[Link]:
    here = "this host"
    if orders is None:
        yield unknown(Step.ORDERS, "no orders were accepted here", look_line("agentd"), here)
    else:
        named = [one.instance for one in orders.assignments]
        count = sum((one.app, one.service) == (app, service) for one in named)
        text = f"{count} of its instances ordered here, by {orders.leader} in epoch {orders.epoch}"
        yield ok(Step.ORDERS, text, here)
    directory = kept.directory if kept is not None else Directory()
    entry = next((one for one in directory.services if one.name == ServiceName(app, service)), None)
    if entry is None:
        text = "this host was told nothing of it: nothing here uses or offers it"
        yield unknown(Step.DIRECTORY, text, "", here)
        return
    peers = {peer.host_id: peer.name for peer in directory.peers}
    others = [peers.get(share.host_id, share.host_id) for share in entry.elsewhere if share.serving]
    yield ok(Step.ADDRESS, f"{entry.address}, ports {', '.join(map(str, entry.ports))}")
    text = f"served by {', '.join(others)}" if others else "no other host serves it"
    yield ok(Step.DIRECTORY, f"as it was told last: {text}", here)
    yield from _proxy(entry, carried, here)


def _proxy(entry: ServiceEntry, carried: Traffic, here: str) -> Iterator[Link]:
    if carried.why:
        yield broken(Step.PROXY, carried.why, PROXY, here)
        return
    yield ok(Step.PROXY, "up", here)
    for port in (one for one in carried.ports if one.name == entry.name):
        text = f"port {port.port}: {port.up} of {port.members} members are up"
        hurt = port.up < max(1, port.members)
        yield broken(Step.MEMBERS, text, PROXY, here) if hurt else ok(Step.MEMBERS, text, here)
