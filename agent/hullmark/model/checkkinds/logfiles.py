"""Checks of log files: who may read them, whether something was taken out of them, how long they are kept."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter

KINDS: Mapping[str, Kind] = {
    "logfiles.permissions": Kind(
        "logs can be read by few, and changed by the daemons that write them only",
        level=2,
        interval_s=60.0,
        timeout_s=10.0,
        parameters={
            "paths": Parameter(
                Form.PATHS,
                "files and folders, with * and ?; those that aren't there are left out",
                required=True,
            ),
            "mode": Parameter(Form.MODE, "the most that may be allowed", default=0o640),
            "owners": Parameter(Form.TEXTS, "whose they may be", default=("root", "syslog")),
            "groups": Parameter(
                Form.TEXTS,
                "groups that may be allowed something",
                default=("root", "adm", "syslog", "systemd-journal", "wheel"),
            ),
        },
        not_exercised="access control lists; who is in those groups",
    ),
    "logfiles.truncation": Kind(
        "no log was made shorter, replaced or removed since the look before, but by a rotation that kept it",
        level=2,
        interval_s=30.0,
        timeout_s=10.0,
        parameters={
            "paths": Parameter(Form.PATHS, "logs that grow, with * and ?", required=True),
            "rotated": Parameter(
                Form.PATHS,
                "where rotated files are, if not beside the log with its name, with * and ?",
                default=(),
            ),
        },
        not_exercised="lines that were changed without a change of size; files that were rotated before",
    ),
    "logfiles.retention": Kind(
        "logrotate and auditd keep logs long enough",
        level=2,
        interval_s=3600.0,
        timeout_s=10.0,
        parameters={
            "paths": Parameter(Form.PATHS, "logs that grow, with * and ?", required=True),
            "days": Parameter(
                Form.NUMBER, "how many days they have to be at hand on this host", default=90
            ),
            "logrotate": Parameter(
                Form.PATH, "logrotate's configuration", default="/etc/logrotate.conf"
            ),
            "auditd": Parameter(
                Form.PATH, "auditd's configuration", default="/etc/audit/auditd.conf"
            ),
        },
        not_exercised="what is kept elsewhere; that logrotate runs",
    ),
    "logfiles.own_chain": Kind(
        "Hullmark's own audit log grows, its newest records are a chain, and its end is the one that is remembered",
        level=2,
        interval_s=60.0,
        timeout_s=5.0,
        parameters={
            "path": Parameter(Form.PATH, "the file that grows; in `audit.dir`, if not said"),
            "last": Parameter(
                Form.PATH, "where its end is remembered; in `state_dir`, if not said"
            ),
            "at_most": Parameter(Form.DURATION, "how old its newest record may be", default=7200.0),
        },
        not_exercised="older records, which `hullmark audit verify` goes through",
    ),
}
