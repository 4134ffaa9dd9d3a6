"""What policy says of one path of the host, as the engine will find it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Optional

from hullmark.core.judgement import UNSEEN, Case, cited, within
from hullmark.model.policy import PathSight

SOCKETS = (
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/buildkit/buildkitd.sock",
)
"""Where engines listen, beside where this host's own does: who may speak to one is root."""
SOCKET_NAMES = frozenset(posixpath.basename(path) for path in SOCKETS)
_VIEW = re.compile(r"/proc/(self|thread-self|[0-9]+)(/.*)?|/dev/fd(/.*)?")
IS_VIEW = "is another place for each who looks"


def judge(case: Case, path: str, *, write: bool, what: str = "") -> None:
    """`what` says where the path stands, if not as a mount's source."""
    shown = f"{cited(path)}{what}"
    sight = case.sights.paths.get(path)
    if sight is None:
        case.never(f"{shown} {case.sights.troubles.get(path, UNSEEN)}")
        return
    if sight.resolved != path:
        shown = f"{shown}, which is {cited(sight.resolved)},"
    if ".." in sight.resolved.split("/"):
        case.never(f"{shown} was not followed to its end")
    if is_view(path) or is_view(sight.resolved):
        case.never(f"{shown} {IS_VIEW}")
    names = (sight.resolved, *sight.also)
    _judge_socket(case, shown, sight, names)
    _judge_guarded(case, shown, names, write=write)
    _judge_listed(case, shown, sight, write=write)
    if sight.below and not write:
        _judge_below(case, shown, sight)


def _judge_socket(case: Case, shown: str, sight: PathSight, names: Sequence[str]) -> None:
    if case.yes("engine_socket"):
        return
    for name in names:
        if sight.engine_socket or posixpath.basename(name) in SOCKET_NAMES:
            case.no(
                "engine_socket",
                f"{shown} is an engine's socket: who may use it is root of this host",
            )
            return
        for socket in (*case.sights.engine_sockets, *SOCKETS):
            if within(socket, name):
                case.no("engine_socket", f"{shown} holds an engine's socket, {socket}")
                return


def _judge_guarded(case: Case, shown: str, names: Sequence[str], *, write: bool) -> None:
    listed = case.rules["mounts.guarded"].items or ()
    if all(any(within(name, folder) for folder in listed) for name in names):
        return
    for guarded in case.sights.guarded:
        if guarded.readable and not write:
            continue
        for name in names:
            if within(name, guarded.path) or within(guarded.path, name):
                relation = "is in" if within(name, guarded.path) else "holds"
                case.no("mounts.guarded", f"{shown} {relation} {guarded.path}, {guarded.what}")
                return


def _judge_listed(case: Case, shown: str, sight: PathSight, *, write: bool) -> None:
    reading, writing, writable = (
        case.rules["mounts.read"],
        case.rules["mounts.write"],
        _writable(case),
    )
    open_to_all = writable is None if write else reading.items is None
    if open_to_all:
        return
    listed = writable if write else (*(reading.items or ()), *(writable or ()))
    key = "mounts.write" if write and writing.file else "mounts.read"
    if not any(within(sight.resolved, folder) for folder in listed or ()):
        case.no(key, f"{shown} may not be mounted{' for writing' if write else ''}")
    elif sight.loose:
        case.no(
            key, f"{shown} is reached through {sight.loose[0]}, which others than root can change"
        )


def _judge_below(case: Case, shown: str, sight: PathSight) -> None:
    """A read-only mount leaves writable what is mounted below it."""
    _judge_guarded(
        case, f"{shown}, with what is mounted in it,", (*sight.below, *sight.also), write=True
    )
    writable = _writable(case)
    for point in sight.below if writable is not None else ():
        if not any(within(point, folder) for folder in writable or ()):
            key = "mounts.write" if case.rules["mounts.write"].file else "mounts.read"
            told = "which stays writable in a read-only mount, and may not be mounted for writing"
            case.no(key, f"{shown} shows {point}, {told}")
            return


def _writable(case: Case) -> Optional[tuple[str, ...]]:
    """What may be written; None: anything."""
    reading, writing = case.rules["mounts.read"], case.rules["mounts.write"]
    if reading.file and not writing.file:
        return ()  # who lists what may be read, and says no more, lets nothing be written
    return writing.items


def is_view(path: str) -> bool:
    """Whether it is below a process of /proc: what that leads to depends on who looks."""
    return _VIEW.fullmatch("/" + posixpath.normpath(path).lstrip("/")) is not None
