"""The second part of the way to a service: its address, and for each host that needs it the proxy there, what it was told, whom it reaches."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.core import enumeration, firewallrules
from hullmark.core.portconflicts import listed
from hullmark.core.serviceports import has_address, may_serve
from hullmark.core.serviceview import EXPOSE, why_no_address
from hullmark.core.whycase import Case
from hullmark.core.whycommands import AGENT_LOG, PROXY, with_remedy
from hullmark.core.whylinks import broken, ok, unknown
from hullmark.model.directory import ServiceEntry, ServiceName
from hullmark.model.observed import HostProblem
from hullmark.model.proxy import Down, PortTraffic
from hullmark.model.records import AppRecord
from hullmark.model.why import Found, Link, Step

NO_PROXY = "it comes with the package hullmark-proxy"
AGAIN = "ask again in a moment"
PROXY_PROBLEMS = ("proxy.missing", "proxy.failing", "proxy.certificate")
"""Codes of a host's problems with which its proxy serves no service as it should."""
TURNED_AWAY = "proxy.refused"
"""That of what the host's policy doesn't let other hosts use; the message names the services."""
BESIDE = "none is up: it is reached only by containers beside it, on its networks, by the engine's own names"


@dataclass(frozen=True)
class Paths:
    """`whole`: from some host that needs the service, nothing on the way to it is known to be broken; `broken_from`: ids of those from where
    something is."""

    links: Sequence[Link]
    whole: bool
    broken_from: frozenset[str] = frozenset()


def path_links(
    case: Case,
    record: AppRecord,
    service: str,
    beside: Collection[str],
    callers: Optional[Collection[str]] = None,
) -> Paths:
    """`beside`: ids of hosts where who calls reaches it without a proxy. `callers`: of hosts that it is called from, where not all that need it
    are meant."""
    name = ServiceName(record.app.name, service)
    asked = record.app.services[service]
    address = case.snapshot.addresses.get(str(name), "")
    if not address and not has_address(asked):
        then = f"; for others to call it: {EXPOSE}" if may_serve(asked) else ""
        return Paths([ok(Step.ADDRESS, f"none: {why_no_address(asked)}{then}")], True)
    if not address:
        text = (
            f"none was given to it: the log of the leader, {case.snapshot.leader.master}, says why"
        )
        return Paths([broken(Step.ADDRESS, text)], False)
    if case.survey.line(name) is None:
        text = "this leader has not heard all hosts yet; they keep what they were told before"
        if case.survey.table is not None:
            text = "hosts are about to be told of it"
        told = unknown(Step.DIRECTORY, f"{text}: {AGAIN}")
        return Paths([ok(Step.ADDRESS, address), told], True)
    links, ways = [ok(Step.ADDRESS, address)], {}
    for host_id, entry in sorted(case.needing(name).items()):
        if case.is_ready(host_id) and (callers is None or host_id in callers):
            if host_id in beside:
                found = [_beside(case, host_id, of_all=callers is None)]
            else:
                found = list(_host(case, host_id, entry, of_all=callers is None))
            links += found
            is_whole = all(link.found is not Found.BROKEN for link in found)
            ways[host_id] = is_whole or host_id in beside
    lost = frozenset(host_id for host_id, is_whole in ways.items() if not is_whole)
    return Paths(links, any(ways.values()) or not ways, lost)


def _host(case: Case, host_id: str, entry: ServiceEntry, *, of_all: bool) -> Iterator[Link]:
    """Where a link is broken, what hangs on it is not looked at. `of_all`: also what keeps callers of other hosts out of this one."""
    proxy = _proxy(case, host_id)
    yield proxy
    if proxy.found is Found.BROKEN:
        return
    yield _directory(case, host_id)
    for problem in case.snapshot.observed[host_id].problems if of_all else ():
        if problem.code == TURNED_AWAY:
            yield from _turned_away(problem, entry, case.host(host_id))
    yield from _traffic(case, host_id, entry)


def _beside(case: Case, host_id: str, *, of_all: bool) -> Link:
    """Of a host without a proxy. `of_all`: callers of other hosts are meant, too."""
    host = case.host(host_id)
    if of_all:
        text = f"{BESIDE}; and at ports with mode: host; {NO_PROXY}"
        return broken(Step.PROXY, text, PROXY, host, there=True)
    return ok(Step.PROXY, BESIDE, host)


def _turned_away(problem: HostProblem, entry: ServiceEntry, host: str) -> Iterator[Link]:
    mine = enumeration.part_of(problem.message, lambda one: one.startswith(f"{entry.name} by "))
    if mine:
        then = f"hullmark policy show {entry.name}"
        yield broken(Step.BETWEEN, with_remedy(mine, problem.remedy), then, host, there=True)
    elif enumeration.is_cut(problem.message):
        text = "its policy turns callers of other hosts away, of more services than it names"
        then = f"hullmark policy show {entry.name}"
        yield unknown(Step.BETWEEN, with_remedy(text, problem.remedy), then, host, there=True)


