"""Whether a daemon is alive, from the processes that `host/programs.py` lists."""

from __future__ import annotations

from typing import Optional

from hullmark.core.checks.judge import Seen, failed, not_understood, untold
from hullmark.model.control import Finding, Reading, Trouble

STATES = {"T": "stopped by a signal", "t": "stopped by a debugger", "Z": "a zombie", "X": "dead"}
_COLUMNS = 5


def judge_alive(seen: Seen) -> Finding:
    """For kinds that only ask this: the readings are `program` and `processes`."""
    return untold(look(seen, "program")) or dead(look(seen, "processes")) or seen.passed()


def look(seen: Seen, name: str) -> Reading:
    """One that says so where the probe did not get that far."""
    nothing = Reading(name, name, errors="was not looked at", trouble=Trouble.FAILED)
    return seen.find(name) or nothing


def rows(processes: Reading) -> Optional[list[tuple[str, str]]]:
    """Number and state of each; None where it is no such list."""
    lines = [line.split("\t") for line in processes.text.splitlines() if line]
    if not all(
        len(line) == _COLUMNS and line[0].isdecimal() and len(line[1]) == 1 for line in lines
    ):
        return None
    return [(line[0], line[1]) for line in lines]


def dead(processes: Reading) -> Optional[Finding]:
    """The finding where no process of these is well; None where one is. One that is stopped is a failure also beside others: it
    may be the one that does the work."""
    if processes.trouble is not Trouble.NONE:
        return untold(processes)
    lines = rows(processes)
    if lines is None:
        return not_understood(processes)
    what = processes.source.rpartition(": ")[2]
    stopped = [line for line in lines if line[1] in ("T", "t")]
    well = [line for line in lines if line[1] not in STATES]
    if not lines:
        return failed(f"no process of {what} runs")
    if stopped or not well:
        line = stopped[0] if stopped else lines[0]
        return failed(f"{what}: process {line[0]} is {STATES[line[1]]}")
    return None
