"""The way to a service from one that calls it: whether it may, where it runs, and by which names it knows the service there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.core import nameless, shutin
from hullmark.core.askers import networks_of, used_by
from hullmark.core.hostnames import PODMAN, Resident, hosts_text, names_of
from hullmark.core.portconflicts import listed
from hullmark.core.roster import Placed
from hullmark.core.serviceports import NO_NETWORK, is_host_network, may_serve
from hullmark.core.servicescopes import RULE
from hullmark.core.serviceview import EXPOSE, why_no_address
from hullmark.core.whybeside import engine_names, serving_hosts
from hullmark.core.whycase import Case
from hullmark.core.whyinstances import own_links
from hullmark.core.whylinks import broken, ok
from hullmark.model.app import Service
from hullmark.model.directory import ServiceName
from hullmark.model.names import HOSTS_FILE, engine_name
from hullmark.model.observed import to_type
from hullmark.model.records import AppRecord
from hullmark.model.why import Found, Link, Step

SOMEWHERE = "0.0.0.0"
DOCKER_HOSTS = "node.facts.engine == docker"


@dataclass(frozen=True)
class Caller:
    """`hosts`: ids of those that it is ordered to; `knowing`: those of them where nothing keeps it from knowing the service; `beside`: those where
    it knows no service address, and the engine's own names lead it to instances there. `partly`: what of it is broken has others like it that are not."""

    links: Sequence[Link] = ()
    hosts: frozenset[str] = frozenset()
    knowing: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    partly: bool = False


def caller_of(case: Case, record: AppRecord, service: str, name: ServiceName) -> Caller:
    """`record` and `service`: what it calls. Where it doesn't exist, or can call nothing, there is that link alone."""
    wrong = unable(case, name)
    if wrong is not None:
        return Caller([wrong])
    calling = case.snapshot.apps[name.app]
    called = ServiceName(record.app.name, service)
    right = _right(record, calling, called, name)
    placed = case.survey.roster.placed(name.app, name.service)
    hosts = frozenset(item.host_id for item in placed) & case.snapshot.hosts.keys()
    own = [
        dataclasses.replace(link, step=Step.CALLER, text=_of_caller(link, name))
        for link in own_links(case, calling, name.service)
    ]
    links = [right, *_turned_away(case, called, name), *own]
    if right.found is Found.BROKEN:
        used = tuple(used_by(name.app, calling.app.services[name.service]))
        links[0] = _with_advice(_or_not_yet(case, right, hosts), called, name, used)
        return Caller(links, hosts, partly=_runs(case, placed))
    knows = [(item, _names(case, item, calling, called)) for item in placed]
    lost = {item.host_id for item, link in knows if link and link.found is Found.BROKEN}
    links += [link for _, link in knows if link is not None]
    beside = {item.host_id for item, link in knows if link and link.partly}
    return Caller(links, hosts, hosts - lost, frozenset(beside), _runs(case, placed))


def unable(case: Case, name: ServiceName) -> Optional[Link]:
    """Why it calls nobody by a service address; None where it may."""
    record = case.snapshot.apps.get(name.app)
    if record is None:
        return broken(Step.CALLER, f"there is no app {name.app}", "hullmark apps")
    if record.removing:
        return broken(Step.CALLER, f"app {name.app} is being removed", f"hullmark ps {name.app}")
    service = record.app.services.get(name.service)
    if service is None:
        names = ", ".join(sorted(record.app.services))
        text = f"app {name.app} has no service {name.service}, but {names}"
        return broken(Step.CALLER, text, "hullmark apps")
    if is_host_network(service):
        text = (
            f"{name} has its host's network: to a proxy it is any program of the host, and none "
            "may call service addresses; it can call a published port of a host, or be given networks instead of network_mode: host"
        )
        return broken(Step.CALLER, text)
    if service.container.network_mode == NO_NETWORK:
        then = "give it networks instead of network_mode: none"
        return broken(Step.CALLER, f"{name} has no network, and reaches nothing; {then}")
    return None


