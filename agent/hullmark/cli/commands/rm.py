"""`hullmark rm`"""

from __future__ import annotations

import click

from hullmark.cli import changing, door, failure
from hullmark.cli.client import new_request_id
from hullmark.cli.options import Asked, online, quiet, ticket, waiting
from hullmark.cli.target import app_name
from hullmark.cli.waiting import vanish
from hullmark.cli.words import duration
from hullmark.model.api import ApplyAnswer, RemoveRequest
from hullmark.model.wire import to_wire

EPILOG = """\b
Example:
  hullmark rm shop
  hullmark rm shop --volumes --ticket CHG-882

\b
Exit codes: 0 removed (with --no-wait: accepted), 1 time is over and
something is still there, 2 failed, or somebody applied it again.
"""


@click.command(epilog=EPILOG)
@click.argument("app")
@click.option(
    "--volumes", is_flag=True, help="Also remove its named volumes, with what is in them."
)
@waiting("10m")
@ticket
@quiet
@online
def command(
    asked: Asked, app: str, volumes: bool, wait: bool, timeout: str, ticket: str, quiet: bool
) -> int:
    """Remove APP: stop and remove its instances, then forget it. Volumes stay, unless --volumes is given.

    Nothing is asked back.
    """
    timeout_s = duration(timeout, "--timeout")
    name = app_name(app)
    client = door.client(asked)
    request = RemoveRequest(new_request_id(), ticket, volumes)
    answer = client.decoded(
        ApplyAnswer, client.change("DELETE", f"/v1/apps/{name}", to_wire(request))
    )
    if not asked.json:
        failure.warn(answer.warnings)
    waited = None
    if wait:
        waited = changing.wait(
            asked,
            name,
            quiet,
            lambda *seen: vanish(client, name, answer.generation, timeout_s, *seen),
        )
    return changing.tell(asked, client, "rm", answer, waited, quiet, "removed")
