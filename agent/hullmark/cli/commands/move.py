"""`hullmark move`"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Optional

import click

from hullmark.cli import door, show, target
from hullmark.cli.arrival import Arrival, await_arrival
from hullmark.cli.client import new_request_id
from hullmark.cli.options import Asked, online, quiet, ticket, waiting
from hullmark.cli.polling import goes_on
from hullmark.cli.table import width, wrapped
from hullmark.cli.words import age, duration
from hullmark.errors import EXIT_DEGRADED, EXIT_OK, UsageError
from hullmark.model.move import MoveAnswer, MoveRequest
from hullmark.model.wire import to_wire

EPILOG = """\b
Example:
  hullmark move shop/web.2
  hullmark move shop/web --to web7 --ticket CHG-881
  hullmark move shop/db --accept-data-loss

\b
Exit codes: 0 done (with --no-wait: accepted), 1 something is not
elsewhere: no other host fits it, or time is over, 2 failed.
"""


@click.command(epilog=EPILOG)
@click.argument("what", metavar="APP/SERVICE[.SLOT]")
@click.option("--to", metavar="HOST", help="The host to go to. Without it: the best other one.")
@click.option(
    "--accept-data-loss",
    is_flag=True,
    help="Leave volumes and files on the host; needed where there are some.",
)
@waiting("10m")
@ticket
@quiet
@online
def command(
    asked: Asked,
    what: str,
    to: Optional[str],
    accept_data_loss: bool,
    wait: bool,
    timeout: str,
    ticket: str,
    quiet: bool,
) -> int:
    """Move a service, or one slot of it, to another host.

    Nothing is copied: local data stays on the host that is left. A slot stays where it is until another host fits
    it; --to with the host where it still is takes that back.
    """
    timeout_s = duration(timeout, "--timeout")
    found = target.parse(what)
    if not found.service:
        raise UsageError("a whole app is not moved", remedy="name a service: APP/SERVICE[.SLOT]")
    client = door.client(asked)
    request = MoveRequest(
        found.service,
        new_request_id(),
        found.slot,
        target.host_name(to) if to else "",
        accept_data_loss,
        ticket,
    )
    answer = client.decoded(
        MoveAnswer, client.change("POST", f"/v1/apps/{found.app}/move", to_wire(request))
    )
    if not (asked.json or quiet):
        show.lines(*_lines(answer))
        show.flush()
    begin = time.monotonic()
    with goes_on(asked, "the move", f"hullmark ps {found.app}"):
        arrival = Arrival("accepted", ())
        if wait:
            told = not (asked.json or quiet)
            arrival = await_arrival(client, answer, timeout_s, told)
    seconds = time.monotonic() - begin
    if asked.json:
        names = [moved.name for moved in arrival.left]
        show.document(
            "move",
            answer,
            changed=bool(answer.slots),
            outcome=arrival.outcome,
            seconds=round(seconds, 3),
            waiting=names,
        )
    else:
        _tell(answer, arrival, quiet, seconds)
    return EXIT_DEGRADED if arrival.left else EXIT_OK


def _lines(answer: MoveAnswer) -> Iterable[str]:
    for moved in answer.slots:
        if moved.withdrawn:
            yield f"{moved.name}  stays on {moved.leaves}"
            continue
        yield f"{moved.name}  leaves {moved.leaves} for {moved.to or 'another host'}"
        if moved.data:
            yield from wrapped(f"left there: {', '.join(moved.data)}", width())


def _tell(answer: MoveAnswer, arrival: Arrival, quiet: bool, seconds: float) -> None:
    """How it ended, or how to see it."""
    for moved in arrival.left:
        sys.stderr.write(f"{moved.name} is not elsewhere yet; it goes once a host fits it\n")
    if arrival.left:
        service = arrival.left[0].name.rpartition(".")[0]
        sys.stderr.write(f"  what to do: hullmark explain {service}\n")
    elif not quiet:
        waited = arrival.outcome == "settled"
        see = f"not waited for; see hullmark ps {answer.app}"
        show.lines(f"done in {age(seconds)}" if waited else see)
