"""`hullmark master step-down`: hand leadership over, and say who has it and after how long."""

from __future__ import annotations

import time
from typing import Callable, Optional

import click

from hullmark.cli import door, options, show
from hullmark.cli.client import Client
from hullmark.cli.drillchecks import later
from hullmark.cli.drilling import step_down
from hullmark.cli.options import Asked, online, ticket
from hullmark.cli.polling import UNREACHED
from hullmark.cli.words import age, duration
from hullmark.errors import EXIT_DEGRADED, EXIT_OK, StaleEpoch
from hullmark.model.api import ClusterStatus

PAUSE_S = 0.05


@click.command(
    "step-down",
    short_help="Hand leadership over to the standby.",
    epilog="""\b
Example:
  hullmark master step-down
  hullmark master step-down --ticket CHG-881 --timeout 10s

\b
Exit codes: 0 another master leads, 1 none does yet, 2 refused, 3 no answer.
""",
)
@click.option("--force", is_flag=True, help="Also where no standby is ready to follow.")
@options.waiting("30s")
@ticket
@online
def command(asked: Asked, force: bool, ticket: str, wait: bool, timeout: str) -> int:
    """Hand leadership over to the standby, and wait until another master leads.

    What runs goes on; changes that come meanwhile wait for the next leader.
    """
    timeout_s = duration(timeout, "--timeout")
    client = door.client(asked)
    before = client.ask(ClusterStatus, "/v1/status")
    if not before.master:
        raise StaleEpoch("no master leads now", remedy="hullmark status")
    began = time.monotonic()
    answer = step_down(client, before.epoch, ticket, force=force)
    after = _next(client, answer.epoch, began + timeout_s) if wait else None
    seconds = round(time.monotonic() - began, 3)
    leader, epoch = ("", "") if after is None else (after.master, after.epoch)
    outcome = "accepted" if not wait else "settled" if after is not None else "timeout"
    if asked.json:
        told = {"former": before.master, "former_epoch": before.epoch, "leader": leader}
        fields = {"changed": answer.changed, **told, "epoch": epoch}
        show.document("master-step-down", fields, outcome=outcome, seconds=seconds)
    else:
        show.lines(_line(before, after, seconds, wait=wait))
    return EXIT_OK if outcome != "timeout" else EXIT_DEGRADED


def _next(
    client: Client,
    epoch: str,
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> Optional[ClusterStatus]:
    """How it stands once somebody leads in a later epoch; None: nobody until `deadline`."""
    while True:
        try:
            status = client.ask(ClusterStatus, "/v1/status")
            if status.master and not status.read_only and later(status.epoch, epoch):
                return status
        except UNREACHED:
            pass
        if clock() >= deadline:
            return None
        time.sleep(PAUSE_S)


def _line(
    before: ClusterStatus, after: Optional[ClusterStatus], seconds: float, *, wait: bool
) -> str:
    if not wait:
        return f"{before.master}  gives up epoch {before.epoch}; not waited for"
    if after is None:
        return f"{before.master}  gave up epoch {before.epoch}; no master leads after {age(seconds)}: hullmark status"
    again = " again" if after.master == before.master else ""
    return f"{after.master}  leads{again} in epoch {after.epoch}, after {seconds:.2f} s"
