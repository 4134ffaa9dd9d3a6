"""The record of requests: who asked what, from where, and how it ended. One line in the master's log for each.

What agents ask all the time is logged only where it is refused. Refusals become events too, as far as a
`Sieve` lets them: whoever is refused a thousand times must not push all other events out of the store. A
change is an event already. Neither has bodies, queries or secrets: a query may hold what a body could.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Callable, Optional

from aiohttp import web

from hullmark import log
from hullmark.masterd.desk import Desk
from hullmark.masterd.identity import Caller
from hullmark.masterd.route import Login, Route
from hullmark.model.event import Event

PATH_MAX_CHARACTERS = 200
NAME_MAX_CHARACTERS = 64

BURST = 20
EACH_S = 60.0
"""Refusals that become events: so many at once, then one in this time, from everybody together."""
AGAIN_S = 600.0
"""The same refusal of the same caller becomes one event in this time."""
KEYS_MOST = 1024
BAD = (400, 413, 415)
"""Of a change that could not be read."""

_log = log.get("request")


@dataclass
class Seen:
    """What becomes known of a request while it is answered. `why`: of a refusal. `admitted`: its caller was let in;
    `over`: and is not any more. `forwarded_to` names the master that leads, where that one was asked. `recorded`: its intent
    and outcome are in the audit log."""

    caller: Caller
    method: str
    path: str
    route: Optional[Route] = None
    names: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    admitted: bool = False
    over: bool = False
    recorded: bool = False
    forwarded_to: str = ""

    @property
    def what(self) -> str:
        """The route where there is one, so that what people typed into a path stands apart from it."""
        path = self.path if self.route is None else self.route.path
        return f"{self.method[:16]} {path[:PATH_MAX_CHARACTERS]}"


class Sieve:
    """Lets few of many through, and counts the others. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = float(BURST)
        self._at = clock()
        self._last: dict[object, float] = {}
        self._kept_back: dict[object, int] = {}

    def let(self, key: object) -> Optional[int]:
        """How many of this kind were kept back before this one; None where it is to be kept back itself."""
        now = self._clock()
        self._left = min(float(BURST), self._left + (now - self._at) / EACH_S)
        self._at = now
        if self._left < 1 or now - self._last.get(key, -AGAIN_S) < AGAIN_S:
            if key in self._last or len(self._kept_back) < KEYS_MOST:
                self._kept_back[key] = self._kept_back.get(key, 0) + 1
            return None
        self._left -= 1
        self._last.pop(key, None)
        if len(self._last) >= KEYS_MOST:
            del self._last[next(iter(self._last))]  # the oldest: the newest are put at the end
        self._last[key] = now
        return self._kept_back.pop(key, 0)


class Recorder:
    """Of all listeners."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._sieve = Sieve(desk.clock)

    def tell(self, seen: Seen, response: web.StreamResponse, took_s: float) -> None:
        status, caller = response.status, seen.caller
        refused = status in (401, 403)
        fields = {
            "who": caller.who,
            "role": "" if caller.role is None else caller.role.value,
            "kind": kind_of(caller),
            "what": seen.what,
            **{key: value[:NAME_MAX_CHARACTERS] for key, value in seen.names.items()},
            "origin": caller.origin,
            "status": status,
            "ms": round(took_s * 1000),
        }
        if seen.why:
            fields["why"] = seen.why
        if seen.forwarded_to:
            fields["forwarded_to"] = seen.forwarded_to
        quiet = seen.route is not None and seen.route.sync and not refused
        (_log.debug if quiet else _log.info)("answered", **fields)
        self._account(seen, status)
        if refused:
            self._refused(seen, status)

    def _account(self, seen: Seen, status: int) -> None:
        """In the audit log: who came in, and what was refused before anything was begun."""
        accounts, route = self._desk.accounts, seen.route
        if seen.admitted and route is not None and route.login is not Login.NOBODY:
            accounts.came(seen.caller)
        begun = route is not None and route.changes and seen.admitted
        if not seen.recorded and (status in (401, 403) or (begun and status in BAD)):
            fields = {"status": str(status), "kind": kind_of(seen.caller)}
            names = {key: value[:NAME_MAX_CHARACTERS] for key, value in seen.names.items()}
            accounts.refused(seen.what, seen.caller, seen.why, {**names, **fields})

    def _refused(self, seen: Seen, status: int) -> None:
        caller = seen.caller
        kept_back = self._sieve.let((caller.origin, caller.who, status))
        if kept_back is None or not self._desk.cluster.is_leader:
            return
        fields = {"from": caller.origin, "status": str(status), "kind": kind_of(caller)}
        if caller.role is not None:
            fields["role"] = caller.role.value
        if kept_back:
            fields["kept_back"] = str(kept_back)
        self._desk.cluster.record(
            Event(
                uuid.uuid4().hex,
                self._desk.wall(),
                "request.refused",
                seen.what,
                self._desk.cluster.leader_record.master,
                seen.why[:1024],
                caller.who,
                fields,
            )
        )


def kind_of(caller: Caller) -> str:
    if caller.host_id:
        return "host"
    if not caller.who:
        return "unknown"
    return "human" if caller.human else "machine"
