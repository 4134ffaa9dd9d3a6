"""Errors on standard error: lines for people, or with `--output json` one JSON document.

Standard output has answers only, so that a file or a pipe never gets an error in an answer's place.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable

from hullmark.cli.words import one_line
from hullmark.errors import HullmarkError, as_document

PROBLEMS_SHOWN = 50


def tell(error: HullmarkError, *, as_json: bool) -> None:
    if as_json:
        _tell_json(error)
        return
    lines = [one_line(line) for line in error.message.splitlines()] or ["failed"]
    if len(lines) > PROBLEMS_SHOWN:
        lines[PROBLEMS_SHOWN:] = [f"and {len(lines) - PROBLEMS_SHOWN} more"]
    text = f"hullmark: {lines[0]}\n" + "".join(f"          {line}\n" for line in lines[1:])
    if error.remedy:
        text += f"  what to do: {one_line(error.remedy)}\n"
    sys.stderr.write(text)


def _tell_json(error: HullmarkError) -> None:
    import json  # for this form only

    sys.stderr.write(json.dumps(as_document(error), indent=2) + "\n")


def tell_interrupted(*, as_json: bool) -> None:
    if not as_json:
        sys.stderr.write("hullmark: interrupted\n")


def warn(texts: Iterable[str], notes: Collection[str] = ()) -> None:
    """Lines that don't change the outcome. `notes` are those of them that ask for nothing."""
    for text in texts:
        sys.stderr.write(f"{'note' if text in notes else 'warning'}: {one_line(text)}\n")
    sys.stderr.flush()
