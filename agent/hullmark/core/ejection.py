"""What becomes of a host's containers when its agent leaves: who restarts each, and a Compose project for each app.

Pure, from the accepted orders and what the engine has. The engine gets a restart policy for every container that is asked
for. A Compose project has one service for each of those, with the container's own name: so bringing it up beside the
container that runs fails on the name, and never gives one volume to two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from hullmark.core.ejectionproject import Member, Project, project
from hullmark.core.found import Found, FoundState
from hullmark.core.restart import Attempt, Verdict, judge
from hullmark.model.app import (
    EVERY_ADDRESS,
    Bundle,
    ContainerSpec,
    Logging,
    MountKind,
    RestartCondition,
)
from hullmark.model.directory import PublishedEntry, ServiceName
from hullmark.model.ejection import NO_RESTART, EngineRestart
from hullmark.model.orders import Assignment, InstanceId, Orders


@dataclass(frozen=True)
class Present:
    """A container of the cluster. `found.name` is the name that the engine has for it. `has_hosts`: its hosts file is the agent's."""

    found: Found
    restart: EngineRestart = NO_RESTART
    has_hosts: bool = False


@dataclass(frozen=True)
class Scene:
    """All that is known. `engine` is `docker` or `podman`. By spec hash: `logging`, what the engine is told where the
    app says nothing, and `images`, the id that the reference of an image without a digest has now. `published`: what the host's proxy answers."""

    orders: Orders
    engine: str
    present: Sequence[Present] = ()
    attempts: Mapping[str, Attempt] = field(default_factory=dict)
    logging: Mapping[str, Logging] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    ulimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    checks_health: bool = True
    published: tuple[PublishedEntry, ...] = ()


@dataclass(frozen=True)
class Kept:
    """A container that stays, and what its engine is to do when it ends. `start`: it is down only because the agent was
    about to start it again. `remarks` are for people."""

    instance: InstanceId
    container_id: str
    name: str
    running: bool
    restart: EngineRestart
    has: EngineRestart
    start: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Leftover:
    """A container of the cluster that is left as it is, and why."""

    container_id: str
    name: str
    why: str


@dataclass(frozen=True)
class Ejection:
    """`once` are running instances that must never run twice (`on_host_lost: stop`); `movable` those without local data,
    which a leader starts elsewhere unless their service says `keep`. `proxied` are the ports that the host's proxy answers,
    also for services that have no instance here."""

    projects: tuple[Project, ...]
    kept: tuple[Kept, ...]
    leftovers: tuple[Leftover, ...]
    once: tuple[InstanceId, ...]
    movable: tuple[InstanceId, ...]
    proxied: Mapping[ServiceName, tuple[PublishedEntry, ...]] = field(default_factory=dict)


def eject(scene: Scene) -> Ejection:
    by_name = {one.found.instance.container_name: one for one in scene.present}
    chosen = _one_for_each_slot(scene.orders.assignments, by_name)
    members: dict[str, list[Member]] = {}
    kept: list[Kept] = []
    for assignment in chosen:
        bundle = scene.orders.bundles[assignment.spec_hash]
        present = by_name.get(assignment.instance.container_name)
        if present is not None and present.found.spec_hash != assignment.spec_hash:
            continue
        if present is not None:
            kept.append(_kept(scene, assignment, bundle.container, present))
        member = _member(scene, assignment, bundle, present)
        members.setdefault(assignment.instance.app, []).append(member)
    running = {one.instance for one in kept if one.running}
    return Ejection(
        tuple(project(app, found) for app, found in sorted(members.items())),
        tuple(kept),
        tuple(_leftovers(scene, {one.container_id for one in kept})),
        tuple(a.instance for a in chosen if a.stop_unheard_s and a.instance in running),
        tuple(
            a.instance
            for a in chosen
            if not a.stop_unheard_s and not _has_local_data(scene.orders.bundles[a.spec_hash])
        ),
        {one.name: _proxied(scene, one.name) for one in _by_proxy(scene)},
    )


def _by_proxy(scene: Scene) -> Iterator[PublishedEntry]:
    """Without what the engine has still, as older versions had it answer all: the proxy leaves that to it."""
    bound = [port for one in scene.present for port in one.found.ports if port.protocol == "tcp"]
    for entry in sorted(scene.published):
        hosts = {port.host_ip for port in bound if port.published == entry.port}
        if not hosts & {*EVERY_ADDRESS, entry.host_ip}:
            yield entry


def _proxied(scene: Scene, name: ServiceName) -> tuple[PublishedEntry, ...]:
    return tuple(one for one in _by_proxy(scene) if one.name == name)


def restart_of(spec: ContainerSpec, engine: str) -> EngineRestart:
    """The nearest that engines have. They know no delay and no window; what is to run at all times is `always` on Podman,
    whose unit starts nothing else after a boot, and `unless-stopped` on Docker, so that what a person stopped stays so."""
    condition = spec.restart.condition
    if condition is RestartCondition.NONE:
        return NO_RESTART
    if condition is RestartCondition.ON_FAILURE or spec.one_shot:
        return EngineRestart("on-failure", spec.restart.max_attempts)
    return EngineRestart("always" if engine == "podman" else "unless-stopped")


