"""Looks at auditd: its process, what `auditctl` says, and a message of ours on its way to the record file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from hullmark.host import programs
from hullmark.host.eye import Eye, Probe
from hullmark.host.freespace import space
from hullmark.host.logends import Ends
from hullmark.model import canary
from hullmark.model.control import Reading, Trouble

DAEMON = ("auditd",)
CONFIGURATION = "/etc/audit/auditd.conf"
LOG_FILE = "/var/log/audit/audit.log"  # where the configuration says none
_RULES_BYTES = 1 << 20
_LOG_FILE = re.compile(r"^\s*log_file\s*=\s*(/\S*)\s*$", re.MULTILINE | re.IGNORECASE)


def _daemon(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    return programs.alive(eye, DAEMON)


def _kernel(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    return (*_daemon(eye, given), eye.run("status", ["auditctl", "-s"]))


def _rules(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    return (
        programs.installed(eye, "program", DAEMON),
        eye.run("rules", ["auditctl", "-l"], most=_RULES_BYTES),
        eye.file("file", str(given.get("file") or "/etc/audit/audit.rules"), most=_RULES_BYTES),
    )


def _canary(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    installed, running = _daemon(eye, given)
    configuration = eye.file("configuration", str(given.get("configuration") or CONFIGURATION))
    readable = configuration.trouble is Trouble.NONE
    if installed.trouble is not Trouble.NONE or not running.text or not readable:
        return installed, running, configuration
    told = _LOG_FILE.search(configuration.text)
    path = told.group(1) if told else LOG_FILE
    within = given.get("within")
    seconds = float(within) if isinstance(within, (int, float)) else 5.0
    nonce = eye.nonce()
    with Ends(eye, [path]) as ends:
        text = canary.make(os.uname().nodename, nonce)
        sent = eye.run("sent", ["auditctl", "-m", text], timeout_s=5.0)
        record = ends.wait("record", nonce, seconds)
    return installed, running, configuration, sent, record, space(eye, "space", path)


PROBES: Mapping[str, Probe] = {
    "audittrail.daemon": _daemon,
    "audittrail.kernel": _kernel,
    "audittrail.rules": _rules,
    "audittrail.canary": _canary,
}
