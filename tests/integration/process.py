"""Processes of a workspace, found by what they are and never by a remembered pid.

A process belongs to a workspace if the marker in its environment names it, if it is one of the engines'
programs with the workspace's path among its arguments (conmon and shims clear their environment), if
its root file system is a mount of the workspace (a container), or if it descends from such a process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

MARKER = "HULLMARK_TEST_WORKSPACE"
PROGRAMS = frozenset(
    {
        "aardvark-dns",
        "conmon",
        "containerd",
        "containerd-shim",
        "containerd-shim-runc-v1",
        "containerd-shim-runc-v2",
        "docker-proxy",
        "docker-registry",
        "dockerd",
        "podman",
        "runc",
    }
)


@dataclass(frozen=True)
class Identity:
    """A process for good: pids are used again, but not with the same start time in the same boot."""

    pid: int
    start_ticks: int
    boot_id: str

    @property
    def alive(self) -> bool:
        return identity(self.pid) == self


def identity(pid: int) -> Optional[Identity]:
    """None where there is no such process, or only its zombie."""
    stat = _stat(pid)
    if stat is None or stat[0] in {"Z", "X"}:
        return None
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return Identity(pid, int(stat[19]), boot_id)


def _stat(pid: int) -> Optional[list[str]]:
    """The fields of /proc/PID/stat from the third (state) on; see proc(5)."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return None


def _read(pid: int, name: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""


def pids() -> Iterator[int]:
    """Of whatever runs now. By the time one is looked at it may be gone, at which a glob below /proc raises."""
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _marked(pid: int, path: bytes) -> bool:
    if MARKER.encode() + b"=" + path in _read(pid, "environ").split(b"\0"):
        return True
    arguments = _read(pid, "cmdline")
    program = Path(os.fsdecode(arguments.partition(b"\0")[0])).name
    if program in PROGRAMS and path + b"/" in arguments:
        return True
    for line in _read(pid, "mountinfo").splitlines():
        fields = line.split()
        if fields[4] == b"/":
            return path + b"/" in line
    return False


def of_workspace(path: Path) -> set[int]:
    """The pids of the workspace's processes, the caller's own not among them."""
    everyone = set(pids())
    parents = {pid: int(stat[1]) for pid in everyone for stat in [_stat(pid)] if stat}
    found = {pid for pid in parents if _marked(pid, os.fsencode(path))}
    while True:
        children = {pid for pid, parent in parents.items() if parent in found} - found
        if not children:
            return found - {os.getpid()}
        found |= children


def kill_workspace(path: Path, timeout_s: float = 10.0) -> None:
    """SIGKILL until none is left. Raises TimeoutError naming those that would not go."""
    deadline = time.monotonic() + timeout_s
    while True:
        pids = {pid for pid in of_workspace(path) if identity(pid)}
        if not pids:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes of {path} that do not end: {sorted(pids)}")
        for pid in pids:
            _kill_if_still(pid, identity(pid))
        time.sleep(0.02)


def _kill_if_still(pid: int, expected: Optional[Identity]) -> None:
    """Signal by pidfd, so that a pid that changed hands meanwhile is not hit."""
    if expected is None:
        return
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if identity(pid) == expected:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def wait_for_end(watched: Identity) -> None:
    """Block until the process has ended."""
    try:
        handle = os.pidfd_open(watched.pid)
    except ProcessLookupError:
        return
    try:
        if identity(watched.pid) == watched:
            select.select([handle], [], [])
    finally:
        os.close(handle)
