"""Upkeep: what is over leaves the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Callable

from hullmark import log
from hullmark.errors import Refused, StoreUnavailable
from hullmark.masterd.leadership import Leadership
from hullmark.masterd.putoff import PutOff
from hullmark.masterd.view import View
from hullmark.model.changecontrol import OPEN
from hullmark.model.host import HostRecord
from hullmark.model.names import BREAK_GLASS, INVITES, PENDING, REQUESTS, SESSIONS, TOKENS
from hullmark.store.protocol import Compare, Delete

EVERY_S = 60.0
LOG_KEPT = 1000
"""Revisions of the store's change log that compaction leaves."""
REQUESTS_KEPT_S = 86400.0
INVITES_KEPT_S = 7 * 86400.0
"""After they expired, so that a late try is told why it is refused."""
TOKENS_KEPT_S = 30 * 86400.0
"""After they expired, so that `token list` shows why a job fails."""
PENDING_KEPT_S = 30 * 86400.0
"""After they were decided."""
GLASSES_KEPT_S = 90 * 86400.0
"""After they were signed off. Those that are not are kept."""
AT_ONCE = 40
"""Keys that one transaction deletes; each takes two operations."""

_log = log.get("upkeep")


async def upkeep(
    leadership: Leadership,
    view: View,
    compact: Callable[[int], Awaitable[None]],
    wall: Callable[[], float],
) -> None:
    """Once a minute, until this master leads no more. `compact` drops the store's changes up to a revision."""
    compacted = 0
    late = PutOff(_log, "upkeep is put off", "upkeep is done again")
    while leadership.is_leader:
        await asyncio.sleep(EVERY_S)
        try:
            compares, deletes = outdated(view, wall())
            if deletes:
                await leadership.commit(compares, deletes)
            upto = view.revision - LOG_KEPT
            if upto >= compacted + LOG_KEPT:
                await compact(upto)
                compacted = upto
            late.done()
        except (StoreUnavailable, Refused) as error:
            late.failed(error)


def outdated(view: View, now: float) -> tuple[list[Compare], list[Delete]]:
    """A transaction that deletes what is over, at most `AT_ONCE` keys. Empty: nothing is."""
    keys = [
        REQUESTS + name
        for name, request in view.requests.items()
        if request.at + REQUESTS_KEPT_S < now
    ]
    keys += [
        INVITES + name
        for name, invite in view.invites.items()
        if invite.expires_at + INVITES_KEPT_S < now
    ]
    keys += [
        TOKENS + name
        for name, token in view.tokens.items()
        if token.expires_at + TOKENS_KEPT_S < now
    ]
    keys += [SESSIONS + name for name, session in view.sessions.items() if session.expires_at < now]
    keys += [
        PENDING + name
        for name, pending in view.pending.items()
        if pending.state not in OPEN and pending.decided_at + PENDING_KEPT_S < now
    ]
    keys += [
        BREAK_GLASS + name
        for name, glass in view.glasses.items()
        if glass.signed_by and glass.signed_at + GLASSES_KEPT_S < now
    ]
    chosen = sorted(keys)[:AT_ONCE]
    return [Compare(key, view.modified(key)) for key in chosen], [Delete(key) for key in chosen]


def in_maintenance(hosts: Mapping[str, HostRecord], now: float) -> frozenset[str]:
    """Host ids of those whose silence is expected now."""
    return frozenset(
        host_id
        for host_id, host in hosts.items()
        if host.maintenance is not None and now < host.maintenance.until
    )
