"""What has to be looked up on this host before its policy can be asked of a request: paths as the engine will follow them, volumes,
networks and the image as the engine has them.

Paths are followed where the agent stands. Its service has the host's files as they are, read-only (see its unit); an engine whose
own service was given other files than the host's would follow paths there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from hullmark.agentd import hostnames
from hullmark.agentd.starts import Flight, is_written
from hullmark.config import AgentConfig
from hullmark.core import judging
from hullmark.engine import inspection
from hullmark.engine.docker_api import SOCKETS
from hullmark.engine.protocol import Engine, Hand
from hullmark.errors import NotFound, PolicyRefused, Refused
from hullmark.host.mounts import Mounts, Place, is_within
from hullmark.host.ways import Way, follow
from hullmark.model import names
from hullmark.model.policy import (
    Guarded,
    ImageSight,
    Needs,
    NetworkSight,
    PathSight,
    Sights,
    VolumeSight,
)

_OURS = (
    Guarded("/etc/hullmark", "Hullmark's configuration, with credentials for registries"),
    Guarded("/var/lib/hullmark", "the keys of this host, or of the cluster"),
    Guarded("/run/hullmark", "the master's socket"),
    Guarded("/usr/share/hullmark", "Hullmark itself", readable=True),
    Guarded("/etc/docker", "the engine's configuration", readable=True),
    Guarded("/etc/containers", "the engine's configuration", readable=True),
    Guarded("/var/lib/docker", "the engine's data: every container", readable=True),
    Guarded("/var/lib/containers", "the engine's data: every container", readable=True),
    Guarded("/var/lib/containerd", "the engine's data: every container", readable=True),
    *(
        Guarded(f"/run/{name}", "sockets and state of the engine and its runtime")
        for name in ("docker", "containerd", "podman", "containers", "libpod", "crio", "runc")
    ),
)
"""Of a socket it doesn't matter whether it is mounted read-only: by one of a shim's, too, anything can be run."""

PATHS_MAX = 500
"""Of one request. Each has to be held against all that is mounted on this host."""
JOINS_MAX = 4
"""Containers that are followed of those that join one another. Beyond it counts as the host's own."""
_GAINS_NOTHING = ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true")


@dataclass(frozen=True)
class Subject:
    """Whose request is judged. `service` is empty for what belongs to an app as a whole. `container_id` is that of a container
    that exists: what it writes itself changes no way of its own before it runs."""

    app: str
    service: str = ""
    scope: str = ""
    container_id: str = ""


@dataclass(frozen=True)
class Writing:
    """What of this host a container that is up may write to."""

    container_id: str
    name: str
    places: tuple[Place, ...]


