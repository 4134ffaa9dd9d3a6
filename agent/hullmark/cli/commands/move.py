"""`hullmark move`"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Optional

import click

from hullmark.cli import door, show, target
from hullmark.cli.client import Client, new_request_id
from hullmark.cli.options import Asked, online, quiet, ticket, waiting
from hullmark.cli.table import width, wrapped
from hullmark.cli.words import age, duration
from hullmark.errors import (
    EXIT_DEGRADED,
    EXIT_OK,
    MasterUnavailable,
    StaleEpoch,
    StoreUnavailable,
    UsageError,
)
from hullmark.model.api import AppDetail, InstanceView
from hullmark.model.move import MoveAnswer, MovedSlot, MoveRequest
from hullmark.model.observed import Phase
from hullmark.model.wire import to_wire

EPILOG = """\b
Example:
  hullmark move shop/web.2
  hullmark move shop/web --to web7 --ticket CHG-881
  hullmark move shop/db --accept-data-loss

\b
Exit codes: 0 done (with --no-wait: accepted), 1 time is over and
something is not elsewhere yet, 2 failed.
"""
HOLD_S = 20.0
PAUSE_S = 0.5


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
    left = _wait(client, answer, timeout_s, told=not asked.json) if wait else ()
    if asked.json:
        outcome = "accepted" if not wait else "timeout" if left else "settled"
        names = [moved.name for moved in left]
        seconds = round(time.monotonic() - begin, 3)
        show.document("move", answer, outcome=outcome, seconds=seconds, waiting=names)
    else:
        _tell(answer, left, wait, quiet, time.monotonic() - begin)
    return EXIT_DEGRADED if left else EXIT_OK


def _lines(answer: MoveAnswer) -> Iterable[str]:
    for moved in answer.slots:
        if moved.withdrawn:
            yield f"{moved.name}  stays on {moved.leaves}"
            continue
        yield f"{moved.name}  leaves {moved.leaves} for {moved.to or 'another host'}"
        if moved.data:
            yield from wrapped(f"left there: {', '.join(moved.data)}", width())


def _tell(
    answer: MoveAnswer, left: Sequence[MovedSlot], waited: bool, quiet: bool, seconds: float
) -> None:
    """How it ended, or how to see it."""
    if left:
        service = left[0].name.rpartition(".")[0]
        for moved in left:
            sys.stderr.write(f"{moved.name} is not elsewhere yet; it goes once a host fits it\n")
        sys.stderr.write(f"  what to do: hullmark explain {service}\n")
    elif not quiet:
        show.lines(
            f"done in {age(seconds)}" if waited else f"not waited for; see hullmark ps {answer.app}"
        )


def _wait(
    client: Client, answer: MoveAnswer, timeout_s: float, *, told: bool
) -> Sequence[MovedSlot]:
    """Until every slot serves, or has completed, on another host; those that don't when time is over."""
    deadline = time.monotonic() + timeout_s
    path, version = f"/v1/apps/{answer.app}", 0
    left = [moved for moved in answer.slots if not moved.withdrawn]
    try:
        while left:
            left_s = max(0.0, deadline - time.monotonic())
            hold_s = round(min(HOLD_S, left_s), 3)
            query = {"after": version, "hold_s": hold_s} if version else {}
            try:
                detail = client.ask(AppDetail, path, query, hold_s)
            except (MasterUnavailable, StoreUnavailable, StaleEpoch):
                if left_s <= PAUSE_S:
                    raise
                time.sleep(PAUSE_S)
                continue
            version = detail.version
            left = [moved for moved in left if not _is_there(moved, detail.instances)]
            if not left_s:
                break
    except KeyboardInterrupt:
        if told:
            sys.stderr.write(f"the move goes on; see how it stands: hullmark ps {answer.app}\n")
        raise click.Abort from None
    return left


def _is_there(moved: MovedSlot, instances: Iterable[InstanceView]) -> bool:
    return any(
        item.name == moved.name
        and not item.removing
        and item.host not in ("", moved.leaves)
        and item.status is not None
        and (item.status.serving or item.status.phase is Phase.COMPLETED)
        for item in instances
    )