def no_address(record: AppRecord, service: str, why_none: str = "", *hosts: str) -> Link:
    """Of a service that is not called by one, which is no fault but for who would call it so. `why_none`: where more than that is to be said."""
    asked = record.app.services[service]
    text, command = why_none or f"none: {why_no_address(asked)}", ""
    then = EXPOSE
    if not may_serve(asked):
        then, command = (
            f"call a port of its host, where it has one; else change {service}",
            "hullmark ports",
        )
    return broken(Step.ADDRESS, f"{text}; {then}", command, *hosts)


def refused(case: Case, called: ServiceName, caller: Caller) -> Iterator[str]:
    """What the proxies where the caller is refused, of whoever called from there."""
    for host_id in sorted(caller.hosts & case.traffic.keys()):
        ports = case.traffic[host_id].ports
        count = sum(port.refused for port in ports if port.name == called)
        if count:
            yield (
                f"{case.host(host_id)}: its proxy refused {count} connections to {called} since its worker began; whose, "
                "say lines of hullmark-proxy in its log with "
                f'"outcome":"refused" and "subject":"{called}"'
            )


def _right(record: AppRecord, calling: AppRecord, called: ServiceName, name: ServiceName) -> Link:
    service = calling.app.services[name.service]
    if name == called:
        return ok(Step.RIGHT, f"instances of {name} may call each other")
    shared = _shared(record, calling, called, name)
    if shared:
        word = "network" if len(shared) == 1 else "networks"
        text = f"{name} and {called} are both on {word} {', '.join(shared)}"
        return ok(Step.RIGHT, text)
    if called in used_by(name.app, service):
        return ok(Step.RIGHT, f"{name} says that it uses {called}")
    apart = "share no network" if called.app == name.app else "are of different apps"
    text = (
        f"{name} and {called} {apart}, and {name} does not say that it uses {called}: it is refused"
    )
    return broken(Step.RIGHT, text)


def _or_not_yet(case: Case, right: Link, hosts: frozenset[str]) -> Link:
    """A host that is not heard was not told either, and others tell its containers apart by its word alone."""
    silent = sorted(case.host(host_id) for host_id in hosts if not case.is_ready(host_id))
    if not silent:
        return right
    text = f"{right.text}; but {listed(silent)}, not heard, may still go by what was true before"
    return dataclasses.replace(right, text=text)


def _with_advice(
    right: Link, called: ServiceName, name: ServiceName, used: Sequence[ServiceName]
) -> Link:
    """`used`: what it says already that it uses."""
    if used:
        key = f"x-hullmark.uses: [{', '.join(map(str, (*used, called)))}]"
        then = f"Have service {name.service} in {name.app}'s Compose file say {key}, and apply it"
    else:
        key = f"x-hullmark: {{uses: [{called}]}}"
        then = f"Add to service {name.service} in {name.app}'s Compose file: {key}, and apply it"
    return dataclasses.replace(right, text=f"{right.text}. {then}")


def _shared(
    record: AppRecord, calling: AppRecord, called: ServiceName, name: ServiceName
) -> Sequence[str]:
    """Keys of the app's own networks; other apps have other networks."""
    if called.app != name.app:
        return ()
    there = networks_of(record, record.app.services[called.service])
    return sorted(there.keys() & networks_of(calling, calling.app.services[name.service]).keys())


def _turned_away(case: Case, called: ServiceName, name: ServiceName) -> Iterator[Link]:
    """By policies of hosts that the service is on, where the caller is on others."""
    for flow in case.flows_between(name, called):
        if flow.refused_by:
            where = listed(list(flow.refused_by))
            text = f"{RULE} of {where} turns away what comes from other hosts with scope {flow.caller_scope}"
            link = broken(Step.RIGHT, text, f"hullmark policy show {called}")
            rest = set(flow.service_hosts) - {one.partition(" ")[0] for one in flow.refused_by}
            beside = set(flow.caller_hosts) & set(flow.service_hosts)
            place = flow.refused_by[0].partition(" ")[0]
            yield dataclasses.replace(link, partly=bool(rest or beside), next_on=place)


