"""`hullmark ports`"""

from __future__ import annotations

import sys
from typing import Optional

import click

from hullmark.cli import door, portstext, show
from hullmark.cli.options import Asked, online
from hullmark.cli.target import host_name
from hullmark.core.firewallrules import FIREWALLS, rendered
from hullmark.errors import UsageError
from hullmark.model.ports import FirewallList, PortList

EPILOG = """\b
Example:
  hullmark ports
  hullmark ports --host web3 --csv > approved-ports.csv
  hullmark ports --host web3 --firewall nftables

\b
Exit codes: 0 ok; 1 a port is undeclared, not allowed or taken by another.
"""


@click.command(epilog=EPILOG)
@click.option("--host", metavar="HOST", help="Only this host.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, for a list of approved ports.")
@click.option(
    "--firewall",
    type=click.Choice(FIREWALLS),
    help="Print the rules that a firewall which drops by default needs instead. Nothing is applied.",
)
@online
def command(asked: Asked, host: Optional[str], as_csv: bool, firewall: Optional[str]) -> int:
    """List ports of hosts: to whom they belong, what listens, and whether that is allowed.

    Ports of instances, published ports of services, those of proxies and masters, and what the hosts' own programs listen on.
    """
    if as_csv and (firewall or asked.json):
        raise UsageError("--csv goes with neither --firewall nor --output json")
    query = {"host": host_name(host) if host else None}
    if firewall:
        needs = door.client(asked).ask(FirewallList, "/v1/ports/firewall", query).hosts
        if asked.json:
            show.document("firewall", {"hosts": needs})
        else:
            show.lines(*rendered(firewall, needs))
        return 0
    ports = door.client(asked).ask(PortList, "/v1/ports", query).ports
    if asked.json:
        show.document("ports", {"ports": ports})
    elif as_csv:
        sys.stdout.write(portstext.as_csv(ports))
    elif ports:
        show.lines(*portstext.as_table(ports))
    else:
        show.lines("no port of a host is declared or open")
    return 1 if any(port.state.is_wrong for port in ports) else 0
