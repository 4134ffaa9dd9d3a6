"""The loop that looks, decides and hands out work; and the only one that knows how instances stand."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Callable, Optional

from hullmark.agentd import pulse
from hullmark.agentd.attempts import Attempts
from hullmark.agentd.board import Board
from hullmark.agentd.configs import Configs
from hullmark.agentd.crew import Crew, Pools, UnderWay
from hullmark.agentd.hearing import Hearing, limit_s
from hullmark.agentd.inventory import Inventory
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.news import News
from hullmark.agentd.observer import Observer
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.problems import Problems
from hullmark.agentd.reach import Reach
from hullmark.agentd.waits import Waits
from hullmark.agentd.worker import Worker
from hullmark.core.actions import (
    Remove,
    Start,
    Stop,
    spec_key,
)
from hullmark.core.found import Found
from hullmark.core.portconflicts import taken_from
from hullmark.core.reconcile import (
    Decision,
    Situation,
    Work,
    ended,
    keys_of,
    reconcile,
    resumed,
)
from hullmark.core.restart import Attempt, end_of
from hullmark.engine.protocol import Engine
from hullmark.errors import EngineUnavailable, HullmarkError
from hullmark.model import names
from hullmark.model.observed import InstanceStatus
from hullmark.model.orders import Orders

ENGINE_RETRY_S = (0.5, 5.0)
"""First and longest wait before an engine that doesn't answer is asked again."""

DAMAGED_RETRY_S = 2.0
"""How soon the files with the accepted orders are looked at again after they were found damaged."""

PORT_TAKEN = ("port is already allocated", "address already in use")
"""How Docker and Podman say that a published port is somebody else's."""

SUSPENDED_LOOK_S = 1.0
"""How soon after a host wakes from suspension it is seen that it was long."""

Networks = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Parts:
    """What the reconciler works with."""

    engine: Engine
    observer: Observer
    ledger: Ledger
    board: Board
    outbox: Outbox
    problems: Problems
    configs: Configs
    inventory: Inventory
    attempts: Attempts
    pools: Pools
    hearing: Hearing
    reach: Optional[Reach] = None


