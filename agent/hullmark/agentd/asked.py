"""Who asked for what this thread does now: for the record of it.

    with asking(Asked("alice", Actor.HUMAN, "10.0.0.7", request_id="...")):
        engine.create(...)          # its records name alice

A thread that said nothing acts for the agent itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Optional

from hullmark.model.audit import DAEMON, Actor
from hullmark.model.change import Change

LOCAL = "local"
"""Origin of what comes from nowhere but this host."""
MACHINE = "token:"
"""What the name of who is no human begins with; no user's name holds a colon."""


@dataclass(frozen=True)
class Asked:
    """`app` is whose container, network or volume it is. `essential`: what runs is kept running, or stopped, so it is done
    also while a full disk leaves nothing but the reserve for its record. `anyhow`: done even where it can't be recorded."""

    by: str = DAEMON
    actor: Actor = Actor.SYSTEM
    origin: str = LOCAL
    reason: str = ""
    ticket: str = ""
    request_id: str = ""
    epoch: str = ""
    app: str = ""
    approved_by: str = ""
    break_glass: str = ""
    essential: bool = False
    anyhow: bool = False


BY_ITSELF = Asked()

_own = threading.local()


def current() -> Asked:
    found: Optional[Asked] = getattr(_own, "asked", None)
    return found or BY_ITSELF


@contextmanager
def asking(asked: Asked) -> Iterator[None]:
    before: Optional[Asked] = getattr(_own, "asked", None)
    _own.asked = asked
    try:
        yield
    finally:
        _own.asked = before


def of_change(change: Optional[Change], leader: str) -> Asked:
    """Who made an app what it is. Where nobody knows (its record is gone), the leader who ordered it answers for it."""
    if change is None or not change.by:
        return Asked(leader or DAEMON, Actor.MASTER if leader else Actor.SYSTEM, leader or LOCAL)
    return Asked(
        change.by,
        _actor(change.by),
        change.origin,
        ticket=change.ticket,
        request_id=change.request_id,
        approved_by=change.approved_by,
        break_glass=change.break_glass,
    )


def _actor(by: str) -> Actor:
    if by == DAEMON:
        return Actor.MASTER  # a leader that takes back what failed
    return Actor.MACHINE if by.startswith(MACHINE) else Actor.HUMAN
