"""Looks that a site's own checks are made of: commands, files, processes, units, ports, and a line through a log."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from hullmark.host import messages, programs, siteprograms
from hullmark.host.eye import Eye, Probe
from hullmark.host.logends import Ends
from hullmark.model import canary
from hullmark.model.control import Reading, Trouble

BOOTED = "/run/systemd/system"
"""There where systemd is the init system: sd_booted(3)."""
_NEWEST_OF_MOST = 2000


def _command(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    return (siteprograms.run(eye, "command", _texts(given, "argv")),)


def _file_age(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    """Of several the newest."""
    pattern = str(given.get("path"))
    seen = [eye.stat("file", path) for path in eye.paths(pattern)[:_NEWEST_OF_MOST]]
    if not seen:
        return (eye.stat("file", pattern),)
    return (max(seen, key=lambda one: float(one.facts.get("mtime", "-1"))),)


def _file_content(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    return (eye.file("file", str(given.get("path"))),)


def _process(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    executable, name = str(given.get("executable") or ""), str(given.get("name"))
    if not executable:
        return (programs.named(eye, "processes", name),)
    # A process's own link to its program has no link in it any more; /bin may be one.
    real = os.path.realpath(executable) if eye.at("/") == Path("/") else executable
    return eye.stat("program", executable), programs.named(eye, "processes", name, real)


def _unit(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    name = str(given.get("name"))
    booted = eye.stat("systemd", BOOTED)
    if booted.trouble is not Trouble.NONE:
        return (booted,)
    properties = "Id,LoadState,ActiveState,SubState,UnitFileState,Result"
    return booted, eye.run("unit", ["systemctl", "show", f"--property={properties}", "--", name])


def _listener(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    """Who listens on the port, one a line: protocol, address, process."""
    at, source = eye.wall(), f"{given.get('protocol')} port {given.get('port')}"
    tcp = given.get("protocol") == "tcp"
    try:
        found = psutil.net_connections("tcp" if tcp else "udp")
    except psutil.AccessDenied as error:
        return (Reading("listeners", source, errors=str(error), trouble=Trouble.DENIED, at=at),)
    except (psutil.Error, OSError) as error:
        return (Reading("listeners", source, errors=str(error), trouble=Trouble.FAILED, at=at),)
    lines = {
        f"{given.get('protocol')}\t{one.laddr.ip}\t{_name(one.pid)}"
        for one in found
        if one.laddr and one.laddr.port == given.get("port") and _listens(one)
    }
    return (Reading("listeners", source, text="\n".join(sorted(lines)), at=at),)


def _listens(one: Any) -> bool:
    if one.type == socket.SOCK_STREAM:
        return bool(one.status == psutil.CONN_LISTEN)
    return not one.raddr


def _name(pid: object) -> str:
    try:
        name = psutil.Process(pid).name() if isinstance(pid, int) else ""
    except (psutil.Error, OSError):
        return ""
    return "".join(each if each.isprintable() else "?" for each in name)


def _log_canary(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    within = given.get("within")
    seconds = float(within) if isinstance(within, (int, float)) else 15.0
    nonce = eye.nonce()
    text = canary.make(os.uname().nodename, nonce)
    command = [word.replace("{text}", text) for word in _texts(given, "write_by")]
    with Ends(eye, _texts(given, "files")) as ends:
        if command:
            sent = siteprograms.run(eye, "sent", command)
        else:
            sent = messages.syslog(eye, "sent", str(given.get("socket") or "/dev/log"), text)
        record = ends.wait("record", nonce, seconds if sent.trouble is Trouble.NONE else 0.0)
    return sent, record


def _texts(given: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = given.get(name)
    return tuple(map(str, value)) if isinstance(value, (tuple, list)) else ()


PROBES: Mapping[str, Probe] = {
    "command": _command,
    "file_age": _file_age,
    "file_content": _file_content,
    "process": _process,
    "unit": _unit,
    "listener": _listener,
    "log_canary": _log_canary,
}
