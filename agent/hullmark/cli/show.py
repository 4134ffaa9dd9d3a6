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
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


def record(name: str, value: Any) -> None:
    """One of many documents, on one line."""
    sys.stdout.write(json.dumps({"schema": f"hullmark.{name}/1", **full(value)}) + "\n")
    sys.stdout.flush()


def lines(*texts: str) -> None:
    sys.stdout.write("".join(f"{text}\n" for text in texts))


def flush() -> None:
    """For output that goes on for a while: what is there is shown."""
    sys.stdout.flush()
