"""Which paths a host needs that a firewall of its owner may close: of services, published ports, proxies, agents and masters.

Replies to what was let in, and what the host says to itself, are no paths of their own here: no host works without them.
Hosts say much of it, and one may lie: what comes of it is run by root on others, so it is an address, a network or a known word, or it is left out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from hullmark.core import absence, portrules
from hullmark.core.lastknown import proxies_of
from hullmark.core.portclaims import Claim, Claims, Masters
from hullmark.model import durations
from hullmark.model.app import EVERY_ADDRESS
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.loopback import is_loopback
from hullmark.model.ports import FirewallNeeds, FirewallRule, Holder, Hook
from hullmark.model.snapshot import Snapshot

DNS = 53
PROTOCOLS = ("tcp", "udp", "sctp")
ENGINES = ("docker", "podman")


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
    facts, unknown = state.facts, [*_old(snapshot, host), *_unheard(snapshot, host)]
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
    given = [facts.container_range] if _is_network(facts.container_range) else []
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
    """Of a host that this leader has not heard only the place of its proxy is known, where a former leader kept it."""
    places = {key: place for key, place in proxies_of(snapshot).items() if key != host.host_id}
    heard = (
        state.facts.addresses
        for host_id, state in snapshot.observed.items()
        if host_id != host.host_id and host_id in snapshot.hosts
    )
    kept = [place[0] for key, place in places.items() if key not in snapshot.observed]
    sources = _sorted(address for addresses in (*heard, kept) for address in addresses)
    if sources and facts.proxy_port:
        yield FirewallRule(
            Hook.INPUT,
            "other hosts' proxies to this one's (TLS)",
            ports=(facts.proxy_port,),
            sources=sources,
        )
    for port in sorted({port for _, port in places.values()}):
        yield FirewallRule(
            Hook.OUTPUT,
            "this proxy to other hosts' (TLS)",
            ports=(port,),
            destinations=_sorted(address for address, at in places.values() if at == port),
        )


def _old(snapshot: Snapshot, host: HostRecord) -> Iterator[str]:
    """What a lost host needs is not known to be less than before: it may be up without its agent, and needs it when it comes back."""
    if absence.is_lost(snapshot, host.host_id):
        told_s = snapshot.told_s(host.host_id)
        ago = durations.age(absence.silence_s(snapshot, host.host_id) if told_s is None else told_s)
        yield f"it is lost: these rules are for what it told last, {ago} ago, as it may go on without its agent; ask again when it is heard"


def _unheard(snapshot: Snapshot, host: HostRecord) -> Iterator[str]:
    """A rule that is not there for want of knowledge shall not be taken for one that is not needed."""
    silent = snapshot.hosts.keys() - snapshot.observed.keys() - {host.host_id}
    if silent:
        names = ", ".join(sorted(snapshot.host_name(host_id) for host_id in silent))
        yield f"not heard by this master yet: {names}; rules for their addresses may be missing: ask again when they are heard"


def _ports(
    claims: Iterable[Claim], facts: HostFacts, networks: tuple[str, ...]
) -> Iterator[FirewallRule]:
    """Of each service, by protocol and address."""
    groups: dict[tuple[str, str, str, str], set[tuple[int, int]]] = {}
    for claim in claims:
        is_open = claim.port.published and not is_loopback(claim.port.host_ip)
        is_sound = claim.port.protocol in PROTOCOLS and _is_address(_at(claim) or "::")
        is_there = claim.kind is Holder.INSTANCE or (
            claim.kind is Holder.SERVICE and facts.proxy_version
        )
        if is_open and is_sound and is_there and _allowed(claim, facts):
            key = f"{claim.app}/{claim.service}", _how(claim), claim.port.protocol, _at(claim)
            groups.setdefault(key, set()).add((claim.port.published, claim.port.target))
    engine = facts.engine if facts.engine in ENGINES else "the engine"
    for (name, how, protocol, address), ports in sorted(groups.items()):
        published = tuple(sorted({port for port, _ in ports}))
        at = (address,) if address else ()
        if how == _ENGINE:
            targets = tuple(sorted({target for _, target in ports}))
            yield FirewallRule(
                Hook.FORWARD,
                f"{name}: mode: host, {protocol.upper()}, handed on by {engine}",
                protocol,
                targets,
                destinations=networks,
                forwarded=published,
            )
        else:
            yield FirewallRule(Hook.INPUT, f"{name}: {how}", protocol, published, destinations=at)


def _allowed(claim: Claim, facts: HostFacts) -> bool:
    """By the host's own policy: what it forbids is answered by nobody there."""
    rules, port = facts.port_rules, claim.port
    return portrules.allows(
        rules, claim.app, claim.service, port.published, port.protocol, port.host_ip
    )


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
    """Without a zone, which is an interface of one host's, and for Python may be any text."""
    return "/" not in text and _is_network(text)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "%" not in text
