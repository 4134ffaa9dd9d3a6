"""`hullmark scale`"""

from __future__ import annotations

from collections.abc import Mapping

import click

from hullmark.cli import changing, door, failure
from hullmark.cli.client import new_request_id
from hullmark.cli.options import Asked, online, override_mark, quiet, ticket, waiting
from hullmark.cli.waiting import settle
from hullmark.cli.words import duration, whole_number
from hullmark.errors import UsageError
from hullmark.model.api import ApplyAnswer, ScaleRequest
from hullmark.model.names import APP_NAME, SERVICE_NAME
from hullmark.model.wire import to_wire

EPILOG = """\b
Example:
  hullmark scale shop/web=3
  hullmark scale shop/web=3 shop/api=2 --ticket CHG-881

\b
Exit codes: 0 done (with --no-wait: accepted), 1 time is over and
something is still under way, or no host can take it, 2 failed, or
somebody changed the app meanwhile.
"""


@click.command(epilog=EPILOG)
@click.argument("targets", metavar="APP/SERVICE=N...", nargs=-1, required=True)
@waiting("10m")
@ticket
@override_mark
@quiet
@online
def command(
    asked: Asked,
    targets: tuple[str, ...],
    wait: bool,
    timeout: str,
    ticket: str,
    override_mark: bool,
    quiet: bool,
) -> int:
    """Change the numbers of replicas of services of one app.

    The number holds until the app is applied again from its file.
    """
    timeout_s = duration(timeout, "--timeout")
    app, services = parse(targets)
    client = door.client(asked)
    request = ScaleRequest(services, new_request_id(), ticket, override_mark)
    answer = client.decoded(
        ApplyAnswer, client.change("POST", f"/v1/apps/{app}/scale", to_wire(request))
    )
    if not (asked.json or quiet):
        failure.warn(answer.warnings)
    waited = None
    if wait:
        waited = changing.wait(
            asked,
            app,
            quiet,
            lambda *seen: settle(client, app, answer.generation, timeout_s, *seen),
        )
    return changing.tell(asked, client, "scale", answer, waited, quiet, "scaled")


def parse(targets: tuple[str, ...]) -> tuple[str, Mapping[str, int]]:
    """The app, and replicas by service. Raises UsageError."""
    apps: set[str] = set()
    services: dict[str, int] = {}
    for target in targets:
        name, _, text = target.partition("=")
        app, _, service = name.partition("/")
        number = whole_number(text)
        if number is None or not (APP_NAME.fullmatch(app) and SERVICE_NAME.fullmatch(service)):
            raise UsageError(
                f"not a target: {target[:120]!r}", remedy="APP/SERVICE=N, such as shop/web=3"
            )
        if service in services:
            raise UsageError(f"{service} is named twice", remedy="name each service once")
        apps.add(app)
        services[service] = number
    if len(apps) > 1:
        raise UsageError("one app at a time", remedy="one command for each app")
    return apps.pop(), services
