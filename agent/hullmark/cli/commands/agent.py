"""`hullmark agent`: this host's agent. The agent itself is a process of its own (`python -m hullmark.agentd`)."""

from __future__ import annotations

from typing import NoReturn

import click

from hullmark.cli.daemon import AGENT_FILE, become

_CONFIG = click.option(
    "--config", metavar="FILE", default=AGENT_FILE, show_default=True, help="Its configuration."
)


_OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the answer.",
)


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark agent enroll --token-file web1.token
  hullmark agent renew
""",
)
def command() -> None:
    """Enroll this host in a cluster, renew its certificate, and run its agent."""


@command.command(
    short_help="Join the cluster that a token names.",
    epilog="""\b
Examples:
  hullmark agent enroll --token-file /root/token
  hullmark agent enroll --token-file - --output json < /root/token

\b
Exit codes: 0 enrolled, 2 failed (also: enrolled, but its service does
not start), 3 no answer, 64 wrong usage.
""",
)
@_CONFIG
@click.option(
    "--token-file",
    metavar="FILE",
    required=True,
    help="From: hullmark invite HOST. - is standard input.",
)
@click.option("--force", is_flag=True, help="Also where this host is enrolled already.")
@click.option("--no-start", is_flag=True, help="Leave the installed service as it is.")
@_OUTPUT
def enroll(config: str, token_file: str, force: bool, no_start: bool, output: str) -> NoReturn:
    """Join the cluster that a token names: this host gets its certificate.

    Where the agent was installed as a service, that is started. A host that is in
    the cluster already stays as it is, and needs no token; the token of another
    cluster is refused.
    """
    arguments = ["--config", config, "--token-file", token_file, "--output", output]
    flags = {"--force": force, "--no-start": no_start}
    become("agentd", ["enroll", *arguments, *(name for name, given in flags.items() if given)])


@command.command(
    short_help="Have a new key and certificate now.",
    epilog="""\b
Examples:
  hullmark agent renew
  hullmark agent renew --output json
""",
)
@_CONFIG
@_OUTPUT
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