class Reconciler:
    """`wake` and `expect` may be called from any thread; `run` and `step` are one thread's."""

    def __init__(
        self, parts: Parts, *, resync_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._parts = parts
        self._resync_s = resync_s
        self._clock = clock
        self._wake = threading.Event()
        self._news = News(parts.outbox)
        worker = Worker(
            parts.engine,
            parts.ledger,
            parts.outbox,
            parts.configs,
            self._note_work,
            parts.hearing.unheard_s,
            parts.reach,
        )
        self._crew = Crew(
            parts.pools,
            worker.perform,
            parts.observer,
            parts.attempts,
            parts.outbox,
            self.wake,
            clock,
        )
        self._networks: Optional[Networks] = None
        self._needed: frozenset[tuple[str, str]] = frozenset()
        self._networks_at = 0.0
        self._named: dict[str, tuple[str, ...]] = {}
        self._swept_for: Optional[Orders] = None
        self._taken: set[tuple[str, int]] = set()
        self._waits = Waits(*ENGINE_RETRY_S)

    def wake(self) -> None:
        self._wake.set()

    def expect(self, container_id: str) -> None:
        """The agent is about to stop this container, by its policy."""
        self._news.expect(container_id)

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self._wake.clear()
            next_s = self.turn()
            if not stopping.is_set():
                self._wait(next_s)

    def _wait(self, next_s: float) -> None:
        """Until then, or woken. Where something is to be stopped without a leader, it is looked at the clock that
        runs in suspension too: an ordinary wait stands still then."""
        pulse.within(next_s)
        hearing = self._parts.hearing
        if limit_s(self._parts.ledger.standing.orders) is None:
            self._wake.wait(next_s)
            return
        until = hearing.now() + next_s
        while not self._wake.is_set() and hearing.now() < until:
            self._wake.wait(min(SUSPENDED_LOOK_S, max(0.0, until - hearing.now())))

    def turn(self) -> float:
        """One step, and what went wrong as a problem. Returns the seconds after which to take the next if
        nothing happens; those after a failure grow."""
        try:
            next_s = self.step()
        except HullmarkError as error:
            self._show_trouble(error)
            return self._waits.next()
        self._parts.problems.clear("engine.unavailable", "engine.refuses")
        self._waits.reset()
        return next_s

    def step(self) -> float:
        """Look and decide once. Raises EngineUnavailable, or Refused in the engine's words."""
        parts = self._parts
        under_way = self._crew.under_way()
        found = parts.observer.look()
        parts.board.set_facts(parts.inventory.current(parts.engine.info()))
        parts.ledger.at_least(parts.observer.highest_epoch())
        parts.ledger.load()
        standing = parts.ledger.standing
        now = self._clock()
        situation = self._situation(standing.orders, found, under_way, now)
        decision = reconcile(situation, now)
        # While it isn't known what was accepted, it isn't known either what nobody asked for.
        orphans = decision.orphans if standing.readable else {}
        self._publish(standing.orders, replace(decision, orphans=orphans), situation)
        self._news.compare(found)
        if not standing.readable:
            return DAMAGED_RETRY_S
        self._show_taken_ports(standing.orders, situation.attempts)
        self._begin(decision, standing.orders, current=standing.current)
        return self._next_s(decision, now)

    def _situation(
        self, orders: Orders, found: Mapping[str, Found], under_way: UnderWay, now: float
    ) -> Situation:
        attempts = self._parts.attempts
        networks = self._known_networks(orders, now)
        attempts.keep(keys_of(orders, networks))
        self._crew.forget(orders)
        removals = {(one.app, one.volume) for one in orders.volume_removals}
        situation = Situation(
            orders,
            found,
            attempts.all(),
            under_way.work,
            under_way.busy,
            under_way.prepared,
            networks,
            under_way.removed_volumes & removals,
            self._parts.hearing.unheard_s(),
            self._parts.engine.info().name,
        )
        again = list(resumed(situation))
        for one in again:
            attempts.halts(one.name, "")
            self._news.leave(one.container_id)
        counted = list(ended(situation))
        if not counted:
            return replace(situation, attempts=attempts.all()) if again else situation
        for assignment, bundle, one in counted:
            attempts.ended(one.name, bundle.container.restart, one, now)
            self._parts.outbox.add("instance.ended", str(assignment.instance), end_of(one))
        attempts.write()
        return replace(situation, attempts=attempts.all())

    def _known_networks(self, orders: Orders, now: float) -> Networks:
        """The engine's networks of ours. They are looked up where one may have become needless: at first, when orders
        no longer name one, after one was removed, and at times in any case."""
        needed = frozenset(
            (bundle.app, key) for bundle in orders.bundles.values() for key in bundle.networks
        )
        if (
            self._networks is None
            or self._needed - needed
            or self._crew.networks_changed.is_set()
            or now - self._networks_at >= self._resync_s
        ):
            self._crew.networks_changed.clear()
            self._networks = tuple(self._parts.engine.networks(orders.cluster_id))
            self._networks_at = now
        self._needed = needed
        return self._networks

    def _show_taken_ports(self, orders: Orders, attempts: Mapping[str, Attempt]) -> None:
        """Where a start failed because somebody has its port, the leader is told at once who listens there, and the instance says so."""
        taken = {
            (name, one.failures)
            for name, one in attempts.items()
            if any(words in one.reason for words in PORT_TAKEN)
        }
        if taken - self._taken:
            self._parts.inventory.outdated()
            facts = self._parts.inventory.current(None)
            self._parts.board.set_facts(facts)
            for each in orders.assignments:
                name, who = each.instance.container_name, taken_from(each.ports, facts.listeners)
                if who and any(name == one for one, _ in taken - self._taken):
                    self._parts.attempts.explain(name, attempts[name], who)
                    self._wake.set()
        self._taken = taken

    def _begin(self, decision: Decision, orders: Orders, *, current: bool) -> None:
        for action in decision.actions:
            # Until the orders of a leader that has shown itself come, what ran is kept running and no more.
            if current or isinstance(action, (Start, Stop)):
                if isinstance(action, (Remove, Stop)):
                    self._news.expect(action.container_id)
                self._crew.begin(action, orders.epoch)
        if current and self._swept_for is not orders and not orders.tombstones:
            self._parts.configs.sweep(orders.bundles.values())
            self._swept_for = orders

    def _next_s(self, decision: Decision, now: float) -> float:
        waits = [self._resync_s]
        if decision.next_at is not None:
            waits.append(max(0.01, decision.next_at - now))
        settles_s = self._parts.observer.settles_in()
        if settles_s is not None:
            waits.append(settles_s + 0.01)
        return min(waits)

    def _note_work(self, key: str, work: Work) -> None:
        """A worker enters the next phase: shown at once, without another look at the engine."""
        if self._crew.note(key, work):
            self._parts.board.show_work(self._named.get(key, (key,)), work.phase, work.detail)

    def _publish(self, orders: Orders, decision: Decision, situation: Situation) -> None:
        named: dict[str, tuple[str, ...]] = {}
        statuses = dict(decision.statuses)
        for assignment in orders.assignments:
            key, name = spec_key(assignment.spec_hash), assignment.instance.container_name
            if name not in situation.found:
                named[key] = (*named.get(key, ()), name)
            elif self._parts.reach is not None:
                statuses[name] = self._told_of_names(statuses[name], situation.found[name], orders)
        self._named = named
        removed = sorted(names.engine_name(*one) for one in situation.removed_volumes)
        self._parts.board.show(statuses, decision.orphans, orders.revision, tuple(removed))

    def _told_of_names(
        self, status: InstanceStatus, found: Found, orders: Orders
    ) -> InstanceStatus:
        bundle, reach = orders.bundles.get(found.spec_hash), self._parts.reach
        if reach is None:
            return status
        is_nameless = bundle is not None and reach.is_nameless(found.container_id, bundle)
        return replace(status, named=reach.is_named(found.container_id), nameless=is_nameless)

    def _show_trouble(self, error: HullmarkError) -> None:
        parts = self._parts
        if isinstance(error, EngineUnavailable):
            parts.problems.set_error("engine.unavailable", error)
        elif self._waits.grown:
            # Not at once: Podman fails to list while a container is being removed.
            parts.problems.set(
                "engine.refuses", f"the engine refuses: {error.message}", error.remedy
            )
        parts.board.set_facts(parts.inventory.current(None))
        parts.board.show_unseen()
