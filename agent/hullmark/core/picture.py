"""A host's observed state as both ends keep it: merged from reports, its digest at hand.

The digest covers the whole state, and a report changes one instance of perhaps hundreds. A picture therefore
keeps each instance's canonical text, and joins them: far cheaper than writing out the state anew, and
the same bytes (a test holds it against `wire.digest`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hullmark.model import wire
from hullmark.model.observed import HostState, InstanceStatus, Report


@dataclass(frozen=True)
class Picture:
    """Empty, or made by `merged`, so that texts and state agree."""

    state: HostState = field(default_factory=HostState)
    _instances: Mapping[str, str] = field(default_factory=dict)
    _orphans: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """The same as `wire.digest(self.state)`."""
        state = self.state
        rest = wire.to_wire(replace(state, instances={}, orphans={}))
        parts = {key: _text(value) for key, value in rest.items()}
        if self._instances:
            parts["instances"] = _join(self._instances)
        if self._orphans:
            parts["orphans"] = _join(self._orphans)
        whole = "{" + ",".join(f'"{key}":{parts[key]}' for key in sorted(parts)) + "}"
        return hashlib.sha256(whole.encode()).hexdigest()


def merged(picture: Picture, report: Report) -> Picture:
    """The picture after a report. A full one replaces everything; facts, problems and removed volumes that a
    full report leaves out are as a host has them that says nothing."""
    before = Picture() if report.full else picture
    state = before.state
    instances = _changed(state.instances, report.instances, report.orphans, report.gone)
    orphans = _changed(state.orphans, report.orphans, report.instances, report.gone)
    after = HostState(
        facts=state.facts if report.facts is None else report.facts,
        instances=instances,
        orphans=orphans,
        problems=state.problems if report.problems is None else report.problems,
        accepted_revision=report.accepted_revision,
        removed_volumes=(
            state.removed_volumes if report.removed_volumes is None else report.removed_volumes
        ),
        posture=state.posture if report.posture is None else report.posture,
        outages=state.outages if report.outages is None else report.outages,
    )
    new_instances, new_orphans = _texts(report.instances), _texts(report.orphans)
    return Picture(
        after,
        {name: new_instances.get(name) or before._instances[name] for name in instances},
        {name: new_orphans.get(name) or before._orphans[name] for name in orphans},
    )


def _changed(
    before: Mapping[str, InstanceStatus],
    new: Mapping[str, InstanceStatus],
    moved: Iterable[str],
    gone: Iterable[str],
) -> dict[str, InstanceStatus]:
    """An instance that became an orphan, or the other way round, leaves the side that it was on."""
    away = {*gone, *moved}
    return {**{name: status for name, status in before.items() if name not in away}, **new}


def _texts(statuses: Mapping[str, InstanceStatus]) -> dict[str, str]:
    return {
        name: f"{_text(name)}:{_text(wire.to_wire(status))}" for name, status in statuses.items()
    }


def _text(value: object) -> str:
    return wire.canonical(value).decode()


def _join(texts: Mapping[str, str]) -> str:
    return "{" + ",".join(texts[name] for name in sorted(texts)) + "}"
