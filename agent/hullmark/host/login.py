"""Which person runs this command."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

_NO_LOGIN = 0xFFFFFFFF


def person(proc: Path = Path("/proc"), environment: Mapping[str, str] = os.environ) -> str:
    """The user of the login, which `sudo` and `su` don't change (/proc/PID/loginuid); where the system keeps none, who
    called `sudo`, and else who this is."""
    try:
        login = int((proc / "self" / "loginuid").read_text())
    except (OSError, ValueError):
        login = _NO_LOGIN
    if login != _NO_LOGIN:
        return _name(login)
    return environment.get("SUDO_USER") or _name(os.getuid())


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
