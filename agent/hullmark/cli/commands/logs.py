"""`hullmark logs`"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Optional

import click

from hullmark.cli import door, show
from hullmark.cli.options import Asked, online
from hullmark.cli.target import parse
from hullmark.cli.words import duration, one_line
from hullmark.errors import EXIT_DEGRADED, EXIT_OK, UsageError
from hullmark.model.api import LogRecord
from hullmark.model.moments import nanoseconds

EPILOG = """\b
Example:
  hullmark logs shop
  hullmark logs -f shop/web
  hullmark logs shop/web.2 --tail 100 --since 15m --timestamps

\b
Exit codes: 0 all lines are there, 1 a host did not answer, or stopped
in the middle: its lines are missing.
"""
OURS = "hullmark"


@click.command(epilog=EPILOG)
@click.argument("target", metavar="TARGET")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines, until Ctrl-C.")
@click.option(
    "--tail",
    type=click.IntRange(min=0, max=100_000),
    metavar="N",
    help="Only the last N lines of each instance.",
)
@click.option(
    "--since",
    metavar="WHEN",
    help="Only lines since then: 15m, 2h, or a time such as 2026-11-24T01:30:00Z.",
)
@click.option("--timestamps", "-t", is_flag=True, help="Begin each line with its time.")
@click.option("--no-prefix", is_flag=True, help="Leave out the name of the instance.")
@online
def command(
    asked: Asked,
    target: str,
    follow: bool,
    tail: Optional[int],
    since: Optional[str],
    timestamps: bool,
    no_prefix: bool,
) -> int:
    """Show the output of TARGET: APP, APP/SERVICE or APP/SERVICE.SLOT.

    Lines of several instances come as their hosts send them. With --output json each line is a document.
    """
    found = parse(target)
    query = {
        "service": found.service,
        "slot": found.slot or None,
        "tail": tail,
        "since": _moment(since) if since else None,
        "follow": follow,
    }
    say = _teller(asked, timestamps, no_prefix)
    complete = True
    client = door.client(asked)
    for record in client.lines(LogRecord, f"/v1/apps/{found.app}/logs", query):
        complete = complete and record.stream != OURS
        say(record)
    return EXIT_OK if complete else EXIT_DEGRADED


def _teller(asked: Asked, timestamps: bool, no_prefix: bool) -> Callable[[LogRecord], None]:
    def document(record: LogRecord) -> None:
        show.record("log", record)

    def line(record: LogRecord) -> None:
        if record.stream == OURS:
            sys.stderr.write(f"hullmark: {one_line(record.text)}\n")
            return
        at = f"{record.at} " if timestamps else ""
        name = "" if no_prefix else f"{record.instance} | "
        stream = sys.stderr if record.stream == "stderr" else sys.stdout
        stream.write(f"{at}{name}{record.text}\n")
        stream.flush()

    return document if asked.json else line


def _moment(text: str) -> str:
    """RFC 3339 as it is; a duration as that long ago, in seconds since 1970. Raises UsageError."""
    if nanoseconds(text) is not None:
        return text
    try:
        return f"{time.time() - duration(text, '--since'):.3f}"
    except UsageError:
        raise UsageError(
            f"--since: neither a duration nor a time: {text[:40]!r}",
            remedy="such as 15m, 2h30m or 2026-11-24T01:30:00Z",
        ) from None
