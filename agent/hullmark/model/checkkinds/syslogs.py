"""Checks of a syslog daemon: rsyslog or syslog-ng."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter

RSYSLOG, SYSLOG_NG = "rsyslog", "syslog-ng"
_DAEMON = Parameter(Form.CHOICE, "which one", required=True, choices=(RSYSLOG, SYSLOG_NG))
_CONFIGURATION = Parameter(Form.PATH, "the daemon's own, where it isn't in its usual place")

KINDS: Mapping[str, Kind] = {
    "syslogs.daemon": Kind(
        "the daemon runs, and is neither stopped nor a zombie",
        level=1,
        interval_s=10.0,
        timeout_s=5.0,
        parameters={"daemon": _DAEMON},
        not_exercised="that it writes what it is told",
    ),
    "syslogs.canary": Kind(
        "a line with a nonce, logged as every program does, is in a file that the daemon writes",
        level=3,
        interval_s=60.0,
        timeout_s=15.0,
        waits="within",
        parameters={
            "daemon": _DAEMON,
            "configuration": _CONFIGURATION,
            "socket": Parameter(Form.PATH, "where programs log", default="/dev/log"),
            "files": Parameter(
                Form.PATHS,
                "where it may arrive; all files that the daemon's configuration names, if none is given",
                default=(),
            ),
            "within": Parameter(Form.DURATION, "how soon it has to be there", default=5.0),
        },
        not_exercised="other facilities than user; what is sent to other hosts",
    ),
    "syslogs.configuration": Kind(
        "the daemon finds nothing wrong in its configuration",
        level=2,
        interval_s=3600.0,
        timeout_s=20.0,
        parameters={"daemon": _DAEMON, "configuration": _CONFIGURATION},
        not_exercised="that the running daemon has read it",
    ),
    "syslogs.dropped": Kind(
        "syslog-ng has dropped no message since the look before",
        level=2,
        interval_s=60.0,
        timeout_s=5.0,
        parameters={
            "control": Parameter(Form.PATH, "its control socket, where it isn't in its usual place")
        },
        not_exercised="what was lost before it reached syslog-ng",
    ),
}