def _of_caller(link: Link, name: ServiceName) -> str:
    """A caller need not serve anything."""
    return f"{name} runs" if link.text == "serves" else f"{name}: {link.text}"


def _runs(case: Case, placed: Sequence[Placed]) -> bool:
    """As far as is known, or where nobody can tell."""
    return any(case.survey.serves(item) or case.survey.is_unheard(item) for item in placed)


def _names(case: Case, item: Placed, calling: AppRecord, called: ServiceName) -> Optional[Link]:
    """Of one instance; None where its host has nothing to give it names with, which is another link."""
    host, name = case.host(item.host_id), item.assignment.instance.service
    service, facts = calling.app.services[name], case.survey.facts(item.host_id)
    address = case.snapshot.addresses.get(str(called), "")
    if not (facts.proxy_version and address):
        return None
    if facts.engine == PODMAN and shutin.is_shut_in(calling.app, service):
        text = "only on internal networks, with Podman: it has no way to service addresses, and knows instances on its host only"
        then = f"give it a network that is not internal, or hosts with Docker ({DOCKER_HOSTS})"
        return broken(Step.NAMES, f"{text}; {then}", "", host)
    unmade = nameless.remedy(case.snapshot, calling.app, item)
    command = nameless.command(case.snapshot, calling.app, item)
    if unmade:
        text = f"{item.assignment.instance} was made before its host had a proxy, and knows no service addresses"
        record = case.snapshot.apps[called.app]
        names = engine_names(record, called.service, ServiceName(calling.app.name, name))
        if not names or item.host_id not in serving_hosts(case, record, called.service):
            return broken(Step.NAMES, f"{text} until it is made anew: {unmade}", command, host)
        text = f"{text} until it is made anew: {unmade}; {', '.join(names)} leads to what is beside it on its host, by the engine's own names"
        return dataclasses.replace(broken(Step.NAMES, text, command, host), partly=True)
    if _has_own_file(service):
        text = f"it brings a {HOSTS_FILE} of its own, which no service's name is written into"
        then = f"call {address}, or don't mount {HOSTS_FILE}"
        return broken(Step.NAMES, f"{text}; {then}", "", host)
    if case.survey.table is None:
        return None
    resident = _resident(item, service, facts.engine)
    known = names_of(address, hosts_text(resident, case.survey.table[item.host_id]))
    if not known:
        if len(resident.networks) < len(service.container.networks):
            text = f"it was taken off the network by which it may call {called}, and would know it; put it back"
            then = to_type(item.status.detail) if item.status is not None else ""
            return broken(Step.NAMES, text, then, host)
        text = f"its own hostname and extra_hosts have each name of {called} for something else"
        return broken(Step.NAMES, f"{text}; call {address}, or change those", "", host)
    return ok(Step.NAMES, f"knows it as {', '.join(known)}: {address}", host)


def _resident(item: Placed, service: Service, engine: str) -> Resident:
    """As its agent knows it, but for addresses: any will do, as only names are asked for."""
    instance, container = item.assignment.instance, service.container
    on = item.status.addresses if item.status is not None else {}
    networks = [place.network for place in container.networks]
    return Resident(
        ServiceName(instance.app, instance.service),
        tuple(one for one in networks if not on or engine_name(instance.app, one) in on),
        (SOMEWHERE,),
        container.hostname,
        container.domainname,
        container.extra_hosts,
        SOMEWHERE,
        engine,
    )


def _has_own_file(service: Service) -> bool:
    container = service.container
    targets = [each.target for each in container.mounts]
    targets += [each.target for each in (*container.configs, *container.secrets)]
    return HOSTS_FILE in targets
