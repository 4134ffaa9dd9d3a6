"""Plain tables for a terminal of 80 columns and for pipes: aligned, no lines drawn, nothing coloured."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence

from hullmark.cli.words import one_line

GAP = "  "
LAST_LEAST = 20


def width() -> int:
    """Columns to fit into: the terminal's, 80 at least for its sanity; without a terminal there is no limit (0)."""
    if not sys.stdout.isatty():
        return 0
    return max(40, shutil.get_terminal_size().columns)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], columns: int = 0) -> list[str]:
    """Lines, the head first. With `columns` the last cell of each row is cut to fit; others never are,
    because names have to be whole to be typed again."""
    cells = [list(heads)] + [[one_line(cell) or "-" for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(heads) - 1)]
    room = max(LAST_LEAST, columns - sum(widths) - len(GAP) * len(widths)) if columns else 0
    found = []
    for row in cells:
        padded = [cell.ljust(length) for cell, length in zip(row, widths)]
        found.append(GAP.join([*padded, cut(row[-1], room)]).rstrip())
    return found


def cut(text: str, room: int) -> str:
    """At most `room` characters (0: all), with dots where some are missing."""
    return text if not room or len(text) <= room else text[: room - 3] + "..."


def wrapped(text: str, columns: int, indent: str = "  ") -> list[str]:
    """Lines of whole words below an entry of a table; without `columns` one line."""
    flat = one_line(text)
    if not columns:
        return [indent + flat] if flat else []
    found, line = [], ""
    for word in flat.split():
        if line and len(indent) + len(line) + 1 + len(word) > columns:
            found.append(indent + line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return found + ([indent + line] if line else [])
