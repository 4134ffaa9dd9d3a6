"""`hullmark ports`"""

from __future__ import annotations

from typing import Optional

import click

from hullmark.cli import door, show
from hullmark.cli.options import Asked, online
from hullmark.cli.table import table, width
from hullmark.cli.target import host_name
from hullmark.model.ports import Holder, PortList, PortView

EPILOG = """\b
Example:
  hullmark ports
  hullmark ports --host web3
  hullmark ports --output json
"""
HEADS = ("HOST", "PORT", "ADDRESS", "HELD BY")
EVERY = "*"


@click.command(epilog=EPILOG)
@click.option("--host", metavar="HOST", help="Only this host.")
@online
def command(asked: Asked, host: Optional[str]) -> None:
    """List host ports that are held, and who holds them.

    Ports of instances, of what is being removed, of orphans, and those that the hosts' own processes listen on.
    """
    query = {"host": host_name(host) if host else None}
    ports = door.client(asked).ask(PortList, "/v1/ports", query).ports
    if asked.json:
        show.document("ports", {"ports": ports})
    elif ports:
        show.lines(*table(HEADS, [_row(port) for port in ports], width()))
    else:
        show.lines("no host port is held")


def _row(port: PortView) -> tuple[str, ...]:
    return port.host, f"{port.port}/{port.protocol}", port.address or EVERY, _holder(port)


def _holder(port: PortView) -> str:
    if port.kind is Holder.PROCESS:
        return f"{port.holder}, of the host" if port.holder else "a process of the host"
    words = {Holder.REMOVING: ", which is being removed", Holder.ORPHAN: ", an orphan"}
    return f"{port.holder}{words.get(port.kind, '')} ({port.target})"
