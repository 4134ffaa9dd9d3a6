"""`hullmark ps`"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional

import click

from hullmark.cli import door, show
from hullmark.cli.options import Asked, online
from hullmark.cli.standing import instance_row, state
from hullmark.cli.table import table, width, wrapped
from hullmark.model.api import InstanceList, InstanceView

EPILOG = """\b
Example:
  hullmark ps
  hullmark ps shop
  hullmark ps shop --output json
"""
HEADS = ("INSTANCE", "HOST", "STATE", "AGE", "RESTARTS", "PORTS")


@click.command(epilog=EPILOG)
@click.argument("app", required=False)
@online
def command(asked: Asked, app: Optional[str]) -> None:
    """List the instances of APP, or of all apps, and what keeps one from serving."""
    query = {"app": app}
    instances = door.client(asked).ask(InstanceList, "/v1/instances", query).instances
    if asked.json:
        show.document("ps", {"instances": instances})
    elif instances:
        show.lines(*_lines(instances, width()))
    else:
        show.lines("no instances")


def _lines(instances: Sequence[InstanceView], columns: int) -> Iterator[str]:
    head, *rows = table(HEADS, [instance_row(item) for item in instances], columns)
    yield head
    for item, row in zip(instances, rows):
        yield row
        word = f"{state(item)}: "
        why = item.why[len(word) :] if item.why.startswith(word) else item.why
        yield from wrapped(why, columns)
        yield from wrapped(item.note, columns)
