"""Explanations: for each instance that is not as it should be why, what would mend it by itself, and what to type.

The reasons are the plan's own. Here they are only put beside what the hosts say, with the way out that is nearest.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Optional

from hullmark.core import absence
from hullmark.core.berths import Filter
from hullmark.core.constraints import LABEL
from hullmark.core.homes import has_local_data
from hullmark.core.loadline import BRAKED, control_in, named
from hullmark.core.schedule import Unplaced
from hullmark.core.standing import Standing
from hullmark.errors import NotFound
from hullmark.model.api import InstanceView, ServiceView
from hullmark.model.app import DeployMode
from hullmark.model.explanation import (
    Explanation,
    Refusal,
    ServiceExplanation,
    SlotExplanation,
)
from hullmark.model.observed import REFUSED_BY_POLICY
from hullmark.model.records import AppRecord, RolloutState
from hullmark.model.snapshot import Snapshot

LABELS_SHOWN = 3
"""Of several hosts that could be given a label, so many are named in commands."""


def explanation(
    snapshot: Snapshot,
    unplaced: Sequence[Unplaced],
    record: AppRecord,
    service: str = "",
    blind_s: Mapping[str, float] = {},
) -> Explanation:
    """Of one service, or of all of the app's. `unplaced` is of the newest plan, `blind_s` as `Standing` takes it.

    Raises NotFound for a service that the app lacks.
    """
    app = record.app.name
    if service and service not in record.app.services:
        raise NotFound(
            f"app {app} has no service {service[:80]}",
            remedy=f"its services: {', '.join(sorted(record.app.services))}",
        )
    standing = Standing(snapshot, unplaced, blind_s)
    summary = standing.summary(record)
    instances: dict[str, list[InstanceView]] = defaultdict(list)
    for item in standing.instances(app):
        instances[item.service].append(item)
    stuck: dict[str, list[Unplaced]] = defaultdict(list)
    for each in unplaced:
        if each.app == app:
            stuck[each.service].append(each)
    services = [
        _service(snapshot, record, view, stuck[view.service], instances[view.service])
        for view in summary.services
        if service in ("", view.service)
    ]
    return Explanation(
        app,
        summary.state,
        record.generation,
        len(snapshot.hosts),
        tuple(services),
        tuple(_notes(snapshot, record)),
    )


def _notes(snapshot: Snapshot, record: AppRecord) -> Iterator[str]:
    app = record.app.name
    brake = absence.brake(snapshot)
    if brake is not None:
        yield f"{brake.note}; check the network between master and hosts"
    rollout = snapshot.rollouts.get(app)
    if rollout is None or rollout.generation != record.generation:
        return
    reason = f": {rollout.reason}" if rollout.reason else ""
    if rollout.state is RolloutState.PAUSED:
        ways = f"hullmark rollout resume {app}, or hullmark rollout undo {app}"
        yield f"the change to generation {rollout.generation} is paused{reason}; {ways}"
    elif rollout.state is RolloutState.UNDOING:
        yield f"the change to generation {rollout.generation} is being taken back{reason}"


def _service(
    snapshot: Snapshot,
    record: AppRecord,
    view: ServiceView,
    unplaced: Sequence[Unplaced],
    instances: Sequence[InstanceView],
) -> ServiceExplanation:
    """`unplaced` and `instances` are those of the service."""
    stuck = {item.slot: item for item in unplaced}
    nowhere = sum(not item.kept_on for item in stuck.values())
    found: dict[tuple[int, str], SlotExplanation] = {}
    for item in instances:
        if item.removing:
            continue
        reasons = stuck.get(item.slot)
        if item.why or (reasons is not None and reasons.kept_on == item.host):
            found[item.slot, item.host] = _slot(snapshot, record, item, reasons, nowhere)
    return ServiceExplanation(
        view.service,
        view.wanted,
        view.running,
        view.serving,
        tuple(found[key] for key in sorted(found)),
    )


def _slot(
    snapshot: Snapshot,
    record: AppRecord,
    view: InstanceView,
    unplaced: Optional[Unplaced],
    nowhere: int,
) -> SlotExplanation:
    """`nowhere`: how many instances of the service have no place."""
    ours = unplaced if unplaced is not None and unplaced.kept_on == view.host else None
    refusals = () if ours is None else ours.refusals
    why = view.why if ours is None or not ours.kept_on else ours.reasons[0]
    if ours is not None and refusals:
        # The rest is told filter by filter.
        why = why.partition("; elsewhere:")[0] if ours.kept_on else "no host fits"
    commands: list[str] = []
    if ours is not None:
        alone = _is_on_the_only_host(snapshot, ours)
        ways = ["hullmark invite HOST"] if alone else _commands(snapshot, record, ours, refusals)
        commands = [*ways, *_fewer(record, ours, nowhere)]
    return SlotExplanation(
        view.name,
        view.slot,
        view.generation,
        view.host,
        why,
        refusals,
        _nearest(snapshot, ours, refusals) or _allowed(view),
        tuple(dict.fromkeys(commands)),
    )


def _allowed(view: InstanceView) -> str:
    """What mends an instance that its host's policy refuses."""
    if not view.why.startswith(REFUSED_BY_POLICY):
        return ""
    return f"{view.host}, once its policy allows that, or the app doesn't ask for it"


