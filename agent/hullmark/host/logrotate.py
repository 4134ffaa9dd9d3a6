"""What logrotate was told: for each pattern how many files it keeps, and for how long."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Optional

from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble

FILES_MOST = 200
_DAYS: Mapping[str, int] = {
    "hourly": 0,
    "daily": 1,
    "weekly": 7,
    "monthly": 30,
    "yearly": 365,
}
_SCRIPTS = frozenset({"postrotate", "prerotate", "firstaction", "lastaction", "preremove"})
_WORD = re.compile(r"^([a-z]+)\s*=?\s*(\S*)")


@dataclass(frozen=True)
class _Rules:
    """`rotate` is -1 where nothing is ever removed; `days` how long one file grows, 0: it is not said by time."""

    rotate: int = 0
    days: int = 0
    maxage: int = 0
    size: str = ""


def told(eye: Eye, name: str, path: str) -> Reading:
    """The reading's text: a line for each pattern: itself, how many files are kept, days for each, days at the most (0: not said), the
    size at which one is rotated (empty: by time), and the file that says so, with tabs between."""
    begun = eye.file(name, path)
    if begun.trouble is not Trouble.NONE:
        return begun
    lines: list[str] = []
    _read(eye, path, _Rules(), lines, 0)
    return Reading(name, path, text="\n".join(lines), at=begun.at)


def _read(eye: Eye, path: str, rules: _Rules, lines: list[str], depth: int) -> _Rules:
    """The rules for what follows: what stands outside of all blocks counts from there on."""
    block: Optional[_Rules] = None
    waiting: list[str] = []
    for line in _statements(eye.file("", path, most=1 << 20).text):
        word = _WORD.match(line)
        if block is None and word is not None and word.group(1) == "include" and depth < 3:
            for each in _included(eye, word.group(2)):
                rules = _read(eye, each, rules, lines, depth + 1)
        elif line == "{":
            block = rules
        elif line == "}" and block is not None:
            lines.extend(_row(pattern, block, path) for pattern in waiting)
            block, waiting = None, []
        elif block is not None:
            block = _with(block, line)
        elif line.startswith(("/", '"', "'")):
            waiting += _patterns(line)
        else:
            rules = _with(rules, line)
    return rules


def _statements(text: str) -> Iterator[str]:
    """Lines without remarks and scripts; braces each on their own."""
    in_script = False
    for raw in text.splitlines():
        line = raw.strip()
        if in_script or line in _SCRIPTS:
            in_script = line != "endscript"
            continue
        if not line or line.startswith("#"):
            continue
        for part in re.split(r"([{}])", line):
            if part.strip():
                yield part.strip()


def _patterns(line: str) -> list[str]:
    try:
        return [each for each in shlex.split(line) if each.startswith("/")]
    except ValueError:
        return []


def _included(eye: Eye, path: str) -> list[str]:
    found = eye.paths(f"{path}/*") if eye.at(path).is_dir() else eye.paths(path)
    return [each for each in found if not each.endswith(("~", ".dpkg-dist", ".rpmnew"))][
        :FILES_MOST
    ]


def _with(rules: _Rules, line: str) -> _Rules:
    word = _WORD.match(line)
    if word is None:
        return rules
    key, value = word.groups()
    if key in _DAYS:
        return replace(rules, days=_DAYS[key], size="")
    if key == "rotate" and re.fullmatch(r"-?[0-9]{1,6}", value):
        return replace(rules, rotate=int(value))
    if key == "maxage" and re.fullmatch(r"[0-9]{1,6}", value):
        return replace(rules, maxage=int(value))
    # By size alone: whatever it says of time does not count.
    if key == "size":
        return replace(rules, size=value)
    if key == "maxsize":
        return replace(rules, size=value)
    return rules


def _row(pattern: str, rules: _Rules, path: str) -> str:
    fields = (pattern, rules.rotate, rules.days, rules.maxage, rules.size, path)
    return "\t".join(map(str, fields))
