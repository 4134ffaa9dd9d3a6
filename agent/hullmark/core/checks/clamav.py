"""What clamd answers: which signatures it has loaded, and whether it finds what it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Optional

from hullmark.core.checks import ages
from hullmark.core.checks.judge import (
    Judge,
    Seen,
    error,
    failed,
    first_line,
    not_understood,
    untold,
)
from hullmark.core.checks.programs import judge_alive, look
from hullmark.model.control import Finding, Reading, Trouble

_ZONES_S = 14 * 3600.0
"""clamd tells the date of its signatures in its own zone, and doesn't say which: at most so far ahead."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_VERSION = re.compile(r"ClamAV [^\s/]+(?:/([0-9]+)/(\S.*))?")
_DATE = re.compile(
    r"\w{3} (\w{3}) +([0-9]{1,2}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([0-9]{4})", re.ASCII
)
_FOUND = re.compile(r"stream: (\S+) FOUND", re.ASCII)


def judge_signatures(seen: Seen) -> Finding:
    silent = _silent(seen)
    if silent is not None:
        return silent
    version = look(seen, "version")
    said = _VERSION.fullmatch(version.text.strip())
    if said is None:
        return not_understood(version)
    if said[1] is None:
        return failed(
            "clamd has no daily signatures loaded", "See whether freshclam could fetch them."
        )
    at = _seconds(said[2])
    if at is None:
        return not_understood(version)
    what = f"the newest signature, {said[1]},"
    return ages.unlike(what, at, seen.now, seen.number("max_age"), _ZONES_S) or seen.passed(
        f"signatures {said[1]} of {said[2]}"
    )


def judge_eicar(seen: Seen) -> Finding:
    silent = _silent(seen)
    if silent is not None:
        return silent
    answer = look(seen, "eicar")
    gone = _gone(answer)
    if gone is not None:
        return gone
    text = answer.text.strip()
    if text == "stream: OK":
        return failed(
            "clamd takes the EICAR test file for clean",
            "See which signatures clamd has loaded: its log says how many.",
        )
    found = _FOUND.fullmatch(text)
    if found is None:
        return not_understood(answer)
    old = ages.unlike("the last test", answer.at, seen.now, seen.number("every") + 3600)
    return old or seen.passed(f"found {first_line(found[1], 60)}")


def _silent(seen: Seen) -> Optional[Finding]:
    """The finding where clamd isn't here, or did not answer; None where it did."""
    absent = untold(look(seen, "program"))
    if absent is not None:
        return absent
    config = look(seen, "config")
    if config.trouble is Trouble.MISSING:
        return error(
            f"clamd's configuration is in none of {config.source}", "Give it in `configs`."
        )
    unread = untold(config)
    if unread is not None:
        return unread
    if seen.find("version") is None:
        return error(f"{config.source} names no socket")
    return _gone(look(seen, "version"))


def _gone(reading: Reading) -> Optional[Finding]:
    if reading.trouble is Trouble.TIMED_OUT:
        return failed(f"{reading.source}: no answer")
    if reading.trouble is Trouble.MISSING:
        return failed(f"{reading.source}: there is no socket")
    if reading.trouble is Trouble.FAILED and reading.errors:
        return failed(f"{reading.source}: {first_line(reading.errors)}")
    return untold(reading)


def _seconds(date: str) -> Optional[float]:
    """Since 1970, taken as UTC; None where it is no date."""
    found = _DATE.fullmatch(date.strip())
    if found is None or found[1] not in _MONTHS:
        return None
    day, hour, minute, second, year = (int(each) for each in found.groups()[1:])
    try:
        at = datetime(
            year, _MONTHS.index(found[1]) + 1, day, hour, minute, second, tzinfo=timezone.utc
        )
    except ValueError:
        return None
    return at.timestamp()


JUDGES: Mapping[str, Judge] = {
    "clamav.daemon": judge_alive,
    "clamav.updater": judge_alive,
    "clamav.signatures": judge_signatures,
    "clamav.eicar": judge_eicar,
}
