"""The life of hosts by operators' word: availability, labels, maintenance, removal.

Each change is one transaction, and safe to ask for again (`repeats`). All names and values are checked before
anything is written, so a request that names several hosts changes all of them or none.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Callable, Optional

from hullmark import log
from hullmark.core.removal import removal, told
from hullmark.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
    StaleEpoch,
    StoreUnavailable,
)
from hullmark.masterd.admission import invites_of, label_problems
from hullmark.masterd.events import Tell
from hullmark.masterd.putoff import PutOff
from hullmark.masterd.repeats import Asked, Repeats, asked
from hullmark.masterd.term import Term
from hullmark.masterd.view import encode
from hullmark.model.change import Change
from hullmark.model.host import Availability, HostRecord, Maintenance
from hullmark.model.hostlife import (
    AvailabilityRequest,
    HostChange,
    HostChanges,
    LabelsRequest,
    MaintenanceEndRequest,
    MaintenanceRequest,
    RemovedHost,
    RemoveHostRequest,
)
from hullmark.model.names import HOSTS
from hullmark.store.protocol import Compare, Delete, Put, Write

HOSTS_AT_ONCE = 40
"""Each takes a compare and a write of a transaction."""
MAINTENANCE_MIN_S = 60.0
MAINTENANCE_MAX_S = 30 * 86400.0
LOOK_S = 1.0

_KINDS = {
    Availability.ACTIVE: "host.uncordoned",
    Availability.CORDONED: "host.cordoned",
    Availability.DRAINING: "host.draining",
}

_log = log.get("hosts")

Alter = Callable[[HostRecord], HostRecord]


class HostLife:
    """`removed` is called with the host id of a host whose record is gone."""

    def __init__(
        self,
        term: Term,
        wall: Callable[[], float],
        tell: Tell,
        removed: Callable[[str], None],
    ) -> None:
        self._term = term
        self._wall = wall
        self._repeats = Repeats(term.leadership, term.view)
        self._tell = tell
        self._removed = removed

    def named(self, name: str) -> HostRecord:
        """Raises NotFound."""
        return self._all_named([name])[0]

    async def set_availability(self, request: AvailabilityRequest, change: Change) -> HostChanges:
        def alter(host: HostRecord) -> HostRecord:
            return dataclasses.replace(host, availability=request.availability)

        asked_for = asked("availability", "", request)
        kind = _KINDS[request.availability]
        return await self._alter(asked_for, request.hosts, alter, kind, change)

    async def start_maintenance(self, request: MaintenanceRequest, change: Change) -> HostChanges:
        """One that lasts is replaced: it keeps its beginning."""
        if not MAINTENANCE_MIN_S <= request.for_s <= MAINTENANCE_MAX_S:
            allowed = f"{MAINTENANCE_MIN_S:.0f} to {MAINTENANCE_MAX_S:.0f} seconds"
            raise InvalidInput([Problem(f"{request.for_s:.0f} s", field="for_s", allowed=allowed)])
        now = self._wall()

        def alter(host: HostRecord) -> HostRecord:
            lasts = host.maintenance is not None and now < host.maintenance.until
            since = host.maintenance.since if host.maintenance is not None and lasts else now
            work = Maintenance(since, now + request.for_s, change.by, request.ticket)
            return dataclasses.replace(host, maintenance=work)

        asked_for = asked("maintenance", "start", request)
        return await self._alter(asked_for, request.hosts, alter, "maintenance.started", change)

    async def end_maintenance(self, request: MaintenanceEndRequest, change: Change) -> HostChanges:
        asked_for = asked("maintenance", "end", request)
        return await self._alter(
            asked_for, request.hosts, _without_maintenance, "maintenance.ended", change
        )

    async def set_labels(self, name: str, request: LabelsRequest, change: Change) -> HostChange:
        problems = label_problems(request.labels)
        problems += [
            Problem("set and removed at once", field=f"labels.{key[:60]}", allowed="one of both")
            for key in request.remove
            if key in request.labels
        ]
        if problems:
            raise InvalidInput(problems)

        def alter(host: HostRecord) -> HostRecord:
            labels = {**host.labels, **request.labels}
            kept = {key: labels[key] for key in labels if key not in request.remove}
            _check_number(kept)
            return dataclasses.replace(host, labels=kept)

        asked_for = asked("labels", name, request)
        done = await self._alter(asked_for, [name], alter, "host.labelled", change)
        return done.hosts[0]

    async def remove(self, name: str, request: RemoveHostRequest, change: Change) -> RemovedHost:
        """With its invites; where there is no such host, these alone. Raises Conflict while it has orders, unless
        it is forced, NotFound where there is neither."""
        return await self._term.whole(self._remove(name, request, change))

    async def run(self) -> None:
        """Take maintenance that is over out of the records, until this master leads no more. What it is over for
        does not wait for this: the clock alone decides."""
        what = "the end of a maintenance is"
        late = PutOff(_log, f"{what} not written yet", f"{what} written again")
        while self._term.leadership.is_leader:
            await asyncio.sleep(LOOK_S)
            try:
                await self.expire()
                late.done()
            except StaleEpoch:
                return
            except (StoreUnavailable, Conflict) as error:
                late.failed(error)

    async def expire(self) -> None:
        now = self._wall()
        over = [
            host
            for host in self._term.view.hosts.values()
            if host.maintenance is not None and host.maintenance.until <= now
        ]
        for host in sorted(over, key=lambda host: host.name)[:HOSTS_AT_ONCE]:
            await self._term.whole(self._expire(host))

    async def _expire(self, host: HostRecord) -> None:
        work, key = host.maintenance, HOSTS + host.host_id
        assert work is not None
        async with self._term.one_at_a_time:
            if self._term.view.hosts.get(host.host_id) != host:
                return
            done = await self._term.leadership.commit(
                [Compare(key, self._term.view.modified(key))],
                [Put(key, encode(_without_maintenance(host)))],
            )
        if done.succeeded:
            change = Change(work.by, "", self._wall(), work.ticket)
            self._tell("maintenance.expired", f"host {host.name}", change, {})

    async def _alter(
        self, request: Asked, names: Sequence[str], alter: Alter, kind: str, change: Change
    ) -> HostChanges:
        return await self._term.whole(self._altered(request, names, alter, kind, change))

    async def _altered(
        self, request: Asked, names: Sequence[str], alter: Alter, kind: str, change: Change
    ) -> HostChanges:
        view = self._term.view
        async with self._term.one_at_a_time:
            known = self._repeats.answer(HostChanges, request)
            if known is not None:
                return known
            before = self._all_named(names)
            after = [alter(host) for host in before]
            answer = HostChanges(tuple(map(_change, before, after)))
            writes = [
                Put(HOSTS + new.host_id, encode(new))
                for old, new in zip(before, after)
                if old != new
            ]
            compares = [Compare(put.key, view.modified(put.key)) for put in writes]
            await self._repeats.commit(
                request,
                answer,
                change.at,
                compares,
                writes,
                subject=f"host {', '.join(names)}"[:200],
                remedy="name fewer hosts at a time",
            )
        for old, new in zip(before, after):
            if old != new:
                self._tell(kind, f"host {new.name}", change, _told(old, new))
        return answer

    def _all_named(self, names: Sequence[str]) -> list[HostRecord]:
        """In the order of the names, each once. Raises InvalidInput, NotFound with all that are not there."""
        chosen = list(dict.fromkeys(names))
        if not 1 <= len(chosen) <= HOSTS_AT_ONCE:
            allowed = f"1 to {HOSTS_AT_ONCE} hosts"
            raise InvalidInput([Problem(f"{len(chosen)} hosts", field="hosts", allowed=allowed)])
        by_name = {host.name: host for host in self._term.view.hosts.values()}
        missing = [name[:253] for name in chosen if name not in by_name]
        if missing:
            noun = "host" if len(missing) == 1 else "hosts"
            raise NotFound(f"there is no {noun} {', '.join(missing)}", remedy="hullmark hosts")
        return [by_name[name] for name in chosen]

    async def _remove(self, name: str, request: RemoveHostRequest, change: Change) -> RemovedHost:
        asked_for = asked("remove host", name, request)
        view = self._term.view
        async with self._term.one_at_a_time:
            known = self._repeats.answer(RemovedHost, asked_for)
            if known is not None:
                return known
            invites = invites_of(view, name, self._wall(), HOSTS_AT_ONCE)
            opened = sum(not used for used in invites.values())
            if opened and not self._has(name):
                answer = RemovedHost(name, "")
            else:
                answer = removal(self._term.snapshot(), self.named(name), request.force)
            answer = dataclasses.replace(answer, invites=opened)
            keys = [HOSTS + answer.host_id] if answer.host_id else []
            writes: list[Write] = [*map(Delete, keys), *map(Delete, invites)]
            answer = await self._repeats.commit(
                asked_for,
                answer,
                change.at,
                [Compare(each.key, view.modified(each.key)) for each in writes],
                writes,
                subject=f"host {name}",
                remedy="ask again",
            )
        kind = "host.removed" if answer.host_id else "invite.withdrawn"
        self._tell(kind, f"host {name}", change, told(answer, request.force))
        if answer.host_id:
            self._removed(answer.host_id)
        return answer

    def _has(self, name: str) -> bool:
        return any(host.name == name for host in self._term.view.hosts.values())


def _without_maintenance(host: HostRecord) -> HostRecord:
    return dataclasses.replace(host, maintenance=None)


def _check_number(labels: Mapping[str, str]) -> None:
    problems = label_problems(labels)
    if problems:
        raise InvalidInput(problems)


def _change(old: HostRecord, new: HostRecord) -> HostChange:
    return HostChange(new.name, old != new, new.availability, new.labels, new.maintenance)


def _told(old: HostRecord, new: HostRecord) -> Mapping[str, str]:
    """What an event says of the change."""
    found = {}
    if new.maintenance is not None and new.maintenance != old.maintenance:
        found["for_s"] = f"{new.maintenance.until - new.maintenance.since:.0f}"
    for key in sorted({*old.labels, *new.labels}):
        if old.labels.get(key) != new.labels.get(key):
            found[f"label {key}"] = new.labels.get(key, "removed")
    return found


def planned(host: Optional[HostRecord], now: float) -> Mapping[str, str]:
    """What an event says of a silence that is expected; nothing of any other."""
    work = None if host is None else working_now(host, now)
    if work is None:
        return {}
    return {"planned": "maintenance", **({"ticket": work.ticket} if work.ticket else {})}


def working_now(host: HostRecord, now: float) -> Optional[Maintenance]:
    """The maintenance that a host is in."""
    work = host.maintenance
    return None if work is None or now >= work.until else work
