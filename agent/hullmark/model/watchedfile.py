"""Watched files: what is kept of each, and how two states of one differ."""

from __future__ import annotations

from dataclasses import dataclass

FIELDS = ("kind", "sha256", "mode", "uid", "gid", "target")
"""What counts as a change. Times, sizes and inodes only say where to look."""


@dataclass(frozen=True)
class FileState:
    """`kind`: `file`, `folder`, `link`, `socket` or `other`. `sha256` of a file's content, empty where it could not be read or is none;
    `target` of a link. `mode` is octal text of four digits. Times in nanoseconds since 1970."""

    kind: str
    mode: str
    uid: int
    gid: int
    sha256: str = ""
    target: str = ""
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    unread: str = ""


@dataclass(frozen=True)
class FileChange:
    """`what`: `added`, `removed` or `changed`; of a changed one `fields` are those that differ, and `was` and `is_now` their values, in that
    order."""

    path: str
    what: str
    fields: tuple[str, ...] = ()
    was: tuple[str, ...] = ()
    is_now: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.what != "changed":
            return f"{self.path} was {self.what}"
        parts = [
            f"{name} {_short(name, old)} -> {_short(name, new)}"
            for name, old, new in zip(self.fields, self.was, self.is_now)
        ]
        return f"{self.path} changed: {', '.join(parts)}"


def _short(name: str, value: str) -> str:
    return (value[:12] or "unread") if name == "sha256" else value or "-"