class Viewpoint:
    """From where this host's agent sees it. `engine` None: it can't be asked, and what it has is left out. May be used from any
    thread."""

    def __init__(self, config: AgentConfig, engine: Optional[Engine]) -> None:
        self._engine = engine
        self._hosts_files = Path(config.state_dir) / hostnames.FOLDER
        self._own_folders = [Path(config.state_dir) / "configs", self._hosts_files]
        self._sockets = (config.engine_socket.partition("://")[2], *SOCKETS)
        self._guarded = (
            *_OURS,
            Guarded(config.state_dir, "the agent's folder, with the keys of this host"),
            Guarded(config.registries_dir, "credentials for registries"),
            Guarded(config.policy_dir, "the host's policy", readable=True),
            Guarded(config.audit_dir, "the audit log", readable=True),
        )

    @property
    def is_blind(self) -> bool:
        """Whether there is no engine to be asked."""
        return self._engine is None

    def inspected(self, container_id: str) -> Mapping[str, Any]:
        """Raises NotFound."""
        if self._engine is None:
            raise NotFound(f"container {container_id}: there is no engine to ask")
        return self._engine.inspected(container_id)

    def look(
        self,
        needs: Needs,
        subject: Subject,
        *,
        own_files: tuple[str, ...] = (),
        removed_image: bool = False,
        mounted: bool = False,
    ) -> Sights:
        """`removed_image`: one that the engine no longer has is left out. `mounted`: the paths were followed already, by the engine, so
        that nobody can change where they led. Raises NotFound where the engine lacks the image,
        EngineUnavailable where it doesn't answer, Refused where it can't be seen what is mounted on this host."""
        engine = self._engine
        if len(needs.paths) > PATHS_MAX:
            raise PolicyRefused(f"request: more than {PATHS_MAX} paths of this host (built in)")
        leads = bool(needs.paths or needs.volumes) and not mounted
        hands = engine.hands() if engine is not None and leads else ()
        mounts = _mounts()
        sockets = self._socket_ends(mounts)
        writings = _writings(mounts, hands, subject.container_id)
        volumes = {} if engine is None else dict(_volumes(engine, needs.volumes))
        named = (path for one in volumes.values() for path in judging.needed_by_volume(one))
        ways = {path: follow(path, mounts=mounts) for path in {*needs.paths, *named}}
        return Sights(
            engine="docker" if engine is None else engine.info().name,
            app=subject.app,
            service=subject.service,
            scope=subject.scope,
            paths={
                path: seen(self._watched(way, mounts, writings), mounts, sockets)
                for path, way in ways.items()
                if way.end
            },
            troubles={path: way.trouble for path, way in ways.items() if not way.end},
            volumes=volumes,
            networks={} if engine is None else dict(_networks(engine, needs.networks)),
            joined={} if engine is None else _joined(engine, needs.containers),
            image=_image(engine, needs.image, removed_image) if engine is not None else None,
            own_files=(*own_files, *self._own_files()),
            engine_sockets=sockets,
            guarded=self._guarded_ends(mounts),
        )

    def flight(self, inspected: Mapping[str, Any]) -> Flight:
        """Of a container that is about to be started. Raises as `look` does."""
        needs = judging.needed_to_start(inspected)
        engine, mounts = self._engine, _mounts()
        volumes = {} if engine is None else dict(_volumes(engine, needs.volumes))
        named = [path for one in volumes.values() for path in judging.needed_by_volume(one)]
        ways = [follow(path, mounts=mounts) for path in (*needs.paths, *named)]
        through = {folder: None for way in ways for folder in way.through}
        row = {"Id": "", "State": "running", "Mounts": inspected.get("Mounts")}
        written = [*named, *(hand.path for hand in inspection.hands([row]))]
        return Flight(
            tuple(place for place in map(mounts.place, through) if place),
            tuple(place for path in written for place in _shown(path, mounts)),
        )

    def _watched(self, way: Way, mounts: Mounts, writings: Sequence[Writing]) -> Way:
        """With those folders on it that a container may change."""
        places = {folder: mounts.place(folder) for folder in way.through}
        loose = [
            f"{folder} (container {one.name} writes there)"
            for one in writings
            for folder, place in places.items()
            if place and is_written((place,), one.places) and self._may_be_root(one.container_id)
        ]
        return replace(way, loose=(*way.loose, *loose))

    def _may_be_root(self, container_id: str) -> bool:
        """Owners and modes keep others from changing what is root's."""
        try:
            return may_be_root(self.inspected(container_id))
        except NotFound:
            return False

    def _socket_ends(self, mounts: Mounts) -> tuple[str, ...]:
        ends = (follow(path, mounts=mounts).end for path in self._sockets if path)
        return tuple(dict.fromkeys(end for end in ends if end))

    def _guarded_ends(self, mounts: Mounts) -> tuple[Guarded, ...]:
        """Each by its own name and by where that leads."""
        found: dict[str, Guarded] = {}
        for one in self._guarded:
            for path in (os.path.normpath(one.path), follow(one.path, mounts=mounts).end):
                if path:
                    found.setdefault(path, replace(one, path=path))
        return tuple(found.values())

    def hosts_file(self, inspected: Mapping[str, Any]) -> str:
        """Where the agent has the hosts file of this container, if it has one. Where its folder was lost the file is there again a moment later, with other
        content than the container still sees."""
        name = str(inspected.get("Name") or "").lstrip("/")
        return str(self._hosts_files / name.replace("/", "_"))

    def _own_files(self) -> tuple[str, ...]:
        """The agent's copies of configs, and containers' hosts files."""
        found: list[str] = []
        for folder in self._own_folders:
            with suppress(OSError):
                found += (str(folder / name) for name in os.listdir(folder))
        return tuple(found)


