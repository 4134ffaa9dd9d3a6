"""A host in memory: an engine that carries out actions, or fails to, and the agent's memory beside it."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Iterable
from typing import Optional

from hullmark.core.actions import (
    Action,
    Lane,
    Prepare,
    Remove,
    Run,
    Start,
)
from hullmark.core.found import Found, FoundState
from hullmark.core.reconcile import (
    Decision,
    Situation,
    ended,
    keys_of,
    reconcile,
)
from hullmark.core.restart import Attempt, after_end, after_error
from hullmark.model.app import Bundle, ContainerSpec, Restart
from hullmark.model.epoch import Epoch
from hullmark.model.orders import Assignment, InstanceId, Orders, Tombstone
from hullmark.model.wire import digest

EPOCH = Epoch(1, 1)
CLUSTER, HOST = "c1", "h1"


def bundle_of(service: str, image: str = "x", **spec: object) -> Bundle:
    container = dataclasses.replace(ContainerSpec(image), **spec)  # type: ignore[arg-type]
    return Bundle("shop", service, container)


def orders_of(
    assigned: Iterable[tuple[InstanceId, Bundle]],
    buried: Iterable[InstanceId] = (),
    *,
    held: Iterable[InstanceId] = (),
) -> Orders:
    """`held` are those that are not released."""
    pairs, waiting = list(assigned), set(held)
    return Orders(
        CLUSTER,
        HOST,
        EPOCH,
        "m1",
        1,
        tuple(
            Assignment(instance, digest(bundle), released=instance not in waiting)
            for instance, bundle in pairs
        ),
        tuple(Tombstone(instance, EPOCH, "replaced") for instance in buried),
        bundles={digest(bundle): bundle for _, bundle in pairs},
    )


def container(
    instance: InstanceId, bundle: Bundle, state: FoundState = FoundState.RUNNING, **more: object
) -> Found:
    name = instance.container_name
    found = Found(f"id-{name}", name, instance, digest(bundle), state, EPOCH, started_at=1.0)
    return dataclasses.replace(found, **more)  # type: ignore[arg-type]


class World:
    """Keeps attempts as the agent does. Checks every action that is begun."""

    def __init__(self, orders: Orders, found: Iterable[Found] = ()) -> None:
        self.orders = orders
        self.found = {one.name: one for one in found}
        self.attempts: dict[str, Attempt] = {}
        self.prepared: set[str] = set()
        self.under_way: list[Action] = []
        self.now = 100.0
        self.starts: Counter[str] = Counter()
        self._made = 0

    def situation(self) -> Situation:
        """What the agent knows; ends are counted on the way."""
        known = keys_of(self.orders, ())
        self.attempts = {key: one for key, one in self.attempts.items() if key in known}
        self.prepared &= set(self.orders.bundles)
        busy: frozenset[Lane] = frozenset(action.lane for action in self.under_way)
        situation = Situation(
            self.orders,
            dict(self.found),
            dict(self.attempts),
            busy=busy,
            prepared=frozenset(self.prepared),
        )
        for assignment, bundle, one in ended(situation):
            name = assignment.instance.container_name
            before = self.attempts.get(name, Attempt())
            self.attempts[name] = after_end(bundle.container.restart, one, before, self.now)
        return dataclasses.replace(situation, attempts=dict(self.attempts))

    def decide(self) -> Decision:
        return reconcile(self.situation(), self.now)

    def step(self) -> Decision:
        """Decide and begin what may begin."""
        decision = self.decide()
        for action in decision.actions:
            self._check(action)
            self.under_way.append(action)
        return decision

    def finish(self, action: Action, *, fails: bool = False) -> None:
        self.under_way.remove(action)
        key = action.key
        before = self.attempts.get(key, Attempt())
        if fails:
            if isinstance(action, Run) and self._made % 2:
                self._create(action)  # made, but not started
            self.attempts[key] = after_error(before, "no luck", self.now)
        elif isinstance(action, Prepare):
            self.attempts.pop(key, None)
            self.prepared.add(action.assignment.spec_hash)
        elif isinstance(action, Run):
            self._create(action)
            self._start(key)
            self.attempts[key] = Attempt(restarts=before.restarts)
        elif isinstance(action, Start):
            self._start(key)
            self.attempts[key] = dataclasses.replace(before, restarts=before.restarts + 1)
        elif isinstance(action, Remove):
            self.found.pop(action.instance.container_name, None)

    def crash(self, name: str, exit_code: int, ran_s: float = 1.0) -> None:
        one = self.found[name]
        assert one.state is FoundState.RUNNING
        self.found[name] = dataclasses.replace(
            one,
            state=FoundState.ENDED,
            exit_code=exit_code,
            started_at=self.now,
            finished_at=self.now + ran_s + self.starts[name] / 1024,
        )

    def settle(self, limit: int = 300) -> Decision:
        """Let everything succeed, and time pass, until nothing is left to do."""
        for _ in range(limit):
            decision = self.step()
            begun = list(self.under_way)
            for action in begun:
                self.finish(action)
            if not begun:
                if decision.next_at is None:
                    return self.decide()
                self.now = max(self.now, decision.next_at)
        raise AssertionError("it does not come to rest")

    def _create(self, action: Run) -> None:
        """As the engine: making what is there already changes nothing."""
        instance = action.assignment.instance
        if instance.container_name not in self.found:
            one = container(instance, action.bundle, FoundState.CREATED)
            self.found[one.name] = dataclasses.replace(one, container_id=f"id-{self._made}")
        self._made += 1

    def _start(self, name: str) -> None:
        one = self.found[name]
        if one.state is not FoundState.RUNNING:
            self.starts[name] += 1
        running = dataclasses.replace(one, state=FoundState.RUNNING, exit_code=None)
        self.found[name] = running
        slot = (one.instance.app, one.instance.service, one.instance.slot)
        assigned = {item.instance for item in self.orders.assignments}
        buried = {item.instance for item in self.orders.tombstones}
        for other in self.found.values():
            same = (other.instance.app, other.instance.service, other.instance.slot) == slot
            known = other.instance in assigned | buried
            if same and known and other.name != name:
                assert other.state is not FoundState.RUNNING, "two of one slot run"

    def _check(self, action: Action) -> None:
        assert action.lane not in {other.lane for other in self.under_way}, "two in one lane"
        name = action.instance.container_name if isinstance(action, Remove) else action.key
        one = self.found.get(name)
        buried = {item.instance.container_name for item in self.orders.tombstones}
        if isinstance(action, Remove):
            assert name in buried, "removed without a tombstone"
            assert one is not None
            assert one.container_id == action.container_id
            self._check_successor(action.instance)
        if isinstance(action, (Run, Start)):
            assert name not in buried
            assert action.assignment.spec_hash in self.prepared or one is not None
            assert action.assignment.released, "started before its release"
            assert one is None or one.state is not FoundState.RUNNING, "restarted while it runs"
            assert one is None or one.spec_hash == action.assignment.spec_hash
        if isinstance(action, Start):
            assert one is not None
            assert one.state is FoundState.ENDED

    def _check_successor(self, instance: InstanceId) -> None:
        for item in self.orders.assignments:
            other = item.instance
            if (other.app, other.service, other.slot) == (
                instance.app,
                instance.service,
                instance.slot,
            ):
                ready = item.spec_hash in self.prepared or other.container_name in self.found
                assert ready, "stopped before its successor's image was here"


class Story:
    """Orders that change at random, for slots of a server, of a job and of one that waits for a release."""

    SLOTS = (("web", 1), ("web", 2), ("job", 1), ("db", 1))

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.generation = 0
        self.current: dict[tuple[str, int], tuple[InstanceId, Bundle, bool]] = {}
        self.buried: set[InstanceId] = set()

    def next(self, world: Optional[World]) -> Orders:
        """A new generation of some slots; others go, come, or are released."""
        self.generation += 1
        for service, slot in self.SLOTS:
            key = service, slot
            fate = self.chance.random()
            if fate < 0.4 and key in self.current:
                instance, bundle, _ = self.current[key]
                self.current[key] = instance, bundle, True
            elif fate < 0.8:
                self._bury(key)
                self.current[key] = self._instance(service, slot)
            elif fate < 0.9:
                self._bury(key)
        found = set() if world is None else {one.instance for one in world.found.values()}
        pending = [] if world is None else world.under_way
        creating = {item.assignment.instance for item in pending if isinstance(item, Run)}
        self.buried &= found | creating
        return self.orders(self.current.values())

    def orders(self, slots: Iterable[tuple[InstanceId, Bundle, bool]]) -> Orders:
        items = list(slots)
        return orders_of(
            [(instance, bundle) for instance, bundle, _ in items],
            sorted(self.buried),
            held=[instance for instance, _, released in items if not released],
        )

    def all_released(self) -> Orders:
        return self.orders([(one, bundle, True) for one, bundle, _ in self.current.values()])

    def _instance(self, service: str, slot: int) -> tuple[InstanceId, Bundle, bool]:
        image = self.chance.choice(("x:1", "x:2"))
        restart = Restart(max_attempts=self.chance.choice((0, 0, 3)))
        bundle = bundle_of(service, image, one_shot=service == "job", restart=restart)
        released = self.chance.random() < 0.7
        return InstanceId("shop", service, slot, self.generation), bundle, released

    def _bury(self, key: tuple[str, int]) -> None:
        gone = self.current.pop(key, None)
        if gone is not None:
            self.buried.add(gone[0])
