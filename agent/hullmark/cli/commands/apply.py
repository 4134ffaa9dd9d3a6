"""`hullmark apply`"""

from __future__ import annotations

from typing import Optional

import click

from hullmark.cli import composefiles, door
from hullmark.cli.client import new_request_id
from hullmark.cli.composefiles import Project
from hullmark.cli.options import Asked, online, override_mark, quiet, ticket, waiting
from hullmark.cli.words import duration
from hullmark.model.wire import to_wire

EPILOG = """\b
Example:
  hullmark apply
  hullmark apply compose.yaml --ticket CHG-881
  hullmark apply -f compose.yaml -f production.yaml --no-wait
  hullmark apply --image web=registry.example.net/web:7 compose.yaml

\b
Exit codes: 0 done (with --no-wait: accepted), 1 time is over and
something is still under way, or no host can take it, 2 failed, or
somebody changed the app meanwhile.
"""


@click.command(epilog=EPILOG)
@composefiles.project
@waiting("10m")
@ticket
@click.option(
    "--expected-generation",
    type=click.IntRange(min=0),
    metavar="N",
    help="Refuse unless the app is at this generation (0: new).",
)
@override_mark
@quiet
@online
def command(
    asked: Asked,
    project: Project,
    wait: bool,
    timeout: str,
    ticket: str,
    expected_generation: Optional[int],
    override_mark: bool,
    quiet: bool,
) -> int:
    """Run the app of the Compose files, or change it to what they say.

    Several files are merged in order. Without any, the current folder's compose.yaml is read.
    """
    timeout_s = duration(timeout, "--timeout")
    loaded = composefiles.load(project)
    app = loaded.app
    client = door.client(asked)
    # The wire form of an `ApplyRequest`. What the rest of this command needs is imported while the hosts work.
    request = {
        "app": to_wire(app),
        "request_id": new_request_id(),
        "ticket": ticket,
        "expected_generation": expected_generation,
        **({"override_mark": True} if override_mark else {}),
    }
    with composefiles.placing(loaded):
        text = client.change("PUT", f"/v1/apps/{app.name}", request)

    from hullmark.cli import changing, failure
    from hullmark.cli.waiting import settle
    from hullmark.model.api import ApplyAnswer

    answer = client.decoded(ApplyAnswer, text)
    warnings = tuple(dict.fromkeys((*loaded.warnings, *answer.warnings)))
    answer = ApplyAnswer(answer.app, answer.generation, answer.changed, warnings)
    if not (asked.json or quiet):
        failure.warn(warnings, loaded.notes)
    waited = None
    if wait:
        waited = changing.wait(
            asked,
            app.name,
            quiet,
            lambda *seen: settle(client, app.name, answer.generation, timeout_s, *seen),
        )
    return changing.tell(asked, client, "apply", answer, waited, quiet, "applied")