def _one_for_each_slot(
    assignments: Iterable[Assignment], by_name: Mapping[str, Present]
) -> list[Assignment]:
    """While a change is under way a slot may have two: the newest that runs, or else the newest."""

    def rank(one: Assignment) -> tuple[bool, int]:
        present = by_name.get(one.instance.container_name)
        return present is not None and _runs(present.found), one.instance.generation

    best: dict[tuple[str, str, int], Assignment] = {}
    for one in assignments:
        slot = (one.instance.app, one.instance.service, one.instance.slot)
        if slot not in best or rank(one) > rank(best[slot]):
            best[slot] = one
    return [best[slot] for slot in sorted(best)]


def _kept(scene: Scene, assignment: Assignment, spec: ContainerSpec, present: Present) -> Kept:
    found = present.found
    attempt = scene.attempts.get(assignment.instance.container_name, Attempt())
    start = _would_start(assignment, spec, found, attempt)
    return Kept(
        assignment.instance,
        found.container_id,
        found.name,
        _runs(found),
        restart_of(spec, scene.engine),
        present.restart,
        start,
        tuple(_remarks(scene, assignment, spec, present, start)),
    )


def _would_start(
    assignment: Assignment, spec: ContainerSpec, found: Found, attempt: Attempt
) -> bool:
    """What must never run twice is for a person to start: a leader may have started it elsewhere."""
    if not assignment.released or assignment.stop_unheard_s:
        return False
    if found.state is FoundState.ENDED:
        return judge(spec, found, attempt)[0] is Verdict.AGAIN
    return found.state is FoundState.CREATED


def _remarks(
    scene: Scene, assignment: Assignment, spec: ContainerSpec, present: Present, start: bool
) -> Iterable[str]:
    found, restart = present.found, spec.restart
    if restart.condition is RestartCondition.ANY and restart.max_attempts and not spec.one_shot:
        yield f"engines have no limit of {restart.max_attempts} restarts for what always restarts"
    if spec.healthcheck is not None and not spec.healthcheck.disabled and not scene.checks_health:
        yield "nobody runs its health check: this engine leaves that to systemd"
    starts_not = f"{scene.engine.capitalize()} does not start it again after that"
    emptied = "Docker restarts it with an empty one after that, without localhost, or not at all"
    for is_there, what, then in (
        (spec.configs, "configs are", starts_not),
        (present.has_hosts, "/etc/hosts is", emptied if scene.engine == "docker" else starts_not),
    ):
        if is_there:
            yield (
                f"its {what} mounted from the agent's state folder: hand it over before that is "
                f"removed; {then}"
            )
    if _runs(found) or start:
        return
    if found.state is FoundState.PAUSED:
        yield "it is paused"
    elif _completed(spec, found):
        yield "it has completed"
    elif assignment.stop_unheard_s:
        yield "it is stopped and must never run twice: start it once you know that it runs nowhere"
    else:
        yield "it is stopped"


def _member(
    scene: Scene, assignment: Assignment, bundle: Bundle, present: Optional[Present]
) -> Member:
    found = present.found if present is not None else None
    spec = bundle.container
    image_now = scene.images.get(assignment.spec_hash, "")
    moved = found is not None and image_now not in ("", found.image_id)
    # A port that the engine picked is kept: whoever uses it knows it by now.
    bound = found.ports if found is not None and found.ports else assignment.ports
    return Member(
        assignment.instance,
        bundle,
        found.name if found is not None else assignment.instance.container_name,
        () if spec.network_mode == "host" else bound,
        restart_of(spec, scene.engine),
        exists=found is not None,
        completed=found is not None and _completed(spec, found),
        image_id=found.image_id if found is not None and moved else "",
        logging=scene.logging.get(assignment.spec_hash, spec.logging),
        ulimits=scene.ulimits,
        proxied=_proxied(scene, ServiceName(bundle.app, bundle.service)),
    )


def _leftovers(scene: Scene, kept: set[str]) -> Iterable[Leftover]:
    assigned = {one.instance for one in scene.orders.assignments}
    buried = {one.instance: one.reason for one in scene.orders.tombstones}
    for one in scene.present:
        found = one.found
        if found.container_id in kept:
            continue
        if found.instance in buried:
            why = f"was to be removed: {buried[found.instance] or 'its leader said so'}"
        elif found.instance in assigned:
            why = "another instance of its slot stays, or it has another spec than was asked for"
        else:
            why = "no order names it"
        yield Leftover(found.container_id, found.name, why)


def _completed(spec: ContainerSpec, found: Found) -> bool:
    return found.state is FoundState.ENDED and judge(spec, found, Attempt())[0] is Verdict.COMPLETED


def _runs(found: Found) -> bool:
    return found.state is FoundState.RUNNING


def _has_local_data(bundle: Bundle) -> bool:
    return any(
        mount.kind is MountKind.BIND or (mount.kind is MountKind.VOLUME and mount.source)
        for mount in bundle.container.mounts
    )
