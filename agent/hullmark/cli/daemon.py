"""Becoming a daemon: this process is replaced, so that nothing of the command line stays in the daemon's memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from hullmark.errors import Refused

AGENT_FILE = "/etc/hullmark/agent.yaml"
MASTER_FILE = "/etc/hullmark/master.yaml"
"""As `config` has them, which imports a YAML reader."""

# How this interpreter was told to keep away from its user's environment; the daemon's is told the same.
_FLAGS = (
    ("isolated", "-I"),
    ("safe_path", "-P"),
    ("ignore_environment", "-E"),
    ("no_user_site", "-s"),
    ("no_site", "-S"),
    ("dont_write_bytecode", "-B"),
)


def command_line(package: str, arguments: Sequence[str]) -> list[str]:
    """`python -m hullmark.PACKAGE ARGUMENTS`, with this interpreter and its flags."""
    flags = [option for name, option in _FLAGS if getattr(sys.flags, name, False)]
    if "-I" in flags:  # it says -E, -P and -s as well
        flags = [option for option in flags if option not in ("-P", "-E", "-s")]
    return [sys.executable, *flags, "-m", f"hullmark.{package}", *arguments]


def become(package: str, arguments: Sequence[str]) -> NoReturn:
    """Raises Refused where the interpreter can't be started."""
    line = command_line(package, arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(line[0], line)  # noqa: S606  (no shell is wanted)
    except OSError as error:
        raise Refused(f"{line[0]} can't be started: {error.strerror}") from error