def _proxy(case: Case, host_id: str) -> Link:
    host, state = case.host(host_id), case.snapshot.observed[host_id]
    told = next((one for one in state.problems if one.code in PROXY_PROBLEMS), None)
    text = with_remedy(told.message, told.remedy) if told is not None else NO_PROXY
    if not state.facts.proxy_version:
        text = f"none is up: only ports with mode: host work there; {text}"
        return broken(Step.PROXY, text, PROXY, host, there=True)
    if told is not None:
        return broken(Step.PROXY, text, PROXY, host, there=True)
    return ok(Step.PROXY, "up", host)


def _directory(case: Case, host_id: str) -> Link:
    host, accepted = case.host(host_id), case.accepted.get(host_id, "")
    if accepted == case.digest(host_id):
        return ok(Step.DIRECTORY, "the leader's newest is accepted", host)
    text = "the leader's newest is not accepted: the proxy works with an older one"
    if not accepted:
        text = "the host has accepted none: is its agent older than 0.7?"
    return broken(Step.DIRECTORY, text, AGENT_LOG, host, there=True)


def _traffic(case: Case, host_id: str, entry: ServiceEntry) -> Iterator[Link]:
    host, told = case.host(host_id), case.traffic.get(host_id)
    if told is None:
        text = f"its agent did not say in time what its proxy does: {AGAIN}"
        yield unknown(Step.MEMBERS, text, "", host)
        return
    if told.why:
        yield broken(Step.MEMBERS, f"the proxy says nothing: {told.why}", PROXY, host, there=True)
        return
    carried = case.carried(host_id, entry.name)
    missing = [port for port in entry.ports if port not in carried]
    for port in missing:
        text = f"port {port} is not in the proxy's configuration"
        yield broken(Step.MEMBERS, text, AGENT_LOG, host, there=True)
    if _expects(case, host_id, entry):
        shown = {port: carried[port] for port in entry.ports if port in carried}
        yield from _members(case, host_id, entry, shown)


def _expects(case: Case, host_id: str, entry: ServiceEntry) -> bool:
    """Whether anything serves it: what nobody serves is broken before the proxy."""
    here = case.survey.serving_on(host_id, entry.name)
    return bool(here) or any(share.serving for share in entry.elsewhere)


def _members(
    case: Case, host_id: str, entry: ServiceEntry, ports: Mapping[int, PortTraffic]
) -> Iterator[Link]:
    host, sound = case.host(host_id), True
    for port, one in ports.items():
        found = list(_down(case, host_id, entry.name, one))
        if not found and one.up < max(1, one.members):
            text = f"port {port}: {one.up} of {one.members} members are up"
            found = [broken(Step.MEMBERS, text, PROXY, host, there=True)]
        sound = sound and not found
        yield from found
    if ports and sound:
        yield ok(Step.MEMBERS, "all are up in the proxy", host)
        asked = [share.host_id for share in entry.elsewhere if share.serving]
        if asked:
            yield ok(Step.BETWEEN, "the others' TLS ports answer", host)
        unheard = sorted(case.host(other) for other in asked if not case.is_ready(other))
        if unheard:
            text = f"passes connections on to {listed(unheard)}, by what was known last: not heard"
            yield ok(Step.BETWEEN, text, host)


def _down(case: Case, host_id: str, name: ServiceName, one: PortTraffic) -> Iterator[Link]:
    host = case.host(host_id)
    for down in one.down:
        if down.member in case.snapshot.hosts:
            yield _unreached(case, host_id, down)
            continue
        text = f"{down.member} does not answer on port {one.port}: {down.words}"
        if down.is_refused:
            text = (
                f"{text}. It may listen on another port than the declared one, or on loopback only"
            )
        yield broken(Step.MEMBERS, text, f"hullmark logs {name}", host)


def _unreached(case: Case, host_id: str, down: Down) -> Link:
    host, other = case.host(host_id), case.host(down.member)
    facts = case.survey.facts(down.member)
    where = f"{facts.proxy_address}:{facts.proxy_port}" if facts.proxy_port else "its TLS port"
    text = f"{other} at {where}: {down.words}"
    if not down.is_shut_out:
        return dataclasses.replace(broken(Step.BETWEEN, text, PROXY, host), next_on=other)
    state = case.snapshot.observed.get(down.member)
    firewall = firewallrules.in_use(None if state is None else state.posture)
    then = f"hullmark ports --firewall {firewall} --host {other}"
    return broken(Step.BETWEEN, text, then, host)
