"""Which open connections end, because the right to them did.

    calls       of containers here, by a service's address: once the service isn't used any more, or no network is shared with it
    hosts       that were removed: what they called here, and what was called there

Only what was withdrawn ends. A container that is about to be stopped keeps its connections for as long as it runs; what a container had that is
gone ends with it, so that no look at the proxy is worth it; a host whose proxy is down, or which nobody hears, is still one of the cluster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Optional

from hullmark.core import proxylistening
from hullmark.core.proxylistening import Call
from hullmark.model.directory import ServiceName
from hullmark.model.proxy import ProxySight
from hullmark.model.proxyconnection import Connection
from hullmark.model.proxyplan import ASK, RESORT, SVC, TLS, kind_of, subject_of

_CONTAINER = re.compile(r"[0-9]+-g[0-9]+-.*")
"""Name of a server that is a container; another host's begins with the host's id, and ends in address and port."""


@dataclass(frozen=True)
class Rights:
    """`calls` are allowed. `callers`: whose the addresses of our containers here are that are up. `hosts`: ids of all hosts of the cluster."""

    calls: frozenset[Call]
    callers: Mapping[str, ServiceName]
    hosts: frozenset[str]


def rights_of(sight: ProxySight) -> Rights:
    told = sight.directory
    return Rights(
        calls=frozenset(proxylistening.calls(told.services, sight)),
        callers={address: one.name for one in sight.members for address in one.addresses.values()},
        hosts=frozenset((sight.host_id, *told.unproxied, *(one.host_id for one in told.peers))),
    )


def has_lost(before: Optional[Rights], now: Rights) -> bool:
    """Whether something was withdrawn, or may have been. `before` None: of an agent that just began, which doesn't know."""
    if before is None or before.hosts - now.hosts:
        return True
    return any(call.address in now.callers for call in before.calls - now.calls)


def either(one: Optional[Rights], other: Optional[Rights]) -> Optional[Rights]:
    """What was a right by one of them."""
    if one is None or other is None:
        return other if one is None else one
    return replace(other, calls=one.calls | other.calls, hosts=one.hosts | other.hosts)


def ending(before: Optional[Rights], now: Rights, one: Connection) -> str:
    """Why this one is to end, in words; empty for one that goes on."""
    peer = _peer_of(one.server)
    if one.host and one.host not in now.hosts:
        return f"host {one.host} was removed from the cluster, and called {_called(one)}"
    if peer and peer not in now.hosts:
        return f"host {peer} was removed from the cluster, and was called for {_called(one)}"
    if kind_of(one.frontend) not in (SVC, ASK):
        return ""
    call = Call(one.place.rpartition(":")[0], subject_of(one.frontend)[0])
    caller = now.callers.get(call.address)
    # What came by a network of the service's own may be a program's that is none of ours: that ends only where it is known to have had another right.
    had = call in before.calls if before is not None else kind_of(one.frontend) == ASK
    if not had or caller is None or call in now.calls:
        return ""
    return f"{caller} may no longer call {call.name}"


def _called(one: Connection) -> str:
    """`tls` for what ends before anything was chosen."""
    known = one.frontend if one.frontend != TLS else one.backend
    return str(subject_of(known)[0]) if ":" in known else TLS


def _peer_of(server: str) -> str:
    """The id of the host that a server is; empty for a container's."""
    if _CONTAINER.fullmatch(server):
        return ""
    place = server[: -len(RESORT)] if server.endswith(RESORT) else server
    return place.rpartition("-")[0].rpartition("-")[0]