def _nearest(snapshot: Snapshot, unplaced: Optional[Unplaced], refusals: Sequence[Refusal]) -> str:
    """The host that passes most filters, and what it still has to become."""
    if unplaced is None:
        return ""
    if not refusals:
        if _is_on_the_only_host(snapshot, unplaced):
            return "one more host: there is no other"
        there = any(host.name == unplaced.kept_on for host in snapshot.hosts.values())
        return f"{unplaced.kept_on}, once it is heard again" if there else ""
    last = refusals[-1]
    if last.party == f"{unplaced.app}/{unplaced.service}":
        return "one more host: those that it fits have one each"
    name = _nearest_host(last)
    lacking = last.nearest[len(name) :].strip(", ")
    texts = {
        Filter.FORMER: f"any that fits, once the former instance is gone: {last.text}",
        Filter.DATA: "the host where its data is",
        Filter.ABSENCE: f"{name}, once it is heard again",
        Filter.AVAILABILITY: f"{name}, once it is no longer {last.text}",
        Filter.MODE: f"{name}, once its agent.yaml says mode: run",
        Filter.SCOPE: _scoped(name, last.text),
        Filter.MARK: _marked(name, last),
        Filter.VOLUMES: f"{name}, once they are removed",
        Filter.MOST: f"{name}, with a higher max_replicas_per_node",
        Filter.PORT: f"{name}, once it is free: {last.text} {lacking}".rstrip(),
        Filter.INSTANCES: "one more host: no host takes more than it has",
        Filter.CPUS: f"{name}: {last.text}, {lacking}",
        Filter.MEMORY: f"{name}: {last.text}, {lacking}",
    }
    return texts.get(Filter(last.filter), f"{name}, if {last.text} held")


def _scoped(name: str, text: str) -> str:
    """No command changes a host's scope: only who owns its policy does."""
    if not text.startswith("scope "):
        return f"{name}, once its policy can be read: on it, hullmark config check policy"
    wanted = text.split()[1]
    return f"a host whose own policy says scope: {wanted}; {name} is not one"


def _marked(name: str, refusal: Refusal) -> str:
    """A brake is a person's, what a host lacks is the host's."""
    if refusal.text.endswith(BRAKED):
        return f"any that fits, once a person decides: hullmark mark status; {name} is one"
    return f"{name}, once {named(control_in(refusal.text))} is proven there"


def _is_on_the_only_host(snapshot: Snapshot, unplaced: Unplaced) -> bool:
    """It should leave a host that is heard, and none rules it out."""
    return not unplaced.refusals and any(
        host.name == unplaced.kept_on and absence.is_ready(snapshot, host_id)
        for host_id, host in snapshot.hosts.items()
    )


def _nearest_host(refusal: Refusal) -> str:
    """The name with which `nearest` begins."""
    begun = (host for host in refusal.hosts if refusal.nearest.startswith(host))
    return max(begun, key=len, default="")


def _commands(
    snapshot: Snapshot, record: AppRecord, unplaced: Unplaced, refusals: Sequence[Refusal]
) -> Iterator[str]:
    """What could be typed, the least drastic first."""
    for refusal in refusals:
        name = _nearest_host(refusal)
        kind = Filter(refusal.filter)
        if kind is Filter.AVAILABILITY and refusal.text == "in maintenance":
            yield f"hullmark maintenance end {name}"
        elif kind is Filter.AVAILABILITY:
            yield f"hullmark host uncordon {name}"
        elif kind is Filter.CONSTRAINT:
            yield from _labelling(refusal)
    yield from _proving([item for item in refusals if Filter(item.filter) is Filter.MARK])
    kinds = {Filter(refusal.filter) for refusal in refusals}
    service = record.app.services[unplaced.service]
    lost = unplaced.kept_on and not refusals and service.deploy.mode is DeployMode.REPLICATED
    if lost and not absence.has_others(snapshot, unplaced.kept_on):
        yield "hullmark invite HOST"
    elif Filter.DATA in kinds or lost:
        what = f"{unplaced.app}/{unplaced.service}.{unplaced.slot}"
        accept = " --accept-data-loss" if has_local_data(service) else ""
        yield f"hullmark move {what}{accept}"


def _proving(marked: Sequence[Refusal]) -> Iterator[str]:
    """What says how a host's control is mended, and what lets new work through without it."""
    lacking = [refusal for refusal in marked if not refusal.text.endswith(BRAKED)]
    by_control = {control_in(refusal.text): refusal for refusal in reversed(lacking)}
    for control, refusal in reversed(by_control.items()):
        yield f"hullmark controls {control} --host {_nearest_host(refusal)}"
    for control in dict.fromkeys(control_in(refusal.text) for refusal in marked):
        yield f"hullmark mark override {control} --ticket TEXT"


def _labelling(refusal: Refusal) -> Iterable[str]:
    """Of a constraint on a label that a host only lacks."""
    subject, test, value = refusal.text[len("constraint ") :].partition("==")
    key = subject.strip()
    if test and key.startswith(LABEL):
        for name in refusal.hosts[:LABELS_SHOWN]:
            label = f"{key[len(LABEL) :]}={value.strip()}"
            yield f"hullmark host label {name} {shlex.quote(label)}"


def _fewer(record: AppRecord, unplaced: Unplaced, nowhere: int) -> Iterable[str]:
    """Wanting no more than there is room for."""
    deploy = record.app.services[unplaced.service].deploy
    fits = deploy.replicas - nowhere
    if deploy.mode is DeployMode.REPLICATED and fits > 0 and not unplaced.kept_on:
        yield f"hullmark scale {unplaced.app}/{unplaced.service}={fits}"
