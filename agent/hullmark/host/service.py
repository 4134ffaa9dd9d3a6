"""The services that the packages installed, and the service manager of this host: systemd, else scripts in /etc/init.d."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Callable

from hullmark.errors import Refused
from hullmark.launchers import launcher

SERVICES = {"agentd": "hullmark-agent", "masterd": "hullmark-master"}
BY_SYSTEMD = "run/systemd/system"
"""There where systemd is the init system: sd_booted(3)."""
START_S = 120.0
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_TOLD_LINES = 3

Run = Callable[[Sequence[str]], tuple[int, str]]
"""A command's exit code, and what it said. Raises OSError."""


class Service(Enum):
    STARTED = "started"
    RUNNING = "running"
    """It ran already."""
    NOT_INSTALLED = "not installed"
    """Hullmark runs from a clone, or this user may start no service."""
    LEFT = "left alone"
    """Nobody asked for it to be started."""


def _run(line: Sequence[str]) -> tuple[int, str]:
    done = subprocess.run(
        line,
        env={**os.environ, "PATH": _PATH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=START_S,
    )
    return done.returncode, done.stdout


def start(daemon: str, root: Path = Path("/"), run: Run = _run) -> Service:
    """Start the service of `agentd` or `masterd`, if the packages installed one and it doesn't run. Raises Refused with the
    service manager's own words."""
    if launcher(daemon) is None or os.geteuid() != 0:
        return Service.NOT_INSTALLED
    name = SERVICES[daemon]
    script = root / "etc/init.d" / name
    if (root / BY_SYSTEMD).is_dir():
        runs, starts = ["systemctl", "is-active", "--quiet", name], ["systemctl", "start", name]
        look = f"systemctl status {name}; journalctl -u {name} -n 30"
    elif script.is_file():
        runs, starts = [str(script), "status"], [str(script), "start"]
        look = f"the log in /var/log/hullmark, then: {script} start"
    else:
        return Service.NOT_INSTALLED
    try:
        if run(runs)[0] == 0:
            return Service.RUNNING
        code, said = run(starts)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"the service {name} was not started: {error}", remedy=look) from error
    if code != 0:
        lines = " ".join(said.split("\n")[:_TOLD_LINES]).strip() or f"exit code {code}"
        raise Refused(f"the service {name} does not start: {lines}", remedy=look)
    return Service.STARTED


def stop(daemon: str, root: Path = Path("/"), run: Run = _run) -> None:
    """Stop the service of `agentd` or `masterd`, if the packages installed one: one that ended by itself is started again by
    systemd, whatever its unit's conditions say. Raises Refused with the service manager's own words."""
    if launcher(daemon) is None or os.geteuid() != 0:
        return
    name = SERVICES[daemon]
    script = root / "etc/init.d" / name
    if (root / BY_SYSTEMD).is_dir():
        line = ["systemctl", "stop", name]
    elif script.is_file():
        line = [str(script), "stop"]
    else:
        return
    try:
        code, said = run(line)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"the service {name} was not stopped: {error}") from error
    if code != 0:
        raise Refused(f"the service {name} does not stop: {said.strip() or f'exit code {code}'}")
