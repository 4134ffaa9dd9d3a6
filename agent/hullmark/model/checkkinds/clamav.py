"""Malware: ClamAV's daemon, its signatures, and what brings them."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter
from hullmark.model.control import CANARY, RUNNING, SELF_REPORT

_CONFIGS = Parameter(
    Form.PATHS,
    "where clamd's configuration may be; the first that is there says where it listens",
    ("/etc/clamav/clamd.conf", "/etc/clamd.d/scan.conf", "/etc/clamd.conf"),
)

KINDS: Mapping[str, Kind] = {
    "clamav.daemon": Kind(
        "clamd runs, and is not stopped",
        RUNNING,
        interval_s=10,
        timeout_s=5,
        not_exercised="that it answers, or finds anything",
    ),
    "clamav.updater": Kind(
        "freshclam runs, and is not stopped",
        RUNNING,
        interval_s=30,
        timeout_s=5,
        not_exercised="that it gets signatures: their age tells",
    ),
    "clamav.signatures": Kind(
        "clamd answers, and the signatures that it has loaded are young",
        SELF_REPORT,
        interval_s=30,
        timeout_s=20,
        parameters={
            "configs": _CONFIGS,
            "max_age": Parameter(Form.DURATION, "how old the daily signatures may be", 3 * 86400),
        },
        not_exercised="that anything is scanned, or found",
    ),
    "clamav.eicar": Kind(
        "clamd finds the EICAR test file, which does no harm, when it is sent over its socket: at the start, once in `every`, after "
        "each change of the signatures or restart of clamd, and each time while it does not",
        CANARY,
        interval_s=60,
        timeout_s=30,
        parameters={
            "configs": _CONFIGS,
            "every": Parameter(Form.DURATION, "how often it is sent while nothing changes", 86400),
        },
        not_exercised="scans of files on disk, on access or by a timetable; what is done about a find; any other signature",
    ),
}
