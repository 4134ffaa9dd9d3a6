"""Integrity of files: AIDE. It is never run by a check, and no baseline is ever taken or accepted."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter
from hullmark.model.control import INSTALLED, SELF_REPORT

KINDS: Mapping[str, Kind] = {
    "aide.database": Kind(
        "there is a baseline, it is not too old, and only its owner may change it",
        INSTALLED,
        interval_s=60,
        timeout_s=10,
        parameters={
            "paths": Parameter(
                Form.PATHS,
                "where the baseline may be, the `database_in` of AIDE's configuration; the first that is there counts",
                ("/var/lib/aide/aide.db", "/var/lib/aide/aide.db.gz"),
            ),
            "max_age": Parameter(Form.DURATION, "how old it may be; 0s: any age", 365 * 86400),
        },
        not_exercised="that the baseline is right, and that AIDE compares with it",
    ),
    "aide.last_run": Kind(
        "AIDE has compared files with its baseline lately, and came to its end; what it found is no failure of AIDE",
        SELF_REPORT,
        interval_s=60,
        timeout_s=15,
        parameters={
            "logs": Parameter(
                Form.PATHS,
                "where AIDE's reports are, as its `report_url` or a script says",
                tuple(f"/var/log/aide/aide.log{ending}" for ending in ("", ".0", ".1")),
            ),
            "units": Parameter(
                Form.TEXTS,
                "services of systemd that run AIDE, whose exit codes count too",
                ("dailyaidecheck.service", "aidecheck.service", "aide-check.service"),
            ),
            "max_age": Parameter(
                Form.DURATION,
                "how long ago it may have run last; PCI DSS asks for once a week",
                7 * 86400,
            ),
        },
        not_exercised="which files AIDE is told to watch; that a person reads what it finds",
    ),
}
