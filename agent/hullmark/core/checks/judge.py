"""What a judge is given, and the findings that all of them have.

The rules that all judges keep: what could not be looked at is never a pass; a tool that isn't there is `not_applicable`; output that is
not understood is an `error`, with its first line in the reason; a level is never more than the check's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Callable, Optional

from hullmark.model.control import Finding, Reading, Status, Trouble


@dataclass(frozen=True)
class Seen:
    """The readings of one look, and what it was made for. `now` is seconds since 1970; `level` what a pass proves. `before` are the
    readings of the look before this one, for what must not have grown or shrunk; empty at first."""

    readings: tuple[Reading, ...]
    given: Mapping[str, object] = field(default_factory=dict)
    now: float = 0.0
    level: int = 0
    before: tuple[Reading, ...] = ()

    def __getitem__(self, name: str) -> Reading:
        """Raises KeyError where the probe did not get that far: `find` says why."""
        for reading in self.readings:
            if reading.name == name:
                return reading
        raise KeyError(name)

    def find(self, name: str) -> Optional[Reading]:
        return next((one for one in self.readings if one.name == name), None)

    def former(self, name: str) -> Optional[Reading]:
        return next((one for one in self.before if one.name == name), None)

    # -- what was given, of the form that its kind says

    def text(self, name: str) -> str:
        return str(self.given.get(name) or "")

    def number(self, name: str) -> float:
        """Of numbers and durations, these in seconds."""
        value = self.given.get(name)
        return float(value) if isinstance(value, (int, float)) else 0.0

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.given.get(name)
        return tuple(str(one) for one in value) if isinstance(value, (tuple, list)) else ()

    def said(self, name: str) -> bool:
        return bool(self.given.get(name))

    # -- findings

    def passed(self, reason: str = "", level: Optional[int] = None) -> Finding:
        return Finding(Status.PASS, self.level if level is None else min(level, self.level), reason)


Judge = Callable[[Seen], Finding]
"""Pure. Never raises: whatever a host's tools print is judged."""


def failed(reason: str, remedy: str = "") -> Finding:
    return Finding(Status.FAIL, reason=reason, remedy=remedy)


def error(reason: str, remedy: str = "") -> Finding:
    return Finding(Status.ERROR, reason=reason, remedy=remedy)


def not_applicable(reason: str) -> Finding:
    return Finding(Status.NOT_APPLICABLE, reason=reason)


def untold(reading: Reading) -> Optional[Finding]:
    """The finding where this look gave nothing to judge; None where it did. A missing program or file is not_applicable: a judge
    for which it means something else looks first."""
    if reading.trouble is Trouble.NONE:
        return None
    if reading.trouble is Trouble.MISSING:
        return not_applicable(f"{reading.source}: not on this host")
    said = first_line(reading.errors)
    return error(f"{reading.source}: {reading.trouble.value}{': ' + said if said else ''}")


def not_understood(reading: Reading) -> Finding:
    """Its output is none that this version knows."""
    said = first_line(reading.text) or first_line(reading.errors) or "no output"
    code = "" if reading.code in (None, 0) else f", exit code {reading.code}"
    return error(f"{reading.source} said what is not understood{code}: {said}")


def first_line(text: str, most: int = 160) -> str:
    """The first line that isn't empty, printable and short."""
    lines: Iterable[str] = (line.strip() for line in text.splitlines())
    line = next((line for line in lines if line), "")
    shown = "".join(each if each.isprintable() else "?" for each in line)
    return shown if len(shown) <= most else shown[: most - 3] + "..."
