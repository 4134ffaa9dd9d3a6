"""`hullmark agent`: this host's agent. The agent itself is a process of its own (`python -m hullmark.agentd`)."""

from __future__ import annotations

from typing import NoReturn

import click

from hullmark.cli.daemon import AGENT_FILE, become

_CONFIG = click.option(
    "--config", metavar="FILE", default=AGENT_FILE, show_default=True, help="Its configuration."
)


@click.group(no_args_is_help=False)
def command() -> None:
    """Enroll this host in a cluster, renew its certificate, and run its agent."""


@command.command(
    short_help="Join the cluster that a token names.",
    epilog="""\b
Example:
  hullmark agent enroll --token-file /root/token
""",
)
@_CONFIG
@click.option("--token-file", metavar="FILE", required=True, help="From: hullmark invite HOST")
@click.option("--force", is_flag=True, help="Also where this host is enrolled already.")
def enroll(config: str, token_file: str, force: bool) -> NoReturn:
    """Join the cluster that a token names: this host gets its certificate."""
    arguments = ["--config", config, "--token-file", token_file]
    become("agentd", ["enroll", *arguments, *(["--force"] if force else [])])


@command.command(
    short_help="Have a new key and certificate now.",
    epilog="""\b
Examples:
  hullmark agent renew
  hullmark agent renew --output json
""",
)
@_CONFIG
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the answer.",
)
def renew(config: str, output: str) -> NoReturn:
    """Have a new key and certificate now, with the present one.

    The agent does so by itself in time. One that runs uses the new ones from its
    next request on.
    """
    become("agentd", ["renew", "--config", config, "--output", output])


@command.command(
    epilog="""\b
Example:
  hullmark agent run
  hullmark agent run --config /etc/hullmark/agent.yaml
"""
)
@_CONFIG
def run(config: str) -> NoReturn:
    """Run the agent in the foreground, until SIGTERM or SIGINT. Containers outlive it."""
    become("agentd", ["run", "--config", config])
