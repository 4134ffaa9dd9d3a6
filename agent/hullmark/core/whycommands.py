"""What is to be typed next on the way to a service: commands that can be pasted as they are, on hosts with systemd and on those with init scripts."""

from __future__ import annotations

from collections.abc import Sequence

from hullmark.core.hostnames import PODMAN

PLACEHOLDERS = frozenset(("APP", "FILE", "HOST", "TEXT", "URL"))
"""Words of commands for people, which they are to put something in place of; no name of ours is in capitals."""


def status_of(service: str) -> str:
    return f"systemctl status {service} || service {service} status"


def log_of(service: str, file: str) -> str:
    """`file`: where it is on hosts without a journal."""
    return f"journalctl --no-pager -n 50 -u {service} || tail -n 50 {file}"


AGENT = status_of("hullmark-agent")
PROXY = status_of("hullmark-proxy")
AGENT_LOG = log_of("hullmark-agent", "/var/log/hullmark/agent.log")


def engine(kind: str) -> str:
    """Podman's service has no init script."""
    if kind == PODMAN:
        return "systemctl status podman.socket || pgrep -af 'podman system service'"
    return status_of("docker")


def first_whole(commands: Sequence[str], otherwise: str) -> str:
    """The first, unless a person has to put something into it."""
    first = commands[0] if commands else ""
    return otherwise if not first or PLACEHOLDERS & set(first.split()) else first


def with_remedy(text: str, remedy: str) -> str:
    """What a host or a master says that is to be done is for people, and often several commands."""
    return f"{text}. What to do: {remedy}" if remedy else text
