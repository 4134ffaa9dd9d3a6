"""Hosts that are not heard, as outages: of the control `host-silent`, which no host could tell of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Optional

from hullmark.core.outages import Outages, Told, Word, fold
from hullmark.masterd.hostlife import working_now
from hullmark.model.control import CheckState, ControlState, Status
from hullmark.model.host import HostRecord
from hullmark.model.outage import Outage

CONTROL, FUNCTION = "host-silent", "host"
TITLE = "The host's agent is heard"
REMEDY = "see whether the host runs and reaches a master: systemctl status hullmark-agent"

Quiet = Mapping[str, tuple[str, float, bool]]
"""As `Fleet.quiet` has it."""


class Silence:
    """Of one term. `load` comes first."""

    def __init__(self) -> None:
        self._known: dict[str, Outages] = {}
        self._since: dict[str, float] = {}

    def load(self, hosts: Mapping[str, HostRecord], outages: Iterable[Outage]) -> None:
        """What former leaders found."""
        ids = {host.name: host_id for host_id, host in hosts.items()}
        for outage in outages:
            host_id = ids.get(outage.host)
            if outage.control_id == CONTROL and host_id is not None:
                known = self._known.get(host_id, Outages())
                found = {**known.outages, outage.outage_id: outage}
                self._known[host_id] = Outages(found, known.tracks)

    def look(
        self, hosts: Mapping[str, HostRecord], quiet: Quiet, heard: Iterable[str], now: float
    ) -> list[Told]:
        """What began and ended since the look before. `heard` are those that this leader has heard at all."""
        called = frozenset(heard)
        told = []
        for host_id, host in hosts.items():
            found = quiet.get(host_id)
            if found is None:
                continue
            if found[0] == "ready" and host_id not in self._known:
                continue
            told += self._turn(host_id, host, found, now, was_heard=host_id in called)
        for gone in [name for name in self._known if name not in hosts]:
            del self._known[gone]
        return told

    def _turn(
        self,
        host_id: str,
        host: HostRecord,
        found: tuple[str, float, bool],
        now: float,
        *,
        was_heard: bool,
    ) -> list[Told]:
        known = self._known.get(host_id, Outages())
        state = self._state(host_id, found, now)
        after, told = fold(known, host.name, {CONTROL: state}, now, working_now(host, now))
        if was_heard:
            told = tuple(
                replace(one, outage=replace(one.outage, passed_at=one.outage.began))
                if one.word is Word.BEGAN
                else one
                for one in told
            )
        if after.outages:
            there = {**after.outages, **{one.outage.outage_id: one.outage for one in told}}
            self._known[host_id] = replace(after, outages=there)
        else:
            self._known.pop(host_id, None)
        return list(told)

    def _state(self, host_id: str, found: tuple[str, float, bool], now: float) -> ControlState:
        word, quiet_s, spoke = found
        status, since, reason = Status.NOT_RUN, now, "it has its time to call"
        if word != "ready":
            status, since = Status.FAIL, now - quiet_s
            reason = "the leader does not hear it: nothing is known of its controls"
        elif spoke:
            status, since, reason = Status.PASS, self._since.get(host_id, now), ""
        if status is Status.PASS:
            self._since[host_id] = since
        else:
            self._since.pop(host_id, None)
        check = CheckState("heard", status, reason=reason, since=since, at=now)
        checks = {check.check_id: check}
        return ControlState(
            CONTROL,
            FUNCTION,
            TITLE,
            status,
            reason=reason,
            remedy=REMEDY,
            since=since,
            checks=checks,
        )


def is_waited_for(outage: Outage, found: Optional[tuple[str, float, bool]]) -> bool:
    """Whether this is of a host that has its time to call now: after a maintenance, or under a new leader."""
    return outage.control_id == CONTROL and found is not None and found[0] == "ready"
