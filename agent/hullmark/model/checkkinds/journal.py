"""Checks of systemd's journal."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter

KINDS: Mapping[str, Kind] = {
    "journal.daemon": Kind(
        "systemd-journald runs, and is neither stopped nor a zombie",
        level=1,
        interval_s=10.0,
        timeout_s=5.0,
        not_exercised="that it writes what it is told",
    ),
    "journal.canary": Kind(
        "an entry with a nonce, sent to journald as programs do, is read back by journalctl",
        level=3,
        interval_s=60.0,
        timeout_s=15.0,
        waits="within",
        parameters={"within": Parameter(Form.DURATION, "how soon it has to be there", default=5.0)},
        not_exercised="entries of other services, each of which has a rate limit of its own",
    ),
    "journal.suppressed": Kind(
        "journald says of no service that it threw entries away, as its rate limit was reached",
        level=2,
        interval_s=30.0,
        timeout_s=10.0,
        parameters={
            "window": Parameter(Form.DURATION, "how long ago that counts", default=120.0),
            "at_most": Parameter(Form.NUMBER, "how many entries may be", default=0),
        },
        not_exercised="what is thrown away now: journald tells it with the service's first entry after the limit's interval",
    ),
    "journal.persistent": Kind(
        "the journal is kept on the disk, or a syslog daemon keeps what it holds",
        level=1,
        interval_s=600.0,
        timeout_s=5.0,
        parameters={
            "or_syslog": Parameter(
                Form.YES_NO,
                "whether it need not be where rsyslog or syslog-ng runs",
                default=True,
            )
        },
        not_exercised="that old files of the journal are kept long enough",
    ),
    "journal.space": Kind(
        "the journal takes no more room than it may, and its disk has room",
        level=2,
        interval_s=300.0,
        timeout_s=10.0,
        parameters={
            "most_mib": Parameter(
                Form.NUMBER, "how many MiB it may take; SystemMaxUse of journald.conf, if not said"
            ),
            "least_free_mib": Parameter(
                Form.NUMBER, "how many MiB have to be free on its disk", default=100
            ),
        },
        not_exercised="that what is kept is old enough",
    ),
}
