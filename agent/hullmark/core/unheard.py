"""What runs on hosts that are not heard: nobody can tell whether it serves. It may well, and other hosts may go on to ask for it there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Optional

from hullmark.core import absence
from hullmark.core.directoryline import Line
from hullmark.core.lastknown import serving
from hullmark.core.roster import Placed
from hullmark.model.orders import InstanceId
from hullmark.model.snapshot import Snapshot


def is_unheard(snapshot: Snapshot, item: Placed) -> bool:
    """Of one on a host of the cluster."""
    return item.host_id in snapshot.hosts and not absence.is_ready(snapshot, item.host_id)


def known_last(snapshot: Snapshot, placed: Iterable[Placed]) -> frozenset[InstanceId]:
    """Those of these on hosts that are not heard that served, as those hosts said last or as a former leader recorded."""
    found: set[InstanceId] = set()
    for host_id, instances in _by_host(snapshot, placed).items():
        found |= instances & set(serving(snapshot, host_id))
    return frozenset(found)


def notes(snapshot: Snapshot, line: Optional[Line], placed: Iterable[Placed]) -> Iterator[str]:
    """Of one service, a sentence for each such host that has instances of it, and what is to be done. `line`: what directories have of it."""
    for host_id, instances in sorted(_by_host(snapshot, placed).items()):
        host = snapshot.host_name(host_id)
        are = "instance serves" if len(instances) == 1 else "instances serve"
        told = (
            f"{host} {_state(snapshot, host_id)}: whether its {len(instances)} {are} is not known"
        )
        text = "; ".join([told, *_last(snapshot, line, host_id, instances)])
        if absence.is_lost(snapshot, host_id):
            remove = f"hullmark host remove {host} --force"
            text += f". Start its agent; or, only where the host is gone for good: {remove}"
        yield text


def _by_host(snapshot: Snapshot, placed: Iterable[Placed]) -> dict[str, set[InstanceId]]:
    found: dict[str, set[InstanceId]] = defaultdict(set)
    for item in placed:
        if is_unheard(snapshot, item):
            found[item.host_id].add(item.assignment.instance)
    return found


def _state(snapshot: Snapshot, host_id: str) -> str:
    if absence.is_awaited(snapshot, host_id):
        return "is not heard yet"
    return "is lost" if absence.is_lost(snapshot, host_id) else "has not told its state yet"


def _last(
    snapshot: Snapshot, line: Optional[Line], host_id: str, instances: set[InstanceId]
) -> Iterator[str]:
    if host_id not in snapshot.observed and host_id not in snapshot.proxies:
        return
    served = len(instances & set(serving(snapshot, host_id)))
    yield f"as known last {served or 'none'} did"
    shares = () if line is None else line.shares
    if any(share.host_id == host_id for share in shares):
        yield "other hosts' proxies pass connections on to it as long as its own takes them"
    elif shares:
        yield "other hosts' proxies ask those that are heard instead"
