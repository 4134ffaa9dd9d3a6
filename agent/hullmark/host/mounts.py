"""What is mounted where on this host, from /proc/self/mountinfo (proc(5)), and what a folder therefore shows.

A bind mount takes with it what is mounted below its source, and one file can be seen at many paths. So whether a folder shows a
file is no matter of their paths: each has a *place*, the file system that it is on and where it is in there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

MOUNTINFO = Path("/proc/self/mountinfo")

_ESCAPED = re.compile(r"\\([0-7]{3})")
_SERVED = re.compile(r"(?:^|,)user_id=([0-9]+)")


@dataclass(frozen=True)
class Mount:
    """`point`: where it is; `device` and `root`: what of which file system. `served_by`: the user whose process is the file
    system (FUSE), 0 for root's and for all others."""

    device: str
    root: str
    point: str
    kind: str
    served_by: int = 0
    read_only: bool = False


@dataclass(frozen=True)
class Place:
    device: str
    path: str

    def has(self, other: Place) -> bool:
        """Whether the other is it, or is in it."""
        return self.device == other.device and is_within(other.path, self.path)


@dataclass(frozen=True)
class Mounts:
    """In the order in which they were made."""

    all: tuple[Mount, ...] = ()

    @classmethod
    def now(cls) -> Mounts:
        """Raises OSError."""
        text = os.fsdecode(MOUNTINFO.read_bytes())
        return cls(tuple(_mount(line) for line in text.splitlines() if " - " in line))

    def of(self, path: str) -> Optional[Mount]:
        """The one that `path` (without links) is on: of those nearest to it, the one made last."""
        found: Optional[Mount] = None
        for mount in self.all:
            nearer = found is None or len(mount.point) >= len(found.point)
            if nearer and is_within(path, mount.point):
                found = mount
        return found

    def place(self, path: str) -> Optional[Place]:
        mount = self.of(path)
        if mount is None:
            return None
        rest = path[len(mount.point.rstrip("/")) :].strip("/")
        return Place(mount.device, "/".join((mount.root.rstrip("/"), rest)).rstrip("/") or "/")

    def shows(self, folder: str, file: str) -> bool:
        """Whether `file` can be reached in a bind mount of `folder`, or is it; both without links."""
        if is_within(file, folder):
            return True
        at = self.place(file)
        return at is not None and any(one.has(at) for one in self.shown(folder))

    def writable_below(self, folder: str) -> tuple[str, ...]:
        """Where something is mounted below it that can be written. A bind mount takes that with it, and a read-only one leaves it as
        it is: engines make only its top read-only (Docker from 25 on more, on newer kernels)."""
        found = (one for one in self.all if one.point != folder and is_within(one.point, folder))
        return tuple(dict.fromkeys(one.point for one in found if not one.read_only))

    def others(self, folder: str) -> tuple[str, ...]:
        """Every other path of what a bind mount of `folder` shows: of itself, and of what is mounted below it."""
        found = {
            name: None
            for place in self.shown(folder)
            for name in self._names(place)
            if not is_within(name, folder)
        }
        return tuple(found)

    def _names(self, place: Place) -> Iterable[str]:
        """All paths of a place, but for those that another mount hides."""
        for mount in self.all:
            if mount.device == place.device and is_within(place.path, mount.root):
                rest = place.path[len(mount.root.rstrip("/")) :].strip("/")
                name = "/".join((mount.point.rstrip("/"), rest)).rstrip("/") or "/"
                if self.place(name) == place:
                    yield name

    def shown(self, folder: str) -> Iterable[Place]:
        """What a bind mount of it has."""
        own = self.place(folder)
        if own is not None:
            yield own
        for mount in self.all:
            if is_within(mount.point, folder):
                yield Place(mount.device, mount.root)


def is_within(path: str, folder: str) -> bool:
    """Whether it is the folder, or below it, as texts."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _mount(line: str) -> Mount:
    """`36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`"""
    before, _, after = line.partition(" - ")
    words, ends = before.split(" "), after.split(" ")
    kind, options = ends[0], ends[-1]
    served = _SERVED.search(options) if kind.startswith("fuse") else None
    return Mount(
        words[2],
        _plain(words[3]),
        _plain(words[4]),
        kind,
        int(served[1]) if served else 0,
        "ro" in (*words[5].split(","), *options.split(",")),
    )


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)
