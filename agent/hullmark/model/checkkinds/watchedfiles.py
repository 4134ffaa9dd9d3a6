"""Files that are watched for change: Hullmark's own, the engine's, and those that a site names."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter
from hullmark.model.control import CANARY, SELF_REPORT

_PATHS = Parameter(Form.PATHS, "files and folders, with all that is in them", (), required=True)

KINDS: Mapping[str, Kind] = {
    "watchedfiles.watch": Kind(
        "a change of these files is seen: at once by inotify, where a canary file shows that it is, and by comparing all of them",
        level=CANARY,
        interval_s=60.0,
        timeout_s=10.0,
        parameters={
            "paths": _PATHS,
            "compared": Parameter(
                Form.DURATION, "how old the newest comparison of all files may be", 1800.0
            ),
        },
        not_exercised="who made a change, and whether it was meant",
    ),
    "watchedfiles.unchanged": Kind(
        "none of these files has changed lately; each change is a record, and all that belong together one outage",
        level=SELF_REPORT,
        interval_s=30.0,
        timeout_s=10.0,
        parameters={
            "paths": _PATHS,
            "quiet": Parameter(
                Form.DURATION, "how long after the newest change it passes again", 600.0
            ),
        },
        not_exercised="who made a change, and whether it was meant",
    ),
    "watchedfiles.safe": Kind(
        "nobody but root can write these files",
        level=SELF_REPORT,
        interval_s=60.0,
        timeout_s=10.0,
        parameters={"paths": _PATHS},
        not_exercised="access control lists and capabilities of processes",
    ),
}
