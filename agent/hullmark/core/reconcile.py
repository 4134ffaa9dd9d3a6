"""What a host has to do now, given its orders and its containers.

Level-triggered: nothing is remembered but failed attempts and work under way, so that the answer is the same
however often it is asked. Each action (`core.actions`) belongs to a lane (a slot, a spec, a network, a volume), and a lane
does one thing at a time.

An image is had first, once for all instances of a spec and beside all other work, so that a slow registry holds up
nobody else's containers.

A changed instance is replaced stop-first: the new image is fetched while the old instance runs, then the old one
is stopped and removed, then the new one is made. An image that can't be had leaves the old instance running. Start-first
is the leader's doing: both are assigned, and both run, until a tombstone comes for the former.

Where a slot has a container that is newer than its orders know (`core.newcomers`), the older one is not started.

What its orders say to stop without a leader (`stop_unheard_s`) is stopped beside everything else, and its container kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.core.actions import (
    Action,
    Lane,
    Limited,
    Prepare,
    Remove,
    RemoveNetwork,
    RemoveVolume,
    Run,
    Start,
    Stop,
    removal_key,
    slot_lane,
    spec_key,
    stop_lane,
)
from hullmark.core.disconnected import running
from hullmark.core.found import Found, FoundState
from hullmark.core.newcomers import held_back, newcomers
from hullmark.core.restart import Attempt, Verdict, judge, why_waiting
from hullmark.core.statuses import plain_phase, status_of
from hullmark.model.app import Bundle
from hullmark.model.observed import PAUSED, InstanceStatus, Phase
from hullmark.model.orders import Assignment, Orders, Tombstone

_OVER = {Verdict.COMPLETED: Phase.COMPLETED, Verdict.FAILED: Phase.FAILED}


@dataclass(frozen=True)
class Work:
    """What is under way for an instance, as its worker last said."""

    phase: Phase
    detail: str = ""


@dataclass(frozen=True)
class Situation:
    """All that is known. `found` is by container name and has this cluster's containers only; `attempts` and
    `work` are by the actions' keys. `busy` are lanes with work under way. `prepared` are spec hashes whose image was
    seen on the host. `networks` are (app, name) of the engine's networks that are ours. `unheard_s`: seconds since
    before the last successful sync was sent; infinite where there was none since this host was booted. `engine`: its command."""

    orders: Orders
    found: Mapping[str, Found]
    attempts: Mapping[str, Attempt] = field(default_factory=dict)
    work: Mapping[str, Work] = field(default_factory=dict)
    busy: frozenset[Lane] = frozenset()
    prepared: frozenset[str] = frozenset()
    networks: tuple[tuple[str, str], ...] = ()
    removed_volumes: frozenset[tuple[str, str]] = frozenset()
    unheard_s: float = 0.0
    engine: str = "docker"


@dataclass(frozen=True)
class Decision:
    """`actions` may all begin now. `next_at`: when to ask again although nothing happened, in the
    clock of `now`; None: never."""

    actions: tuple[Action, ...]
    statuses: Mapping[str, InstanceStatus]
    orphans: Mapping[str, InstanceStatus]
    next_at: Optional[float]


def reconcile(situation: Situation, now: float) -> Decision:
    """`now` is in seconds of the clock that `Attempt.not_before` uses."""
    run = _Run(situation, now)
    for assignment in situation.orders.assignments:
        run.assigned(assignment)
    for tombstone in situation.orders.tombstones:
        run.tombstoned(tombstone)
    run.networks()
    run.volumes()
    return Decision(
        tuple(run.actions),
        run.statuses,
        run.orphans(),
        min(run.wakes) if run.wakes else None,
    )


def keys_of(orders: Orders, networks: Iterable[tuple[str, str]]) -> set[str]:
    """Every key that an action may have now: what is remembered under another is of the past."""
    keys = {one.instance.container_name for one in orders.assignments}
    keys |= {removal_key(one.instance) for one in orders.tombstones}
    limited: list[Limited] = [*orders.assignments, *orders.tombstones]
    keys |= {"/".join(stop_lane(one.instance)) for one in limited if one.stop_unheard_s}
    # Whether the agent itself stopped it is asked until it is removed.
    keys |= {one.instance.container_name for one in orders.tombstones if one.stop_unheard_s}
    keys |= {spec_key(spec_hash) for spec_hash in orders.bundles}
    keys |= {RemoveNetwork(*network).key for network in networks}
    keys |= {RemoveVolume(one.app, one.volume).key for one in orders.volume_removals}
    return keys


def is_cut_off(one: Limited, unheard_s: float) -> bool:
    """Whether it may not run, because its host has heard no leader for as long as its orders allow."""
    return 0.0 < one.stop_unheard_s <= unheard_s


def cut_off_text(after_s: float) -> str:
    """The limit and not the time so far, so that the text stays the same."""
    return f"no leader heard for {after_s:g} s (on_host_lost: stop)"


class _Run:
    """One pass; collects as it goes."""

    def __init__(self, situation: Situation, now: float) -> None:
        self.situation = situation
        self.now = now
        self.actions: list[Action] = []
        self.statuses: dict[str, InstanceStatus] = {}
        self.wakes: list[float] = []
        self.lanes = set(situation.busy)
        self.newcomers = newcomers(situation.orders, situation.found)
        going = [
            tombstone.instance
            for tombstone in situation.orders.tombstones
            if tombstone.instance.container_name in situation.found
        ]
        going.sort(key=lambda one: one.generation, reverse=True)
        # Of each slot the oldest: what waits for a former one waits for that.
        self.predecessors = {slot_lane(instance): instance for instance in going}
        self.successors = {
            slot_lane(assignment.instance): assignment
            for assignment in situation.orders.assignments
        }

    def assigned(self, assignment: Assignment) -> None:
        name = assignment.instance.container_name
        found = self.situation.found.get(name)
        attempt = self.situation.attempts.get(name, Attempt())
        bundle = self.situation.orders.bundles[assignment.spec_hash]
        if is_cut_off(assignment, self.situation.unheard_s):
            phase, detail = self._cut_off(assignment, bundle, found, attempt)
        elif found is None:
            phase, detail = self._absent(assignment, bundle, attempt)
        elif found.spec_hash != assignment.spec_hash:
            phase, detail = Phase.BACKOFF, "a container of this name has another spec; left alone"
        else:
            phase, detail = self._present(assignment, bundle, found, attempt)
        work = self.situation.work.get(name)
        if work is not None:
            phase, detail = work.phase, work.detail
        self.statuses[name] = status_of(assignment.instance, found, phase, detail, attempt)
        self._wake_at_limit(assignment)

    def tombstoned(self, tombstone: Tombstone) -> None:
        instance, reason = tombstone.instance, tombstone.reason
        name = instance.container_name
        found = self.situation.found.get(name)
        if found is None:
            if slot_lane(instance) in self.situation.busy:
                # It may be being made by what was begun under the orders before: not done with until that has ended.
                self.statuses[name] = status_of(instance, None, Phase.STOPPING, reason, Attempt())
            return
        self._wake_at_limit(tombstone)
        if is_cut_off(tombstone, self.situation.unheard_s):
            self._stop(tombstone, found)
        self.statuses[name] = status_of(instance, found, Phase.STOPPING, reason, Attempt())
        successor = self.successors.get(slot_lane(instance))
        if successor is not None and not self._ready_to_follow(successor):
            self.statuses[name] = status_of(
                instance,
                found,
                plain_phase(found),
                "until its successor's image is here",
                Attempt(),
            )
            return
        attempt = self.situation.attempts.get(removal_key(instance), Attempt())
        if self._may_try(attempt):
            running = found.state in (FoundState.RUNNING, FoundState.PAUSED)
            self._begin(Remove(instance, found.container_id, running, reason))

    def _cut_off(
        self, assignment: Assignment, bundle: Bundle, found: Optional[Found], attempt: Attempt
    ) -> tuple[Phase, str]:
        """It may not run now. What ended by itself before is told as ever."""
        detail = cut_off_text(assignment.stop_unheard_s)
        if found is None or found.state is FoundState.CREATED:
            return Phase.WAITING, f"not started: {detail}"
        if found.state is FoundState.BROKEN:
            return Phase.FAILED, "the engine says that the container is dead"
        if found.state is not FoundState.ENDED:
            self._stop(assignment, found)
            return Phase.STOPPING, detail
        if attempt.halted != found.run_key:
            verdict, why = judge(bundle.container, found, attempt)
            if verdict is not Verdict.AGAIN:
                return _OVER[verdict], why
        return Phase.WAITING, f"stopped: {detail}"

    def _stop(self, one: Limited, found: Found) -> None:
        """Also a container of another spec under its name: it is the same slot's. While its own start is under way
        the worker of that sees for itself that it may not run."""
        runs = found.state in (FoundState.RUNNING, FoundState.PAUSED)
        if runs and found.name not in self.situation.work:
            self._try(Stop(one.instance, found.container_id, found.run_key, one.stop_unheard_s))

    def _wake_at_limit(self, one: Limited) -> None:
        left_s = one.stop_unheard_s - self.situation.unheard_s
        if one.stop_unheard_s and left_s > 0:
            self.wakes.append(self.now + left_s)

    def networks(self) -> None:
        """Remove those that nothing here needs any more."""
        needed = {
            (bundle.app, key)
            for bundle in self.situation.orders.bundles.values()
            for key in bundle.networks
        }
        apps_here = {found.instance.app for found in self.situation.found.values()}
        for network in self.situation.networks:
            if network not in needed and network[0] not in apps_here:
                self._try(RemoveNetwork(*network))

    def volumes(self) -> None:
        apps_here = {found.instance.app for found in self.situation.found.values()}
        for removal in self.situation.orders.volume_removals:
            volume = (removal.app, removal.volume)
            if removal.app not in apps_here and volume not in self.situation.removed_volumes:
                self._try(RemoveVolume(*volume))

    def orphans(self) -> dict[str, InstanceStatus]:
        known = {one.instance.container_name for one in self.situation.orders.assignments}
        known |= {one.instance.container_name for one in self.situation.orders.tombstones}
        return {
            name: status_of(found.instance, found, plain_phase(found), "", Attempt())
            for name, found in self.situation.found.items()
            if name not in known
        }

    def _absent(
        self, assignment: Assignment, bundle: Bundle, attempt: Attempt
    ) -> tuple[Phase, str]:
        newer = held_back(self.newcomers, assignment.instance)
        if newer:
            return Phase.WAITING, newer
        follows = self._follows(assignment)
        if assignment.spec_hash not in self.situation.prepared:
            phase, detail = self._unprepared(assignment, bundle)
            if phase is not Phase.CREATING or (assignment.released and not follows):
                return phase, detail
        if follows:
            return Phase.WAITING, "for its predecessor to stop"
        if not assignment.released:
            return Phase.WAITING, ""
        if not self._may_try(attempt):
            return Phase.BACKOFF, attempt.reason
        self._begin(Run(assignment, bundle))
        return Phase.CREATING, attempt.reason

    def _unprepared(self, assignment: Assignment, bundle: Bundle) -> tuple[Phase, str]:
        prepare = Prepare(assignment, bundle)
        failed = self.situation.attempts.get(prepare.key, Attempt())
        self._try(prepare)
        work = self.situation.work.get(prepare.key)
        if work is not None:
            return work.phase, work.detail
        return (Phase.BACKOFF if failed.reason else Phase.CREATING), failed.reason

    def _try(self, action: Action) -> None:
        """Begin it, unless it failed a moment ago."""
        if self._may_try(self.situation.attempts.get(action.key, Attempt())):
            self._begin(action)

    def _begin(self, action: Action) -> None:
        """Unless its lane is taken: then its turn comes when that is done."""
        if action.lane not in self.lanes:
            self.lanes.add(action.lane)
            self.actions.append(action)

    def _present(
        self, assignment: Assignment, bundle: Bundle, found: Found, attempt: Attempt
    ) -> tuple[Phase, str]:
        if found.state is FoundState.RUNNING:
            if stop_lane(assignment.instance) in self.situation.busy:
                return Phase.STOPPING, cut_off_text(assignment.stop_unheard_s)
            return running(self.situation.engine, bundle, found)
        if found.state is FoundState.PAUSED:
            return Phase.BACKOFF, f"{PAUSED}{self.situation.engine} unpause {found.name}"
        if found.state is FoundState.BROKEN:
            return Phase.FAILED, "the engine says that the container is dead"
        if found.state is FoundState.CREATED:
            newer = held_back(self.newcomers, assignment.instance)
            if newer or not assignment.released:
                return Phase.WAITING, newer
            if self._follows(assignment):
                return Phase.WAITING, "for its predecessor to stop"
            if not self._may_try(attempt):
                return Phase.BACKOFF, attempt.reason
            # Through Run, so that networks that a crash left unconnected are connected first.
            self._begin(Run(assignment, bundle))
            return Phase.STARTING, attempt.reason
        return self._ended(assignment, bundle, found, attempt)

    def _ended(
        self, assignment: Assignment, bundle: Bundle, found: Found, attempt: Attempt
    ) -> tuple[Phase, str]:
        if attempt.halted == found.run_key:
            return self._resume(assignment, found, attempt)
        verdict, why = judge(bundle.container, found, attempt)
        if verdict is not Verdict.AGAIN:
            return _OVER[verdict], why
        if not self._may_try(attempt):
            return Phase.BACKOFF, why_waiting(attempt, found, why)
        if attempt.ended != found.ended_key:
            # Its delay has not begun yet: whoever keeps the attempts begins it on seeing this status.
            return Phase.BACKOFF, why
        return self._start(assignment, found, why)

    def _resume(self, assignment: Assignment, found: Found, attempt: Attempt) -> tuple[Phase, str]:
        """The agent stopped it, and a leader is heard again: no failure, and no restart of its policy."""
        if not self._may_try(attempt):
            return Phase.BACKOFF, attempt.reason
        if stop_lane(assignment.instance) in self.situation.busy:
            return Phase.STOPPING, cut_off_text(assignment.stop_unheard_s)
        return self._start(assignment, found, "a leader is heard again")

    def _start(self, assignment: Assignment, found: Found, why: str) -> tuple[Phase, str]:
        newer = held_back(self.newcomers, assignment.instance)
        if newer:
            return Phase.WAITING, newer
        former = self.predecessors.get(slot_lane(assignment.instance), assignment.instance)
        # One that ran beside its successor doesn't wait for that one's end.
        if former.generation < assignment.instance.generation:
            return Phase.WAITING, "for its predecessor to stop"
        self._begin(Start(assignment, found.container_id))
        return Phase.STARTING, why

    def _follows(self, assignment: Assignment) -> bool:
        """A former instance of its slot is still here, and has to go first."""
        return slot_lane(assignment.instance) in self.predecessors

    def _ready_to_follow(self, successor: Assignment) -> bool:
        name = successor.instance.container_name
        return successor.spec_hash in self.situation.prepared or name in self.situation.found

    def _may_try(self, attempt: Attempt) -> bool:
        if attempt.not_before > self.now:
            self.wakes.append(attempt.not_before)
            return False
        return True


def ended(situation: Situation) -> Iterator[tuple[Assignment, Bundle, Found]]:
    """Assigned containers that have ended by themselves, each to be counted once by the keeper of the attempts."""
    for assignment in situation.orders.assignments:
        name = assignment.instance.container_name
        found = situation.found.get(name)
        if found is None or found.state is not FoundState.ENDED:
            continue
        attempt = situation.attempts.get(name, Attempt())
        if attempt.ended != found.ended_key and attempt.halted != found.run_key:
            yield assignment, situation.orders.bundles[assignment.spec_hash], found


def resumed(situation: Situation) -> Iterator[Found]:
    """Containers that run although the agent was about to stop them: a leader was heard first. Their next end is their
    own again."""
    ordered: list[Limited] = [*situation.orders.assignments, *situation.orders.tombstones]
    for one in ordered:
        found = situation.found.get(one.instance.container_name)
        attempt = situation.attempts.get(one.instance.container_name, Attempt())
        # A later run was started after its stop: the keeper of the attempts hears of that from who started it.
        if found is None or attempt.halted != found.run_key or is_cut_off(one, situation.unheard_s):
            continue
        stopping = stop_lane(one.instance) in situation.busy
        if found.state is FoundState.RUNNING and not stopping:
            yield found
