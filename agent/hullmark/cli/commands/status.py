"""`hullmark status`"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Optional, TypeVar

import click

from hullmark.cli import door, redundancytext, show
from hullmark.cli.client import Client
from hullmark.cli.options import Asked, online
from hullmark.cli.polling import UNREACHED
from hullmark.cli.table import width, wrapped
from hullmark.cli.words import age, count, duration, one_line
from hullmark.errors import EXIT_DEGRADED, EXIT_FAILED, EXIT_OK, MasterUnavailable
from hullmark.model.api import ClusterStatus, HostList
from hullmark.model.incidentapi import IncidentNumbers

T = TypeVar("T")

EPILOG = """\b
Example:
  hullmark status
  hullmark status --output json
  hullmark status --wait 30s       # after a start, in a script

\b
Exit codes: 0 ok, 1 degraded, 2 failed, 3 no master answers.
"""
PAUSE_S = 0.2
LEAST_S = 1.0
"""A master that works answers by then, also where the wait is nearly over."""
_EXITS = {"ok": EXIT_OK, "degraded": EXIT_DEGRADED}
_INDENT = " " * 10
WORDS = {"never": "not heard yet"}


@click.command(epilog=EPILOG)
@click.option(
    "--wait",
    metavar="DURATION",
    help="First wait, this long at most, until a master answers and leads, and hears every host that is not in maintenance.",
)
@online
def command(asked: Asked, wait: Optional[str]) -> int:
    """Show how the cluster stands, and what to type next."""
    client = door.client(asked)
    waited = None if wait is None else _wait(client, duration(wait, "--wait"))
    status = waited or client.ask(ClusterStatus, "/v1/status")
    if asked.json:
        show.document("status", status)
    else:
        show.lines(*_lines(status, width()))
    return _EXITS.get(status.state, EXIT_FAILED)


def _wait(client: Client, timeout_s: float) -> Optional[ClusterStatus]:
    """How it stands once a leader takes changes and hears all hosts that are not in maintenance; None where time is over before that, and
    what then is wrong, the next answer says. Raises what asking raises where no master answered at the end: it is asked once more, for a moment."""
    deadline = time.monotonic() + timeout_s
    trouble: Optional[MasterUnavailable] = None
    while time.monotonic() < deadline:
        try:
            hosts = _asked(client, HostList, "/v1/hosts", deadline).hosts
            trouble = None
            if all(host.state == "ready" or host.maintenance is not None for host in hosts):
                status = _asked(client, ClusterStatus, "/v1/status", deadline)
                if status.known and not status.read_only:
                    return status
        except MasterUnavailable as error:
            # The first says most: the last tries have little time.
            trouble = (trouble or error) if isinstance(error.__cause__, OSError) else None
        except UNREACHED:
            trouble = None
        time.sleep(PAUSE_S)
    if trouble is None:
        return None
    try:
        return _asked(client, ClusterStatus, "/v1/status", deadline)
    except MasterUnavailable:
        raise trouble from trouble.__cause__


def _asked(client: Client, cls: type[T], path: str, deadline: float) -> T:
    return client.ask(cls, path, only_s=max(LEAST_S, deadline - time.monotonic()))


def _lines(status: ClusterStatus, columns: int) -> Iterator[str]:
    first, rest = (status.notes[0], status.notes[1:]) if status.notes else ("all is well", ())
    head = wrapped(first, columns, _INDENT)
    yield f"{status.state.upper():<10}{head[0].strip() if head else ''}".rstrip()
    yield from head[1:]
    for note in rest:
        yield from wrapped(note, columns, _INDENT)
    yield from redundancytext.lines(status, columns)
    if status.known:
        yield from _known(status, columns)
    if status.next:
        yield f"next      {one_line(status.next)}"


def _known(status: ClusterStatus, columns: int) -> Iterator[str]:
    head = wrapped(_hosts(status), columns, _INDENT)
    yield f"hosts     {head[0].strip()}"
    yield from head[1:]
    yield f"apps      {_of(status.apps_ok, status.apps_total, 'app')}"
    if status.incidents is not None and status.incidents.open:
        yield f"controls  {_incidents(status.incidents)}"
    if status.orphans:
        yield f"orphans   {count(status.orphans, 'container')}, kept"


def _incidents(numbers: IncidentNumbers) -> str:
    """`2 incidents, oldest 26 min, 1 unacknowledged`"""
    new = numbers.unacknowledged
    told = "acknowledged" if not new else "unacknowledged"
    if 0 < new < numbers.open:
        told = f"{new} unacknowledged"
    return f"{count(numbers.open, 'incident')}, oldest {age(numbers.oldest_s)}, {told}"


def _hosts(status: ClusterStatus) -> str:
    """`28 ok, 1 maintenance (CHG-881, 40 min left), 1 silent`"""
    told = [
        f"{group.number} {WORDS.get(group.word, group.word)}"
        + (f" ({group.detail})" if group.detail else "")
        for group in status.hosts
    ]
    return ", ".join(told) or "none"


def _of(good: int, total: int, noun: str) -> str:
    if not total:
        return "none"
    return f"{good} ok" if good == total else f"{good} of {count(total, noun)} ok"
