"""How the mark stands, for people: hosts that lack something, brakes, what was overridden, and what the status tells of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional

from hullmark.core.loadline import Brake, Line, named
from hullmark.core.loadlinecheck import asked_for, warnings_of
from hullmark.core.overview import Finding
from hullmark.model.durations import age
from hullmark.model.loadline import (
    EVERY_CONTROL,
    BrakeView,
    Lack,
    LoadLineView,
    MarkedHost,
    Override,
)
from hullmark.model.snapshot import Snapshot

NAMED = 3
"""Hosts that one note names."""
WHERE = "hullmark mark status"


def brakes(snapshot: Snapshot, line: Optional[Line] = None) -> tuple[BrakeView, ...]:
    """Each control once, with the numbers of those services for which it is worst."""
    line = Line(snapshot) if line is None else line
    worst: dict[str, Brake] = {each.control: each for each in line.cluster_brakes()}
    services: dict[str, list[str]] = {control: [] for control in worst}
    for app, record in sorted(snapshot.apps.items()):
        for name, service in sorted(record.app.services.items()) if not record.removing else ():
            for each in line.brakes(app, service):
                services.setdefault(each.control, []).append(f"{app}/{name}")
                known = worst.get(each.control)
                if known is None or _share(each) > _share(known):
                    worst[each.control] = each
    return tuple(
        BrakeView(control, each.failing, each.eligible, tuple(services[control]))
        for control, each in sorted(worst.items())
    )


def _share(brake: Brake) -> float:
    return brake.failing / brake.eligible


def in_force(snapshot: Snapshot) -> tuple[Override, ...]:
    return tuple(word for word in snapshot.loadline.overrides if snapshot.now < word.until)


def mark_view(snapshot: Snapshot) -> LoadLineView:
    record, line = snapshot.loadline, Line(snapshot)
    change = record.change
    lacking = [
        MarkedHost(host.name, misses)
        for host in sorted(snapshot.hosts.values(), key=lambda host: (host.name, host.host_id))
        for misses in [line.misses(host.host_id)]
        if misses
    ]
    return LoadLineView(
        change is not None,
        record.line,
        "" if change is None else change.by,
        0.0 if change is None else change.at,
        "" if change is None else change.ticket,
        in_force(snapshot),
        brakes(snapshot, line),
        tuple(lacking),
        len(snapshot.hosts),
        tuple(warnings_of(snapshot, asked_for(snapshot))),
    )


def mark_findings(snapshot: Snapshot) -> Iterator[Finding]:
    """For the status of the cluster: the brake above all, for a person has to decide."""
    view = mark_view(snapshot)
    for brake in view.brakes:
        yield 1, f"the mark's brake is on: {brake_note(brake)}", override_command(brake.control)
    yield from _hosts(view.hosts)
    for word in view.overrides:
        yield 0, override_note(word, snapshot.now), ""


def brake_note(brake: BrakeView) -> str:
    what = "new work that needs it waits" if brake.services else "new work would wait"
    return (
        f"control {named(brake.control)} fails on {brake.failing} of {brake.eligible} hosts "
        f"that would do; {what}"
    )


def override_command(control: str) -> str:
    return f"hullmark mark override {control} --ticket TEXT   (if the check is wrong)"


def override_note(word: Override, now: float) -> str:
    what = "every control" if word.control == EVERY_CONTROL else f"control {named(word.control)}"
    whom = f" by app {word.app}" if word.app else ""
    left = age(word.until - now)
    return f"{what} is not asked for{whom}: {word.by}, ticket {word.ticket}, {left} left"


def _hosts(every: Sequence[MarkedHost]) -> Iterator[Finding]:
    """Of hosts that speak: that one is silent is told elsewhere."""
    hosts = [host for host in every if host.misses[0].lack is not Lack.SILENT]
    if not hosts:
        return
    told = [f"{host.host} ({host.misses[0].text})" for host in hosts[:NAMED]]
    rest = f" and {len(hosts) - NAMED} more" if len(hosts) > NAMED else ""
    get = "host gets" if len(hosts) == 1 else "hosts get"
    yield 0, f"{len(hosts)} {get} no new work, by the mark: {', '.join(told)}{rest}", WHERE
