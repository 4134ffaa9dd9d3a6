"""`hullmark flows`"""

from __future__ import annotations

import sys
from typing import Optional

import click

from hullmark.cli import door, flowstext, show
from hullmark.cli.options import Asked, online
from hullmark.errors import UsageError
from hullmark.model.flows import FlowList
from hullmark.model.scope import CDE, OUT

EPILOG = """\b
Example:
  hullmark flows
  hullmark flows --scope cde --csv > flows.csv
"""


@click.command(epilog=EPILOG)
@click.option(
    "--scope", type=click.Choice([CDE, OUT]), help="Only flows with an end in this scope."
)
@click.option("--csv", "as_csv", is_flag=True, help="As CSV.")
@online
def command(asked: Asked, scope: Optional[str], as_csv: bool) -> None:
    """List declared flows: who may call which service, why, and where it is encrypted.

    Traffic that nobody declared is refused, so this is all that services can be asked for.
    """
    if as_csv and asked.json:
        raise UsageError("--csv and --output json are two forms", remedy="give one of them")
    found = door.client(asked).ask(FlowList, "/v1/flows", {"scope": scope}).flows
    if asked.json:
        show.document("flows", {"flows": found})
    elif as_csv:
        sys.stdout.write(flowstext.as_csv(found))
    elif found:
        show.lines(*flowstext.as_table(found))
    else:
        show.lines("no flow is declared" + (f" with an end in scope {scope}" if scope else ""))
