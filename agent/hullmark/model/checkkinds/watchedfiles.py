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
        not_exercised="that a change is legitimate: each is an alert and a record, to be judged by people",
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
