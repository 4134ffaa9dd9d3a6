"""Looks at chrony, systemd-timesyncd and ntpd. What is run asks only, and sets nothing."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.host.eye import Eye, Probe
from hullmark.host.programs import installed, running
from hullmark.model.control import Reading, Trouble

TIMESYNCD = ("/usr/lib/systemd/systemd-timesyncd", "/lib/systemd/systemd-timesyncd")
SYNCHRONIZED = "/run/systemd/timesync/synchronized"


def see_chrony(eye: Eye, _: Mapping[str, object]) -> tuple[Reading, ...]:
    return _daemon(eye, "chronyd")


def see_chrony_tracking(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    program = installed(eye, "program", ["chronyd"])
    if program.trouble is not Trouble.NONE:
        return (program,)
    address, port = str(given.get("address") or ""), str(given.get("port") or 323)
    where = ["-h", address, "-p", port] if address else []
    # -n: names of sources as they are, so that nothing is asked of a name server
    tracking = eye.run("tracking", ["chronyc", "-n", "-c", *where, "tracking"], timeout_s=5)
    if tracking.trouble is not Trouble.NONE or tracking.code:
        return (program, tracking)
    return (program, tracking, eye.run("sources", ["chronyc", "-n", "-c", *where, "sources"]))


def see_timesyncd(eye: Eye, _: Mapping[str, object]) -> tuple[Reading, ...]:
    """With the daemons beside which it has nothing to do."""
    program = installed(eye, "program", TIMESYNCD)
    if program.trouble is not Trouble.NONE:
        return (program,)
    processes = running(eye, "processes", ["systemd-timesyncd"])
    return (program, processes, running(eye, "others", ["chronyd", "ntpd"]))


def see_timesyncd_synchronized(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    seen = see_timesyncd(eye, given)
    if len(seen) == 1:
        return seen
    said = eye.run("timedatectl", ["timedatectl", "show", "-p", "NTP", "-p", "NTPSynchronized"])
    return (*seen, eye.stat("synchronized", SYNCHRONIZED), said)


def see_ntpd(eye: Eye, _: Mapping[str, object]) -> tuple[Reading, ...]:
    return _daemon(eye, "ntpd")


def see_ntpd_tracking(eye: Eye, _: Mapping[str, object]) -> tuple[Reading, ...]:
    program = installed(eye, "program", ["ntpd"])
    if program.trouble is not Trouble.NONE:
        return (program,)
    return (program, eye.run("variables", ["ntpq", "-n", "-c", "rv"]))


def _daemon(eye: Eye, program: str) -> tuple[Reading, ...]:
    found = installed(eye, "program", [program])
    if found.trouble is not Trouble.NONE:
        return (found,)
    return (found, running(eye, "processes", [program]))


PROBES: Mapping[str, Probe] = {
    "clocks.chrony_running": see_chrony,
    "clocks.chrony_tracking": see_chrony_tracking,
    "clocks.timesyncd_running": see_timesyncd,
    "clocks.timesyncd_synchronized": see_timesyncd_synchronized,
    "clocks.ntpd_running": see_ntpd,
    "clocks.ntpd_tracking": see_ntpd_tracking,
}
