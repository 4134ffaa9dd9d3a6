"""Looks at a syslog daemon: its process, its configuration, and a line of ours on its way to a file."""

from __future__ import annotations

import os
from collections.abc import Mapping

from hullmark.host import messages, programs, syslogfiles
from hullmark.host.eye import Eye, Probe
from hullmark.host.freespace import space
from hullmark.host.logends import Ends
from hullmark.model import canary
from hullmark.model.checkkinds.syslogs import RSYSLOG, SYSLOG_NG
from hullmark.model.control import Reading, Trouble

PROGRAMS = {RSYSLOG: ("rsyslogd",), SYSLOG_NG: ("syslog-ng",)}


def _daemon(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    return programs.alive(eye, PROGRAMS[_which(given)])


def _canary(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    installed, running = _daemon(eye, given)
    if installed.trouble is not Trouble.NONE or not running.text:
        return installed, running
    files = _files(eye, given)
    paths = files.text.splitlines()
    if not paths:
        return installed, running, files
    within = given.get("within")
    seconds = float(within) if isinstance(within, (int, float)) else 5.0
    nonce = eye.nonce()
    with Ends(eye, paths) as ends:
        text = canary.make(os.uname().nodename, nonce)
        sent = messages.syslog(eye, "sent", str(given.get("socket") or "/dev/log"), text)
        record = ends.wait("record", nonce, seconds if sent.trouble is Trouble.NONE else 0.0)
    return installed, running, files, sent, record, space(eye, "space", paths[0])


def _files(eye: Eye, given: Mapping[str, object]) -> Reading:
    named = given.get("files")
    if isinstance(named, (tuple, list)) and named:
        return Reading("files", "files", text="\n".join(map(str, named)), at=eye.wall())
    return syslogfiles.written(eye, "files", _which(given), str(given.get("configuration") or ""))


def _configuration(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    installed = programs.installed(eye, "program", PROGRAMS[_which(given)])
    path = str(given.get("configuration") or "")
    if _which(given) == RSYSLOG:
        more = ["-f", path] if path else []
        told = eye.run("told", ["rsyslogd", "-N1", *more])
    else:
        more = ["--cfgfile", path] if path else []
        told = eye.run("told", ["syslog-ng", "--syntax-only", *more])
    return installed, told


def _dropped(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    path = str(given.get("control") or "")
    more = [f"--control={path}"] if path else []
    return (
        programs.installed(eye, "program", PROGRAMS[SYSLOG_NG]),
        programs.running(eye, "processes", PROGRAMS[SYSLOG_NG]),
        eye.run("counters", ["syslog-ng-ctl", "stats", *more]),
    )


def _which(given: Mapping[str, object]) -> str:
    return SYSLOG_NG if given.get("daemon") == SYSLOG_NG else RSYSLOG


PROBES: Mapping[str, Probe] = {
    "syslogs.daemon": _daemon,
    "syslogs.canary": _canary,
    "syslogs.configuration": _configuration,
    "syslogs.dropped": _dropped,
}
