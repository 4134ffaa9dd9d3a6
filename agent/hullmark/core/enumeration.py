"""Several things in one message of a host, as an agent writes them and `hullmark why` reads them: `WHAT: ONE; ANOTHER; and 2 more`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_MORE = re.compile(r"; and [0-9]+ more$")


def several(what: str, each: Sequence[str], most: int) -> str:
    """Not more than `most` of them are named."""
    more = len(each) - most
    return f"{what}: " + "; ".join([*each[:most], *([f"and {more} more"] if more > 0 else [])])


def part_of(message: str, is_meant: Callable[[str], bool]) -> str:
    """The message with those of them only that are meant; empty where none is."""
    what, _, each = message.partition(": ")
    found = [one for one in each.split("; ") if is_meant(one)]
    return f"{what}: {'; '.join(found)}" if found else ""


def is_cut(message: str) -> bool:
    """Whether there are some that it doesn't name."""
    return _MORE.search(message) is not None
