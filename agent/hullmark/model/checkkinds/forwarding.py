"""Whether this host's logs arrive on another machine."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter
from hullmark.model.control import OTHER_HOST

KINDS: Mapping[str, Kind] = {
    "forwarding.receipt": Kind(
        "a canary that this host logs is found in the logs that another host keeps, by the agent there",
        level=OTHER_HOST,
        interval_s=25.0,
        timeout_s=10.0,
        parameters={
            "within": Parameter(
                Form.DURATION, "how old the newest canary that arrived may be", 60.0
            ),
            "forwards": Parameter(
                Form.CHOICE,
                "whether this host sends its logs away; auto: where rsyslog, syslog-ng or the journal is configured to",
                "auto",
                choices=("auto", "yes"),
            ),
        },
        not_exercised="that each log of the host is sent, and that the log host keeps what arrives",
    ),
}
