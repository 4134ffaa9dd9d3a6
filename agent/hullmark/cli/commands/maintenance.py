"""`hullmark maintenance`"""

from __future__ import annotations

import time

import click

from hullmark.cli import door, options, show
from hullmark.cli.client import new_request_id
from hullmark.cli.options import Asked, online, ticket
from hullmark.cli.table import table, width
from hullmark.cli.target import host_names
from hullmark.cli.words import age, dated, duration
from hullmark.model.api import HostList, HostView
from hullmark.model.hostlife import HostChanges, MaintenanceEndRequest, MaintenanceRequest
from hullmark.model.wire import to_wire

HEADS = ("HOST", "UNTIL", "LEFT", "BY", "TICKET", "STATE")
PATH = "/v1/maintenance"


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark maintenance start web3 --for 40m --ticket CHG-881
  hullmark maintenance list
  hullmark maintenance end web3
""",
)
def command() -> None:
    """Planned work on hosts: their silence is expected."""


@command.command(
    short_help="Start it, or say anew how long.",
    epilog="""\b
Example:
  hullmark maintenance start web3 --for 2h --ticket CHG-881
""",
)
@options.hosts
@click.option(
    "--for",
    "lasts",
    required=True,
    metavar="DURATION",
    help="How long from now: 1m to 30d.",
)
@ticket
@online
def start(asked: Asked, hosts: tuple[str, ...], lasts: str, ticket: str) -> None:
    """Expect these hosts to be silent for a while.

    Nothing is moved off them, nothing new is placed on them, and their silence is nothing wrong. What runs there goes
    on if it can. After that time a host that is still silent is lost like any other.
    """
    request = MaintenanceRequest(
        host_names(hosts), duration(lasts, "--for"), new_request_id(), ticket
    )
    client = door.client(asked)
    answer = client.decoded(HostChanges, client.change("POST", PATH, to_wire(request)))
    if asked.json:
        show.document("maintenance-change", answer, changed=answer.changed)
        return
    for change in answer.hosts:
        work = change.maintenance
        until = "-" if work is None else dated(work.until)
        show.lines(f"{change.host}  in maintenance until {until}")


@command.command(
    short_help="Count hosts as any other again.",
    epilog="""\b
Example:
  hullmark maintenance end web3
""",
)
@options.hosts
@ticket
@online
def end(asked: Asked, hosts: tuple[str, ...], ticket: str) -> None:
    """Count these hosts as any other again. One that is silent has the usual time to be heard."""
    request = MaintenanceEndRequest(host_names(hosts), new_request_id(), ticket)
    client = door.client(asked)
    answer = client.decoded(HostChanges, client.change("DELETE", PATH, to_wire(request)))
    if asked.json:
        show.document("maintenance-change", answer, changed=answer.changed)
        return
    for change in answer.hosts:
        show.lines(f"{change.host}  {'ended' if change.changed else 'was not in maintenance'}")


@command.command(
    name="list",
    short_help="List hosts in maintenance.",
    epilog="""\b
Example:
  hullmark maintenance list
""",
)
@online
def list_maintenance(asked: Asked) -> None:
    """List hosts in maintenance."""
    hosts = door.client(asked).ask(HostList, "/v1/hosts").hosts
    found = [host for host in hosts if host.maintenance is not None]
    if asked.json:
        fields = [
            {"host": host.name, "state": host.state, "maintenance": host.maintenance}
            for host in found
        ]
        show.document("maintenance", {"hosts": fields})
    elif found:
        show.lines(*table(HEADS, [_row(host) for host in found], width()))
    else:
        show.lines("no host is in maintenance; next: hullmark maintenance start HOST --for 2h")


def _row(host: HostView) -> tuple[str, ...]:
    work = host.maintenance
    assert work is not None
    left = age(max(0.0, work.until - time.time()))
    return (host.name, dated(work.until), left, work.by, work.ticket or "-", host.state)
