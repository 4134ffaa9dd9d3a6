"""`hullmark version`"""

from __future__ import annotations

import platform

import click

import hullmark
from hullmark.cli import show
from hullmark.cli.options import Asked, offline

EPILOG = """\b
Example:
  hullmark version --output json
"""


@click.command(epilog=EPILOG)
@offline
def command(asked: Asked) -> None:
    """Show the version of this command."""
    if asked.json:
        show.document(
            "version", {"version": hullmark.__version__, "python": platform.python_version()}
        )
    else:
        show.lines(f"hullmark {hullmark.__version__}")
