"""The loop that looks, decides and hands out work; and the only one that knows how instances stand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional

from hullmark import log
from hullmark.agentd.board import Board
from hullmark.agentd.configs import Configs
from hullmark.agentd.files import replace_file
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.observer import Observer
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.problems import Problems
from hullmark.agentd.worker import Worker
from hullmark.core.found import Found
from hullmark.core.reconcile import (
    Action,
    Lane,
    Prepare,
    Remove,
    RemoveVolume,
    Run,
    Situation,
    Start,
    Work,
    ended,
    reconcile,
)
from hullmark.core.restart import Attempt, after_end, after_error, end_of
from hullmark.engine.protocol import Engine
from hullmark.errors import EngineUnavailable, HullmarkError, StaleEpoch
from hullmark.model import names
from hullmark.model.epoch import Epoch
from hullmark.model.host import HostFacts
from hullmark.model.observed import HostState, InstanceStatus
from hullmark.model.orders import Orders

ENGINE_RETRY_S = (0.5, 15.0)
"""First and longest wait before an engine that doesn't answer is asked again."""


DAMAGED_RETRY_S = 2.0
"""How soon the files with the accepted orders are looked at again after they were found damaged."""


class Reconciler:
    """`wake` may be called from any thread; `run` is one thread's."""

    def __init__(
        self,
        engine: Engine,
        observer: Observer,
        ledger: Ledger,
        board: Board,
        outbox: Outbox,
        problems: Problems,
        configs: Configs,
        facts: Callable[[], HostFacts],
        *,
        folder: Path,
        parallel: int,
        resync_s: float,
    ) -> None:
        self._engine = engine
        self._observer = observer
        self._ledger = ledger
        self._board = board
        self._outbox = outbox
        self._problems = problems
        self._configs = configs
        self._facts = facts
        self._memory_file = folder / "attempts.json"
        self._resync_s = resync_s
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="work")
        self._worker = Worker(engine, ledger, outbox, configs, self._note_work)
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._attempts: dict[str, Attempt] = self._remembered()
        self._work: dict[str, Work] = {}
        self._busy: set[Lane] = set()
        self._prepared: set[str] = set()
        self._removed_volumes: set[tuple[str, str]] = set()
        self._networks: tuple[tuple[str, str], ...] = ()
        self._networks_for: Optional[Orders] = None
        self._swept_for: Optional[Orders] = None
        self._log = log.get("reconcile")

    def wake(self) -> None:
        self._wake.set()

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping`. What fails for want of an engine is tried again with growing waits."""
        wait_s = ENGINE_RETRY_S[0]
        while not stopping.is_set():
            self._wake.clear()
            try:
                next_s = self.step()
                wait_s = ENGINE_RETRY_S[0]
                self._problems.clear("engine.unavailable")
            except EngineUnavailable as error:
                self._problems.set_error("engine.unavailable", error)
                self._publish_without_engine()
                next_s, wait_s = wait_s, min(wait_s * 2, ENGINE_RETRY_S[1])
            self._wake.wait(next_s)
        self._pool.shutdown(wait=False)

    def step(self) -> float:
        """Look and decide once. Returns the seconds after which to do so again if nothing happens."""
        found = self._observer.look()
        self._ledger.at_least(self._observer.highest_epoch())
        readable = self._ledger.load()
        held = self._ledger.held
        orders = self._ledger.orders or Orders(held.cluster_id, held.host_id)
        now = time.monotonic()
        situation = self._situation(orders, found, now)
        decision = reconcile(situation, now)
        self._publish(orders, decision.statuses, decision.orphans)
        if not readable:
            return DAMAGED_RETRY_S
        if orders.epoch == held.epoch:
            for action in decision.actions:
                self._begin(action, orders.epoch)
            self._sweep(orders)
        if decision.next_at is None:
            return self._resync_s
        return min(self._resync_s, max(0.01, decision.next_at - now))

    def _situation(self, orders: Orders, found: Mapping[str, Found], now: float) -> Situation:
        networks = self._known_networks(orders)
        with self._lock:
            known = {one.instance.container_name for one in orders.assignments}
            known |= {one.instance.container_name for one in orders.tombstones}
            self._attempts = {name: one for name, one in self._attempts.items() if name in known}
            self._prepared &= set(orders.bundles)
            self._removed_volumes &= {(one.app, one.volume) for one in orders.volume_removals}
            situation = Situation(
                orders,
                found,
                dict(self._attempts),
                dict(self._work),
                frozenset(self._busy),
                frozenset(self._prepared),
                networks,
                frozenset(self._removed_volumes),
            )
            counted = list(ended(situation))
            for assignment, bundle, one in counted:
                name = assignment.instance.container_name
                attempt = self._attempts.get(name, Attempt())
                self._attempts[name] = after_end(bundle.container.restart, one, attempt, now)
                self._outbox.add("instance.ended", str(assignment.instance), end_of(one))
            attempts = dict(self._attempts)
        if counted:
            self._remember(attempts)
        return replace(situation, attempts=attempts)

    def _known_networks(self, orders: Orders) -> tuple[tuple[str, str], ...]:
        """The engine's networks of ours: looked up anew with new orders, and while some may go."""
        with self._lock:
            if self._networks_for == orders and not self._networks:
                return ()
        networks = tuple(self._engine.networks())
        needed = {(one.app, key) for one in orders.bundles.values() for key in one.networks}
        with self._lock:
            self._networks = tuple(one for one in networks if one not in needed)
            self._networks_for = orders
            return self._networks

    def _begin(self, action: Action, epoch: Epoch) -> None:
        with self._lock:
            if action.lane in self._busy:
                return
            self._busy.add(action.lane)
        self._pool.submit(self._perform, action, epoch)

    def _perform(self, action: Action, epoch: Epoch) -> None:
        """Runs in a worker thread."""
        name = _name_of(action)
        try:
            self._worker.perform(action, epoch)
            self._succeeded(action, name)
        except StaleEpoch as error:
            self._log.info("abandoned", lane="/".join(action.lane), why=error.message)
        except EngineUnavailable as error:
            self._problems.set_error("engine.unavailable", error)
        except HullmarkError as error:
            self._failed(name, action, error.message)
        except OSError as error:
            self._failed(name, action, f"{error.filename or 'a file'}: {error.strerror}")
        finally:
            with self._lock:
                self._busy.discard(action.lane)
                self._work.pop(name, None)
            self._wake.set()

    def _succeeded(self, action: Action, name: str) -> None:
        with self._lock:
            if isinstance(action, (Prepare, Run)):
                self._prepared.add(action.assignment.spec_hash)
            if isinstance(action, RemoveVolume):
                self._removed_volumes.add((action.app, action.key))
            if isinstance(action, Run) and name in self._attempts:
                restarts = self._attempts[name].restarts
                self._attempts[name] = Attempt(restarts=restarts)
            elif isinstance(action, Prepare) and name in self._attempts:
                self._attempts[name] = replace(self._attempts[name], reason="", not_before=0.0)
            if isinstance(action, Start) and action.again:
                attempt = self._attempts.get(name, Attempt())
                self._attempts[name] = replace(attempt, restarts=attempt.restarts + 1, reason="")
            attempts = dict(self._attempts)
        if isinstance(action, Start):
            self._remember(attempts)
            self._observer.mark(action.container_id)

    def _failed(self, name: str, action: Action, reason: str) -> None:
        self._log.warning("failed", what=type(action).__name__, instance=name, why=reason)
        with self._lock:
            before = self._attempts.get(name, Attempt())
            attempt = after_error(before, reason, time.monotonic())
            if name:
                self._attempts[name] = attempt
        if reason != before.reason and name:
            self._outbox.add("instance.failed", name, reason)

    def _note_work(self, name: str, work: Work) -> None:
        """A worker enters the next phase: shown at once, without another look at the engine."""
        with self._lock:
            if self._work.get(name) == work:
                return
            self._work[name] = work
        state = self._board.state
        if state is not None and name in state.instances:
            status = replace(state.instances[name], phase=work.phase, detail=work.detail)
            self._board.put(replace(state, instances={**state.instances, name: status}))

    def _publish(
        self,
        orders: Orders,
        statuses: Mapping[str, InstanceStatus],
        orphans: Mapping[str, InstanceStatus],
    ) -> None:
        with self._lock:
            removed = sorted(names.engine_name(*one) for one in self._removed_volumes)
        self._board.put(
            HostState(
                facts=self._facts(),
                instances=statuses,
                orphans=orphans,
                problems=self._problems.all(),
                accepted_revision=orders.revision,
                removed_volumes=tuple(removed),
            )
        )

    def _publish_without_engine(self) -> None:
        """Nothing is known of the containers; what was known last is kept, with the problem."""
        state = self._board.state or HostState()
        self._board.put(replace(state, facts=self._facts(), problems=self._problems.all()))

    def _sweep(self, orders: Orders) -> None:
        if self._swept_for != orders and not orders.tombstones:
            self._configs.sweep(orders.bundles.values())
            self._swept_for = orders

    def _remembered(self) -> dict[str, Attempt]:
        """Counts of failures survive the agent, so that a limit of restarts means what it says."""
        try:
            stored = json.loads(self._memory_file.read_bytes())
            return {
                str(name): Attempt(int(row[0]), int(row[1]), 0.0, str(row[2]), str(row[3]))
                for name, row in stored.items()
            }
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            return {}

    def _remember(self, attempts: Mapping[str, Attempt]) -> None:
        rows = {
            name: (one.failures, one.restarts, one.reason, one.ended)
            for name, one in attempts.items()
        }
        try:
            replace_file(self._memory_file, json.dumps(rows).encode(), durable=False)
        except OSError as error:
            self._log.warning("attempts not written", why=error.strerror)


def _name_of(action: Action) -> str:
    if isinstance(action, (Prepare, Run, Start)):
        return action.assignment.instance.container_name
    if isinstance(action, Remove):
        return action.instance.container_name
    return ""
