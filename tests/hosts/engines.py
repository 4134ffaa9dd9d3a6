"""Which container engine a host starts, settled on its disk before it boots; and whether that answers."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path

UNITS: Mapping[str, tuple[str, ...]] = {
    "docker": ("docker.service", "docker.socket", "containerd.service"),
    "podman": (
        *("podman.service", "podman.socket", "podman-restart.service"),
        *("podman-auto-update.service", "podman-auto-update.timer"),
    ),
}
SOCKETS: Mapping[str, str] = {
    "docker": "/run/docker.sock",
    "podman": "/run/podman/podman.sock",
}


def choose(root: Path, engine: str) -> None:
    """Every other engine than this one is masked; on a host with init scripts, taken out of the runlevels."""
    assert engine in ("", *UNITS), f"engine is docker, podman or empty, not {engine!r}"
    for name, units in UNITS.items():
        if name == engine:
            continue
        for unit in units:
            if (root / "lib/systemd/systemd").exists():
                (root / "etc/systemd/system" / unit).unlink(missing_ok=True)
                (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
        for link in root.glob(f"etc/rc[0-6].d/[SK][0-9][0-9]{name}"):
            link.unlink()
    # Debian 12 enables it at installation, Debian 13 leaves that to the administrator.
    wants = root / "etc/systemd/system/sockets.target.wants"
    if engine == "podman" and wants.is_dir():
        (wants / "podman.socket").unlink(missing_ok=True)
        (wants / "podman.socket").symlink_to("/usr/lib/systemd/system/podman.socket")


def answers(path: Path) -> bool:
    """Whether an engine answers at this socket."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5.0)
        connection.connect(str(path))
        connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b" 200 " in connection.recv(100)
    return False
