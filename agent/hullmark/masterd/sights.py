"""Sights: hosts as people are shown them, with what only the leader sees of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hullmark.core.absence import engine_trouble
from hullmark.core.drain import drain, stuck
from hullmark.core.overview import host_views
from hullmark.masterd.runs import Runs, cloned
from hullmark.masterd.settings import Settings
from hullmark.masterd.term import Term
from hullmark.model.api import HostView, InstanceView
from hullmark.model.epoch import Epoch
from hullmark.model.host import HostRecord
from hullmark.model.hostlife import HostDetail, StayingInstance
from hullmark.model.snapshot import Snapshot


class Sights:
    def __init__(self, term: Term, settings: Settings, runs: Runs) -> None:
        self._term = term
        self._settings = settings
        self._runs = runs
        self._blind_since: dict[str, float] = {}

    def views(self, snapshot: Snapshot) -> tuple[HostView, ...]:
        """Also that two say they are one of them."""
        alarms = self._runs.alarms()
        return tuple(
            dataclasses.replace(view, problems=(cloned(alarms[view.host_id]), *view.problems))
            if view.host_id in alarms
            else view
            for view in host_views(snapshot, self._settings.silent_after_s)
        )

    def detail(
        self, host: HostRecord, snapshot: Snapshot, instances: tuple[InstanceView, ...]
    ) -> HostDetail:
        """`instances`: of all hosts."""
        progress = drain(snapshot, host.host_id)
        held = stuck(snapshot, host, self._term.unplaced)
        return HostDetail(
            next(view for view in self.views(snapshot) if view.host_id == host.host_id),
            host.enrolled_at,
            tuple(item for item in instances if item.host == host.name),
            tuple(map(str, progress.left)),
            tuple(StayingInstance(str(key), why) for key, why in sorted(progress.stays.items())),
            self._term.version.value,
            tuple(StayingInstance(str(key), held[key]) for key in progress.left if key in held),
        )

    def blind_s(self) -> Mapping[str, float]:
        """For how long each host has not seen its own containers, where it doesn't."""
        now = self._settings.clock()
        return {host_id: now - since for host_id, since in self._blind_since.items()}

    def note(self, host_id: str) -> None:
        """Remember since when a host can't see its own containers."""
        if engine_trouble(self._term.fleet.observed.get(host_id)):
            self._blind_since.setdefault(host_id, self._settings.clock())
        else:
            self._blind_since.pop(host_id, None)

    def claims(self, epoch: Epoch) -> list[tuple[str, Epoch]]:
        """Hosts by name that say they obey a later epoch than this."""
        hosts = self._term.view.hosts
        claims = self._term.fleet.claims(epoch)
        return [(hosts[host_id].name, epoch) for host_id, epoch in claims if host_id in hosts]

    def forget(self, host_id: str) -> None:
        self._blind_since.pop(host_id, None)
