"""`hullmark events`"""

from __future__ import annotations

from collections.abc import Iterator

import click

from hullmark.cli import door, show
from hullmark.cli.client import Client
from hullmark.cli.options import Asked, online
from hullmark.cli.polling import HOLD_S
from hullmark.cli.table import cut, width
from hullmark.cli.words import one_line, utc
from hullmark.model.api import EventList
from hullmark.model.event import Event

EPILOG = """\b
Example:
  hullmark events --limit 20
  hullmark events -f
  hullmark events --output json
"""
AT_ONCE = 1000
"""As many as one answer has at most."""


@click.command(epilog=EPILOG)
@click.option("-f", "--follow", is_flag=True, help="Go on with new ones, until Ctrl-C.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=1, max=AT_ONCE),
    default=100,
    show_default=True,
    metavar="N",
    help="Only the newest N.",
)
@online
def command(asked: Asked, follow: bool, limit: int) -> None:
    """Show what happened, oldest first.

    With --follow and --output json, each event is a document on its own line.
    """
    client = door.client(asked)
    newest = client.ask(EventList, "/v1/events", {"limit": limit})
    if asked.json and not follow:
        show.document("events", newest)
        return
    for event in newest.events:
        _say(asked, event)
    if follow:
        for event in _next(client, newest.last):
            _say(asked, event)


def _next(client: Client, last: int) -> Iterator[Event]:
    """Without end."""
    while True:
        query = {"after": last, "limit": AT_ONCE, "hold_s": HOLD_S}
        found = client.ask(EventList, "/v1/events", query, HOLD_S)
        last = found.last
        yield from found.events


def _say(asked: Asked, event: Event) -> None:
    if asked.json:
        show.record("event", event)
        return
    parts = [utc(event.at), event.kind, event.subject, event.message]
    if event.by:
        parts.append(f"by {event.by}")
    if event.fields.get("ticket"):
        parts.append(f"ticket {event.fields['ticket']}")
    show.lines(cut("  ".join(one_line(part) for part in parts if part), width()))
    show.flush()
