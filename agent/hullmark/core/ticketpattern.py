"""Patterns of tickets: the part of regular expressions that can be matched in short time, whatever the ticket.

Allowed are characters, classes such as `[0-9]`, `.`, `\\d`, `\\w`, alternatives in brackets as in `(CHG|INC)`, and the repeats
`? * + {n} {n,m}` behind one character or class. Matching takes time with the power of the number of repeats that may be of
several lengths, and of brackets: so there are few of both.
"""

from __future__ import annotations

import re

PATTERN_MOST = 200
TICKET_MOST = 64
"""Characters of a ticket that is matched."""
REPEATS_MOST = 3
BRACKETS_MOST = 2
ALLOWED = (
    "a pattern such as (CHG|INC)-[0-9]+: characters, [classes], ., \\d, \\w, (A|B), and ? * + {n} {n,m} behind a "
    f"character or class; {REPEATS_MOST} repeats and {BRACKETS_MOST} brackets at most"
)

_ATOM = r"(?:\\[dw.\-+*?()\[\]{}|^$/]|\[\^?[^\[\]\\]+\]|[A-Za-z0-9 _.:#/@,=~!%&-])"
_PIECE = re.compile(rf"(?P<atom>{_ATOM})(?P<repeat>\?|\*|\+|\{{[0-9]{{1,2}}(?:,[0-9]{{0,2}})?\}})?")
_FIXED = re.compile(r"\{[0-9]+\}")


def pattern_problem(pattern: str) -> str:
    """Why it is no pattern; empty where it is one."""
    if len(pattern) > PATTERN_MOST:
        return f"it has {len(pattern)} characters"
    problem = _brackets_problem(pattern)
    at = repeats = 0
    while at < len(pattern) and not problem:
        if pattern[at] in "()|":
            at += 1
            continue
        piece = _PIECE.match(pattern, at)
        if piece is None:
            return f"nothing is known of {pattern[at : at + 12]!r}"
        repeats += bool(piece["repeat"]) and not _FIXED.fullmatch(piece["repeat"])
        at = piece.end()
    if not problem and repeats > REPEATS_MOST:
        problem = f"it repeats {repeats} things"
    return problem or _compile_problem(pattern)


def _brackets_problem(pattern: str) -> str:
    """Of round ones, those in classes and behind `\\` aside."""
    plain = re.sub(r"\\.|\[[^\]]*\]", "x", pattern)
    if re.search(r"\)[?*+{]", plain):
        return "a bracket is repeated"
    if plain.count("(") > BRACKETS_MOST:
        return f"it has {plain.count('(')} brackets"
    if re.search(r"[()]", re.sub(r"\([^()]*\)", "", plain)):
        return "its brackets are not in pairs, or stand in each other"
    return ""


def _compile_problem(pattern: str) -> str:
    try:
        re.compile(pattern, re.ASCII)
    except re.error as error:
        return str(error)
    return ""


def fits(pattern: str, ticket: str) -> bool:
    """The whole ticket has to. False also for a pattern that is none."""
    if len(ticket) > TICKET_MOST or pattern_problem(pattern):
        return False
    return re.fullmatch(pattern, ticket, re.ASCII) is not None
