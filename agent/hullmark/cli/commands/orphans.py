"""`hullmark orphans`"""

from __future__ import annotations

from collections.abc import Sequence

import click

from hullmark.cli import door, show
from hullmark.cli.options import Asked, online
from hullmark.cli.table import table, width
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
    """List containers of ours that no order names.

    They are kept as they are, because nobody asked for their removal. To be rid of one, remove it with the engine's
    own command on its host.
    """
    orphans = door.client(asked).ask(OrphanList, "/v1/orphans").orphans
    if asked.json:
        show.document("orphans", {"orphans": orphans})
    elif orphans:
        show.lines(*table(HEADS, [_row(item) for item in orphans], width()))
        show.lines(_remedy(orphans))
    else:
        show.lines("no orphans")


def _row(item: OrphanView) -> tuple[str, ...]:
    return item.host, item.name, str(item.status.phase.value), item.status.image


def _remedy(orphans: Sequence[OrphanView]) -> str:
    first = orphans[0]
    return f"next      docker rm -f {first.name}   (on {first.host}; if nobody needs it)"
