"""How checks look at containers that are up, ours and others': what the engine says of each, what the kernel says of its first
process, and which of its files are no longer its image's.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional, Protocol

from hullmark.engine.connection import segment
from hullmark.engine.protocol import Engine
from hullmark.errors import NotFound
from hullmark.model import names
from hullmark.model.control import Reading, Trouble

HOST = (
    *("Privileged", "ReadonlyRootfs", "SecurityOpt", "CapAdd", "CapDrop", "Devices", "PidMode"),
    *("IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode", "NetworkMode", "Memory", "MemorySwap"),
    *("PidsLimit", "NanoCpus", "CpuQuota", "CpuShares"),
)
MOUNT = ("Type", "Source", "Destination", "RW", "Propagation")
CONTAINERS_MOST = 500
ADDED_OR_MODIFIED = (0, 1)
_STATUS = re.compile(r"^(Uid|CapBnd|NoNewPrivs|Seccomp|State):.*$", re.MULTILINE)
_GROUP = re.compile(r"^\d+:([^:\n]*):(/[^\n]*)$", re.MULTILINE)
_NO_REGULAR_FILE = 0x8F280000
"""Bits of a file's mode, as Go has it, for what is no regular file."""
_SPECIAL = ((1 << 23, 0o4000), (1 << 22, 0o2000))
"""setuid and setgid, as Go has them and as everybody else does."""
_ENDLESS = re.compile(r"9223372036854\d{6}")
GROUPS_DEEP = 6


class Sight(Protocol):
    """What is needed of `host.eye.Eye`."""

    def wall(self) -> float: ...

    @property
    def left_s(self) -> float: ...

    def file(self, name: str, path: str, *, most: int = ...) -> Reading: ...

    def stat(self, name: str, path: str) -> Reading: ...

    def paths(self, pattern: str) -> tuple[str, ...]: ...

    def run(self, name: str, argv: Sequence[str], *, most: int = ...) -> Reading: ...


