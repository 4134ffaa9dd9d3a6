"""`hullmark master`: the master on this machine, a process of its own (`python -m hullmark.masterd`)."""

from __future__ import annotations

from typing import NoReturn, Optional

import click

from hullmark.cli import forgetting, mastersjoining, steppingdown
from hullmark.cli.daemon import MASTER_FILE, become

_CONFIG = click.option(
    "--config", metavar="FILE", default=MASTER_FILE, show_default=True, help="Its configuration."
)


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark master init --address 10.0.0.1
  hullmark master run
  hullmark master step-down
""",
)
def command() -> None:
    """Make a cluster, run its master, hand its leading over."""


command.add_command(steppingdown.command)
command.add_command(mastersjoining.invite)
command.add_command(mastersjoining.join)
command.add_command(forgetting.command)


@command.command(
    short_help="Make a new cluster on this machine.",
    epilog="""\b
Example:
  hullmark master init
  hullmark master init --address m1.example.net --address 192.0.2.10
  hullmark master init --ca-chain shop-ca.pem --ca-key shop-ca.key
  hullmark master init --output json
""",
)
@_CONFIG
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="A",
    help="A name or address by which agents and people reach this master.",
)
@click.option(
    "--ca-chain", metavar="FILE", help="The shop's own intermediate certificate, its root last."
)
@click.option("--ca-key", metavar="FILE", help="The intermediate's key.")
@click.option(
    "--reclaim",
    metavar="CLUSTER",
    help="Begin a new incarnation of this cluster, whose store was put back from a copy.",
)
@click.option("--no-start", is_flag=True, help="Leave the installed service as it is.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the answer.",
)
def init(
    config: str,
    addresses: tuple[str, ...],
    ca_chain: Optional[str],
    ca_key: Optional[str],
    reclaim: Optional[str],
    no_start: bool,
    output: str,
) -> NoReturn:
    """Make a new cluster on this machine: its store, its authority, this master's certificate.

    What is there already is kept. Where the master was installed as a service, that
    is started. As root it acts as the owner of the state folder.
    """
    arguments = ["init", "--config", config, "--output", output]
    if no_start:
        arguments.append("--no-start")
    for address in addresses:
        arguments += ["--address", address]
    if ca_chain is not None:
        arguments += ["--ca-chain", ca_chain]
    if ca_key is not None:
        arguments += ["--ca-key", ca_key]
    if reclaim is not None:
        arguments += ["--reclaim", reclaim]
    become("masterd", arguments)


@command.command(
    epilog="""\b
Example:
  hullmark master run
  hullmark master run --config /etc/hullmark/master.yaml
"""
)
@_CONFIG
def run(config: str) -> NoReturn:
    """Run the master in the foreground, until SIGTERM or SIGINT."""
    become("masterd", ["run", "--config", config])
