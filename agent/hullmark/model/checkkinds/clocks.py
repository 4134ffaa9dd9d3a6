"""Time: chrony, systemd-timesyncd, ntpd."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter
from hullmark.model.control import RUNNING, SELF_REPORT

_NOT_HERE = "that the time is right: the daemon is believed in what it says of its sources"

KINDS: Mapping[str, Kind] = {
    "clocks.chrony_running": Kind(
        "chronyd runs, and is not stopped",
        RUNNING,
        interval_s=10,
        timeout_s=5,
        not_exercised="that it has a source, or sets the clock",
    ),
    "clocks.chrony_tracking": Kind(
        "chronyd says that it follows a source: with a stratum, a small offset and a fresh measurement",
        SELF_REPORT,
        interval_s=30,
        timeout_s=10,
        parameters={
            "max_offset_ms": Parameter(
                Form.NUMBER, "how far the clock may be from the sources, in milliseconds", 1000
            ),
            "max_age": Parameter(
                Form.DURATION, "how long ago the clock may have been measured last", 2 * 3600
            ),
            "min_sources": Parameter(Form.NUMBER, "how many sources have to answer", 1),
            "local_allowed": Parameter(
                Form.YES_NO,
                "whether the host's own clock may be the reference, as on a time server without another",
                False,
            ),
            "address": Parameter(
                Form.TEXT,
                "where chronyc asks, as its option -h takes it; empty: as it does by itself",
                "",
            ),
            "port": Parameter(Form.NUMBER, "the port for commands, where `address` is given", 323),
        },
        not_exercised=_NOT_HERE,
    ),
    "clocks.timesyncd_running": Kind(
        "systemd-timesyncd runs, and is not stopped",
        RUNNING,
        interval_s=10,
        timeout_s=5,
        not_exercised="that it has a server, or sets the clock",
    ),
    "clocks.timesyncd_synchronized": Kind(
        "systemd-timesyncd has set the clock lately, and the kernel takes it for synchronized",
        SELF_REPORT,
        interval_s=30,
        timeout_s=10,
        parameters={
            "max_age": Parameter(
                Form.DURATION, "how long ago the clock may have been set last", 2 * 3600
            ),
        },
        not_exercised=_NOT_HERE + "; nor how far the clock was off",
    ),
    "clocks.ntpd_running": Kind(
        "ntpd runs, and is not stopped",
        RUNNING,
        interval_s=10,
        timeout_s=5,
        not_exercised="that it has a source, or sets the clock",
    ),
    "clocks.ntpd_tracking": Kind(
        "ntpd says that it follows a source: with a stratum, a small offset and a fresh measurement",
        SELF_REPORT,
        interval_s=30,
        timeout_s=10,
        parameters={
            "max_age": Parameter(
                Form.DURATION, "how long ago the clock may have been measured last", 2 * 3600
            ),
            "max_offset_ms": Parameter(
                Form.NUMBER, "how far the clock may be from the sources, in milliseconds", 1000
            ),
        },
        not_exercised=_NOT_HERE,
    ),
}
