"""A network and mount namespace of its own for a test run.

Engines, daemons and tests then share a loopback, interfaces and packet filter that nobody else sees: runs
beside each other don't collide, and the machine's own traffic and mounts are never touched.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from pathlib import Path

HOST_ADDRESS = "192.0.2.1"  # of RFC 5737, for documentation: never a real host's
CLONE_NEWNS = 0x00020000  # sched.h
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000  # sys/mount.h
MS_REC = 0x4000
MS_PRIVATE = 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)
_entered: list[str] = []


def enter_private_network() -> None:
    """Move this process (and what it starts from now on) into namespaces of its own. Needs root.

    There: loopback, and a bridge `lan0` with HOST_ADDRESS as the host's own address. Call it before the
    first thread is started: threads that exist stay where they are. A second call does nothing.
    """
    if _entered:
        return
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
