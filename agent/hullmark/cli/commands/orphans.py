"""`hullmark orphans`"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from hullmark.cli import door, show
from hullmark.cli.options import Asked, online
from hullmark.cli.table import table, width
from hullmark.cli.words import one_line
from hullmark.model.api import OrphanList, OrphanView

EPILOG = """\b
Example:
  hullmark orphans
  hullmark orphans --output json
"""
HEADS = ("HOST", "CONTAINER", "STATE", "IMAGE")


@click.command(epilog=EPILOG)
@online
def command(asked: Asked) -> None:
    """List containers of ours that no order names, and what to type for each.

    They are kept as they are, because nobody asked for their removal. Most are newer than a snapshot that was restored: to take
    them in, apply the file that made them; they go on as they run. An app's other containers are not touched by it, where
    the file says the same of them.
    """
    orphans = door.client(asked).ask(OrphanList, "/v1/orphans").orphans
    if asked.json:
        show.document("orphans", {"orphans": orphans})
    elif orphans:
        show.lines(*table(HEADS, [_row(item) for item in orphans], width()))
        show.lines(*_ways(orphans))
    else:
        show.lines("no orphans")


def _row(item: OrphanView) -> tuple[str, ...]:
    return item.host, item.name, str(item.status.phase.value), item.status.image


def _ways(orphans: Sequence[OrphanView]) -> Iterator[str]:
    """For each container why it is one, and the commands."""
    for item in orphans:
        yield ""
        yield f"{item.name} on {item.host}: {one_line(item.why)}"
        if item.take_in:
            yield f"  take in   {item.take_in}"
        yield f"  remove    {item.remove}   (on {item.host})"
