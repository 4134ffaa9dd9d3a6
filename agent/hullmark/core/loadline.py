"""The mark: which hosts prove the controls that a service needs, and for which controls so few do that a person has to decide.

A host proves a requirement where one control of that name, or of that function, passes with the level that is asked for.
Everything else is no proof: a control that fails, one that could not be looked at, none of that name, a host that is older than
controls, and what a silent host said last. Hosts of which nothing is known yet are no candidates for anything.

The **brake**: of the hosts that would do otherwise (they take new work, and fit), more than a share of `LoadLine.brake` do not
prove one control, and more than one host. The check is then more likely wrong than the hosts are: what needs that control is
placed nowhere, and nothing leaves a host because of it.

What a **scope** needs is asked for by nobody: it only keeps new work from a host. It is no brake's, as hosts that differ in it are meant to be
told apart, and nothing leaves a host because of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Optional

from hullmark.core import absence
from hullmark.core.berths import Berth, Filter, Obstacle
from hullmark.core.homes import has_local_data, keeps_home
from hullmark.core.ladder import is_open
from hullmark.model import scope
from hullmark.model.app import DeployMode, Service, UpdateOrder
from hullmark.model.control import LEVELS, ControlState, Posture, Status
from hullmark.model.loadline import Lack, LoadLineRecord, Miss, Required, of_scope
from hullmark.model.records import AppRecord
from hullmark.model.snapshot import Snapshot

BRAKED = ": a person decides"
"""How the text of an obstacle ends that is the brake's, and no host's own."""
BAD = frozenset({Lack.LOW, Lack.FAIL, Lack.ERROR, Lack.NOT_APPLICABLE})
"""What a host itself says of a control that was looked at: only for that anything leaves it."""
_LACKS: Mapping[Status, Lack] = {
    Status.FAIL: Lack.FAIL,
    Status.ERROR: Lack.ERROR,
    Status.NOT_RUN: Lack.NOT_RUN,
    Status.NOT_APPLICABLE: Lack.NOT_APPLICABLE,
}
_NEAREST = tuple(Lack)
_Requireds = tuple[Required, ...]
_WORDS: Mapping[Lack, str] = {
    Lack.LOW: "proves too little",
    Lack.FAIL: "FAILS",
    Lack.ERROR: "could not be checked",
    Lack.NOT_RUN: "has not been checked lately",
    Lack.NOT_APPLICABLE: "has no tool there",
    Lack.UNKNOWN: "is not known there",
    Lack.SILENT: "is not known: the host is silent",
}


@dataclass(frozen=True)
class Brake:
    """`failing` of `eligible` hosts, which would do otherwise, do not prove this control."""

    control: str
    failing: int
    eligible: int

    @property
    def note(self) -> str:
        return (
            f"control {named(self.control)} fails on {self.failing} of {self.eligible} hosts "
            f"that would do{BRAKED}"
        )


@dataclass(frozen=True)
class _Group:
    """Of services that ask for the same. `misses` has only hosts that lack something; `asked` are the controls that people ask for."""

    misses: Mapping[str, tuple[Miss, ...]]
    brakes: Mapping[str, Brake]
    asked: frozenset[str]


_NOTHING = _Group({}, {}, frozenset())


def named(control: str) -> str:
    """As people read it: `"audit trail"`."""
    return f'"{control.replace("-", " ")}"'


def control_in(text: str) -> str:
    """The control that an obstacle of the mark is about, as it is typed."""
    return text.partition('"')[2].partition('"')[0].replace(" ", "-")


def stays_with_data(service: Service) -> bool:
    """Whether an instance's local data is on its host and nowhere else."""
    each = service.deploy.mode is DeployMode.GLOBAL
    return keeps_home(service) or (each and has_local_data(service))


def is_too_many(failing: int, eligible: int, share: float) -> bool:
    """One host may fail at any time, however few there are."""
    return failing > max(1.0, share * eligible)


def merged(*parts: tuple[Required, ...]) -> tuple[Required, ...]:
    """Each control once, with the highest level that is asked for, by name."""
    levels: dict[str, int] = {}
    for required in (each for part in parts for each in part):
        levels[required.control] = max(required.level, levels.get(required.control, 0))
    return tuple(Required(control, levels[control]) for control in sorted(levels))


