"""Which containers of this host its proxy gives connections to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from hullmark.core.found import Found, FoundState
from hullmark.core.hostnames import network_keys
from hullmark.model.directory import Directory, ServiceName, Share
from hullmark.model.observed import Health
from hullmark.model.proxy import Member

SERVING = (Health.NONE, Health.HEALTHY)


def members_of(
    found: Iterable[Found],
    directory: Directory,
    *,
    leaving: Collection[str] = (),
    ended: Mapping[str, float] = MappingProxyType({}),
) -> tuple[Member, ...]:
    """`leaving`: ids of containers that are about to be stopped. `ended`: containers that are known to have ended, by when they were started,
    though the last look may still have had them running; one that was started again is another matter.

    The last one of the whole cluster that serves is not taken for leaving: it is given connections until its signal, because to refuse them
    sooner would help nobody."""
    up = [
        _member(one)
        for one in sorted(found, key=lambda one: one.name)
        if one.state in (FoundState.RUNNING, FoundState.PAUSED)
        and ended.get(one.container_id) != one.started_at
    ]
    staying = {one.name for one in up if one.serving and one.container_id not in leaving}
    staying |= {entry.name for entry in directory.services if _elsewhere(entry.elsewhere)}
    return tuple(
        replace(one, leaving=one.container_id in leaving and one.name in staying) for one in up
    )


def _elsewhere(shares: Iterable[Share]) -> bool:
    return any(share.serving > 0 for share in shares)


def _member(one: Found) -> Member:
    app = one.instance.app
    keys = network_keys(app, one.addresses)
    return Member(
        one.instance,
        one.container_id,
        {keys[name]: address for name, address in one.addresses.items() if name in keys},
        serving=one.state is FoundState.RUNNING and one.health in SERVING,
        bound=one.ports,
    )


def drain_s(directory: Directory, name: ServiceName) -> float:
    """How long an instance of this service may go on with its connections before its signal; 0 for one that nobody reaches by the proxy."""
    return next((one.drain_s for one in directory.services if one.name == name), 0.0)


def is_needed(directory: Directory, *, is_installed: bool) -> bool:
    """Whether something on this host can be reached, or can reach what it was promised, by a proxy only. `is_installed`: containers know services by
    addresses that a proxy answers, also those that run beside them."""
    if is_installed:
        return bool(directory.published or directory.services)
    return bool(directory.published) or any(
        entry.users or _elsewhere(entry.elsewhere) for entry in directory.services
    )
