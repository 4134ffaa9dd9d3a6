"""`hullmark services`"""

from __future__ import annotations

from typing import Optional

import click

from hullmark.cli import door, servicestext, show
from hullmark.cli.options import Asked, online
from hullmark.cli.table import width
from hullmark.cli.target import SERVICE_FORMS, parse
from hullmark.core import endpointfiles
from hullmark.errors import EXIT_DEGRADED, EXIT_OK, EXIT_UNKNOWN, NotFound, UsageError
from hullmark.model.services import ServiceList

EPILOG = """\b
Example:
  hullmark services
  hullmark services shop/api
  hullmark services --format haproxy > /etc/haproxy/hullmark.cfg
  hullmark services shop --output json

\b
Exit codes: 0 all instances serve, their hosts' proxies reach them, each
published port is answered, by each host where no other program has it and
no policy forbids it, and all hosts answered, 1 not so,
3 nobody can tell: of each service that lacks instances none is seen to
serve, all that it lacks are on hosts that are not heard, and no other
host's proxy is seen to get no answer there.
"""
FORMS = {
    "hosts": endpointfiles.hosts_file,
    "haproxy": endpointfiles.haproxy_fragment,
    "json": endpointfiles.json_text,
}
ASKED_S = 5.0
"""How long a master may take to ask hosts, beside its usual time."""


@click.command(epilog=EPILOG)
@click.argument("what", metavar="[APP[/SERVICE]]", required=False)
@click.option(
    "--traffic/--no-traffic",
    default=True,
    help="Ask hosts' proxies what they carried (the default), for at most 3 s; or don't.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMS)),
    help="Print what a load balancer needs: where published ports answer.",
)
@online
def command(asked: Asked, what: Optional[str], traffic: bool, form: Optional[str]) -> int:
    """List services: addresses, healthy instances, published ports, what was carried.

    Counts are since each proxy's worker began, and summed over hosts; QUEUE is the longest average.
    """
    if form and asked.json:
        raise UsageError("--format and --output json are two forms", remedy="give one of them")
    target = parse(what, SERVICE_FORMS) if what else None
    query = {
        "app": target.app if target else "",
        "service": what.partition("/")[2] if what else "",
        "traffic": traffic and not form,
    }
    hold_s = ASKED_S if query["traffic"] else 0.0
    found = door.client(asked).ask(ServiceList, "/v1/services", query, hold_s)
    if what and not found.services:
        raise NotFound(f"no such service: {what}", remedy="hullmark services lists them")
    if form:
        click.echo(FORMS[form](found.services), nl=False)
        return EXIT_OK
    _show(asked, what, found)
    return _exit(found)


def _exit(found: ServiceList) -> int:
    """What is known to be missing outweighs what nobody knows, and that outweighs hosts that were not asked."""
    missing = [one for one in found.services if one.missing]
    if any(not found.is_unknown(one) for one in missing):
        return EXIT_DEGRADED
    published = [each for one in found.services for each in one.published]
    unanswered = any(each.taken or each.barred or each.is_unanswered for each in published)
    if unanswered or any(map(found.shut_in, found.services)):
        return EXIT_DEGRADED
    if missing:
        return EXIT_UNKNOWN
    return EXIT_DEGRADED if found.silent else EXIT_OK


def _show(asked: Asked, what: Optional[str], found: ServiceList) -> None:
    if asked.json:
        show.document("services", found)
    elif what and "/" in what:
        show.lines(*servicestext.one(found, found.services[0], width()))
    elif found.services:
        show.lines(*servicestext.lines(found, width()))
    else:
        show.lines("there are no services: hullmark apply")
