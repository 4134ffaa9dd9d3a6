"""Looks at fail2ban: its process, what the server says of its jails, and what a filter makes of a line. Nobody is banned."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone

from hullmark.host import fail2banserver
from hullmark.host.eye import Eye, Probe
from hullmark.host.programs import installed, running
from hullmark.model.control import Reading, Trouble

JAILS_MOST = 100
FILES_MOST = 40
_JAIL_LIST = re.compile(r"Jail list:[ \t]*(.*)")
_JAIL = re.compile(r"[\w.][\w.-]{0,63}", re.ASCII)
_FILE_LIST = re.compile(r"File list:[ \t]*(/.*)")


def see_daemon(eye: Eye, _: Mapping[str, object]) -> tuple[Reading, ...]:
    program = installed(eye, "program", ["fail2ban-server"])
    if program.trouble is not Trouble.NONE:
        return (program,)
    return (program, running(eye, "processes", ["fail2ban-server"]))


def see_jails(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    """`program`, `ping`, `status`, a `jail NAME` for each, and a `file PATH` for each that one of them watches."""
    program = installed(eye, "program", ["fail2ban-server"])
    if program.trouble is not Trouble.NONE:
        return (program,)
    socket = fail2banserver.socket_of(eye, given)
    ping = fail2banserver.ask(eye, "ping", socket, "ping")
    if ping.trouble is not Trouble.NONE or ping.code:
        return (program, ping)
    status = fail2banserver.ask(eye, "status", socket, "status")
    jails = [_ask_of(eye, socket, jail) for jail in jails_of(status.text)]
    paths = sorted({path for jail in jails for path in files_of(jail.text)})
    files = [eye.stat(f"file {path}", path) for path in paths[:FILES_MOST]]
    return (program, ping, status, *jails, *files)


def see_filter(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    program = installed(eye, "program", ["fail2ban-server"])
    if program.trouble is not Trouble.NONE:
        return (program,)
    status = fail2banserver.ask(eye, "status", fail2banserver.socket_of(eye, given), "status")
    if str(given.get("jail")) not in jails_of(status.text):
        return (program, status)
    now = datetime.fromtimestamp(eye.wall(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%S+0000")
    line = f"{now} canary {given.get('line')}"
    return (program, status, eye.run("match", ["fail2ban-regex", line, str(given.get("filter"))]))


def jails_of(status: str) -> tuple[str, ...]:
    """Those that can be asked about by their name; at most JAILS_MOST."""
    found = _JAIL_LIST.search(status)
    names = [each.strip() for each in found[1].split(",")] if found else []
    return tuple(name for name in names if _JAIL.fullmatch(name))[:JAILS_MOST]


def files_of(status: str) -> tuple[str, ...]:
    """The server puts a space between them, as a path may have one too: what is no path of its own belongs to the one before."""
    found = _FILE_LIST.search(status)
    return tuple(re.split(r" (?=/)", found[1].strip())) if found else ()


def _ask_of(eye: Eye, socket: str, jail: str) -> Reading:
    heading = f"Status for the jail: {jail}"
    return fail2banserver.ask(eye, f"jail {jail}", socket, "status", jail, heading=heading)


PROBES: Mapping[str, Probe] = {
    "fail2ban.daemon": see_daemon,
    "fail2ban.jails": see_jails,
    "fail2ban.filter": see_filter,
}
