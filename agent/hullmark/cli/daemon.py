"""Becoming a daemon: this process is replaced, so that nothing of the command line stays in the daemon's memory."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from hullmark.errors import Refused
from hullmark.launchers import launcher

AGENT_FILE = "/etc/hullmark/agent.yaml"
MASTER_FILE = "/etc/hullmark/master.yaml"
"""As `config` has them, which imports a YAML reader."""

_PACKAGES = {"agentd": "hullmark-agent", "masterd": "hullmark-master"}

# How this interpreter was told to keep away from its user's environment; the daemon's is told the same.
_FLAGS = (
    ("isolated", "-I"),
    ("safe_path", "-P"),
    ("ignore_environment", "-E"),
    ("no_user_site", "-s"),
    ("no_site", "-S"),
    ("dont_write_bytecode", "-B"),
)


def command_line(daemon: str, arguments: Sequence[str]) -> list[str]:
    """The packages' launcher of the daemon; in a clone `python -m hullmark.DAEMON`, with this interpreter and its flags.
    Raises Refused where the daemon is not installed."""
    installed = launcher(daemon)
    if installed is not None:
        return [str(installed), *arguments]
    found = importlib.util.find_spec(f"hullmark.{daemon}")
    # What is left of a removed package may be a folder of this name, which is a module without an origin.
    if found is None or found.origin is None:
        package = _PACKAGES[daemon]
        raise Refused(
            f"{package} is not installed on this host",
            remedy=f"apt-get install {package}, or dnf install {package}",
        )
    flags = [option for name, option in _FLAGS if getattr(sys.flags, name, False)]
    if "-I" in flags:  # it says -E, -P and -s as well
        flags = [option for option in flags if option not in ("-P", "-E", "-s")]
    return [sys.executable, *flags, "-m", f"hullmark.{daemon}", *arguments]


def become(daemon: str, arguments: Sequence[str], *, given: str = "") -> NoReturn:
    """`given`: what it reads on its standard input, in place of ours. Raises Refused where the daemon is not installed, or can't
    be started."""
    line = command_line(daemon, arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    if given:
        memory = os.memfd_create("given")
        os.write(memory, given.encode())
        os.lseek(memory, 0, os.SEEK_SET)
        os.dup2(memory, sys.__stdin__.fileno() if sys.__stdin__ else 0)
    try:
        os.execv(line[0], line)  # noqa: S606  (no shell is wanted)
    except OSError as error:
        raise Refused(f"{line[0]} can't be started: {error.strerror}") from error