class Line:
    """What the mark says in one plan. Costs nothing where no control is required."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._record: LoadLineRecord = snapshot.loadline
        self._required: dict[tuple[str, _Requireds, _Requireds], _Requireds] = {}
        self._groups: dict[tuple[object, ...], _Group] = {}
        self._known: dict[tuple[str, Required], Optional[Miss]] = {}
        self._all_told: Optional[bool] = None

    def required(self, app: str, service: Service) -> tuple[Required, ...]:
        """What new work of a service needs now: without what a person has overridden."""
        own, wanted = service.deploy.placement.require, of_scope(service.container.scope)
        if not own and not self._record.line.require and not wanted:
            return ()
        key = app, own, wanted
        if key not in self._required:
            every = merged(self._record.line.require, own, wanted)
            self._required[key] = self._left(app, every)
        return self._required[key]

    def _left(self, app: str, required: tuple[Required, ...]) -> tuple[Required, ...]:
        now, overrides = self._snapshot.now, self._record.overrides
        return tuple(
            each
            for each in required
            if not any(word.covers(app, each.control, now) for word in overrides)
        )

    def brakes(self, app: str, service: Service) -> tuple[Brake, ...]:
        return tuple(self._group(app, service).brakes.values())

    def obstacle(self, app: str, service: Service, host_id: str) -> Optional[Obstacle]:
        """Why new work of a service may not go to a host. What the host lacks comes before the brake."""
        group = self._group(app, service)
        for miss in group.misses.get(host_id, ()):
            return _obstacle(miss)
        for brake in group.brakes.values():
            return Obstacle(Filter.MARK, brake.note)
        return None

    def holds(
        self, record: AppRecord, name: str, host_id: str, order: UpdateOrder
    ) -> Optional[Obstacle]:
        """Why a newer generation is not put in the place of an instance on its host, which goes on as it is: that would be new
        work there. Not so for a version that is taken back, for what has its data there, or for what leaves anyway, as where the
        newer one is of another scope than the host."""
        service, app = record.app.services[name], record.app.name
        if order is UpdateOrder.START_FIRST or service.container.one_shot or record.rolled_back_to:
            return None
        if stays_with_data(service) or self.leaves(app, service, host_id):
            return None
        state = self._snapshot.observed.get(host_id)
        if state is not None and not scope.fits(service.container.scope, state.facts.scope):
            return None
        return self.obstacle(app, service, host_id)

    def barred(self, app: str, service: Service) -> frozenset[str]:
        """The hosts that have an obstacle."""
        group = self._group(app, service)
        return frozenset(self._snapshot.hosts if group.brakes else group.misses)

    def leaves(self, app: str, service: Service, host_id: str) -> bool:
        """Whether what may run elsewhere is to leave a host, because it has failed for long."""
        line = self._record.line
        if not line.drain or absence.in_maintenance(self._snapshot, host_id):
            return False
        if not self._complete():
            return (
                False  # those that have not spoken yet may fail it too, and that would be the brake
            )
        group = self._group(app, service)
        return any(
            miss.lack in BAD and miss.since > 0.0 and self._left_s(miss) <= 0
            for miss in group.misses.get(host_id, ())
            if miss.control in group.asked and miss.control not in group.brakes
        )

    def _left_s(self, miss: Miss) -> float:
        """How long its host is still given, which begins when the mark was set at the earliest."""
        line, change = self._record.line, self._record.change
        since = miss.since if change is None else max(miss.since, change.at)
        return since + line.drain_after_s - self._snapshot.now

    def _complete(self) -> bool:
        """Whether each host has said how it stands, or is lost."""
        if self._all_told is None:
            seen = self._snapshot
            self._all_told = all(
                host_id in seen.observed or absence.is_lost(seen, host_id) for host_id in seen.hosts
            )
        return self._all_told

    def next_turn_s(self) -> Optional[float]:
        """When time alone changes what holds here, as far as it was asked for: a failure has lasted for long enough to leave
        its host, or an override is over. None: never."""
        now, line = self._snapshot.now, self._record.line
        turns = [word.until - now for word in self._record.overrides]
        if line.drain:
            known = (miss for miss in self._known.values() if miss is not None and miss.since)
            turns += [self._left_s(miss) for miss in known if miss.lack in BAD]
        left = [turn for turn in turns if turn >= 0]
        return min(left) + absence.A_MOMENT_S if left else None

    def misses(self, host_id: str) -> tuple[Miss, ...]:
        """What a host lacks of what the cluster requires, and of what the host's own scope does, whether it is overridden or not."""
        line, state = self._record.line.require, self._snapshot.observed.get(host_id)
        own = "" if state is None else state.facts.scope
        asked = frozenset(each.control for each in line)
        return self._lacking(host_id, merged(line, of_scope(own)), asked, own)

    def cluster_brakes(self) -> tuple[Brake, ...]:
        """Of what the cluster requires, over all hosts that take new work."""
        required = self._left("", merged(self._record.line.require))
        if not required:
            return ()
        return tuple(self._judged(required, [b.host.host_id for b in self._open()]).values())

    def _group(self, app: str, service: Service) -> _Group:
        required = self.required(app, service)
        if not required:
            return _NOTHING
        spec, placement = service.container, service.deploy.placement
        key = spec.scope, spec.platform, placement.constraints, placement.require, required
        if key not in self._groups:
            line = self._record.line.require
            asked = frozenset(each.control for each in (*line, *placement.require))
            misses = {
                host_id: lacking
                for host_id in self._snapshot.hosts
                for lacking in [self._lacking(host_id, required, asked, spec.scope)]
                if lacking
            }
            fitting = [b.host.host_id for b in self._open() if b.mismatch(service) is None]
            by_people = tuple(each for each in required if each.control in asked)
            self._groups[key] = _Group(misses, self._judged(by_people, fitting), asked)
        return self._groups[key]

    def _lacking(
        self, host_id: str, required: tuple[Required, ...], asked: frozenset[str], of: str
    ) -> tuple[Miss, ...]:
        """`asked`: what people ask for; what is of this scope needs the rest."""
        found = (miss for each in required for miss in [self._miss(host_id, each)] if miss)
        return tuple(miss if miss.control in asked else _scoped(miss, of) for miss in found)

    def _judged(self, required: tuple[Required, ...], eligible: list[str]) -> Mapping[str, Brake]:
        found = {}
        for each in required:
            failing = sum(self._miss(host_id, each) is not None for host_id in eligible)
            if is_too_many(failing, len(eligible), self._record.line.brake):
                found[each.control] = Brake(each.control, failing, len(eligible))
        return found

    def _open(self) -> Iterator[Berth]:
        """Hosts that take new work, and are heard: of a quiet one nobody knows whether it fails."""
        for host_id, host in self._snapshot.hosts.items():
            state = self._snapshot.observed.get(host_id)
            if state is None or absence.is_quiet(self._snapshot, host_id):
                continue
            berth = Berth(host, state.facts, ready=absence.is_ready(self._snapshot, host_id))
            if is_open(self._snapshot, berth):
                yield berth

    def _miss(self, host_id: str, required: Required) -> Optional[Miss]:
        key = host_id, required
        if key not in self._known:
            self._known[key] = self._looked_up(host_id, required)
        return self._known[key]

    def _looked_up(self, host_id: str, required: Required) -> Optional[Miss]:
        state = self._snapshot.observed.get(host_id)
        if state is None or absence.is_quiet(self._snapshot, host_id):
            return _miss(required, Lack.SILENT)
        return lack(required, state.posture, self._snapshot.incidents)


