"""What a site's own checks find. A site says itself what counts; what could not be looked at never does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional

from hullmark.core.checks import ages, programs
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
from hullmark.core.checks.syslogs import arrived, unsent
from hullmark.model import linepattern
from hullmark.model.control import SOUGHT, Finding, Reading, Status, Trouble


def _judge_command(seen: Seen) -> Finding:
    told = programs.look(seen, "command")
    return (
        _not_looked(seen, _absent(seen, told))
        or untold(told)
        or _not_looked(seen, _bad_code(seen, told))
        or _bad_lines(seen, told)
        or _bad_number(seen, told)
        or seen.passed(first_line(told.text))
    )


def _judge_file_age(seen: Seen) -> Finding:
    file = programs.look(seen, "file")
    found = _absent(seen, file) or untold(file)
    if found is not None:
        return found
    found = ages.unlike(file.source, ages.mtime(file), seen.now, seen.number("at_most"))
    if found is not None:
        return found
    size = file.facts.get("size", "")
    if seen.said("not_empty") and not size.isdecimal():
        return error(f"{file.source}: its size is not known")
    if seen.said("not_empty") and int(size) == 0:
        return failed(f"{file.source} is empty")
    return seen.passed()


def _judge_file_content(seen: Seen) -> Finding:
    file = programs.look(seen, "file")
    if not seen.text("must_match") and not seen.text("must_not_match"):
        return error("it was not said what has to be there")
    return _absent(seen, file) or untold(file) or _bad_lines(seen, file) or seen.passed()


def _judge_process(seen: Seen) -> Finding:
    listed = programs.look(seen, "processes")
    found = untold(listed)
    if seen.text("executable"):
        program = programs.look(seen, "program")
        found = _absent(seen, program) or untold(program) or found
    if found is not None:
        return found
    rows = programs.rows(listed)
    if rows is None:
        return not_understood(listed)
    what, needed = seen.text("name"), max(1, int(seen.number("at_least")))
    for number, state in rows:
        if state in ("T", "t"):
            return failed(f"{what}: process {number} is {programs.STATES[state]}")
    well = [number for number, state in rows if state not in programs.STATES]
    if len(well) >= needed:
        return seen.passed()
    if rows and not well:
        return failed(f"{what}: process {rows[0][0]} is {programs.STATES[rows[0][1]]}")
    less = f"{len(well)} of {needed} processes run" if well else f"no process {what} runs"
    executable = seen.text("executable")
    return failed(f"{less} of {executable}" if executable else less)


def _judge_unit(seen: Seen) -> Finding:
    booted, told = programs.look(seen, "systemd"), programs.look(seen, "unit")
    if booted.trouble is Trouble.MISSING:
        return not_applicable("this host has no systemd")
    found = untold(booted) or untold(told)
    if found is not None:
        return found
    values = dict(line.split("=", 1) for line in told.text.splitlines() if "=" in line)
    if told.code != 0 or not {"LoadState", "ActiveState", "UnitFileState"} <= set(values):
        return not_understood(told)
    return _unit_found(seen, values)


def _unit_found(seen: Seen, values: Mapping[str, str]) -> Finding:
    name, loaded, active = seen.text("name"), values["LoadState"], values["ActiveState"]
    if loaded == "not-found":
        return _missing(seen, f"there is no unit {name}")
    if loaded != "loaded":
        return failed(f"{name} is {loaded}")
    if active not in ("active", "reloading"):
        result = values.get("Result", "")
        more = f", its last result {result}" if result not in ("", "success") else ""
        return failed(f"{name} is {active or 'in no state'} ({values.get('SubState', '')}){more}")
    at_boot = values["UnitFileState"]
    if seen.said("enabled") and not at_boot.startswith(("enabled", "static", "alias", "generated")):
        return failed(
            f"{name} runs, and does not start at the next boot: it is {at_boot or 'in no file'}"
        )
    return seen.passed()


def _judge_listener(seen: Seen) -> Finding:
    listed = programs.look(seen, "listeners")
    if (
        listed.trouble is not Trouble.NONE
    ):  # also MISSING: there are no ports without a network, and that is no pass
        return error(f"{listed.source}: {first_line(listed.errors) or listed.trouble.value}")
    lines = [line.split("\t") for line in listed.text.splitlines() if line]
    if not all(len(line) == 3 for line in lines):
        return not_understood(listed)
    wanted = seen.text("address")
    there = [line for line in lines if not wanted or line[1] == wanted]
    where = f"{listed.source}{f' of {wanted}' if wanted else ''}"
    if seen.said("listens"):
        elsewhere = f", only {lines[0][1]}" if lines else ""
        return seen.passed() if there else failed(f"nothing listens on {where}{elsewhere}")
    if there:
        _, address, process = there[0]
        return failed(f"{process or 'something'} listens on {where} ({address})")
    return seen.passed()


def _judge_log_canary(seen: Seen) -> Finding:
    sent, record = seen.find("sent"), seen.find("record")
    if sent is None or record is None:
        return error("there was no time to look")
    found = _unwritten(seen, sent) if seen.texts("write_by") else unsent(sent)
    if found is None:
        found = untold(record) or arrived(seen, record)
    if found is not None:
        return found
    files = seen.texts("files")
    missing = [path for path in record.facts.get("missing", "").split(",") if path]
    unreadable = [path for path in record.facts.get("unreadable", "").split(",") if path]
    if unreadable:
        return error(f"{unreadable[0]} may not be read")
    if missing and len(missing) == len(files):
        return _missing(seen, f"{missing[0]} is not there")
    waited = record.facts.get("waited_s", "?")
    return failed(f"a line that was logged was not in {' or '.join(files)} after {waited} s")


def _unwritten(seen: Seen, sent: Reading) -> Optional[Finding]:
    found = _absent(seen, sent) or untold(sent)
    if found is None and sent.code != 0:
        return failed(f"{first_line(sent.source, 60)} ended with {sent.code}: {_said(sent)}")
    return found


def _absent(seen: Seen, reading: Reading) -> Optional[Finding]:
    if reading.trouble is not Trouble.MISSING:
        return None
    return _missing(seen, f"{reading.source} is not there")


def _missing(seen: Seen, reason: str) -> Finding:
    """As the site said: only where it said so that is no failure."""
    return not_applicable(reason) if seen.text("if_missing") == "not_applicable" else failed(reason)


def _not_looked(seen: Seen, found: Optional[Finding]) -> Optional[Finding]:
    """A command that is not there, or ended badly, has not looked for what must not be."""
    if found is not None and found.status is Status.FAIL and seen.said(SOUGHT):
        return error(found.reason)
    return found


def _bad_code(seen: Seen, told: Reading) -> Optional[Finding]:
    good = seen.given.get("codes")
    codes = good if isinstance(good, (tuple, list)) else (0,)
    if told.code is None:
        return error(f"{told.source}: no exit code")
    return None if told.code in codes else failed(f"exit code {told.code}: {_said(told)}")


def _bad_lines(seen: Seen, reading: Reading) -> Optional[Finding]:
    """What is missing, or may not be there. Where there was more than was read, what was not found may be behind it."""
    must, must_not = seen.text("must_match"), seen.text("must_not_match")
    try:
        bad = _found(must_not, reading) if must_not else None
        good = _found(must, reading) if must else None
    except ValueError as problem:
        return error(f"no pattern: {problem}")
    if bad is not None:
        return failed(f"{reading.source} says: {first_line(bad.string)}")
    if reading.cut and (must_not or (must and good is None)):
        return error(f"{reading.source} is longer than is read, so the rest is not known")
    if must and good is None:
        return failed(f"{reading.source} does not say {must}")
    return None


def _bad_number(seen: Seen, told: Reading) -> Optional[Finding]:
    pattern = seen.text("number")
    if not pattern:
        return None
    try:
        found = _found(pattern, told)
        named = found.groupdict().get("number") if found else None
        text = (
            named
            if named is not None
            else found.group(1 if found.re.groups else 0)
            if found
            else ""
        )
    except ValueError as problem:
        return error(f"no pattern: {problem}")
    value = ages.number(text or "")
    if value is None:
        return not_understood(told)
    least, most = seen.given.get("at_least"), seen.given.get("at_most")
    if isinstance(least, (int, float)) and value < least:
        return failed(
            f"{value:.12g}, less than {least}: {first_line(found.string if found else '')}"
        )
    if isinstance(most, (int, float)) and value > most:
        return failed(
            f"{value:.12g}, more than {most}: {first_line(found.string if found else '')}"
        )
    return None


def _found(pattern: str, reading: Reading) -> Optional[re.Match[str]]:
    """In the first line that has it, of what a command put out, then of its errors. Raises ValueError for what is no pattern."""
    return linepattern.first(pattern, (*reading.text.splitlines(), *reading.errors.splitlines()))


def _said(reading: Reading) -> str:
    return first_line(reading.errors) or first_line(reading.text) or "it said nothing"


JUDGES: Mapping[str, Judge] = {
    "command": _judge_command,
    "file_age": _judge_file_age,
    "file_content": _judge_file_content,
    "process": _judge_process,
    "unit": _judge_unit,
    "listener": _judge_listener,
    "log_canary": _judge_log_canary,
}
