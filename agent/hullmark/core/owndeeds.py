"""Which of an engine's events come of what the agent itself does: pure.

By what was done, to what, and when. An engine tells of it while the call lasts or a moment after; where no answer came, later too.
"""

from __future__ import annotations

from dataclasses import dataclass

from hullmark.core.byhand import Sign

BEFORE_S = 0.5
AFTER_S = 2.0
"""How far from the call an event of it may be."""

_COVERS = {
    "container.create": ("container", {"create"}),
    "container.start": ("container", {"start"}),
    "container.stop": ("container", {"kill", "stop", "cleanup"}),
    "container.remove": ("container", {"destroy", "kill", "stop", "cleanup"}),
    "container.update": ("container", {"update"}),
    "container.exec": ("container", {"exec_create"}),
    "image.pull": ("image", {"pull", "tag"}),
    "network.connect": ("container", {"connect"}),
    "network.create": ("network", {"create"}),
    "network.remove": ("network", {"destroy"}),
    "volume.create": ("volume", {"create"}),
    "volume.remove": ("volume", {"destroy"}),
}
"""By the kind of the deed: of what, and which events."""


@dataclass(frozen=True)
class Own:
    """`kind` is that of its records. `until`: when it ended, seconds since 1970 as is `began`; infinite while it goes on."""

    kind: str
    name: str
    container_id: str
    began: float
    until: float = float("inf")
    exec_id: str = ""


def covers(own: Own, sign: Sign) -> bool:
    about, actions = _COVERS.get(own.kind, ("", set()))
    if sign.about != about or sign.action not in actions:
        return False
    if not own.began - BEFORE_S <= sign.at <= own.until + AFTER_S:
        return False
    if sign.about == "image":
        return bool(repository(sign.name)) and repository(sign.name) == repository(own.name)
    if sign.about == "container" and own.container_id:
        if sign.subject_id != own.container_id:
            return False
        told = sign.fields.get("execID", "")
        return not (told and own.exec_id) or told == own.exec_id
    return sign.name == own.name


def repository(reference: str) -> str:
    """Without tag, digest and what engines leave out of Docker Hub's names."""
    name = reference.partition("@")[0]
    head, slash, last = name.rpartition("/")
    name = head + slash + last.partition(":")[0]
    for left_out in ("docker.io/", "library/"):
        name = name[len(left_out) :] if name.startswith(left_out) else name
    return name
