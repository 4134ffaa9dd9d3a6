"""Faults of ours, as a log shows them."""

from __future__ import annotations

import traceback


def traced(error: BaseException) -> str:
    """The traceback of an error that ended a task."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))