def _mounts() -> Mounts:
    try:
        return Mounts.now()
    except OSError as error:
        raise Refused(f"what is mounted on this host can't be seen: {error.strerror}") from error


def seen(way: Way, mounts: Mounts, sockets: Sequence[str]) -> PathSight:
    """`engine_socket` also of what shows one by a mount that has no other name on this host."""
    also = mounts.others(way.end)
    named = any(is_within(socket, name) for socket in sockets for name in (way.end, *also))
    shown = not named and any(mounts.shows(way.end, socket) for socket in sockets)
    same = any(_is_same(way.end, socket) for socket in sockets)
    return PathSight(way.end, way.loose, same or shown, also, mounts.writable_below(way.end))


def _shown(path: str, mounts: Mounts) -> tuple[Place, ...]:
    end = follow(path, mounts=mounts).end
    return tuple(mounts.shown(end)) if end else ()


def _writings(mounts: Mounts, hands: Iterable[Hand], but_for: str) -> tuple[Writing, ...]:
    return tuple(
        Writing(hand.container_id, hand.name, _shown(hand.path, mounts))
        for hand in hands
        if hand.container_id != but_for
    )


def may_be_root(inspected: Mapping[str, Any]) -> bool:
    """By its user, or by a set-uid program."""
    config, host = inspected.get("Config") or {}, inspected.get("HostConfig") or {}
    number = str(config.get("User") or "").partition(":")[0]
    options = host.get("SecurityOpt") or ()
    held = any(option in _GAINS_NOTHING for option in options) and not host.get("Privileged")
    return not (held and number.isascii() and number.isdigit() and int(number))


def _is_same(path: str, socket: str) -> bool:
    """By another name in the same file system: a hard link."""
    try:
        return Path(path).samefile(socket)
    except OSError:
        return False


def _volumes(engine: Engine, wanted: Iterable[str]) -> Iterable[tuple[str, VolumeSight]]:
    for name in sorted(wanted):
        found = _found(engine.inspected_volume, name)
        # Podman also answers for a beginning of a name, by which it mounts nothing.
        if found is not None and found.get("Name") == name:
            yield (
                name,
                VolumeSight(
                    str(found.get("Driver") or "local"),
                    _texts(found.get("Options")),
                    str(found.get("Mountpoint") or ""),
                    _app(found),
                ),
            )


def _networks(engine: Engine, wanted: Iterable[str]) -> Iterable[tuple[str, NetworkSight]]:
    for name in sorted(wanted):
        found = _found(engine.inspected_network, name)
        if found is not None:
            yield (
                name,
                NetworkSight(
                    str(found.get("Name") or name),
                    str(found.get("Driver") or "bridge"),
                    _texts(found.get("Options")),
                    _app(found),
                ),
            )


def _joined(engine: Engine, wanted: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    found = {}
    for name in wanted:
        inspected = _found(engine.inspected, name)
        if inspected is not None:
            found[name] = _hosts(engine, inspected, JOINS_MAX)
    return found


def _hosts(engine: Engine, inspected: Mapping[str, Any], left: int) -> tuple[str, ...]:
    """Also what it has by joining others, one after the other."""
    has = set(judging.hosts_own(inspected))
    for name, other in judging.joined_by(inspected).items():
        further = _found(engine.inspected, other) if left else None
        if further is None or name in _hosts(engine, further, left - 1):
            has.add(name)
    return tuple(sorted(has))


def _image(engine: Engine, wanted: str, removed: bool) -> Optional[ImageSight]:
    if not wanted:
        return None
    try:
        found = engine.inspected_image(wanted)
    except NotFound:
        if removed:
            return None
        raise
    user = (found.get("Config") or {}).get("User")
    known = (*(found.get("RepoTags") or ()), *(found.get("RepoDigests") or ()))
    return ImageSight(str(user or ""), str(found.get("Id") or ""), tuple(map(str, known)))


def _found(inspect: Any, name: str) -> Optional[Mapping[str, Any]]:
    try:
        answer: Mapping[str, Any] = inspect(name)
    except NotFound:
        return None
    return answer


def _texts(options: Any) -> Mapping[str, str]:
    return {str(key): str(value) for key, value in (options or {}).items()}


def _app(found: Mapping[str, Any]) -> str:
    return str((found.get("Labels") or {}).get(names.LABEL_APP) or "")
