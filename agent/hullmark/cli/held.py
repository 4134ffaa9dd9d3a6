"""A change that waits for a second person: how it is told, and how it is waited for."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from hullmark.cli import show
from hullmark.cli.client import Client
from hullmark.cli.polling import newer
from hullmark.cli.words import age, moment, one_line
from hullmark.errors import EXIT_DEGRADED
from hullmark.model import jsontext
from hullmark.model.changecontrol import Held, PendingDetail, PendingState, PendingView
from hullmark.model.wire import from_wire

SUMMARY_TOLD = 20


def read(body: bytes) -> PendingView:
    """Raises InvalidInput, ValueError for what isn't such an answer."""
    return from_wire(Held, jsontext.loads(body), ignore_unknown=True).held


def tell(pending: PendingView, *, as_json: bool) -> int:
    """The end of a command whose change waits; its exit code."""
    if as_json:
        show.document("held", pending)
    else:
        show.lines(*lines(pending))
    return EXIT_DEGRADED


def lines(pending: PendingView) -> Iterator[str]:
    until = moment(pending.expires_at)
    yield one_line(
        f"{pending.subject}  {pending.kind.value} waits for approval until {until} (rule {pending.rule})"
    )
    for text in pending.summary[:SUMMARY_TOLD]:
        yield one_line(f"  {text}")
    if len(pending.summary) > SUMMARY_TOLD:
        yield f"  and {len(pending.summary) - SUMMARY_TOLD} more"
    yield f"next      another person, on a master: {pending.command}"
    yield f"          then: hullmark changes wait {pending.change}"


def wait(client: Client, pending: PendingView, timeout_s: float, *, quiet: bool) -> bool:
    """Until somebody has decided; False where time is over before."""
    deadline = time.monotonic() + timeout_s
    if not quiet:
        what = f"change {pending.change} waits for approval, {age(timeout_s)} at most"
        sys.stderr.write(f"{what}; another person, on a master: {pending.command}\n")
        sys.stderr.flush()
    version = 0
    while pending.state is PendingState.WAITING:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return False
        path = f"/v1/changes/{pending.change}"
        found = newer(client, PendingDetail, path, version, left_s, deadline)
        pending, version = found.change, found.version
    return True
