"""Whether AIDE has a baseline, and has compared files with it: what it found is not its failure, what kept it from looking is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Optional, Union

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
from hullmark.core.checks.programs import look
from hullmark.model.control import Finding, Reading, Trouble
from hullmark.model.durations import age

FOUND_MOST = 7
"""Exit codes: up to this, AIDE compared, and the bits say that files are new (1), gone (2), changed (4). Above, it could not."""
RUNNING_S = 6 * 3600.0
"""How long a run may take: until then an empty report is one that is being made."""
TOGETHER_S = 600.0
"""A script's record and that of the service around it may be so far apart, and be of one run."""
_BEGINNINGS = ("@@begin_db", "\x1f")  # as text, and packed by gzip
_OTHERS_MAY_WRITE = 0o022


# -- the baseline


def judge_database(seen: Seen) -> Finding:
    absent = untold(look(seen, "program"))
    if absent is not None:
        return absent
    database = look(seen, "database")
    if database.trouble is Trouble.MISSING:
        return failed(
            f"AIDE was never initialised: there is no {database.source}",
            "Make a baseline of the host while it is known to be good: aideinit on Debian and Ubuntu, elsewhere aide --init.",
        )
    unread = untold(database)
    if unread is not None:
        return unread
    if database.facts.get("size") == "0":
        return failed(f"{database.source} is empty: AIDE has no baseline")
    mode = database.facts.get("mode", "")
    if not database.text.startswith(_BEGINNINGS) or not re.fullmatch("[0-7]{1,5}", mode):
        return not_understood(database)
    if int(mode, 8) & _OTHERS_MAY_WRITE:
        return failed(f"{database.source} may be changed by others than its owner: mode {mode}")
    at = ages.mtime(database)
    old = ages.unlike("the baseline", at, seen.now, seen.number("max_age"))
    return old or seen.passed(f"the baseline is {age(seen.now - (at or 0.0))} old")


# -- runs


class _Run(NamedTuple):
    at: float
    source: str
    wrong: str = ""  # what kept it from its end
    found: str = ""


def judge_last_run(seen: Seen) -> Finding:
    absent = untold(look(seen, "program"))
    if absent is not None:
        return absent
    runs: list[_Run] = []
    for reading in seen.readings:
        if reading.name.startswith("log "):
            run = _of_log(reading, seen)
            if isinstance(run, Finding):
                return run
            runs += [run] if run is not None else []
    runs += _of_units(seen)
    if not runs:
        return failed(
            "AIDE has never run: there is no report of it",
            "Have it run by a timer each day; where its reports are elsewhere, say so in `logs`.",
        )
    return _judge_newest(runs, seen)


def _judge_newest(runs: list[_Run], seen: Seen) -> Finding:
    newest = max(runs)
    wrong = [run for run in runs if run.wrong and run.at >= newest.at - TOGETHER_S]
    if wrong:
        return failed(f"AIDE's last run could not look: {wrong[0].wrong} ({wrong[0].source})")
    old = ages.unlike("AIDE's last run", newest.at, seen.now, seen.number("max_age"))
    told = next((run.found for run in sorted(runs, reverse=True) if run.found), "")
    return old or seen.passed(f"ran {age(seen.now - newest.at)} ago{': ' + told if told else ''}")


def _of_log(log: Reading, seen: Seen) -> Union[_Run, Finding, None]:
    """The last run that it tells of, or a finding where nobody can tell; None where it tells of none."""
    if log.trouble is Trouble.MISSING:
        return None
    unread = untold(log)
    if unread is not None:
        return unread
    at = ages.mtime(log)
    if at is None:
        return error(f"{log.source}: no time is known")
    if not log.text.strip():
        begun = seen.now - at < RUNNING_S
        return None if begun else _Run(at, log.source, "its report is empty")
    end = seen.find("end " + log.name.partition(" ")[2])
    outcome = _outcome(end.text if end is not None else "") or _outcome(log.text)
    if outcome is not None:
        return _Run(at, log.source, *outcome)
    if re.search("AIDE (successfully )?initialized database", log.text):
        return None
    return not_understood(log)


_OUTCOME = re.compile(
    r"AIDE returned with (?:a (?P<zero>zero) exit code|exit code (?P<code>-?[0-9]{1,3}))"
    r"|(?P<broken>interrupted before AIDE|aborted prematurely)"
    r"|found (?P<none>NO )?differences between database and filesystem"
    r"|(?P<all>All files match AIDE database)"
)
_LATER = re.compile(r"^(?:ERROR|FATAL)\b.*", re.M)
_COUNT = re.compile(r"^\s*(Added|Removed|Changed)(?: entries)?:\s*([0-9]{1,9})\s*$", re.M)


def _outcome(text: str) -> Optional[tuple[str, str]]:
    """What went wrong in the last run that it tells of, and what was found; None where it tells of none."""
    outcomes = list(_OUTCOME.finditer(text))
    if not outcomes:
        return None
    last = outcomes[-1]
    later = _LATER.search(text, last.end())
    if later is not None:
        # Of a run that did not get to its end: what one before it found is no word of its own.
        return (first_line(later[0]), "")
    if _is_wrong(last):
        return (f"exit code {last['code']}" if last["code"] else first_line(last[0]), "")
    counts = ", ".join(f"{count} {what.lower()}" for what, count in _COUNT.findall(text)[-3:])
    if last["zero"] or last["none"] or last["all"]:
        return ("", "no differences")
    return ("", counts or "differences")


def _is_wrong(found: re.Match[str]) -> bool:
    return bool(found["broken"]) or not 0 <= int(found["code"] or 0) <= FOUND_MOST


def _of_units(seen: Seen) -> Iterator[_Run]:
    """Ends of the services that run AIDE, since the host began. Where systemd tells nothing, nothing."""
    uptime = ages.number((look(seen, "uptime").text.split() or [""])[0])
    units = look(seen, "units")
    if uptime is None or units.trouble is not Trouble.NONE or units.code:
        return
    for block in units.text.split("\n\n"):
        said = dict(line.partition("=")[::2] for line in block.splitlines())
        ended_us = ages.number(said.get("ExecMainExitTimestampMonotonic", ""))
        if not ended_us or said.get("LoadState") != "loaded":
            continue
        at = seen.now - max(0.0, uptime - ended_us / 1e6)
        yield _Run(at, said.get("Id", "systemd"), _unlike_exit(said))


def _unlike_exit(said: Mapping[str, str]) -> str:
    """Empty where AIDE came to its end. Code 1 is CLD_EXITED of waitid(2)."""
    code, status = said.get("ExecMainCode", ""), said.get("ExecMainStatus", "")
    if code != "1":
        return f"ended by signal {status}"
    good = bool(re.fullmatch("[0-9]{1,3}", status)) and int(status) <= FOUND_MOST
    return "" if good else f"exit code {status}"


JUDGES: Mapping[str, Judge] = {
    "aide.database": judge_database,
    "aide.last_run": judge_last_run,
}
