"""The program `ip`: what it says, and what it is told."""

from __future__ import annotations

import subprocess

from hullmark.errors import Refused

_TIME_LIMIT_S = 60.0
_INSTALL = "see whether the distribution's package iproute2 is installed"


def ip(*arguments: str, told: str = "") -> str:
    """What it prints. `told`: what it reads. Raises Refused, in its own words where it has any."""
    try:
        done = subprocess.run(
            ["ip", *arguments],
            input=told,
            capture_output=True,
            text=True,
            timeout=_TIME_LIMIT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Refused(f"ip {' '.join(arguments)}: {error}", remedy=_INSTALL) from error
    if done.returncode != 0:
        raise Refused(f"ip {' '.join(arguments)}: {' '.join(done.stderr.split())[:300]}")
    return done.stdout
