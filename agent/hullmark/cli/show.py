"""Answers on standard output: one JSON document with its schema first, or plain text."""

from __future__ import annotations

import json
import sys
from typing import Any

from hullmark.model.wire import full


def document(name: str, value: Any, **more: Any) -> None:
    """`schema`, then every field of the value (a dataclass or a mapping), then `more`."""
    fields = full(value)
    found = {
        "schema": f"hullmark.{name}/1",
        **fields,
        **{key: full(item) for key, item in more.items()},
    }
    found = {key: _with_nulls(item) for key, item in found.items()}
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


NOT_YET = ("started_at", "finished_at", "used_at")
"""Moments that the model has as 0.0 until they come; a document has null then."""


def _with_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: None if key in NOT_YET and item == 0 else _with_nulls(item)
            for key, item in value.items()
        }
    return [_with_nulls(item) for item in value] if isinstance(value, (list, tuple)) else value


def record(name: str, value: Any) -> None:
    """One of many documents, on one line."""
    sys.stdout.write(json.dumps({"schema": f"hullmark.{name}/1", **full(value)}) + "\n")
    sys.stdout.flush()


def lines(*texts: str) -> None:
    sys.stdout.write("".join(f"{text}\n" for text in texts))


def flush() -> None:
    """For output that goes on for a while: what is there is shown."""
    sys.stdout.flush()
