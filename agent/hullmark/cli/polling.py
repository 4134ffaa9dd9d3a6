"""Waiting on a master: long polls that outlive its restarts, and a Ctrl-C that ends the wait alone."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TypeVar

import click

from hullmark.cli.client import Client
from hullmark.cli.options import Asked
from hullmark.errors import MasterUnavailable, StaleEpoch, StoreUnavailable

T = TypeVar("T")

HOLD_S = 20.0
PAUSE_S = 0.5
UNREACHED = (MasterUnavailable, StoreUnavailable, StaleEpoch)
"""What passes: the master is being restarted, or another one is about to lead."""


def newer(
    client: Client,
    cls: type[T],
    path: str,
    version: int,
    hold_s: float,
    deadline: float,
    query: Mapping[str, object] = {},
) -> T:
    """The answer at `path`: at once with `version` 0, else when it is newer than that, or after `hold_s`.

    A master that goes away meanwhile is asked again until `deadline`, which is monotonic; after that what
    `Client.ask` raises is raised."""
    until = min(deadline, time.monotonic() + min(hold_s, HOLD_S))
    while True:
        now = time.monotonic()
        held_s = round(max(0.0, until - now), 3) if version else 0.0
        held = {"after": version, "hold_s": held_s} if version else {}
        try:
            return client.ask(cls, path, {**query, **held}, held_s)
        except UNREACHED:
            if deadline - now <= PAUSE_S:
                raise
        time.sleep(PAUSE_S)


@contextlib.contextmanager
def goes_on(asked: Asked, what: str, see: str) -> Iterator[None]:
    """Ctrl-C ends the wait and not `what` is waited for, and says so."""
    try:
        yield
    except KeyboardInterrupt:
        if not asked.json:
            sys.stderr.write(f"{what} goes on; see how it stands: {see}\n")
        raise click.Abort from None
