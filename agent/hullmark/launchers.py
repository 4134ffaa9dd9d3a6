"""Where this tree runs from: the packages' private folder, with a launcher for each daemon beside it, or a clone."""

from __future__ import annotations

from pathlib import Path
from typing import Optional


def launcher(daemon: str) -> Optional[Path]:
    """Of `agentd` or `masterd`, such as /usr/share/hullmark/agentd. None in a clone, and where that daemon's package
    is not installed."""
    path = Path(__file__).resolve().parent.parent / daemon
    return path if path.is_file() else None


def is_packaged() -> bool:
    """Whether the packages installed what runs here, of either daemon: hosts of a shop are mostly alike."""
    return any(launcher(daemon) is not None for daemon in ("agentd", "masterd"))


def shipped(folder: str) -> Path:
    """A folder of files that come with Hullmark, such as `controls.d`: beside the packages' tree, or in a clone's conf/."""
    tree = Path(__file__).resolve().parent.parent
    beside = tree / folder
    return beside if beside.is_dir() else tree.parent / "conf" / folder


def start_command(daemon: str) -> str:
    """What a person types to start `agentd` or `masterd`, also on another host, of which the init system isn't known."""
    name = daemon[:-1]
    if not is_packaged():
        return f"hullmark {name} run"
    service = f"hullmark-{name}"
    return f"systemctl start {service}, or: service {service} start; {_log_of(service)}"


def start_proxy() -> str:
    """What a person types to start this host's proxy."""
    if not is_packaged():
        return "sh packaging/files/proxy supervise"
    return f"systemctl start hullmark-proxy, or: service hullmark-proxy start; {_log_of('hullmark-proxy')}"


def look_command(daemon: str) -> str:
    """What a person types to see how `agentd` or `masterd` is, as `start_command` has it."""
    name = daemon[:-1]
    if not is_packaged():
        return f"{look_line(daemon)}; and its log"
    service = f"hullmark-{name}"
    return f"systemctl status {service}, or: service {service} status; {_log_of(service)}"


def look_line(daemon: str) -> str:
    """The same as one line that can be pasted as it is, with either init system."""
    if not is_packaged():
        # The brackets keep grep from finding itself.
        return f"ps -eo pid,stat,args | grep '[{daemon[0]}]{daemon[1:]} run'"
    service = f"hullmark-{daemon[:-1]}"
    return f"systemctl status {service} || service {service} status"


def _log_of(service: str) -> str:
    return f"its log: journalctl -u {service}, or in /var/log/hullmark"
