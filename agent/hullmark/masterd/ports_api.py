"""The ledger of host ports, and what firewalls have to leave open, as the API has them.

Of some hundred hosts it takes seconds to put together, in a thread of its own: the leader's other work goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hullmark.core.firewallneeds import needs
from hullmark.core.portclaims import Masters
from hullmark.core.ports import ledger
from hullmark.errors import NotFound
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.masterplaces import places
from hullmark.masterd.route import Parameter, Route
from hullmark.model.ports import FirewallList, PortList
from hullmark.model.snapshot import Snapshot


async def ports(desk: Desk, call: Call) -> PortList:
    snapshot, host = desk.cluster.snapshot(), call.query["host"]
    _must_be_enrolled(snapshot, host)
    agents, people = _masters(desk)
    both = {name: (*agents[name], *people[name]) for name in agents}
    return PortList(await asyncio.to_thread(ledger, snapshot, host, both))


async def firewall(desk: Desk, call: Call) -> FirewallList:
    snapshot, host = desk.cluster.snapshot(), call.query["host"]
    _must_be_enrolled(snapshot, host)
    return FirewallList(await asyncio.to_thread(needs, snapshot, host, *_masters(desk)))


def _must_be_enrolled(snapshot: Snapshot, host: str) -> None:
    if host and all(record.name != host for record in snapshot.hosts.values()):
        raise NotFound(f"host {host[:80]} is not enrolled", remedy="hullmark hosts lists them")


def _masters(desk: Desk) -> tuple[Masters, Masters]:
    """Where agents, and where people, reach each master."""
    cluster = desk.cluster
    others = cluster.other_masters()
    agents = {one.name: one.agents_urls for one in others}
    people = {one.name: one.api_urls for one in others}
    own = next((one.name for one in cluster.masters() if one.name not in agents), "")
    agents[own] = _without(cluster.agents_urls(), agents)
    people[own] = _without(cluster.api_urls(), people)
    return places(agents), places(people)


def _without(urls: tuple[str, ...], others: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    taken = {url for known in others.values() for url in known}
    return tuple(url for url in urls if url not in taken)


_HOST = (Parameter("host", "", "only this host, by its name"),)
ROUTES = (
    Route(
        "GET",
        "/v1/ports",
        ports,
        "Ports of hosts: declared by whom, open or not, allowed or not",
        PortList,
        query=_HOST,
    ),
    Route(
        "GET",
        "/v1/ports/firewall",
        firewall,
        "Paths that hosts need and that a firewall of theirs has to leave open",
        FirewallList,
        query=_HOST,
    ),
)
