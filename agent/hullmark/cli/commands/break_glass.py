"""`hullmark break-glass`"""

from __future__ import annotations

from typing import Optional

import click

from hullmark.cli import door, show
from hullmark.cli.client import Client, new_request_id
from hullmark.cli.options import Asked, online, ticket
from hullmark.cli.table import table, width
from hullmark.cli.words import dated, duration, one_line
from hullmark.errors import UsageError
from hullmark.model.changecontrol import (
    BreakGlassList,
    BreakGlassRequest,
    BreakGlassView,
    Decision,
)
from hullmark.model.wire import to_wire

PATH = "/v1/break-glass"
HEADS = ("ID", "STATE", "BY", "OPENED", "UNTIL", "SIGNED OFF BY", "REASON")


@click.group(
    invoke_without_command=True,
    no_args_is_help=False,
    epilog="""\b
Example:
  hullmark break-glass open --reason 'shop is down, INC-7' --for 1h
  hullmark break-glass close 5d0a11f7
  hullmark break-glass sign-off 5d0a11f7 --note 'CHG-902 filed after'
""",
)
@online
@click.pass_context
def command(context: click.Context, asked: Asked) -> None:
    """In an emergency: changes without approval, in freeze windows too. Each is marked, and it stays in the status until another
    person has signed it off. Without a command they are listed."""
    if context.invoked_subcommand is None:
        _list(asked)


@command.command(
    name="open",
    short_help="Open it, with a reason.",
    epilog="""\b
Example:
  hullmark break-glass open --reason 'shop is down, INC-7' --for 1h
""",
)
@click.option("--reason", required=True, metavar="TEXT", help="Why; everybody sees it.")
@click.option(
    "--for",
    "life",
    metavar="DURATION",
    help="How long; if not given 1h, or as long as the rules allow at most.",
)
@ticket
@online
def open_glass(asked: Asked, reason: str, life: Optional[str], ticket: str) -> None:
    """Open it for a limited time. Tickets are asked for as ever, approvals and freeze windows are not."""
    body = to_wire(BreakGlassRequest(new_request_id(), reason, ticket=ticket))
    if life is not None:  # else the leader knows how long it may be
        body["for_s"] = duration(life, "--for")
    client = door.client(asked)
    view = client.decoded(BreakGlassView, client.change("POST", PATH, body))
    _tell(asked, view, f"OPEN until {dated(view.until)}")


@command.command(
    name="list",
    short_help="List them.",
    epilog="""\b
Example:
  hullmark break-glass list
""",
)
@online
def list_glasses(asked: Asked) -> None:
    """List the newest, with what is open and what nobody has signed off."""
    _list(asked)


def _list(asked: Asked) -> None:
    found = door.client(asked).ask(BreakGlassList, PATH)
    if asked.json:
        show.document("break-glasses", found)
    elif found.glasses:
        show.lines(*table(HEADS, map(_row, found.glasses), width()))
    else:
        show.lines("break-glass was never opened")


@command.command(
    name="show",
    short_help="Show one, with the changes made meanwhile.",
    epilog="""\b
Example:
  hullmark break-glass show 5d0a11f7
""",
)
@click.argument("glass", metavar="ID")
@online
def show_glass(asked: Asked, glass: str) -> None:
    """Show the break-glass ID, with the changes made while it was open, as far as events are kept."""
    found = door.client(asked).ask(BreakGlassList, PATH).glasses
    view = next((each for each in found if each.glass == glass), None)
    if view is None:
        raise UsageError(f"no such break-glass: {glass[:80]!r}", remedy="hullmark break-glass list")
    if asked.json:
        show.document("break-glass", view)
        return
    show.lines(*table(HEADS, [_row(view)], width()))
    told = (("ticket", view.ticket), ("note", view.note))
    show.lines(*(one_line(f"  {name} {text}") for name, text in told if text))
    show.lines(*(one_line(f"  {text}") for text in view.changes or ("nothing was changed",)))


@command.command(
    short_help="Close it before its time.",
    epilog="""\b
Example:
  hullmark break-glass close 5d0a11f7
""",
)
@click.argument("glass", metavar="ID")
@online
def close(asked: Asked, glass: str) -> None:
    """Close the break-glass ID before its time."""
    view = _decide(door.client(asked), glass, "close", "")
    _tell(asked, view, f"closed; another person: hullmark break-glass sign-off {view.glass}")


@command.command(
    name="sign-off",
    short_help="Say that you looked at what was done.",
    epilog="""\b
Example:
  hullmark break-glass show 5d0a11f7
  hullmark break-glass sign-off 5d0a11f7 --note 'CHG-902 filed after'
""",
)
@click.argument("glass", metavar="ID")
@click.option("--note", default="", metavar="TEXT", help="Kept with it.")
@online
def sign_off(asked: Asked, glass: str, note: str) -> None:
    """Sign off another person's break-glass ID, once it is over. Who opened it can't."""
    view = _decide(door.client(asked), glass, "sign-off", note)
    _tell(asked, view, f"signed off by {view.signed_by}")


def _decide(client: Client, glass: str, verb: str, reason: str) -> BreakGlassView:
    if not (glass.isalnum() and glass.isascii()):
        raise UsageError(f"not a break-glass: {glass[:80]!r}", remedy="hullmark break-glass list")
    request = to_wire(Decision(new_request_id(), reason))
    return client.decoded(BreakGlassView, client.change("POST", f"{PATH}/{glass}/{verb}", request))


def _tell(asked: Asked, view: BreakGlassView, word: str) -> None:
    if asked.json:
        show.document("break-glass", view, changed=True)
    else:
        show.lines(one_line(f"break-glass {view.glass} of {view.by}  {word}"))


def _row(view: BreakGlassView) -> tuple[str, ...]:
    return (
        view.glass,
        view.state,
        view.by,
        dated(view.opened_at),
        dated(view.until),
        view.signed_by or "-",
        view.reason,
    )
