"""`hullmark changes`"""

from __future__ import annotations

import json

import click

from hullmark.cli import door, held, show
from hullmark.cli.client import new_request_id
from hullmark.cli.options import Asked, online
from hullmark.cli.pendingtext import HEADS, change_id, decided, lines, row
from hullmark.cli.table import table, width
from hullmark.cli.words import duration
from hullmark.errors import EXIT_DEGRADED, EXIT_FAILED, EXIT_OK
from hullmark.model import jsontext
from hullmark.model.changecontrol import (
    Decision,
    DecisionAnswer,
    PendingDetail,
    PendingList,
    PendingState,
)
from hullmark.model.wire import to_wire

PATH = "/v1/changes"


@click.group(
    invoke_without_command=True,
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark changes
  hullmark changes show 3f9a01c2
  hullmark changes refuse 3f9a01c2 --reason 'wrong ticket'
""",
)
@online
@click.pass_context
def command(context: click.Context, asked: Asked) -> None:
    """Changes that wait for a second person. Without a command they are listed."""
    if context.invoked_subcommand is None:
        _list(asked, every=False)


@command.command(
    name="list",
    short_help="List them.",
    epilog="""\b
Example:
  hullmark changes list --all
""",
)
@click.option("--all", "every", is_flag=True, help="Also those that were decided, or expired.")
@online
def list_changes(asked: Asked, every: bool) -> None:
    """List changes that wait; with --all those of the last 30 days."""
    _list(asked, every)


def _list(asked: Asked, every: bool) -> None:
    found = door.client(asked).ask(PendingList, PATH, {"all": every})
    if asked.json:
        show.document("changes", found)
    elif found.changes:
        show.lines(*table(HEADS, map(row, found.changes), width()))
    else:
        show.lines("no change waits for approval")


@command.command(
    name="show",
    short_help="Show what one would do.",
    epilog="""\b
Example:
  hullmark changes show 3f9a01c2
  hullmark changes show 3f9a01c2 --output json    # with the app, masked
""",
)
@click.argument("change")
@online
def show_change(asked: Asked, change: str) -> None:
    """Show CHANGE: who asked for it, for what, and what it would do. Values of environments are masked."""
    detail = door.client(asked).ask(PendingDetail, f"{PATH}/{change_id(change)}")
    if asked.json:
        show.document("change", detail.change, stood=detail.stood, shown=detail.shown)
    else:
        show.lines(*lines(detail))


@command.command(
    short_help="Wait until one is decided.",
    epilog="""\b
Example:
  hullmark changes wait 3f9a01c2 --timeout 4h

\b
Exit codes: 0 approved, 1 time is over and it waits, 2 it was refused,
withdrawn, or has expired.
""",
)
@click.argument("change")
@click.option("--timeout", default="1h", show_default=True, metavar="DURATION", help="How long.")
@online
def wait(asked: Asked, change: str, timeout: str) -> int:
    """Wait until somebody has decided about CHANGE."""
    path, timeout_s = f"{PATH}/{change_id(change)}", duration(timeout, "--timeout")
    client = door.client(asked)
    pending = client.ask(PendingDetail, path).change
    if pending.state is PendingState.WAITING:
        held.wait(client, pending, timeout_s, quiet=asked.json)
        pending = client.ask(PendingDetail, path).change
    if asked.json:
        show.document("change", pending)
    else:
        show.lines(*decided(pending))
    if pending.state is PendingState.WAITING:
        return EXIT_DEGRADED
    good = pending.state in (PendingState.DONE, PendingState.APPROVED)
    return EXIT_OK if good else EXIT_FAILED


@command.command(
    short_help="Refuse one, or withdraw your own.",
    epilog="""\b
Example:
  hullmark changes refuse 3f9a01c2 --reason 'wrong ticket'
""",
)
@click.argument("change")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with it.")
@online
def refuse(asked: Asked, change: str, reason: str) -> None:
    """Refuse another person's CHANGE, or withdraw your own. Nothing of it is done."""
    client = door.client(asked)
    request = to_wire(Decision(new_request_id(), reason))
    path = f"{PATH}/{change_id(change)}/refuse"
    answer = client.decoded(DecisionAnswer, client.change("POST", path, request))
    if asked.json:
        show.document("change", answer.change, changed=True)
    else:
        show.lines(*decided(answer.change))


@command.command(
    short_help="Get the token of one that was approved.",
    epilog="""\b
Example:
  hullmark changes collect 3f9a01c2
  (umask 077; hullmark changes collect 3f9a01c2 > ci.token)
""",
)
@click.argument("change")
@online
def collect(asked: Asked, change: str) -> None:
    """Carry out your own CHANGE that was approved and whose answer is a secret: a token or an invite.

    It is printed this once, and nothing else is. The person who approved it never sees it.
    """
    client = door.client(asked)
    answer = client.change("POST", f"{PATH}/{change_id(change)}/collect", {})
    found = jsontext.loads(answer)
    if asked.json:
        show.document("collected", found)
    else:
        show.lines(str(found.get("token") or json.dumps(found)))
