"""`hullmark apps`"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from hullmark.cli import door, show
from hullmark.cli.options import Asked, online
from hullmark.cli.standing import numbers
from hullmark.cli.table import table, width, wrapped
from hullmark.cli.words import moment
from hullmark.model.api import AppList, AppSummary

EPILOG = """\b
Example:
  hullmark apps
  hullmark apps --output json
"""
HEADS = ("APP", "STATE", "GEN", "SERVING", "CHANGED", "BY", "TICKET")


@click.command(epilog=EPILOG)
@online
def command(asked: Asked) -> None:
    """List apps, and what keeps one from serving."""
    apps = door.client(asked).ask(AppList, "/v1/apps").apps
    if asked.json:
        show.document("apps", {"apps": apps})
    elif apps:
        show.lines(*_lines(apps, width()))
    else:
        show.lines("no app is applied; next: hullmark apply compose.yaml")


def _lines(apps: Sequence[AppSummary], columns: int) -> Iterator[str]:
    head, *rows = table(HEADS, [_row(app) for app in apps], columns)
    yield head
    for app, row in zip(apps, rows):
        yield row
        for service in app.services:
            for why in service.why:
                yield from wrapped(why, columns)


def _row(app: AppSummary) -> tuple[str, ...]:
    good, wanted = numbers(app)
    change = app.change
    return (
        app.name,
        app.state,
        str(app.generation),
        f"{good}/{wanted}",
        moment(change.at),
        change.by,
        change.ticket,
    )
