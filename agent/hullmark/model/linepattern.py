"""Patterns that a site holds against lines of text: which are taken, and how much of a line each is held against.

Python's regular expressions have no time limit, and while one is matched the whole process waits. What takes long is a repeat of what
fits nearly everything (`.*`, `\\S+`, `[^,]*`), most of all several of them: the time grows with the length of the line, once more for each.
So there are two at most, and the more there are the less of a line counts; and no bracket is repeated, which can take forever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Optional

PATTERN_MOST = 500
REACH = (4000, 2000, 250)
"""Characters of a line that a pattern is held against, by its number of wide repeats."""
_PIECE = re.compile(
    r"(?P<atom>\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\])(?P<repeat>[*+]|\{[0-9]*(?:,(?P<most>[0-9]*))?\})?",
    re.DOTALL,
)
_WIDE = frozenset({".", r"\S", r"\W", r"\D", r"\w"})
_SHORT = 20
"""A repeat of no more than this is none."""


def problem(pattern: str) -> str:
    """Why it is not taken; empty where it is."""
    if not 0 < len(pattern) <= PATTERN_MOST:
        return f"1 to {PATTERN_MOST} characters"
    pieces = tuple(_PIECE.finditer(pattern))
    if any(piece["atom"] == ")" and piece["repeat"] for piece in pieces):
        return "no bracket is repeated, only one character or class; behind a bracket stands ? or nothing"
    if wide(pattern) >= len(REACH):
        return (
            r"two repeats at most of what fits nearly all, such as .* or \S+; say what stands "
            r"between, as in [0-9]+ or \s+, or how often: .{0,20}"
        )
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)
    return ""


def wide(pattern: str) -> int:
    """How many repeats it has of what fits nearly everything, or of the same as the repeat beside it."""
    pieces = [each for each in _PIECE.finditer(pattern) if each["atom"] not in "()"]
    repeated = [each["atom"] if _is_repeated(each) else "" for each in pieces]
    beside = zip(repeated, ["", *repeated], [*repeated[1:], ""])
    return sum(
        bool(atom) and (_is_wide(atom) or atom in (before, behind))
        for atom, before, behind in beside
    )


def first(pattern: str, lines: Iterable[str]) -> Optional[re.Match[str]]:
    """In the first line that has it. Raises ValueError for a pattern that is not taken."""
    why = problem(pattern)
    if why:
        raise ValueError(why)
    search, reach = re.compile(pattern).search, REACH[wide(pattern)]
    return next((found for found in (search(line[:reach]) for line in lines) if found), None)


def _is_repeated(piece: re.Match[str]) -> bool:
    """More often than a few times."""
    repeat, most = piece["repeat"], piece["most"]
    if not repeat or (most is None and repeat[0] == "{"):
        return False
    return not most or int(most) > _SHORT


def _is_wide(atom: str) -> bool:
    if atom.startswith("["):
        return atom.startswith("[^") or any(each in atom for each in (r"\S", r"\W", r"\D", r"\w"))
    return atom in _WIDE