class First:
    """How each container was when it was seen first. Used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}

    def of(self, container_id: str, now: str) -> str:
        with self._lock:
            return self._known.setdefault(container_id, now)

    def keep(self, container_ids: set[str]) -> None:
        """Forget the others."""
        with self._lock:
            self._known = {one: how for one, how in self._known.items() if one in container_ids}


def settings(engine: Engine, sight: Sight) -> Iterator[Reading]:
    """`security`, and of each container that is up `container:NAME`."""
    yield _security(engine, sight)
    for found in _up(engine):
        yield _described(found, sight)


def drift(engine: Engine, sight: Sight, first: First) -> Iterator[Reading]:
    """Those of `settings`; where one is otherwise than at first, `first:NAME`; of its process `status:NAME`; its limits as the
    kernel has them, `memory:NAME` and `pids:NAME`; and what its image is, `image:NAME`."""
    yield _security(engine, sight)
    seen: set[str] = set()
    for found in _up(engine):
        now = _described(found, sight)
        name = now.name.partition(":")[2]
        seen.add(str(found["Id"]))
        yield now
        before = first.of(str(found["Id"]), now.text)
        if before != now.text:
            yield Reading(f"first:{name}", now.source, before, at=sight.wall())
        yield from _process(int((found.get("State") or {}).get("Pid") or 0), name, sight)
        yield _image(engine, name, str(found.get("Image") or ""), sight)
    first.keep(seen)


def files(engine: Engine, sight: Sight, given: Mapping[str, object]) -> Iterator[Reading]:
    """`changes:NAME` of each container that is up: how many files are not the image's, and those of them that are executable.
    `cut` where there were more than are looked at."""
    most = given.get("most")
    left = most if isinstance(most, int) else 0
    for row in _rows(engine):
        name, container_id = _name(row), str(row["Id"])
        source = f"GET /containers/{name}/changes"
        try:
            found = engine.told(f"/containers/{segment(container_id)}/changes") or []
        except NotFound:
            continue
        changed = _leaves(found)
        looked, executables = 0, []
        for path, kind in changed[:left]:
            if sight.left_s < 1.0:
                break
            looked += 1
            entry = _executable(engine, container_id, path)
            if entry is not None:
                executables.append({"path": path, "kind": kind, **entry})
        left -= looked
        said = {"changed": len(changed), "looked": looked, "executables": executables}
        yield Reading(
            f"changes:{name}",
            source,
            json.dumps(said),
            cut=looked < len(changed),
            at=sight.wall(),
        )


def _rows(engine: Engine) -> list[Mapping[str, Any]]:
    """Of containers that are up, in the order of their names."""
    return sorted(engine.told("/containers/json"), key=_name)[:CONTAINERS_MOST]


def _name(row: Mapping[str, Any]) -> str:
    return str((row.get("Names") or [row.get("Id", "")])[0]).lstrip("/")


def _up(engine: Engine) -> Iterator[Mapping[str, Any]]:
    for row in _rows(engine):
        try:
            yield engine.inspected(str(row["Id"]))
        except NotFound:
            continue


def _security(engine: Engine, sight: Sight) -> Reading:
    said = engine.told("/info").get("SecurityOptions") or []
    return Reading("security", "GET /info", json.dumps(said), at=sight.wall())


def _described(found: Mapping[str, Any], sight: Sight) -> Reading:
    """What is judged of it; its environment least of all."""
    config, host = found.get("Config") or {}, found.get("HostConfig") or {}
    labels = config.get("Labels") or {}
    name = str(found.get("Name") or found["Id"]).lstrip("/")
    said = {
        "image": config.get("Image") or "",
        "image_id": found.get("Image") or "",
        "user": config.get("User") or "",
        "made": labels.get(names.LABEL_MADE, ""),
        "apparmor": found.get("AppArmorProfile") or "",
        "host": {key: host.get(key) for key in HOST if key in host},
        # In whatever order the engine says them.
        "mounts": sorted(
            ({key: one.get(key) for key in MOUNT} for one in found.get("Mounts") or ()),
            key=lambda one: str(one["Destination"]),
        ),
        **({"bounding": sorted(found["BoundingCaps"])} if "BoundingCaps" in found else {}),
    }
    text = json.dumps(said, sort_keys=True)
    return Reading(f"container:{name}", f"GET /containers/{name}/json", text, at=sight.wall())


def _process(pid: int, name: str, sight: Sight) -> Iterator[Reading]:
    if not pid:
        return
    status = sight.file(f"status:{name}", f"/proc/{pid}/status")
    lines = "\n".join(match.group(0) for match in _STATUS.finditer(status.text))
    yield Reading(
        status.name,
        status.source,
        lines,
        errors=status.errors,
        trouble=status.trouble,
        at=status.at,
    )
    groups = sight.file("groups", f"/proc/{pid}/cgroup")
    places = {
        part: place for said, place in _GROUP.findall(groups.text) for part in said.split(",")
    }
    for limit, unified, old in (
        ("memory", "memory.max", "memory.limit_in_bytes"),
        ("pids", "pids.max", "pids.max"),
    ):
        if limit in places:  # control groups of version 1: a tree for each kind
            yield _limit(sight, f"{limit}:{name}", limit, places[limit], old)
        else:
            yield _limit(sight, f"{limit}:{name}", "", places.get("", ""), unified)


def _limit(sight: Sight, name: str, root: str, place: str, file: str) -> Reading:
    """The nearest one that there is: engines put a process below the group that has its container's limits."""
    found: Optional[Reading] = None
    parts = [part for part in place.split("/") if part]
    for length in range(len(parts), max(0, len(parts) - GROUPS_DEEP), -1):
        path = "/".join([part for part in (root, *parts[:length], file) if part])
        reading = sight.file(name, f"/sys/fs/cgroup/{path}")
        if found is not None and reading.trouble is not Trouble.NONE:
            return found
        found = reading
        text = reading.text.strip()
        if reading.trouble is not Trouble.NONE or not (text == "max" or _ENDLESS.fullmatch(text)):
            return found
    return found or Reading(name, "/sys/fs/cgroup", trouble=Trouble.MISSING, at=sight.wall())


def _image(engine: Engine, name: str, image_id: str, sight: Sight) -> Reading:
    source = f"GET /images/{image_id}/json"
    try:
        found = engine.inspected_image(image_id)
    except NotFound:
        return Reading(f"image:{name}", source, trouble=Trouble.MISSING, at=sight.wall())
    said = {"digests": found.get("RepoDigests") or [], "id": found.get("Id") or ""}
    return Reading(f"image:{name}", source, json.dumps(said), at=sight.wall())


def _leaves(found: Any) -> list[tuple[str, int]]:
    """Path and kind of what was added or modified, without the folders that it is in."""
    paths = {
        str(one["Path"]): int(one.get("Kind") or 0)
        for one in found
        if isinstance(one, dict) and one.get("Path") and one.get("Kind", 0) in ADDED_OR_MODIFIED
    }
    folders = {path.rpartition("/")[0] for path in paths}
    return sorted((path, kind) for path, kind in paths.items() if path not in folders)


def _executable(engine: Engine, container_id: str, path: str) -> Optional[dict[str, object]]:
    """Its mode and size; None where it isn't an executable file, or is gone."""
    try:
        found = engine.stat(container_id, path)
    except NotFound:
        return None
    mode = found.get("mode")
    if not isinstance(mode, int) or mode & _NO_REGULAR_FILE or not mode & 0o111:
        return None
    special = sum(bit for flag, bit in _SPECIAL if mode & flag)
    return {"mode": f"{mode & 0o777 | special:04o}", "size": found.get("size")}
