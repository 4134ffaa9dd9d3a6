"""`hullmark why`"""

from __future__ import annotations

from typing import Optional

import click

from hullmark.cli import door, reaching, show, whylocal, whytext
from hullmark.cli.daemon import AGENT_FILE
from hullmark.cli.options import Asked, online
from hullmark.cli.polling import UNREACHED
from hullmark.cli.table import width
from hullmark.cli.target import SERVICE_FORMS, parse
from hullmark.core.why import with_links
from hullmark.core.whylinks import ok
from hullmark.errors import EXIT_DEGRADED, EXIT_FAILED, EXIT_OK, EXIT_UNKNOWN, UsageError
from hullmark.model.why import Step, Verdict, Why

EPILOG = """\b
Example:
  hullmark why shop/api
  hullmark why shop
  hullmark why shop/db --from pay/job
  hullmark why shop/api --output json

\b
Exit codes: 0 the whole way is seen and whole, 1 a part of it is broken,
2 it is broken, 3 not all of it can be seen.
"""
EXITS = {
    Verdict.OK: EXIT_OK,
    Verdict.DEGRADED: EXIT_DEGRADED,
    Verdict.BROKEN: EXIT_FAILED,
    Verdict.UNKNOWN: EXIT_UNKNOWN,
}
MASTER_S = 6.0
"""How long a master may take for itself: who asks why is not to wait half a minute for one that is frozen."""
ASKED_S = 8.0
"""How long it may take to ask hosts, beside that."""


@click.command(epilog=EPILOG)
@click.argument("what", metavar="APP[/SERVICE]")
@click.option(
    "--from",
    "caller",
    metavar="APP/SERVICE",
    default=None,
    help="The way from this service's containers, and whether they may call.",
)
@click.option(
    "--connect/--no-connect",
    default=True,
    help="Try published ports from this machine (the default), or don't.",
)
@click.option(
    "--config",
    "file",
    metavar="FILE",
    default="",
    help=f"This host's agent's, where not {AGENT_FILE}; read where no master answers.",
)
@online
def command(asked: Asked, what: str, caller: Optional[str], connect: bool, file: str) -> int:
    """Say why a service can't be reached: walk the way to it, link by link.

    From this command over masters, agents, engines and containers to proxies and published ports; the first broken link is named, with what to type next.
    """
    app, service = parse(what, SERVICE_FORMS).app, what.partition("/")[2]
    if caller is not None and not (service and _is_a_service(caller)):
        raise UsageError(
            "--from is of one service, to one service",
            remedy="hullmark why APP/SERVICE --from APP/SERVICE",
        )
    client = door.client(asked, MASTER_S)
    query = {"service": service, "caller": caller or ""}
    try:
        told = client.ask(Why, f"/v1/apps/{app}/why", query, ASKED_S)
    except UNREACHED as error:
        told = whylocal.without_a_master(
            app, service, error, file or AGENT_FILE, caller or "", is_here=bool(client.address.path)
        )
    else:
        found = reaching.firewall_links(told) if connect else {}
        told = with_links(told, [ok(Step.COMMAND, f"{client.address} answers")], found)
    if asked.json:
        show.document("why", told)
    else:
        show.lines(*whytext.lines(told, width()))
    return EXITS[told.verdict]


def _is_a_service(text: str) -> bool:
    """Neither all of an app nor one instance. Raises UsageError for what is no target."""
    service = parse(text, "APP/SERVICE, such as shop/web").service
    return bool(service) and text.endswith(f"/{service}")
