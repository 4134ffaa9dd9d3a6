"""The cluster's incidents: made from what hosts tell of their outages and from their silence, kept in the store, told to people.

    hosts' outages ─┐
    silent hosts  ──┴──▶ core/incidents ──▶ store, `incidents/N`, fenced ──▶ events ──▶ alerts (core/outagealerts)

What was told of an outage is kept beside it, so that another leader tells nobody twice. An outage whose host is removed, or tells of it no
more, ends with that as its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Optional

from hullmark import log
from hullmark.core import incidents
from hullmark.core.outages import Word, recorded
from hullmark.errors import Conflict, Refused, StaleEpoch, StoreUnavailable
from hullmark.masterd.alertlist import AlertList
from hullmark.masterd.hostlife import working_now
from hullmark.masterd.leadership import size_bytes
from hullmark.masterd.putoff import PutOff
from hullmark.masterd.settings import Settings
from hullmark.masterd.silence import CONTROL, Silence, is_waited_for
from hullmark.masterd.teller import Teller
from hullmark.masterd.term import Term
from hullmark.masterd.upkeep import in_maintenance
from hullmark.masterd.view import encode
from hullmark.model.alert import Alert
from hullmark.model.control import Framework
from hullmark.model.names import INCIDENTS
from hullmark.model.outage import Alerted, Incident, IncidentRecord, Outage
from hullmark.store.protocol import Compare, Delete, Put, Write

LOOK_S = 1.0
PRUNE_S = 60.0
CLOSED_KEPT_S = 400 * 86400.0
KEPT_MOST = 5000
AT_ONCE = 20
AT_ONCE_BYTES = 512 << 10
REMOVED = "; it ended without a pass: the host was removed from the cluster"
UNTOLD = "; it ended without a pass: its host tells of it no more"

_log = log.get("incidents")

Known = Mapping[int, IncidentRecord]


class Incidents:
    """Of one term. `master` is the name of the one that leads."""

    def __init__(self, term: Term, master: str, settings: Settings, teller: Teller) -> None:
        self._term, self._master, self._settings = term, master, settings
        self._teller = teller
        self._framework: Optional[Framework] = settings.framework
        self._silence = Silence()
        self._taken: dict[str, tuple[Outage, ...]] = {}
        self._alerts = AlertList(settings.alarm)
        self._pruned_at = 0.0

    async def run(self) -> None:
        """As long as this master leads."""
        known = self.known()
        self._silence.load(
            self._term.view.hosts,
            (outage for one in known.values() for outage in one.incident.outages.values()),
        )
        self._alerts.send_again(known, self._master)
        late = PutOff(_log, "incidents are not written yet", "incidents are written again")
        while self._term.leadership.is_leader:
            try:
                await self._term.whole(self.look())
                late.done()
            except StaleEpoch:
                return
            except (StoreUnavailable, Conflict, Refused) as error:
                late.failed(error)
            await asyncio.sleep(LOOK_S)

    def open_numbers(self) -> Mapping[str, int]:
        """The incident that each open outage belongs to, by the outage's id."""
        of = self._term.view.incidents.values()
        return {
            name: record.incident.number
            for record in of
            if not record.incident.ended
            for name, outage in record.incident.outages.items()
            if not outage.ended
        }

    def known(self) -> Known:
        return {int(name): one for name, one in self._term.view.incidents.items()}

    async def look(self) -> None:
        """Take in what hosts say, and tell it. Raises Conflict, StaleEpoch, StoreUnavailable; then the next look does it all."""
        async with self._term.one_at_a_time:
            now, numbers = self._settings.wall(), self.open_numbers()
            known, hosts, taken = self.known(), self._term.view.hosts, {}
            observed = self._term.fleet.observed
            self._term.fleet.excuse(in_maintenance(hosts, now))
            found: list[Outage] = []
            for host_id, state in observed.items():
                if host_id in hosts and self._taken.get(host_id) is not state.outages:
                    taken[host_id] = state.outages
                    found += [self._ours(host_id, one) for one in state.outages]
            heard = self._term.fleet.heard_s()
            silent = self._silence.look(hosts, self._term.fleet.quiet(), heard, now)
            found += [self._with_requirements(one.outage) for one in silent]
            found += self._withdrawn(known, now)
            after = self._folded(known, found, now)
            alerts = self._alerts.due(after, now, self._master, self._is_planned)
            after = self._alerts.noted(after)
            await self._write(known, after)
            self._taken.update(taken)
            self._alerts.settle()
        if self.open_numbers() != numbers:
            self._term.loop.wake()  # what waits for a control is told with its incident
        for told in silent:
            subject = f"host {told.outage.host}"
            kind = f"outage.{told.word.value}"
            reason = told.outage.reason if told.word is not Word.RECOVERED else ""
            self._teller.add(kind, subject, reason, "", recorded(told.outage))
        self._tell(known, after)
        self._alerts.send(alerts)
        if now - self._pruned_at >= PRUNE_S:
            self._pruned_at = now
            await self._prune(now)

    def ended(self, alert: Alert) -> None:
        """No channel has it any more."""
        self._alerts.ended(alert)

    # -- what hosts say

    def _ours(self, host_id: str, outage: Outage) -> Outage:
        """As the cluster has it: by the host's name here, planned by the cluster's word alone."""
        host = self._term.view.hosts[host_id]
        work = host.maintenance
        planned = work is not None and work.since <= outage.began < work.until
        ticket = work.ticket if work is not None and planned else ""
        named = replace(outage, host=host.name, planned=planned, ticket=ticket)
        return self._with_requirements(named)

    def _with_requirements(self, outage: Outage) -> Outage:
        if self._framework is None or outage.requirements:
            return outage
        of = self._framework.of_failure(outage.control_id, outage.function)
        return replace(outage, requirements=tuple(of))

    def _withdrawn(self, known: Known, now: float) -> list[Outage]:
        """Open ones of which nobody will tell the end."""
        hosts = {host.name: host_id for host_id, host in self._term.view.hosts.items()}
        observed = self._term.fleet.observed
        found = []
        for outage in _open_outages(known.values()):
            host_id = hosts.get(outage.host)
            if host_id is None:
                found.append(_over(outage, now, REMOVED))
            elif outage.control_id != CONTROL and host_id in observed:
                state = observed[host_id]
                told = {one.outage_id for one in state.outages}
                if state.posture is not None and outage.outage_id not in told:
                    found.append(_over(outage, now, UNTOLD))
        return found

    def _is_planned(self, outage: Outage, now: float) -> bool:
        """Whether its host is in maintenance, or was until a moment ago."""
        hosts = self._term.view.hosts
        host_id = next((key for key, one in hosts.items() if one.name == outage.host), "")
        if not host_id:
            return False
        waits = is_waited_for(outage, self._term.fleet.quiet().get(host_id))
        return waits or working_now(hosts[host_id], now) is not None

    @staticmethod
    def _folded(known: Known, found: Sequence[Outage], now: float) -> Known:
        if not found:
            return known
        before = {number: one.incident for number, one in known.items()}
        alerted = {name: told for one in known.values() for name, told in one.alerted.items()}
        last = max(before, default=0)
        after = incidents.fold(before, found, now, last=last)
        return {
            number: known[number]
            if number in known and known[number].incident == incident
            else IncidentRecord(incident, _of(incident, alerted))
            for number, incident in after.items()
        }

    # -- the store

    async def _write(self, known: Known, after: Known) -> None:
        changed = [number for number, one in after.items() if known.get(number) != one]
        batch: list[Write] = []
        # What became part of another is written after it: what is in both for a moment is joined anew by the next look.
        for number in sorted(changed):
            put = Put(key_of(number), encode(after[number]))
            if batch and (len(batch) == AT_ONCE or size_bytes([*batch, put]) > AT_ONCE_BYTES):
                await self._commit(batch)
                batch = []
            batch.append(put)
        if batch:
            await self._commit(batch)

    async def _commit(self, writes: Sequence[Write]) -> None:
        compares = [Compare(one.key, self._term.view.modified(one.key)) for one in writes]
        done = await self._term.leadership.commit(compares, writes)
        if not done.succeeded:
            raise Conflict("an incident was changed at the same moment")
        self._term.version.bump()

    async def _prune(self, now: float) -> None:
        async with self._term.one_at_a_time:
            gone = _outdated(self.known(), now)[:AT_ONCE]
            if not gone:
                return
            await self._commit([Delete(key_of(number)) for number in gone])
        numbers = ", ".join(map(str, gone))
        self._teller.add(
            "incidents.pruned",
            "incidents",
            "over for longer than they are kept",
            "",
            {"incidents": numbers},
        )

    # -- what people are told

    def _tell(self, known: Known, after: Known) -> None:
        for number, record in after.items():
            before = known.get(number)
            if before is record:
                continue
            found = _turned(None if before is None else before.incident, record.incident)
            if found:
                word, message = found
                fields = {"incident": str(number), "function": record.incident.function}
                self._teller.add(f"incident.{word}", f"incident {number}", message, "", fields)


