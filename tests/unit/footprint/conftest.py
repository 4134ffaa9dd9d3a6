"""A small host in a folder, whose programs answer what a test says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import pytest

from hullmark.footprint import picture
from hullmark.footprint.picture import Head, Picture
from hullmark.footprint.snapshot import Host, Unseen, place

Records = list[dict[str, Any]]

MOUNTS = """\
1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
2 1 0:5 / /proc rw,nosuid - proc proc rw
3 1 0:6 / /run rw,nosuid - tmpfs tmpfs rw
4 3 0:7 / /run/user/0 rw - tmpfs tmpfs rw
5 1 0:8 / /srv/far\\040away rw - nfs4 nas:/x rw
"""
STATUS = """\
Package: hullmark-agent
Status: install ok installed
Architecture: all
Version: 0.3.0-1
Depends: hullmark (= 0.3.0-1), python3-docker (>= 4.1), python3:any,
 docker.io | podman
Recommends: python3-systemd

Package: cron
Status: install ok installed
Architecture: amd64
Version: 3.0
"""


@dataclass
class World:
    """Its programs say `says`, by their whole command line; others are not installed."""

    root: Path
    says: dict[str, str] = field(default_factory=dict)

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)
        return target

    def link(self, path: str, target: str) -> None:
        place_ = self.root / path.lstrip("/")
        place_.parent.mkdir(parents=True, exist_ok=True)
        place_.symlink_to(target)

    @property
    def host(self) -> Host:
        return Host(root=str(self.root), run=self._run)

    def _run(self, *command: str) -> str:
        line = " ".join(command)
        if line not in self.says:
            raise Unseen(f"{command[0]} is not installed")
        return self.says[line]


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path / "host")
    found.write("/proc/self/mountinfo", MOUNTS)
    found.write("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n")
    found.write("/var/lib/dpkg/status", STATUS)
    found.write(
        "/etc/passwd", "root:x:0:0::/root:/bin/bash\nhullmark:x:998:998::/:/usr/sbin/nologin\n"
    )
    return found


HEAD = Head("web1", 1795900000.0, True, "")


def of(*records: dict[str, Any], unseen: tuple[str, ...] = ()) -> Picture:
    """A picture with these records in order; every kind was looked at but for `unseen`."""
    kinds = {record["kind"] for record in records} | set(unseen)
    looks: Records = [
        {
            "kind": "look",
            "key": kind,
            "seen": kind not in unseen,
            "by": [],
            "why": ["no nft"] if kind in unseen else [],
        }
        for kind in sorted(kinds - {"look", "file"})
    ]
    return Picture(HEAD, iter(sorted([*looks, *records], key=place)))


def file(path: str, sha256: str = "0", **more: Any) -> dict[str, Any]:
    known = {"type": "file", "mode": "0644", "owner": "0:0", "size": 1, "sha256": sha256}
    return {"kind": "file", "key": path, **known, **more}


Save = Callable[..., str]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes lines as a picture; a text as it is."""

    def write(*lines: Any, name: str = "picture") -> str:
        path = tmp_path / name
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("".join(f"{text}\n" for text in texts))
        return str(path)

    return write


def read(path: str) -> Records:
    with picture.opened(path) as found:
        return list(found.records)
