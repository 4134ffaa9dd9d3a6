"""What clocks' daemons say of themselves: a source, a stratum, an offset, and when it was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, Optional

from hullmark.core.checks import ages
from hullmark.core.checks.judge import (
    Judge,
    Seen,
    error,
    failed,
    not_applicable,
    not_understood,
    untold,
)
from hullmark.core.checks.programs import dead, judge_alive, look
from hullmark.model.control import Finding, Reading, Trouble

_UNSYNCHRONIZED = 16  # the first stratum that is none
_OWN_CLOCK = "7F7F0101"  # chrony's reference where its own clock is one
_SYNCHRONIZED_LEAPS = ("Normal", "Insert second", "Delete second")


# -- chrony


class _Tracking(NamedTuple):
    reference: str
    stratum: int
    measured_at: float
    offset_s: float
    leap: str


def judge_chrony_tracking(seen: Seen) -> Finding:
    absent = untold(look(seen, "program"))
    if absent is not None:
        return absent
    reading = look(seen, "tracking")
    silent = _silent(reading, "chronyc", "506 Cannot talk to daemon")
    if silent is not None:
        return silent
    tracking = _tracking(reading)
    if tracking is None:
        return not_understood(reading)
    loose = _loose(tracking, seen)
    return loose if loose is not None else _judge_sources(seen, tracking)


def _tracking(reading: Reading) -> Optional[_Tracking]:
    """The line of `chronyc -c tracking`; None where it is another."""
    parts = reading.text.strip().split(",")
    if len(parts) != 14 or "\n" in reading.text.strip():
        return None
    stratum, times = parts[2], [ages.number(parts[3]), ages.number(parts[4])]
    at, offset_s = times
    if not re.fullmatch("[0-9]{1,2}", stratum) or at is None or offset_s is None:
        return None
    if not re.fullmatch("[0-9A-F]{8}", parts[0]):
        return None
    return _Tracking(parts[0], int(stratum), at, offset_s, parts[13])


def _loose(tracking: _Tracking, seen: Seen) -> Optional[Finding]:
    """The finding where the clock follows nothing; None where it does."""
    if tracking.leap not in (*_SYNCHRONIZED_LEAPS, "Not synchronised"):
        return error(f"chronyc: leap status {tracking.leap[:40]!r} is not known")
    if tracking.leap not in _SYNCHRONIZED_LEAPS:
        return failed("chronyd is not synchronised: it follows no source")
    if not 0 < tracking.stratum < _UNSYNCHRONIZED:
        return failed(f"chronyd has stratum {tracking.stratum}: it follows no source")
    if tracking.reference == _OWN_CLOCK:
        if seen.said("local_allowed"):
            return None
        return failed("chronyd takes the host's own clock for its reference")
    old = ages.unlike(
        "the last measurement", tracking.measured_at, seen.now, seen.number("max_age")
    )
    return old or _far(tracking.offset_s * 1000, seen)


def _far(offset_ms: float, seen: Seen) -> Optional[Finding]:
    most_ms = seen.number("max_offset_ms")
    if abs(offset_ms) <= most_ms:
        return None
    return failed(f"the clock is {abs(offset_ms):.0f} ms off, more than {most_ms:.0f} ms")


def _judge_sources(seen: Seen, tracking: _Tracking) -> Finding:
    if tracking.reference == _OWN_CLOCK:
        return seen.passed("the reference is the host's own clock, as is allowed")
    reading = look(seen, "sources")
    if reading.trouble is not Trouble.NONE:
        return _silent(reading, "chronyc", "") or not_understood(reading)
    lines = [line.split(",") for line in reading.text.splitlines() if line.strip()]
    if not all(_is_source(line) for line in lines) or reading.code:
        return not_understood(reading)
    answering = [line for line in lines if int(line[5], 8)]
    if len(answering) < max(1, seen.number("min_sources")):
        return failed(f"{len(answering)} of {len(lines)} time sources answer")
    return seen.passed(
        f"stratum {tracking.stratum}, {abs(tracking.offset_s) * 1000:.3f} ms off, "
        f"{len(answering)} of {len(lines)} sources answer"
    )


def _is_source(line: list[str]) -> bool:
    """mode, state, name, stratum, poll, reach (octal), and four times"""
    return (
        len(line) == 10 and line[0] in ("^", "=", "#") and bool(re.fullmatch("[0-7]{1,3}", line[5]))
    )


def _silent(reading: Reading, program: str, no_daemon: str) -> Optional[Finding]:
    """The finding where the daemon did not answer; None where it did."""
    if reading.trouble is Trouble.TIMED_OUT:
        return failed(f"{reading.source}: no answer")
    if reading.trouble is Trouble.MISSING:
        return error(f"{program} is not on this host, and nothing else can ask the daemon")
    if reading.trouble is not Trouble.NONE:
        return untold(reading)
    if no_daemon and no_daemon in reading.text + reading.errors:
        return failed(f"{reading.source}: {no_daemon}")
    return not_understood(reading) if reading.code else None


# -- systemd-timesyncd


def judge_timesyncd(seen: Seen) -> Finding:
    return _without_timesyncd(seen) or seen.passed()


def judge_timesyncd_synchronized(seen: Seen) -> Finding:
    found = _without_timesyncd(seen)
    if found is not None:
        return found
    reading = look(seen, "timedatectl")
    if reading.trouble is Trouble.MISSING:
        return error("timedatectl is not on this host")
    found = untold(reading)
    if found is not None:
        return found
    said = dict(line.partition("=")[::2] for line in reading.text.splitlines())
    if reading.code or {said.get("NTP"), said.get("NTPSynchronized")} - {"yes", "no"}:
        return not_understood(reading)
    if said["NTP"] == "no":
        return failed("timedatectl: synchronisation over the network is switched off")
    if said["NTPSynchronized"] == "no":
        return failed("timedatectl: the clock is not synchronised")
    return _judge_mark(seen)


def _judge_mark(seen: Seen) -> Finding:
    """By the file that the daemon touches whenever it has set the clock."""
    reading = look(seen, "synchronized")
    if reading.trouble is Trouble.MISSING:
        return failed("systemd-timesyncd has not set the clock since it began")
    set_at = ages.mtime(reading)
    old = untold(reading) or ages.unlike(
        "the last synchronisation", set_at, seen.now, seen.number("max_age")
    )
    return old or seen.passed()


def _without_timesyncd(seen: Seen) -> Optional[Finding]:
    """The finding where it does not run; not_applicable where another daemon does its work."""
    found = untold(look(seen, "program"))
    if found is not None:
        return found
    lifeless = dead(look(seen, "processes"))
    others = look(seen, "others")
    if lifeless is not None and others.trouble is Trouble.NONE and dead(others) is None:
        return not_applicable("another daemon keeps this host's time")
    return lifeless


# -- ntpd


def judge_ntpd_tracking(seen: Seen) -> Finding:
    absent = untold(look(seen, "program"))
    if absent is not None:
        return absent
    reading = look(seen, "variables")
    silence = _NO_NTPD.search(reading.text + reading.errors)
    if silence is not None and reading.trouble is Trouble.NONE:
        return failed(f"{reading.source}: {silence[0]}")
    silent = _silent(reading, "ntpq", "")
    if silent is not None:
        return silent
    said = dict(re.findall(r"\b(stratum|offset|leap)=([-+0-9.]+)", reading.text))
    measured = re.search(r"\breftime=(?:0x)?([0-9a-f]{8})\.", reading.text)
    offset_ms, stratum = ages.number(said.get("offset", "")), said.get("stratum", "")
    if offset_ms is None or "leap" not in said or measured is None:
        return not_understood(reading)
    if not re.fullmatch("[0-9]{1,3}", stratum):
        return not_understood(reading)
    if said["leap"] in _NTP_ALARMS or not 0 < int(stratum) < _UNSYNCHRONIZED:
        return failed(f"ntpd is not synchronised: stratum {stratum}")
    measured_at = int(measured[1], 16) - _SINCE_1900
    old = ages.unlike("the last measurement", measured_at, seen.now, seen.number("max_age"))
    return (
        old
        or _far(offset_ms, seen)
        or seen.passed(f"stratum {stratum}, {abs(offset_ms):.3f} ms off")
    )


_NO_NTPD = re.compile(r"Connection refused|ntpd is not running|[Tt]imed out")
_NTP_ALARMS = ("11", "3", "03")  # in binary, or as some print it
_SINCE_1900 = 2_208_988_800  # seconds from there to 1970


JUDGES: Mapping[str, Judge] = {
    "clocks.chrony_running": judge_alive,
    "clocks.chrony_tracking": judge_chrony_tracking,
    "clocks.timesyncd_running": judge_timesyncd,
    "clocks.timesyncd_synchronized": judge_timesyncd_synchronized,
    "clocks.ntpd_running": judge_alive,
    "clocks.ntpd_tracking": judge_ntpd_tracking,
}
