"""A network and mount namespace of its own for a test run.

Engines, daemons and tests then share a loopback, interfaces and packet filter that nobody else sees: runs
beside each other don't collide, and the machine's own traffic and mounts are never touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Optional

HOST_ADDRESS = "192.0.2.1"  # of RFC 5737, for documentation: never a real host's
CLONE_NEWNS = 0x00020000  # sched.h
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000  # sys/mount.h
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
PR_SET_PDEATHSIG = 1  # prctl(2)

_libc = ctypes.CDLL(None, use_errno=True)
_entered: list[str] = []
_outside: list[str] = []


def enter_private_network() -> None:
    """Move this process (and what it starts from now on) into namespaces of its own. Needs root.

    There: loopback, and a bridge `lan0` with HOST_ADDRESS as the host's own address. Call it before the
    first thread is started: threads that exist stay where they are. A second call does nothing.
    """
    if _entered:
        return
    for option, kind in (("--net", "net"), ("--mount", "mnt")):
        left = os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
        _outside.append(f"{option}=/proc/{os.getpid()}/fd/{left}")
    _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare")
    _check(_libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "mount / private")
    for command in (
        "link set lo up",
        "link add name lan0 type bridge",
        f"address add {HOST_ADDRESS}/24 dev lan0",
        "link set lan0 up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    _name_no_servers()
    _entered.append(str(os.getpid()))


def outside() -> list[str]:
    """Before a command: run it in the namespaces that `enter_private_network` left, as what is fetched from a
    mirror must be. Where it wasn't called, nothing."""
    return ["nsenter", *_outside, "--"] if _outside else []


class HostNetwork:
    """A network namespace for one host of several, with `address` on its `eth0`, which is wired to `lan0`.

        with HostNetwork("web1", "192.0.2.11") as network:
            subprocess.run([*network.inside, "ip", "address"])
            network.cut()

    It lasts as long as a process in it. `enter_private_network` comes first.
    """

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.port = f"hm-{name}"[:15]
        """The bridge's end of the wire."""
        self._holder: Optional[subprocess.Popen[str]] = None
        self._is_cut = False

    def __enter__(self) -> HostNetwork:
        """From the process's first thread: the holder ends with the thread that started it."""
        script = "ip link set lo up; echo ready; exec sleep infinity"
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-ec", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a terminal's Ctrl-C is for the tester, which then ends it
            preexec_fn=_die_with_parent,
        )
        assert self._holder.stdout is not None
        with self._holder.stdout:
            assert self._holder.stdout.readline() == "ready\n", f"{self.name}: no namespace"
        pid = self._holder.pid
        _forward_between_hosts()
        self._ip(f"link add name {self.port} type veth peer name eth0 netns {pid}")
        self._ip(f"link set {self.port} master lan0 up")
        for command in (f"address add {self.address}/24 dev eth0", "link set eth0 up"):
            subprocess.run([*self.inside, "ip", *command.split()], check=True)
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self._ip(f"link delete {self.port}")
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()

    @property
    def inside(self) -> list[str]:
        """Before a command: run it there. Not `ip netns exec`, which hides the cgroup mounts."""
        return ["nsenter", f"--net={self.path}", "--"]

    @property
    def path(self) -> Path:
        """Where other processes open the namespace."""
        assert self._holder is not None, f"{self.name} has no namespace"
        return Path(f"/proc/{self._holder.pid}/ns/net")

    @property
    def namespace(self) -> str:
        """As `traffic.here` names it."""
        return str(self.path.readlink())

    def route_by(self, gateway: str) -> None:
        """A default route, as hosts have. The tests' side forwards nothing."""
        command = ["ip", "route", "add", "default", "via", gateway]
        subprocess.run([*self.inside, *command], check=True)

    def renew(self) -> None:
        """Another namespace, as a boot makes one: what was set in the old is gone, as soon as no process is left there. A
        wire that was cut stays so. From the thread of `__enter__`."""
        self.__exit__(None, None, None)
        self.__enter__()
        if self._is_cut:
            self.cut()

    def cut(self) -> None:
        """Unplug the wire."""
        self._is_cut = True
        self._ip(f"link set {self.port} down")

    def deafen(self) -> None:
        """What comes from the tests' side is dropped before it gets to the host."""
        self._iptables("-I", "OUTPUT", "-d", self.address)

    def mute(self) -> None:
        """What the host sends is dropped before it gets to the tests' side."""
        self._iptables("-I", "INPUT", "-s", self.address)

    def dropped(self) -> int:
        """How many packets `deafen` and `mute` have dropped since."""
        counts = 0
        for chain in ("INPUT", "OUTPUT"):
            listing = ["iptables", "-w", "-L", chain, "-n", "-v", "-x"]
            done = subprocess.run(listing, check=True, stdout=subprocess.PIPE, text=True)
            for line in done.stdout.splitlines():
                words = line.split()
                if "DROP" in words and self.address in words:
                    counts += int(words[0])
        return counts

    def heal(self) -> None:
        """Plug the wire in, and drop nothing. Idempotent."""
        self._is_cut = False
        self._ip(f"link set {self.port} up")
        for chain, option in (("OUTPUT", "-d"), ("INPUT", "-s")):
            with contextlib.suppress(subprocess.CalledProcessError):
                while True:
                    self._iptables("-D", chain, option, self.address)

    def can_dial(self, address: str, port: int, timeout_s: float = 1.0) -> bool:
        """Whether a TCP connection from the host to there is made."""
        dial = f"exec 3<>/dev/tcp/{address}/{port}"
        command = [*self.inside, "timeout", str(timeout_s), "bash", "-c", dial]
        return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0

    def _ip(self, command: str) -> None:
        subprocess.run(["ip", *command.split()], check=True)

    def _iptables(self, verb: str, *rule: str) -> None:
        command = ["iptables", "-w", verb, *rule, "-j", "DROP"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def _forward_between_hosts() -> None:
    """An engine that runs on the tests' side has the kernel filter what a bridge forwards, and drops what nobody allows: also what
    hosts say to each other."""
    rule = ["FORWARD", "-i", "lan0", "-o", "lan0", "-j", "ACCEPT"]
    known = subprocess.run(["iptables", "-w", "-C", *rule], stderr=subprocess.DEVNULL)
    if known.returncode != 0:
        subprocess.run(["iptables", "-w", "-I", *rule], check=True)


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _name_no_servers() -> None:
    """No name server can be reached from here. One that refuses at once spares the engines' own
    name servers, and whoever asks them for a name that they don't know yet, a long wait.
    """
    configuration = Path("/etc/resolv.conf").resolve()
    if configuration.exists():
        with tempfile.NamedTemporaryFile("w") as own:
            own.write(f"nameserver {HOST_ADDRESS}\n")
            own.flush()
            Path(own.name).chmod(0o644)
            source, target = os.fsencode(own.name), os.fsencode(configuration)
            _check(_libc.mount(source, target, None, MS_BIND, None), f"mount {configuration}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
