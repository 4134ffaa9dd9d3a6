"""`hullmark drill`"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Optional

import click

from hullmark.cli import door, drillreport, show
from hullmark.cli.drilling import Clock, Wanted, drill
from hullmark.cli.options import Asked, online, ticket
from hullmark.cli.words import duration
from hullmark.errors import EXIT_DEGRADED, EXIT_FAILED, EXIT_OK, Conflict, NotFound
from hullmark.model.drill import DEGRADED, PASSED

MARK_ANSWER_S = 2.0
_EXITS = {PASSED: EXIT_OK, DEGRADED: EXIT_DEGRADED}


@click.group(
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark drill failover --ticket CHG-881 --report drill.md
  hullmark drill failover --unclean
""",
)
def command() -> None:
    """Try what is to hold when something fails, and measure it."""


@command.command(
    short_help="Have the standby take over, and see whether all holds.",
    epilog="""\b
Example:
  hullmark drill failover
  hullmark drill failover --unclean --report drill.md
  hullmark drill failover --output json

\b
Exit codes: 0 passed, 1 not all is back yet, 2 failed or refused, 3 no answer.
""",
)
@click.option("--unclean", is_flag=True, help="Kill the leader's process, as a crash would.")
@click.option("--report", metavar="FILE", help="Write the report to this new file too.")
@click.option(
    "--timeout",
    metavar="DURATION",
    default="60s",
    show_default=True,
    help="How long to wait for the next leader, and then for all to be as it was.",
)
@ticket
@online
def failover(asked: Asked, unclean: bool, report: Optional[str], timeout: str, ticket: str) -> int:
    """Have the standby take over from the leader, and see whether all holds.

    It is refused unless a standby is ready, the store is whole, every host is heard and no app is changing. What runs
    goes on. It writes to the store while leadership moves, and says when the next write was accepted.
    """
    wanted = Wanted(unclean, ticket, duration(timeout, "--timeout"))
    file = None if report is None else _new(Path(report))
    client = door.client(asked)
    marker = door.client(asked, answer_s=MARK_ANSWER_S, retry_s=0.0)
    found = drill(client, marker, wanted, _say, Clock())
    text = drillreport.text(found)
    if file is not None:
        _write(file, text)
    if asked.json:
        show.document("drill", found, changed=True, report="" if report is None else report)
    else:
        show.lines(*text.splitlines())
    return _EXITS.get(found.outcome, EXIT_FAILED)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _new(path: Path) -> Path:
    """Before anything is done. Raises Conflict, NotFound."""
    if path.exists():
        raise Conflict(f"{path} is there already", remedy="name a file that does not exist yet")
    if not os.access(path.parent, os.W_OK):
        raise NotFound(f"{path.parent} can't be written to", remedy="name a folder that can")
    return path


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