def key_of(number: int) -> str:
    return f"{INCIDENTS}{number}"


def _open_outages(records: Iterable[IncidentRecord]) -> Iterable[Outage]:
    for record in records:
        for outage in record.incident.outages.values():
            if not outage.ended:
                yield outage


def _over(outage: Outage, now: float, why: str) -> Outage:
    return replace(outage, ended=max(now, outage.began), reason=outage.reason + why)


def _of(incident: Incident, alerted: Mapping[str, Alerted]) -> Mapping[str, Alerted]:
    return {name: alerted[name] for name in incident.outages if name in alerted}


def _turned(before: Optional[Incident], after: Incident) -> Optional[tuple[str, str]]:
    if after.merged_into:
        merged = before is not None and before.merged_into != after.merged_into
        return ("merged", f"it is part of incident {after.merged_into}") if merged else None
    newest = max(after.outages.values(), key=lambda one: one.began)
    said = f"{newest.title or newest.control_id} on {newest.host}: {newest.reason}"
    if before is None:
        return "began", said
    if after.ended and not before.ended:
        return "recovered", ""
    if before.ended and not after.ended:
        return "reopened", said
    return None


def _outdated(known: Known, now: float) -> list[int]:
    """Never the highest number, which the next one follows; never one that lasts."""
    live = {number: one.incident for number, one in known.items() if not one.incident.merged_into}
    closed = sorted((number for number, one in live.items() if one.ended), reverse=True)
    kept = KEPT_MOST - (len(live) - len(closed))
    gone = {
        number
        for place, number in enumerate(closed)
        if place >= kept or now - live[number].ended > CLOSED_KEPT_S
    }
    gone |= {
        number
        for number, one in known.items()
        if one.incident.merged_into in gone or _is_orphan(one.incident, known)
    }
    return sorted(gone - {max(known, default=0)})


def _is_orphan(incident: Incident, known: Known) -> bool:
    return bool(incident.merged_into) and incident.merged_into not in known
