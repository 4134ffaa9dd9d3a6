"""`hullmark validate`"""

from __future__ import annotations

import click

from hullmark.cli import composefiles, failure, show
from hullmark.cli.composefiles import Project
from hullmark.cli.options import Asked, offline, quiet
from hullmark.cli.words import count
from hullmark.errors import InvalidInput

EPILOG = """\b
Example:
  hullmark validate
  hullmark validate -f compose.yaml -f production.yaml --output json

\b
Exit codes: 0 valid, 2 not valid.
"""


@click.command(epilog=EPILOG)
@composefiles.project
@quiet
@offline
def command(asked: Asked, project: Project, quiet: bool) -> None:
    """Check Compose files, without asking a master, and show the app that they make.

    Several files are merged in order. Without any, the current folder's compose.yaml is read.
    """
    from hullmark.compose import shown

    loaded = composefiles.load(project)
    if loaded.clashes:
        raise InvalidInput(loaded.clashes)
    if asked.json:
        show.document(
            "validate",
            {"app": shown(loaded.app), "warnings": loaded.warnings, "notes": loaded.notes},
        )
        return
    if not quiet:
        failure.warn(loaded.warnings, loaded.notes)
        show.lines(f"{loaded.app.name}  valid, {count(len(loaded.app.services), 'service')}")
        for name, service in loaded.app.services.items():
            show.lines(f"  {name}  {service.container.image}")
