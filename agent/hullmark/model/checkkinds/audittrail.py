"""Checks of the audit trail that auditd keeps."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter

KINDS: Mapping[str, Kind] = {
    "audittrail.daemon": Kind(
        "auditd runs, and is neither stopped nor a zombie",
        level=1,
        interval_s=10.0,
        timeout_s=5.0,
        not_exercised="that it writes what it is told",
    ),
    "audittrail.kernel": Kind(
        "what the kernel says of its audit: switched on, taken by auditd, and nothing lost",
        level=2,
        interval_s=30.0,
        timeout_s=5.0,
        parameters={
            "locked": Parameter(
                Form.YES_NO,
                "whether it must be locked until the next boot (auditctl -e 2)",
                default=False,
            ),
            "backlog_at_most": Parameter(
                Form.NUMBER, "how many per cent of its queue may be waiting", default=90
            ),
        },
        not_exercised="that what auditd takes is written",
    ),
    "audittrail.rules": Kind(
        "the kernel's audit rules are there, as many as the file has, and none of them silences all others",
        level=2,
        interval_s=60.0,
        timeout_s=5.0,
        parameters={
            "at_least": Parameter(Form.NUMBER, "how many rules there have to be", default=1),
            "file": Parameter(
                Form.PATH,
                "what auditd's start loads: the kernel has to have as many rules",
                default="/etc/audit/audit.rules",
            ),
            "keys": Parameter(Form.TEXTS, "keys (-k) that rules have to be there with", default=()),
        },
        not_exercised="that each rule watches what it should; nothing is done that a rule would record",
    ),
    "audittrail.canary": Kind(
        "a user message with a nonce, sent to the kernel, is in the file that auditd writes",
        level=3,
        interval_s=60.0,
        timeout_s=15.0,
        waits="within",
        parameters={
            "configuration": Parameter(Form.PATH, "auditd's own", default="/etc/audit/auditd.conf"),
            "within": Parameter(Form.DURATION, "how soon it has to be there", default=5.0),
        },
        not_exercised="records of system calls: the canary is a user message, which rules do not make",
    ),
}
