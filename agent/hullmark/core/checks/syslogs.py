"""Whether rsyslog or syslog-ng writes what programs log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional

from hullmark.core.checks import programs
from hullmark.core.checks.judge import (
    Judge,
    Seen,
    error,
    failed,
    first_line,
    not_understood,
    untold,
)
from hullmark.model import canary
from hullmark.model.checkkinds.syslogs import RSYSLOG
from hullmark.model.control import Finding, Reading, Trouble

FULL_BYTES = 64 << 10
_VALID = "End of config validation run"
_WRONG = re.compile(r"^rsyslogd: (.*(?:error|could not|failed).*)$", re.MULTILINE | re.IGNORECASE)
_NG_WRONG = re.compile(r"^(?:\[[^\]]*\] ERROR: .*|Error .*)$", re.MULTILINE)
_NG_REMARK = re.compile(r"^\[[^\]]*\] (?:WARNING|NOTICE|INFO): .*$")
_NG_HEAD = "SourceName;SourceId;SourceInstance;State;Type;Number"


def _judge_canary(seen: Seen) -> Finding:
    told = untold(programs.look(seen, "program")) or programs.dead(programs.look(seen, "processes"))
    if told is not None:
        return told
    files = programs.look(seen, "files")
    if files.trouble is not Trouble.NONE:
        return error(f"{files.source} can't be read, so nobody knows where lines are written")
    if not files.text.strip():
        return error(
            f"{files.source} names no file that is written", "say in `files` where lines arrive"
        )
    if seen.find("sent") is None or seen.find("record") is None:
        return error("there was no time to look")
    return unsent(seen["sent"]) or arrived(seen, seen["record"]) or _lost(seen, seen["record"])


def unsent(sent: Reading) -> Optional[Finding]:
    """A socket that takes nothing is a failure: no program on the host can log."""
    if sent.trouble is Trouble.NONE:
        return None
    if sent.trouble is Trouble.DENIED:
        return untold(sent)
    what = {
        Trouble.MISSING: "isn't there",
        Trouble.TIMED_OUT: "takes nothing: it is full, and nobody reads it",
    }.get(sent.trouble, f"takes nothing: {first_line(sent.errors)}")
    return failed(f"{sent.source}, where programs log, {what}")


def arrived(seen: Seen, record: Reading) -> Optional[Finding]:
    """A pass where the very canary came; an error where something else did; None where nothing did."""
    if record.trouble is not Trouble.NONE:
        return untold(record) if record.trouble is not Trouble.MISSING else None
    if not record.text:
        return None
    nonce = record.facts.get("nonce", "")
    if not nonce or all(one.nonce != nonce for one in canary.find(record.text)):
        return not_understood(record)
    return seen.passed(f"seen in {record.source}")


def _lost(seen: Seen, record: Reading) -> Finding:
    """Why it did not come, as far as can be told."""
    missing = [path for path in record.facts.get("missing", "").split(",") if path]
    unreadable = [path for path in record.facts.get("unreadable", "").split(",") if path]
    files = seen["files"].text.splitlines()
    what = programs.look(seen, "processes").source.rpartition(": ")[2]
    if unreadable:
        return error(f"{unreadable[0]} may not be read")
    space = seen.find("space")
    free = space.facts.get("free_bytes", "") if space is not None else ""
    if free.isdecimal() and int(free) < FULL_BYTES:
        return failed(
            f"{what} runs but writes nothing: the disk of {files[0]} is full",
            f"free space on the disk of {files[0]}: df -h {files[0]}",
        )
    # Files that nothing was ever logged to aren't there either: only where it came before tells something.
    former = seen.former("record")
    gone = former.facts.get("file", "") if former is not None else ""
    if gone in missing or len(missing) == len(files):
        return failed(
            f"{what} runs, but a line did not come: {gone or missing[0]} isn't there",
            "if it was removed: have the daemon open its files anew (SIGHUP)",
        )
    waited = record.facts.get("waited_s", "?")
    shown = files[0] if len(files) == 1 else f"any of {len(files)} files, such as {files[0]}"
    return failed(
        f"{what} runs, but a line was not in {shown} after {waited} s",
        "see whether journald, which /dev/log belongs to where there is systemd, passes it on, and whether an output that can't be "
        "reached holds up the others",
    )


def _judge_configuration(seen: Seen) -> Finding:
    told = programs.look(seen, "told")
    unlike = untold(programs.look(seen, "program")) or untold(told)
    if unlike is not None:
        return unlike
    if seen.text("daemon") == RSYSLOG:
        return _rsyslogs(seen, told)
    wrong = _NG_WRONG.search(told.text + "\n" + told.errors)
    if told.code and wrong:
        return failed(f"{told.source}: {first_line(wrong.group())}")
    lines = [line for line in (told.text + "\n" + told.errors).splitlines() if line.strip()]
    if told.code == 0 and all(_NG_REMARK.match(line) for line in lines):
        return seen.passed(first_line(lines[0]) if lines else "")
    return not_understood(told)


def _rsyslogs(seen: Seen, told: Reading) -> Finding:
    text = f"{told.text}\n{told.errors}"
    wrong = _WRONG.search(text)
    if wrong and (told.code or _VALID not in text):
        return failed(f"{told.source}: {first_line(wrong.group(1))}")
    if told.code != 0 or _VALID not in text:
        return not_understood(told)
    return seen.passed(first_line(wrong.group(1)) if wrong else "")


def _judge_dropped(seen: Seen) -> Finding:
    told = untold(programs.look(seen, "program")) or programs.dead(programs.look(seen, "processes"))
    if told is not None:
        return told
    reading = programs.look(seen, "counters")
    if reading.trouble is Trouble.MISSING:
        return error("syslog-ng-ctl isn't there, though syslog-ng is")
    unlike = untold(reading)
    if unlike is not None:
        return unlike
    counters = _counters(reading)
    if counters is None:
        return not_understood(reading)
    former = seen.former("counters")
    before = (_counters(former) if former is not None else None) or {}
    grown = {
        name: number - before[name]
        for name, number in counters.items()
        if number > before.get(name, number)
    }
    if grown:
        name, number = max(grown.items(), key=lambda each: each[1])
        return failed(f"syslog-ng dropped {number} messages for {name} since the look before")
    return seen.passed(f"{sum(counters.values())} messages dropped since it was started")


def _counters(reading: Reading) -> Optional[dict[str, int]]:
    """Messages that were dropped, by where they should have gone. None where it is no list of counters."""
    lines = [line.strip() for line in reading.text.splitlines() if line.strip()]
    if reading.code != 0 or len(lines) < 2 or lines[0] != _NG_HEAD:
        return None
    found: dict[str, int] = {}
    for line in lines[1:]:
        fields = line.rsplit(";", 3)
        if len(fields) != 4 or not (fields[3].isdecimal() and len(fields[3]) < 20):
            return None
        if fields[2] == "dropped":
            found[fields[0]] = int(fields[3])
    return found


JUDGES: Mapping[str, Judge] = {
    "syslogs.daemon": programs.judge_alive,
    "syslogs.canary": _judge_canary,
    "syslogs.configuration": _judge_configuration,
    "syslogs.dropped": _judge_dropped,
}