def lack(
    required: Required, posture: Optional[Posture], incidents: Mapping[str, int] = {}
) -> Optional[Miss]:
    """What a host lacks of a requirement, by what it says of its controls; None: it is proven. `incidents`: the numbers of
    incidents by the ids of their outages."""
    if posture is None:
        return _miss(required, Lack.UNKNOWN, reason="the host says nothing of its controls")
    name = required.control
    carriers = [s for key, s in posture.controls.items() if name in (key, s.control_id, s.function)]
    if any(s.status is Status.PASS and s.level >= required.level for s in carriers):
        return None
    if not carriers:
        return _miss(required, Lack.UNKNOWN, reason="the host has no control of this name")
    nearest = min(carriers, key=lambda s: (_NEAREST.index(_lack_of(s)), s.control_id))
    reason = nearest.reason
    if nearest.status is Status.PASS:
        reason = f"{_level(nearest.level)} is proven, {_level(required.level)} is asked for"
    number = incidents.get(nearest.outage, 0) if nearest.outage else 0
    return _miss(required, _lack_of(nearest), nearest, reason, number)


def _lack_of(state: ControlState) -> Lack:
    return _LACKS.get(state.status, Lack.LOW)


def _level(level: int) -> str:
    return f"level {level} ({LEVELS[level]})" if level in LEVELS else "nothing"


def _miss(
    required: Required,
    why: Lack,
    carrier: Optional[ControlState] = None,
    reason: str = "",
    incident: int = 0,
) -> Miss:
    text = f"control {named(required.control)} {_WORDS[why]}"
    if carrier is None:
        return Miss(required.control, why, text, reason=reason)
    return Miss(
        required.control,
        why,
        text,
        carrier.control_id,
        reason,
        carrier.since,
        carrier.outage,
        incident,
    )


def _scoped(miss: Miss, of: str) -> Miss:
    return dataclasses.replace(miss, text=f"{miss.text}, and scope {of} needs it")


def _obstacle(miss: Miss) -> Obstacle:
    detail = f" (incident #{miss.incident})" if miss.incident else ""
    if miss.lack is Lack.LOW:
        detail = f" ({miss.reason})"
    return Obstacle(Filter.MARK, miss.text, detail, -float(_NEAREST.index(miss.lack)))
