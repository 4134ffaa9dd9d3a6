"""A folder for something that is started for a test, and its removal whatever happens to the tester.

    workspace = Workspace.make("docker")
    subprocess.Popen([...], env={**os.environ, **workspace.marker})
    ...
    workspace.remove()

Each workspace has a record in `RECORDS` that names its folder and its owner. A watchdog process waits for the
owner's death and then does what `remove` does. Should the watchdog be killed too, `sweep` removes what is
left of dead owners; it runs whenever a workspace is made.

Run as a program it is the watchdog: python tests/integration/workspace.py RECORD
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

if __name__ == "__main__":  # the watchdog must find the package, whoever starts it
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.integration import process, traffic

# Not /tmp: that is memory on many hosts, and images are large.
RECORDS = Path("/var/tmp/hullmark-test")
BYSTANDERS = ("registry", "proxy")
"""Kinds that leave nothing in the packet filter."""


@dataclass
class Workspace:
    """`path` is short enough for Unix sockets in it (108 bytes). `addresses` is a free /16."""

    path: Path
    addresses: str
    record: Path
    watchdog: Optional[subprocess.Popen[bytes]] = None

    @classmethod
    def make(
        cls, kind: str, folder: Optional[Path] = None, namespace: Optional[str] = None
    ) -> Workspace:
        """In `folder` (made here, removed at the end), or in one of its own. `namespace`: the network namespace
        that its processes are in, where it isn't this one."""
        RECORDS.mkdir(mode=0o700, exist_ok=True)
        sweep()
        name = f"{kind}-{secrets.token_hex(3)}"
        path = folder or RECORDS / name
        record = RECORDS / f"{name}.json"
        workspace = cls(path, traffic.free_addresses(), record)
        owner = process.identity(os.getpid())
        assert owner is not None
        content = {
            "path": str(path),
            "owner": asdict(owner),
            "addresses": workspace.addresses,
            "before": {**traffic.survey(), "namespace": namespace or traffic.here()},
        }
        # Complete from its first moment: a sweep may run beside this.
        draft = record.with_suffix(".draft")
        draft.write_text(json.dumps(content))
        draft.rename(record)
        path.mkdir(mode=0o711, parents=True)
        workspace.watchdog = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), str(record)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        return workspace

    @property
    def cgroup_parent(self) -> str:
        return f"/hullmark-test-{self.record.stem}"

    @property
    def marker(self) -> dict[str, str]:
        """Environment by which the workspace's processes are found."""
        return {process.MARKER: str(self.path)}

    def remove(self) -> None:
        """End all of the workspace's processes and take away all that they made."""
        clear(self.record)
        if self.watchdog is not None:
            self.watchdog.kill()
            self.watchdog.wait()
            self.watchdog = None


def sweep() -> None:
    """Remove the workspaces of owners that have died."""
    for record in RECORDS.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            content = json.loads(record.read_text())
            if not process.Identity(**content["owner"]).alive:
                clear(record)


def clear(record: Path) -> None:
    """Processes, mounts, cgroups, bridges, rules, files; the record last. May be repeated, also at once."""
    try:
        content: dict[str, Any] = json.loads(record.read_text())
    except FileNotFoundError:
        return
    path = Path(content["path"])
    process.kill_workspace(path)
    for mount in _mounts_below(path):
        _run("umount", "-l", mount)
    _remove_cgroups(path, record.stem)
    traffic.restore(content["before"], content["addresses"], alone=not _others(record))
    for shim in _shim_sockets(path):
        shim.unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)
    record.unlink(missing_ok=True)


def _others(record: Path) -> bool:
    """Whether another engine in this network namespace may use the packet filter's shared chains."""
    for other in RECORDS.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            namespace = json.loads(other.read_text())["before"]["namespace"]
            bystander = other.name.startswith(BYSTANDERS)
            if other != record and namespace == traffic.here() and not bystander:
                return True
    for pid in process.pids():
        with contextlib.suppress(OSError):
            namespace = str(Path(f"/proc/{pid}/ns/net").readlink())
            comm = Path(f"/proc/{pid}/comm").read_text().strip()
            if comm == "dockerd" and namespace == traffic.here():
                return True
    return False


def _mounts_below(path: Path) -> list[str]:
    """The innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in lines]
    return [point for point in points if point.startswith(f"{path}/")][::-1]


def _cgroups(path: Path, name: str) -> list[Path]:
    """The innermost first: below the parent that Docker was given, and Podman's, which has no such option."""
    names = {f"hullmark-test-{name}"}
    with contextlib.suppress(ValueError, OSError):
        listing = json.loads((path / "root/overlay-containers/containers.json").read_text())
        names |= {f"libpod-{one['id']}" for one in listing}
        names |= {f"libpod-conmon-{one['id']}" for one in listing}
    found = []
    for folder, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
        if names.intersection(Path(folder).parts):
            found.append(Path(folder))
    # Podman's own parent last: where another Podman has a container in it, it doesn't go.
    return found + list(Path("/sys/fs/cgroup").glob("*/libpod_parent"))


def _remove_cgroups(path: Path, name: str, timeout_s: float = 5.0) -> None:
    """A process that was killed leaves its group a little later. What can't be removed by then stays."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = _cgroups(path, name)
        for cgroup in found:
            with contextlib.suppress(OSError):
                cgroup.rmdir()
        own = [each for each in found if f"hullmark-test-{name}" in each.parts and each.is_dir()]
        if not own or time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _shim_sockets(path: Path) -> list[Path]:
    """A folder of containerd's that no option moves; names as in its runtime/v2/shim `SocketAddress`."""
    address = f"{path}/exec/containerd/containerd.sock/moby"
    containers = path / "data/containers"
    names = [one.name for one in containers.iterdir()] if containers.is_dir() else []
    digests = [hashlib.sha256(f"{address}/{name}".encode()).hexdigest() for name in names]
    return [Path("/run/containerd/s", digest) for digest in digests]


def _run(*command: str) -> None:
    subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def watch(record: Path) -> None:
    """Wait for the owner's end, then clear. A terminal's Ctrl-C ends the owner, not its watchdog."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    owner = process.Identity(**json.loads(record.read_text())["owner"])
    process.wait_for_end(owner)
    clear(record)


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
