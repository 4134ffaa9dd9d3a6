"""docs/operations/files.md as data: which files Hullmark has on a host, with mode and owner."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.hosts import Host

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations" / "files.md"
FOLDERS = (
    *("/etc/hullmark", "/var/lib/hullmark", "/var/lib/hullmark-proxy", "/var/log/hullmark", "/run"),
    "/usr/share/hullmark",
)


@dataclass(frozen=True)
class Row:
    """`mode` and `owner` (`user:group`) are empty where an app decides."""

    pattern: str
    mode: str
    owner: str

    @property
    def is_tree(self) -> bool:
        return self.pattern.endswith("/**")

    def matches(self, path: str) -> bool:
        escaped = re.escape(self.pattern).replace(r"/\*\*", "(/.+)?").replace(r"\*", "[^/]*")
        return re.fullmatch(escaped, path) is not None


@dataclass(frozen=True)
class Found:
    """A file or folder on a host or in a package; `kind` as `ls` shows it."""

    path: str
    kind: str
    mode: str
    owner: str


@cache
def rows() -> tuple[Row, ...]:
    section = PAGE.read_text().partition("## Files")[2].partition("\n## ")[0]
    return tuple(_rows(section.splitlines()))


def _rows(lines: Iterable[str]) -> Iterator[Row]:
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 5 and cells[1].startswith("`"):
            said = re.match(r"(0\d{3}) ([a-z]+)(?::([a-z]+))?$", cells[2])
            mode, user, group = said.groups() if said else ("", "", "")
            for pattern in re.findall(r"`([^`]+)`", cells[1]):
                yield Row(pattern, mode, f"{user}:{group or user}" if user else "")


def differences(found: Iterable[Found]) -> list[str]:
    """What the page does not have, or has otherwise."""
    return [said for each in found for said in _differences(each)]


def _differences(found: Found) -> Iterator[str]:
    known = [row for row in rows() if row.matches(found.path)]
    if not known:
        yield f"{found.path} is not on the page"
        return
    # The more exact row; a folder within a tree has a folder's mode.
    row = max(known, key=lambda each: (not each.is_tree, len(each.pattern)))
    mode = "0755" if row.is_tree and found.kind == "d" else row.mode
    if found.kind != "l" and row.mode and (found.mode, found.owner) != (mode, row.owner):
        yield f"{found.path} is {found.mode} {found.owner}; the page says {mode} {row.owner}"


def on_host(host: Host) -> list[Found]:
    command = ["find", *FOLDERS, "-name", "__pycache__", "-prune", "-o"]
    command += ["-printf", r"%y 0%m %u:%g %p\n"]
    listed = host.run(command, check=False).stdout
    found = [
        Found(path, *words) for *words, path in (line.split(" ", 3) for line in listed.splitlines())
    ]
    # What systemd keeps of each unit in /run/systemd is its own.
    return [
        each
        for each in found
        if not each.path.startswith("/run/systemd") and "hullmark" in each.path
    ]
