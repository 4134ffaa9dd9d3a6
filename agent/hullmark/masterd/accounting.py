"""The account of requests in a master's audit log: an intent before each change's handler, its outcome before the answer; refusals;
who comes in; who reads the record itself.

What agents ask all the time isn't recorded here: they have logs of their own.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional

from hullmark.errors import InvalidInput
from hullmark.masterd import entries
from hullmark.masterd.auditing import Auditing
from hullmark.masterd.identity import Caller
from hullmark.masterd.requestbody import decode_body
from hullmark.model.audit import Entry, Outcome
from hullmark.model.wire import from_wire

if TYPE_CHECKING:  # a desk has these accounts, and what a route is says a desk
    from hullmark.masterd.cluster import Cluster
    from hullmark.masterd.route import Route

LOGIN_AGAIN_S = 3600.0
"""The same login from the same place is recorded once in this time."""
LOGINS_MOST = 4096
BURST = 300.0
EACH_S = 0.2
"""Refusals that are recorded one by one: so many at once, then one in this time. The others are counted, and their number stands
in the next record, so that who knocks all night can't fill the disk."""
CUT_OFF = "whoever asked went away, or was let go, before it was done: what became of it is recorded by itself"


class Ration:
    """`clock` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left, self._at = BURST, clock()
        self._kept_back = 0

    def let(self) -> Optional[int]:
        """How many were kept back since the last that was let; None where this one is."""
        now = self._clock()
        self._left = min(BURST, self._left + (now - self._at) / EACH_S)
        self._at = now
        if self._left < 1:
            self._kept_back += 1
            return None
        self._left -= 1
        found, self._kept_back = self._kept_back, 0
        return found


class Undertaking:
    """What is done between an intent and its outcome. `answer` is set where it went well."""

    def __init__(self, auditing: Auditing, entry: Entry, epoch: Callable[[], str]) -> None:
        self._auditing = auditing
        self._entry = entry
        self._epoch = epoch
        self._number = 0
        self.answer: Any = None

    async def __aenter__(self) -> Undertaking:
        """Raises AuditUnavailable."""
        self._number = await self._auditing.intent(self._entry)
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        entry, number = self._entry, self._number
        if error is None:
            await self._auditing.outcome(entries.outcome(entry, number, self.answer, self._epoch()))
        elif isinstance(error, asyncio.CancelledError):
            ended = entries.ended(entry, number, Outcome.UNKNOWN, CUT_OFF)
            self._auditing.outcome_later(ended)
        else:
            await self._auditing.outcome(entries.failure(entry, number, error))


class Accounts:
    """Of all listeners of one master. `clock` is monotonic."""

    def __init__(self, auditing: Auditing, cluster: Cluster, clock: Callable[[], float]) -> None:
        self._auditing = auditing
        self._cluster = cluster
        self._clock = clock
        self._ration = Ration(clock)
        self._came: dict[tuple[str, str, str], float] = {}

    def undertaking(
        self, route: Route, caller: Caller, names: Mapping[str, str], body: Any
    ) -> Undertaking:
        entry = entries.intent(route, caller, names, body, self._epoch())
        return Undertaking(self._auditing, entry, self._epoch)

    def passed_on(
        self, route: Route, caller: Caller, names: Mapping[str, str], raw: bytes, leader: str
    ) -> Undertaking:
        """Of a change that another master carries out: this one knows who asked for it."""
        entry = entries.intent(route, caller, names, _read(route, raw), "")
        fields = {**entry.fields, "forwarded_to": leader}
        entry = dataclasses.replace(entry, fields=fields)
        return Undertaking(self._auditing, entry, lambda: "")

    def read(
        self, route: Route, caller: Caller, names: Mapping[str, str], query: Mapping[str, Any]
    ) -> None:
        self._auditing.event(entries.read(route, caller, names, query))

    def came(self, caller: Caller) -> None:
        """Somebody was let in. A host comes all the time, and its certificate is recorded when it is made."""
        if caller.host_id or caller.peer or not caller.who:
            return
        key, now = (caller.who, caller.origin, caller.secret_sha256), self._clock()
        if now - self._came.get(key, -LOGIN_AGAIN_S) < LOGIN_AGAIN_S:
            return
        self._came.pop(key, None)
        if len(self._came) >= LOGINS_MOST:
            del self._came[next(iter(self._came))]
        self._came[key] = now
        self._auditing.event(entries.came(caller))

    def refused(self, what: str, caller: Caller, why: str, fields: Mapping[str, str]) -> None:
        """A request that was not let in, or could not be read, so that nothing was begun."""
        kept_back = self._ration.let()
        if kept_back is None:
            return
        more = {"kept_back": str(kept_back)} if kept_back else {}
        self._auditing.event(
            entries.refusal("request.refused", what, caller, why, {**fields, **more})
        )

    def _epoch(self) -> str:
        return str(self._cluster.leader_record.epoch) if self._cluster.is_leader else ""


def _read(route: Route, raw: bytes) -> Any:
    """What can be known of a body that the leader will judge."""
    if route.body is None:
        return None
    try:
        return from_wire(route.body, decode_body(raw), ignore_unknown=True)
    except InvalidInput:
        return None
