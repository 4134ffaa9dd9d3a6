"""Generations: which instances have to be made again when an app changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Optional

from hullmark.core.serviceports import by_engine
from hullmark.errors import InvalidInput, NotFound, Problem
from hullmark.model import wire
from hullmark.model.app import App, DeployMode, Service, bundle
from hullmark.model.change import Change
from hullmark.model.records import AppRecord
from hullmark.model.snapshot import Snapshot

NOTHING_TAKEN_OVER: Mapping[str, int] = {}
MAX_REPLICAS = 5000
"""Of one service. Far above what a host runs; a slip of the finger should not fill the store."""
BELIEVED_MOST = 10**8
"""The highest generation that a host is believed to have. Names of containers have room for nine digits, and a host that
says what can't be must not use them up for all others."""


def next_record(
    old: Optional[AppRecord],
    app: App,
    change: Change,
    *,
    floor: int = 0,
    takeover: Mapping[str, int] = NOTHING_TAKEN_OVER,
) -> AppRecord:
    """The app's record after this change; `old` itself where nothing differs.

    `floor` is the highest generation that any instance of the app still has anywhere
    (`highest_generation`). An app that was removed begins above it, so that a container of its former
    life never passes for one of the new, unless it is of the very same spec: `takeover` has the generations that services
    take over from containers which no order names (`adoption.takeover`). What is being removed counts as removed.
    """
    alive = old if old is not None and not old.removing else None
    kept = alive.generations if alive is not None else {}
    if alive is not None and alive.app == app and not takeover:
        return alive
    generation = max(old.generation if old is not None else 0, floor) + 1
    hashes = spec_hashes(app)
    moved = _moved(alive, app, hashes)
    if moved - takeover.keys():
        moved |= {name for name, service in app.services.items() if service.container.one_shot}
    generations = {
        name: takeover.get(name) or (generation if name in moved else kept[name]) for name in hashes
    }
    return AppRecord(app, generation, change, generations, hashes)


def spec_hashes(app: App) -> dict[str, str]:
    """By service."""
    return {name: wire.digest(bundle(app, name)) for name in sorted(app.services)}


def taken_back(old: AppRecord, former: AppRecord, change: Change, *, floor: int = 0) -> AppRecord:
    """The record in which a former generation's spec is taken back; `old` itself where nothing differs.

    It is a new generation. A service that is as it was then has the number that it had then, so that its
    instances which were not replaced since are left alone; one-shots run again where anything is replaced.
    """
    if old.app == former.app:
        return old
    generation = max(old.generation, floor) + 1
    services = former.app.services
    moved = _moved(old, former.app, former.spec_hashes)
    generations = {}
    for name, service in services.items():
        generations[name] = old.generations[name] if name not in moved else former.generations[name]
        if service.container.one_shot and moved:
            generations[name] = generation
    return AppRecord(
        former.app,
        generation,
        change,
        generations,
        former.spec_hashes,
        former.warnings,
        rolled_back_to=former.generation,
    )


def _moved(alive: Optional[AppRecord], app: App, hashes: Mapping[str, str]) -> set[str]:
    """Services whose containers can't be kept. Ports that the engine binds count: it fixes them when it makes the container. Those that
    proxies answer do not, nor does whom the service may use."""
    if alive is None:
        return set(hashes)
    return {
        name
        for name, spec_hash in hashes.items()
        if name not in alive.generations
        or alive.spec_hashes.get(name) != spec_hash
        or by_engine(alive.app.services[name].ports) != by_engine(app.services[name].ports)
    }


def highest_generation(snapshot: Snapshot, app: str) -> int:
    """The highest generation of the app's instances: assigned, to be removed, or found on a host."""
    found = [0]
    for orders in snapshot.assignments.values():
        found += [i.instance.generation for i in orders.assignments if i.instance.app == app]
        found += [i.instance.generation for i in orders.tombstones if i.instance.app == app]
    for state in snapshot.observed.values():
        for statuses in (state.instances, state.orphans):
            found += [
                status.instance.generation
                for status in statuses.values()
                if status.instance.app == app and status.instance.generation <= BELIEVED_MOST
            ]
    return max(found)


def scaled(app: App, replicas: Mapping[str, int]) -> App:
    """The app with other numbers of instances. Raises NotFound for a service that it lacks,
    InvalidInput for a number that can't be."""
    missing = sorted(set(replicas) - set(app.services))
    if missing:
        raise NotFound(
            f"app {app.name} has no service {', '.join(missing)}",
            remedy=f"its services: {', '.join(sorted(app.services))}",
        )
    problems = list(_scale_problems(app, replicas))
    if problems:
        raise InvalidInput(problems)
    services = dict(app.services)
    for name, number in replicas.items():
        deploy = dataclasses.replace(services[name].deploy, replicas=number)
        services[name] = dataclasses.replace(services[name], deploy=deploy)
    return dataclasses.replace(app, services=services)


def _scale_problems(app: App, replicas: Mapping[str, int]) -> Iterable[Problem]:
    if not replicas:
        yield Problem("no service is named", field="services", allowed="SERVICE: NUMBER")
    for name, number in sorted(replicas.items()):
        field = f"services.{name}"
        if app.services[name].deploy.mode is DeployMode.GLOBAL:
            yield Problem("runs once on each host (mode: global), so it has no number", field=field)
        elif not 0 <= number <= MAX_REPLICAS:
            yield Problem(f"{number} is out of range", field=field, allowed=f"0 to {MAX_REPLICAS}")


def is_pinned(service: Service) -> bool:
    """Whether the service's image names one set of bytes, whatever its tag comes to mean."""
    return bool(service.container.digest) or "@" in service.container.image


def pinned(app: App, digests: Mapping[str, str]) -> App:
    """The app with digests by service name. Empty ones and unknown names change nothing."""
    services = dict(app.services)
    for name, digest in digests.items():
        if digest and name in services:
            container = dataclasses.replace(services[name].container, digest=digest)
            services[name] = dataclasses.replace(services[name], container=container)
    return dataclasses.replace(app, services=services)


def exposing(app: App, exposed: Mapping[str, tuple[str, ...]]) -> App:
    """The app with what its images expose, by service name. Others stay as they are."""
    services = {
        name: dataclasses.replace(service, exposed=exposed.get(name, service.exposed))
        for name, service in app.services.items()
    }
    return dataclasses.replace(app, services=services)


def known_exposed(old: Optional[AppRecord], app: App) -> dict[str, tuple[str, ...]]:
    """What the images expose that the app has now, by service, where they are the very same."""
    if old is None or old.removing:
        return {}
    found = {}
    for name, service in app.services.items():
        before = old.app.services.get(name)
        if before is not None and before.exposed and _image(before) == _image(service):
            found[name] = before.exposed
    return found


def _image(service: Service) -> tuple[str, str, str]:
    container = service.container
    return container.image, container.platform, container.digest


def known_digests(old: Optional[AppRecord], app: App) -> dict[str, str]:
    """Digests that the app has now, by service, for images that are still written the same way."""
    if old is None or old.removing:
        return {}
    found = {}
    for name, service in app.services.items():
        before = old.app.services.get(name)
        if before is None or is_pinned(service) or not before.container.digest:
            continue
        here, there = service.container, before.container
        if (here.image, here.platform) == (there.image, there.platform):
            found[name] = there.digest
    return found
