"""`hullmark eject`: this host leaves its cluster, offline (`python -m hullmark.agentd eject`)."""

from __future__ import annotations

from typing import NoReturn

import click

from hullmark.cli.daemon import AGENT_FILE, become
from hullmark.cli.options import Asked, offline

FOLDER = "/root/hullmark-eject"


@click.command(
    epilog="""\b
Examples:
  hullmark eject --dry-run
  hullmark eject
  hullmark eject --out /root/leaving --output json
"""
)
@click.option(
    "--config", metavar="FILE", default=AGENT_FILE, show_default=True, help="The agent's."
)
@click.option(
    "--out",
    metavar="DIR",
    default=FOLDER,
    show_default=True,
    help="Where the projects go: a new folder.",
)
@click.option("--force", is_flag=True, help="Write the projects again, over those of a former run.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option(
    "--accept-duplicates",
    is_flag=True,
    help="Also where instances with on_host_lost: stop may then run twice.",
)
@offline
def command(
    asked: Asked, config: str, out: str, force: bool, dry_run: bool, accept_duplicates: bool
) -> NoReturn:
    """Leave the cluster; containers run on, and the engine restarts them.

    Needs no master. The agent ends for good, no container is stopped, and each
    app gets a folder with a Compose project and how to hand over to it.
    Exit code 1: something would change (--dry-run), or the engine can't be
    told to restart some containers.
    """
    flags = {"--force": force, "--dry-run": dry_run, "--accept-duplicates": accept_duplicates}
    given = [name for name, said in flags.items() if said]
    become("agentd", ["eject", "--config", config, "--out", out, "--output", asked.output, *given])
