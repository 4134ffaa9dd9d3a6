"""What keeps an app from reaching others, or from being reached, as it asks: said when it is planned and applied, with who is in the way.

A service that is used has to be there, with a port; the range of service addresses has to be nobody else's; published ports are judged by
`portconflicts`. What comes later, such as a program that takes a port, shows in `hullmark why`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Optional

from hullmark.core import addresses, idleports, shutin
from hullmark.core.portclaims import NO_MASTERS, Masters
from hullmark.core.portconflicts import conflicts, listed, party_of
from hullmark.core.serviceports import TCP, addressed, has_address, is_host_network, ports_of
from hullmark.errors import Problem
from hullmark.model.app import EVERY_ADDRESS, App, Service
from hullmark.model.host import PROXY
from hullmark.model.observed import NO_STATE
from hullmark.model.snapshot import Snapshot


def judged(
    snapshot: Snapshot, app: App, unsure: Collection[str] = (), masters: Masters = NO_MASTERS
) -> tuple[list[Problem], list[str]]:
    """What refuses the app, and warnings. What is wrong already with the app as it is refuses nothing: a new image has to get there all the
    same. `unsure` are services of which nobody knows yet what their image exposes."""
    alive = snapshot.apps.get(app.name)
    before = [] if alive is None or alive.removing else _problems(snapshot, alive.app, (), masters)
    found = _problems(snapshot, app, unsure, masters)
    standing = [f"{each.field}: {each.message}" for each in found if each in before]
    notes = [*standing, *deserted(snapshot, app), *_unanswered(snapshot, app)]
    notes += [*shutin.warnings(snapshot, app), *idleports.warnings(snapshot, app)]
    return [each for each in found if each not in before], notes


def deserted(snapshot: Snapshot, app: App) -> Iterator[str]:
    """Services of others that use what this app has no more, or has no port any more."""
    for other, record in sorted(snapshot.apps.items()):
        if other == app.name or record.removing:
            continue
        for name, service in sorted(record.app.services.items()):
            for used in service.uses:
                owner, _, wanted = used.partition("/")
                target = app.services.get(wanted)
                if owner == app.name and (target is None or not has_address(target)):
                    yield f"{other}/{name} uses {used}, which nobody can reach then"


def _problems(
    snapshot: Snapshot, app: App, unsure: Collection[str], masters: Masters
) -> list[Problem]:
    found = [*_unusable(snapshot, app, unsure), *conflicts(snapshot, app, masters)]
    if any(addressed(app)):
        found += _range_problems(snapshot, app)
    return found


def _unanswered(snapshot: Snapshot, app: App) -> Iterator[str]:
    """Ports of services' addresses that a host's proxy can't listen on, because something has them on every address of that host."""
    ports: dict[int, list[str]] = defaultdict(list)
    for name, service in sorted(app.services.items()):
        if has_address(service):
            for port in ports_of(service):
                ports[port].append(f"{app.name}/{name}")
    found: dict[tuple[int, str], list[str]] = defaultdict(list)
    for host in sorted(snapshot.hosts.values(), key=lambda host: host.name):
        facts = snapshot.observed.get(host.host_id, NO_STATE).facts
        for each in facts.listeners if facts.proxy_version else ():
            taken = each.protocol == TCP and each.address in EVERY_ADDRESS and each.process != PROXY
            if taken and each.port in ports:
                found[each.port, party_of(each)].append(host.name)
    for (port, party), hosts in sorted(found.items()):
        yield (
            f"{', '.join(ports[port])}: port {port} is not answered under its address on "
            f"{listed(list(dict.fromkeys(hosts)))}: {party} has it there on every address"
        )


def _unusable(snapshot: Snapshot, app: App, unsure: Collection[str]) -> Iterator[Problem]:
    for name, service in sorted(app.services.items()):
        for index, used in enumerate(service.uses):
            owner, _, wanted = used.partition("/")
            if owner == app.name and wanted in unsure:
                continue
            message = _lacking(snapshot, app, used)
            if message:
                field = f"services.{name}.x-hullmark.uses[{index}]"
                yield Problem(message, field=field, allowed=_usable(snapshot, app, owner))


def unserved(snapshot: Snapshot, app: App, name: str) -> Iterator[str]:
    """What one of its services uses and can't reach, because it is not there any more."""
    for used in app.services[name].uses:
        message = _lacking(snapshot, app, used)
        if message:
            yield f"it uses {message}"


def _lacking(snapshot: Snapshot, app: App, used: str) -> str:
    """Why no service of this app can use that one; empty where it can."""
    owner, _, wanted = used.partition("/")
    there = _owner(snapshot, app, owner)
    if there is None:
        return f"{used}: there is no app {owner}"
    why = _unreachable(there.services.get(wanted))
    return f"{used}: {why}" if why else ""


def _usable(snapshot: Snapshot, app: App, owner: str) -> str:
    """What could be used in place of that: services of the same app, or other apps."""
    there = _owner(snapshot, app, owner)
    if there is not None:
        return _some(addressed(there))
    others = (name for name, record in snapshot.apps.items() if not record.removing)
    return _some(sorted(set(others) - {app.name})) or "none yet: apply it first"


def _owner(snapshot: Snapshot, app: App, name: str) -> Optional[App]:
    """The app of that name, where `app` is as it is to be."""
    if name == app.name:
        return app
    record = snapshot.apps.get(name)
    return None if record is None or record.removing else record.app


def _unreachable(service: Optional[Service]) -> str:
    """Why it has no address; empty where it has."""
    if service is None:
        return "the app has no such service"
    if has_address(service):
        return ""
    if service.container.one_shot:
        return "it is a one-shot, and serves nobody"
    if is_host_network(service):
        return "it has the host's network, and no address of its own: use its host's"
    if service.container.network_mode:
        return f"with network_mode {service.container.network_mode} nothing reaches it"
    return "it has no TCP port: neither ports nor expose name one, nor does its image"


def _range_problems(snapshot: Snapshot, app: App) -> Iterator[Problem]:
    range_ = snapshot.address_range
    if not range_:
        return
    apps = [*(one.app for one in snapshot.apps.values() if one.app.name != app.name), app]
    wanted, room = sum(1 for each in apps for _ in addressed(each)), addresses.room(range_)
    if wanted > room:
        yield Problem(
            f"no address is left in services.range, {range_}: it has {room}, and {wanted} services would need one",
            field="services",
            allowed="a larger services.range on every master, or fewer services with ports",
        )
    found: dict[str, list[str]] = defaultdict(list)
    for host in sorted(snapshot.hosts.values(), key=lambda host: host.name):
        facts = snapshot.observed.get(host.host_id, NO_STATE).facts
        met = list(addresses.overlapping(range_, facts.networks))
        if met:
            found[f"{_some(met)}, to which there is a route"].append(host.name)
        for network in addresses.overlapping(range_, filter(None, [facts.container_range])):
            found[f"{network}, where apps' networks are (engine.subnets)"].append(host.name)
    for what, hosts in found.items():
        yield Problem(
            f"services.range, {range_}, meets {what} on {listed(hosts)}",
            field="services",
            allowed="another services.range on every master",
        )


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = ", ..." if len(listed) > 10 else ""
    return ", ".join(listed[:10]) + more
