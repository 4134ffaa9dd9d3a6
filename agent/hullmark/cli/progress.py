"""How a change is shown while it is carried out: one line for each news, or a live table on a terminal."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Optional, Protocol

from hullmark.cli.standing import told
from hullmark.model.api import AppDetail
from hullmark.model.observed import Phase

_STEPS = {Phase.PULLING: 1, Phase.CREATING: 2, Phase.STARTING: 3}


class Progress(Protocol):
    """Used as a context; `seen` takes each answer."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None: ...

    def seen(self, detail: AppDetail) -> None: ...


class Silent:
    """Says nothing: for JSON and `--quiet`."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        return None

    def seen(self, detail: AppDetail) -> None:
        return None


class Lines(Silent):
    """A line on standard error whenever an instance's state or reason changed."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, int], str] = {}
        self._steps: dict[tuple[str, int], int] = {}

    def seen(self, detail: AppDetail) -> None:
        for item in detail.instances:
            key, text = (item.name, item.generation), told(item)
            step = _STEPS.get(item.status.phase, 0) if item.status is not None else 0
            if step and step < self._steps.get(key, 0):
                continue  # a look at the engine that was begun before the last news
            if self._told.get(key) != text:
                self._told[key], self._steps[key] = text, step
                sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def choose(*, silent: bool) -> Progress:
    """A live table where a person looks at a terminal that can show one."""
    if silent:
        return Silent()
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from hullmark.cli.live import Live  # rich takes its time to import

        return Live()
    return Lines()
