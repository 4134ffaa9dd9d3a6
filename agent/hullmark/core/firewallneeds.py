"""Which paths a host needs that a firewall of its owner may close: of services, published ports, proxies, agents and masters.

Replies to what was let in, and what the host says to itself, are no paths of their own here: no host works without them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from hullmark.core.portclaims import Claim, Claims, Masters
from hullmark.model.app import EVERY_ADDRESS
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.ports import FirewallNeeds, FirewallRule, Holder, Hook
from hullmark.model.snapshot import Snapshot

DNS = 53


def needs(
    snapshot: Snapshot, host: str, agents: Masters, people: Masters
) -> tuple[FirewallNeeds, ...]:
    """Of one host, or of all, by name. `agents` and `people`: where either reach the masters."""
    chosen = [record for record in snapshot.hosts.values() if host in ("", record.name)]
    claims = Claims(snapshot)
    return tuple(
        _of_host(snapshot, record, claims, agents, people)
        for record in sorted(chosen, key=lambda record: record.name)
    )


def _of_host(
    snapshot: Snapshot, host: HostRecord, claims: Claims, agents: Masters, people: Masters
) -> FirewallNeeds:
    state = snapshot.observed.get(host.host_id)
    if state is None:
        why = "it has not been heard by this master yet, so nothing is known of it"
        return FirewallNeeds(host.name, unknown=(why,))
    facts, unknown = state.facts, []
    rules: list[FirewallRule] = []
    if facts.proxy_version:
        rules += _services(snapshot, host, facts)
        rules += _proxies(snapshot, host, facts)
    else:
        unknown.append("no proxy is up on it: what services and published ports need is left out")
    rules += _ports(claims.of(host), facts, _networks(snapshot, facts))
    rules += _containers(snapshot, facts)
    rules += _masters(snapshot, host, facts, agents, people)
    return FirewallNeeds(host.name, tuple(rules), tuple(unknown))


def _networks(snapshot: Snapshot, facts: HostFacts) -> tuple[str, ...]:
    """Where containers of this host have their addresses: the host's range, and what apps say of theirs."""
    own = {
        network.subnet
        for record in snapshot.apps.values()
        for network in record.app.networks.values()
        if network.subnet and not network.external
    }
    given = [facts.container_range] if facts.container_range else []
    found: list[str] = []
    for text in [*given, *sorted(own)]:
        network = ipaddress.ip_network(text, strict=False)
        if not any(_within(network, ipaddress.ip_network(one)) for one in found):
            found.append(str(network))
    return tuple(found)


def _within(network: object, other: object) -> bool:
    four, six = ipaddress.IPv4Network, ipaddress.IPv6Network
    if isinstance(network, four) and isinstance(other, four):
        return network.subnet_of(other)
    return isinstance(network, six) and isinstance(other, six) and network.subnet_of(other)


def _services(snapshot: Snapshot, host: HostRecord, facts: HostFacts) -> Iterator[FirewallRule]:
    networks = _networks(snapshot, facts)
    if snapshot.address_range and networks:
        yield FirewallRule(
            Hook.INPUT,
            "containers to service addresses; the proxy asks each caller who it is",
            sources=networks,
            destinations=(snapshot.address_range,),
        )
    if networks:
        yield FirewallRule(
            Hook.OUTPUT, "the proxy to containers of this host", destinations=networks
        )


def _proxies(snapshot: Snapshot, host: HostRecord, facts: HostFacts) -> Iterator[FirewallRule]:
    others = [
        state.facts
        for host_id, state in sorted(snapshot.observed.items())
        if host_id != host.host_id and host_id in snapshot.hosts
    ]
    sources = _sorted(address for other in others for address in other.addresses)
    if sources and facts.proxy_port:
        yield FirewallRule(
            Hook.INPUT,
            "other hosts' proxies to this one's (TLS)",
            ports=(facts.proxy_port,),
            sources=sources,
        )
    for port in sorted({other.proxy_port for other in others if other.proxy_version}):
        addresses = (one.proxy_address for one in others if one.proxy_port == port)
        yield FirewallRule(
            Hook.OUTPUT,
            "this proxy to other hosts' (TLS)",
            ports=(port,),
            destinations=_sorted(address for address in addresses if address),
        )


def _ports(
    claims: Iterable[Claim], facts: HostFacts, networks: tuple[str, ...]
) -> Iterator[FirewallRule]:
    """Of each service, by protocol and address."""
    groups: dict[tuple[str, str, str, str], set[tuple[int, int]]] = {}
    for claim in claims:
        if claim.kind in (Holder.INSTANCE, Holder.SERVICE) and claim.port.published:
            key = f"{claim.app}/{claim.service}", _how(claim), claim.port.protocol, _at(claim)
            groups.setdefault(key, set()).add((claim.port.published, claim.port.target))
    for (name, how, protocol, address), ports in sorted(groups.items()):
        published = tuple(sorted({port for port, _ in ports}))
        at = (address,) if address else ()
        if how == _ENGINE:
            targets = tuple(sorted({target for _, target in ports}))
            yield FirewallRule(
                Hook.FORWARD,
                f"{name}: mode: host, {protocol.upper()}, handed on by {facts.engine or 'the engine'}",
                protocol,
                targets,
                destinations=networks,
                forwarded=published,
            )
        else:
            yield FirewallRule(Hook.INPUT, f"{name}: {how}", protocol, published, destinations=at)


_ENGINE = "mode: host"


def _how(claim: Claim) -> str:
    if claim.kind is Holder.SERVICE:
        return "published, answered by the proxy"
    return "network_mode: host" if claim.container else _ENGINE


def _at(claim: Claim) -> str:
    return "" if claim.port.host_ip in EVERY_ADDRESS else claim.port.host_ip


def _containers(snapshot: Snapshot, facts: HostFacts) -> Iterator[FirewallRule]:
    networks = _networks(snapshot, facts)
    if not networks:
        return
    yield FirewallRule(
        Hook.FORWARD,
        "containers to anywhere else; not where they may not",
        "",
        sources=networks,
    )
    if facts.engine == "podman":
        for protocol in ("udp", "tcp"):
            yield FirewallRule(
                Hook.INPUT, "containers to Podman's name server", protocol, (DNS,), networks
            )


def _masters(
    snapshot: Snapshot, host: HostRecord, facts: HostFacts, agents: Masters, people: Masters
) -> Iterator[FirewallRule]:
    here = {host.name, facts.hostname, *facts.addresses}
    everywhere = _sorted(
        address for state in snapshot.observed.values() for address in state.facts.addresses
    )
    for name, places in sorted(agents.items()):
        for where, port in places:
            if where in here:
                why = f"agents to master {name}"
                yield FirewallRule(Hook.INPUT, why, ports=(port,), sources=everywhere)
            to = (where,) if _is_address(where) else ()
            why = f"this host's agent to master {name}" + ("" if to else f" ({where})")
            yield FirewallRule(Hook.OUTPUT, why, ports=(port,), destinations=to)
    for name, places in sorted(people.items()):
        for where, port in places:
            if where in here:
                why = f"people and their tools to master {name}; narrow it to theirs"
                yield FirewallRule(Hook.INPUT, why, ports=(port,))


def _sorted(addresses: Iterable[str]) -> tuple[str, ...]:
    found = {ipaddress.ip_address(one) for one in addresses if _is_address(one)}
    return tuple(str(one) for one in sorted(found, key=lambda one: (one.version, int(one))))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
