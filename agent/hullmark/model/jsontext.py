"""JSON text of others: how deep it goes is looked at before it is read.

Python's reader goes down with the text, to the depth at which the interpreter stops it with a RecursionError. Where something
else runs in that moment, such as the garbage collector, Python 3.9 ends the process instead (bugs.python.org/issue42500).
"""

from __future__ import annotations

import json
import re
from typing import Any, Union

DEPTH_MAX = 200
"""Objects and lists in each other. Our own forms have fewer than 20."""

_MARKS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def loads(text: Union[str, bytes], *, depth: int = DEPTH_MAX, **hooks: Any) -> Any:
    """As `json.loads`. Raises ValueError, also for what is nested deeper than `depth`, and for bytes that are not UTF-8."""
    if isinstance(text, bytes):
        text = text.decode()
    if text.count("[") + text.count("{") > depth:
        _check_depth(text, depth)
    return json.loads(text, **hooks)


def _check_depth(text: str, most: int) -> None:
    depth = 0
    for found in _MARKS.finditer(text):
        mark = found.group()
        if mark in "[{":
            depth += 1
            if depth > most:
                raise json.JSONDecodeError("nested too deeply", text, found.start())
        elif mark in "]}":
            depth -= 1
