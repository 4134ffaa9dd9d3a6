"""What fail2ban's server says of its jails, and whether a filter finds what it is for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional

from hullmark.core.checks.judge import (
    Judge,
    Seen,
    error,
    failed,
    first_line,
    not_applicable,
    not_understood,
    untold,
)
from hullmark.core.checks.programs import judge_alive, look
from hullmark.model.control import Finding, Reading, Trouble

_SHOWN_MOST = 6
_NO_SERVER = re.compile(r"[Ii]s (?:fail2ban|it) running\?|Could not find server")
_JAIL_LIST = re.compile(r"Number of jail:[ \t]*([0-9]{1,6})\n.*Jail list:[ \t]*(.*)")
_OF_A_JAIL = "Status for the jail: "
_WATCHED = re.compile(r"(?:File list|Journal matches):[ \t]*(\S?)")
_MATCHES = re.compile(
    r"^Lines: [0-9]+ lines, [0-9]+ ignored, ([0-9]{1,9}) matched, [0-9]+ missed", re.M
)


def judge_jails(seen: Seen) -> Finding:
    absent = untold(look(seen, "program"))
    if absent is not None:
        return absent
    ping = look(seen, "ping")
    silent = _silent(ping)
    if silent is not None:
        return silent
    if "pong" not in ping.text:
        return not_understood(ping)
    status = look(seen, "status")
    jails = _jails(status)
    if jails is None:
        return _silent(status) or not_understood(status)
    if not jails:
        return failed("fail2ban has no jail: it watches nothing")
    lacking = [jail for jail in seen.texts("jails") if jail not in jails]
    if lacking:
        return failed(f"jail {lacking[0]} is not active")
    wrong = (_idle(seen, jail) for jail in jails)
    return next((each for each in wrong if each), None) or seen.passed(f"jails: {_shown(jails)}")


def _jails(status: Reading) -> Optional[list[str]]:
    """None where that can't be told."""
    found = _JAIL_LIST.search(status.text)
    if status.trouble is not Trouble.NONE or status.code or found is None:
        return None
    names = [each.strip() for each in found[2].split(",") if each.strip()]
    return names if len(names) == int(found[1]) else None


def _idle(seen: Seen, jail: str) -> Optional[Finding]:
    """The finding where it watches nothing; None where it watches something."""
    reading = look(seen, f"jail {jail}")
    silent = _silent(reading)
    if silent is not None:
        return silent
    watched = _WATCHED.search(reading.text)
    if not reading.text.startswith(_OF_A_JAIL) or watched is None:
        return not_understood(reading)
    if not watched[1]:
        return failed(f"jail {jail} watches neither a file nor the journal")
    files = [one for one in seen.readings if one.name.startswith("file ")]
    gone = [one.source for one in files if one.trouble is Trouble.MISSING]
    mine = [path for path in gone if path in reading.text]
    return failed(f"jail {jail} watches {mine[0]}, which is not there") if mine else None


def judge_filter(seen: Seen) -> Finding:
    absent = untold(look(seen, "program"))
    if absent is not None:
        return absent
    status, jail = look(seen, "status"), seen.text("jail")
    jails = _jails(status)
    if jails is None:
        said = first_line(status.errors) or first_line(status.text) or "no answer"
        return error(f"which jails there are can't be told: {said}")
    if jail not in jails:
        return not_applicable(f"jail {jail} is not active")
    match = look(seen, "match")
    if match.trouble is Trouble.MISSING:
        return error("fail2ban-regex is not on this host")
    unlike = untold(match)
    if unlike is not None:
        return unlike
    found = _MATCHES.search(match.text)
    if found is None or match.code:
        return not_understood(match)
    if int(found[1]) == 0:
        return failed(
            f"the filter {seen.text('filter')} finds nothing in the line of a failed login"
        )
    return seen.passed(f"the filter {seen.text('filter')} finds the address")


def _silent(reading: Reading) -> Optional[Finding]:
    """The finding where the server did not answer; None where it did."""
    if reading.trouble is Trouble.MISSING:
        return error("fail2ban's server was not asked")
    if reading.trouble is Trouble.TIMED_OUT:
        return failed(f"{reading.source}: no answer")
    if reading.trouble is not Trouble.NONE:
        return untold(reading)
    if reading.code and _NO_SERVER.search(reading.text + reading.errors):
        return failed(f"{reading.source}: the server can't be reached")
    return not_understood(reading) if reading.code else None


def _shown(names: list[str]) -> str:
    more = len(names) - _SHOWN_MOST
    return ", ".join(names[:_SHOWN_MOST]) + (f" and {more} more" if more > 0 else "")


JUDGES: Mapping[str, Judge] = {
    "fail2ban.daemon": judge_alive,
    "fail2ban.jails": judge_jails,
    "fail2ban.filter": judge_filter,
}
