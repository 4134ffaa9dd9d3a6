"""The second part of the way to a service: its address, and for each host that needs it the proxy there, what it was told, whom it reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hullmark.core.serviceports import has_address
from hullmark.core.serviceview import why_no_address
from hullmark.core.whycase import Case
from hullmark.core.whylinks import broken, ok, unknown
from hullmark.model.directory import ServiceEntry, ServiceName
from hullmark.model.proxy import Down, PortTraffic
from hullmark.model.records import AppRecord
from hullmark.model.why import Found, Link, Step

PROXY = "systemctl status hullmark-proxy, or: service hullmark-proxy status"
NO_PROXY = f"install the package hullmark-proxy; or, where it is: {PROXY}"
AGAIN = "ask again in a moment"
PROXY_PROBLEMS = ("proxy.missing", "proxy.failing", "proxy.certificate")
"""Codes of a host's problems with which its proxy serves no service as it should."""
TURNED_AWAY = "proxy.refused"
"""That of what the host's policy doesn't let other hosts use; the message names the services."""
AGENT_LOG = "journalctl -u hullmark-agent, or its log in /var/log/hullmark"

HEARD = {
    "L4TOUT": "nothing comes back: a firewall drops it, or there is no route",
    "L4CON": "it is refused: nothing listens there, or a firewall rejects it",
    "L6TOUT": "it connects, but TLS is not answered",
    "L6RSP": "it connects, but TLS fails: a certificate is not what it should be",
}
"""HAProxy's words for what a check came to (its management guide, `check_status`)."""
CLOSED = ("L4TOUT", "L4CON")


@dataclass(frozen=True)
class Paths:
    """`whole`: from some host that needs the service, nothing on the way to it is known to be broken."""

    links: Sequence[Link]
    whole: bool


def path_links(case: Case, record: AppRecord, service: str) -> Paths:
    name = ServiceName(record.app.name, service)
    asked = record.app.services[service]
    address = case.snapshot.addresses.get(str(name), "")
    if not address and not has_address(asked):
        return Paths([ok(Step.ADDRESS, f"none: {why_no_address(asked)}")], True)
    if not address:
        then = "look at the leader's log: journalctl -u hullmark-master"
        return Paths([broken(Step.ADDRESS, "none was given to it", then)], False)
    if case.survey.line(name) is None:
        text = "this leader has not heard all hosts yet; they keep what they were told before"
        if case.survey.table is not None:
            text = "hosts are about to be told of it"
        return Paths([ok(Step.ADDRESS, address), unknown(Step.DIRECTORY, text, AGAIN)], True)
    links, ways = [ok(Step.ADDRESS, address)], []
    for host_id, entry in sorted(case.needing(name).items()):
        if case.is_ready(host_id):
            found = list(_host(case, host_id, entry))
            links += found
            ways.append(all(link.found is not Found.BROKEN for link in found))
    return Paths(links, any(ways) or not ways)


def _host(case: Case, host_id: str, entry: ServiceEntry) -> Iterator[Link]:
    """Where a link is broken, what hangs on it is not looked at."""
    proxy = _proxy(case, host_id)
    yield proxy
    if proxy.found is Found.BROKEN:
        return
    yield _directory(case, host_id)
    for problem in case.snapshot.observed[host_id].problems:
        if problem.code == TURNED_AWAY and f"{entry.name} by " in problem.message:
            yield broken(Step.BETWEEN, problem.message, problem.remedy, case.host(host_id))
    yield from _traffic(case, host_id, entry)


def _proxy(case: Case, host_id: str) -> Link:
    host, state = case.host(host_id), case.snapshot.observed[host_id]
    if not state.facts.proxy_version:
        text = "none is up: only ports with mode: host work there"
        return broken(Step.PROXY, text, NO_PROXY, host, there=True)
    for problem in state.problems:
        if problem.code in PROXY_PROBLEMS:
            then = problem.remedy or PROXY
            return broken(Step.PROXY, problem.message, then, host, there=True)
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
        text = "its agent did not say in time what its proxy does"
        yield unknown(Step.MEMBERS, text, AGAIN, host)
        return
    if told.why:
        yield broken(Step.MEMBERS, f"the proxy says nothing: {told.why}", PROXY, host, there=True)
        return
    carried = {one.port: one for one in told.ports if one.name == entry.name}
    missing = [port for port in entry.ports if port not in carried]
    for port in missing:
        text = f"port {port} is not in the proxy's configuration"
        yield broken(Step.MEMBERS, text, AGENT_LOG, host, there=True)
    if _expects(case, host_id, entry):
        shown = {port: carried[port] for port in entry.ports if port in carried}
        yield from _members(case, host_id, entry.name, shown)


def _expects(case: Case, host_id: str, entry: ServiceEntry) -> bool:
    """Whether anything serves it: what nobody serves is broken before the proxy."""
    here = case.survey.serving_on(host_id, entry.name)
    return bool(here) or any(share.serving for share in entry.elsewhere)


def _members(
    case: Case, host_id: str, name: ServiceName, ports: Mapping[int, PortTraffic]
) -> Iterator[Link]:
    host, sound = case.host(host_id), True
    for port, one in ports.items():
        found = list(_down(case, host_id, name, one))
        if not found and one.up < max(1, one.members):
            text = f"port {port}: {one.up} of {one.members} members are up"
            found = [broken(Step.MEMBERS, text, PROXY, host, there=True)]
        sound = sound and not found
        yield from found
    if ports and sound:
        yield ok(Step.MEMBERS, "all are up in the proxy", host)
        if any(share for share in case.needing(name)[host_id].elsewhere if share.serving):
            yield ok(Step.BETWEEN, "the others' TLS ports answer", host)


def _down(case: Case, host_id: str, name: ServiceName, one: PortTraffic) -> Iterator[Link]:
    host = case.host(host_id)
    for down in one.down:
        if down.member in case.snapshot.hosts:
            yield _unreached(case, host_id, down)
            continue
        why = HEARD.get(down.why, down.why or "it does not answer")
        text = f"{down.member} does not answer on port {one.port}: {why}"
        then = f"does it listen on 0.0.0.0? hullmark logs {name}"
        yield broken(Step.MEMBERS, text, then, host)


def _unreached(case: Case, host_id: str, down: Down) -> Link:
    host, other = case.host(host_id), case.host(down.member)
    facts = case.survey.facts(down.member)
    where = f"{facts.proxy_address}:{facts.proxy_port}" if facts.proxy_port else "its TLS port"
    why = HEARD.get(down.why, down.why or "it does not answer")
    then = f"{PROXY}   (on {other}), and its log"
    if down.why in CLOSED:
        then = (
            f"hullmark ports --firewall nftables --host {other}   (what its firewall has to let in)"
        )
    return broken(Step.BETWEEN, f"{other} at {where}: {why}", then, host)
