"""One systemd-nspawn: PID 1 of a host, its namespaces and its cgroups.

nspawn runs in a mount namespace with a /run of its own, so that it leaves nothing in the machine's. It ends with the thread
that started it; PID 1 doesn't end with nspawn: the workspace's watchdog sees to that.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

from tests.cluster import die_with_parent, wait_until
from tests.integration.namespaces import HostNetwork

# nspawn mounts cgroups of version 1 read-only; engines make groups of their own there. systemd takes what it finds; init
# scripts hide it by a mount of theirs on /sys, and cgroupfs-mount, which then mounts cgroups anew, must not find the old.
INIT = """\
case $(readlink -f /sbin/init) in
*systemd)
    while read -r _ where kind _; do
        case $kind in cgroup*) mount -o remount,bind,rw "$where" ;; esac
    done </proc/mounts ;;
*)  umount -R /sys/fs/cgroup ;;
esac
exec /sbin/init
"""
# $1 is a list of cgroups; the process joins each, and becomes the command that follows.
JOIN = 'for group in $1; do echo 0 >"$group/cgroup.procs"; done; shift; exec "$@"'
APART = ("unshare", "--mount", "--propagation", "private")
OPTIONS = (
    *("--quiet", "--register=no", "--keep-unit", "--resolv-conf=off", "--timezone=off"),
    *("--link-journal=no", "--kill-signal=SIGRTMIN+3"),
    "--capability=CAP_NET_ADMIN,CAP_SYS_ADMIN",
    "--system-call-filter=add_key keyctl bpf",
)
# The host's own /proc/sys/net can be written to, nothing else of the kernel that it shares with us.
ENVIRONMENT = {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
# Else as the machine has them: told to be of version 1 alone, systemd would not see that a service has no process any more.
UNIFIED = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
REBOOT = 133
"""What nspawn returns with --keep-unit, which leaves starting anew to others; see EXIT_FORCE_RESTART in its source."""
INITS = frozenset({"systemd", "init"})


class Box:
    """`root` is mounted for as long as the box is used; `binds` are folders outside by path inside. `group`: the name of its
    cgroups, below the root of each hierarchy; `unified` shows it those of version 2 alone."""

    def __init__(
        self,
        name: str,
        root: Path,
        binds: dict[Path, Path],
        group: str,
        network: HostNetwork,
        log: Path,
        *,
        unified: bool = False,
    ) -> None:
        self.name = name
        self.root = root
        self.binds = binds
        self.group = group
        self.network = network
        self.log = log
        self.unified = unified
        self._process: Optional[subprocess.Popen[bytes]] = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """PID 1 as seen from outside. Raises AssertionError where the host is down or only just starting."""
        pid = self.init()
        assert pid is not None, f"{self.name} is not booted; see {self.log}"
        return pid

    def init(self) -> Optional[int]:
        """The pid of its init, once that is what runs: not nspawn's own child, nor the shell before it."""
        if self._process is None or self._process.poll() is not None:
            return None
        nspawn = self._process.pid
        with contextlib.suppress(OSError):
            for word in Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split():
                comm = Path(f"/proc/{word}/comm").read_text().strip()
                if comm in INITS and _is_first(int(word)):
                    return int(word)
        return None

    def start(self) -> None:
        """Return when init runs."""
        assert not self.running, f"{self.name} runs already"
        groups = [str(each) for each in self._make_groups()]
        binds = [f"--bind={outside}:{inside}" for inside, outside in self.binds.items()]
        nspawn = ["systemd-nspawn", *OPTIONS, f"--directory={self.root}", f"--machine={self.name}"]
        nspawn += [
            *binds,
            f"--network-namespace-path={self.network.path}",
            "--",
            "/bin/sh",
            "-c",
            INIT,
        ]
        prepare = f"mount -t tmpfs tmpfs /run; {JOIN}"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*APART, "sh", "-ec", prepare, "sh", " ".join(groups), *nspawn],
                env={**os.environ, **ENVIRONMENT, **(UNIFIED if self.unified else {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        wait_until(self._has_init, f"{self.name} starts its init; see {self.log}", 60.0)

    def kill(self) -> None:
        """All of its processes end at once, unasked."""
        if self._process is None:
            return
        pid = self.init()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_for_end(self, timeout_s: float) -> int:
        """The exit code, `REBOOT` where the host wants to be started again."""
        assert self._process is not None
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} is not down after {timeout_s:g} s") from None

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command, as one that runs in the box and in its init's cgroups."""
        pid = self.pid
        groups = " ".join(str(each) for each in _groups_of(pid))
        return ["sh", "-c", JOIN, "sh", groups, "nsenter", "-t", str(pid), "-a", "--", *command]

    def tail(self) -> str:
        """The end of what the host wrote to its console."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def _has_init(self) -> bool:
        assert self.running, f"{self.name} ended while booting:\n{self.tail()}"
        return self.init() is not None

    def _make_groups(self) -> Iterator[Path]:
        for mount, _ in _hierarchies():
            group = mount
            for part in Path(self.group).parts:
                parent, group = group, group / part
                group.mkdir(exist_ok=True)
                # A new group of the old cpuset has neither processors nor memory, and takes no process.
                for name in ("cpuset.cpus", "cpuset.mems"):
                    if (parent / name).exists() and not (group / name).read_text().strip():
                        (group / name).write_text((parent / name).read_text())
            yield group


def _is_first(pid: int) -> bool:
    """Whether it is process 1 of a namespace of its own; see proc(5), NSpid."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return line.split()[2:] == ["1"]
    return False


def _hierarchies() -> list[tuple[Path, frozenset[str]]]:
    """Where each hierarchy of cgroups is mounted, and the options that name its controllers."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in {"cgroup", "cgroup2"}:
            names = frozenset(options.split(",")) if kind == "cgroup" else frozenset({""})
            found.append((Path(before.split()[4]), names))
    return found


def _groups_of(pid: int) -> list[Path]:
    found = []
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for mount, names in _hierarchies():
            if names.issuperset(controllers.split(",")):
                found.append(mount / path.lstrip("/"))
    return found
