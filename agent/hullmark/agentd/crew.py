"""Who does what now: actions handed to threads, what they have reached, and what their ends mean.

Pulls and stops mostly wait, and have threads of their own: a slow registry or a container that takes its time to end
holds up no start.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable

from hullmark import log
from hullmark.agentd.attempts import Attempts
from hullmark.agentd.observer import Observer
from hullmark.agentd.outbox import Outbox
from hullmark.core.actions import (
    Action,
    Lane,
    Prepare,
    Remove,
    RemoveNetwork,
    RemoveVolume,
    Run,
    Start,
    Stop,
)
from hullmark.core.reconcile import (
    Work,
)
from hullmark.core.restart import MAX_DELAY_S
from hullmark.errors import (
    AuditUnavailable,
    EngineUnavailable,
    HullmarkError,
    NotFound,
    PolicyRefused,
    StaleEpoch,
)
from hullmark.model.epoch import Epoch
from hullmark.model.observed import REFUSED_BY_POLICY
from hullmark.model.orders import Orders

_log = log.get("crew")

PULLS = 3
STOPS = 256
"""Most of these wait for connections to end, up to minutes; how many an engine has to stop at a time, the worker says."""
CUT_OFFS = 64
"""All that a host runs without a leader's word is to be stopped at once; threads are made as they are needed."""
STOP_RETRY_S = 2.0
"""Longest wait before a stop is tried again that failed: the leader counts on its being done in time."""

UNRECORDED_RETRY_S = 5.0
"""Longest wait before a deed is tried again that the log did not take: a disk that has room again is to be used at once."""

Perform = Callable[[Action, Epoch], str]


@dataclass(frozen=True)
class Pools:
    """Where actions run. `pulls` and `stops` are for what mostly waits, `cut_offs` for what may wait for nothing."""

    work: Executor
    pulls: Executor
    stops: Executor
    cut_offs: Executor

    @classmethod
    def of_threads(cls, parallel: int) -> Pools:
        return cls(
            ThreadPoolExecutor(parallel, "work"),
            ThreadPoolExecutor(PULLS, "pull"),
            ThreadPoolExecutor(STOPS, "stop"),
            ThreadPoolExecutor(CUT_OFFS, "cut-off"),
        )

    def close(self) -> None:
        """What is under way goes on; nothing else begins."""
        for pool in (self.work, self.pulls, self.stops, self.cut_offs):
            pool.shutdown(wait=False)

    def for_action(self, action: Action) -> Executor:
        if isinstance(action, Prepare):
            return self.pulls
        if isinstance(action, Stop):
            return self.cut_offs
        return self.stops if isinstance(action, Remove) else self.work


@dataclass(frozen=True)
class UnderWay:
    """`work` is by the actions' keys; the others as in `core.reconcile.Situation`."""

    work: Mapping[str, Work]
    busy: frozenset[Lane]
    prepared: frozenset[str]
    removed_volumes: frozenset[tuple[str, str]]


class Crew:
    """`done` is called after each action, whatever came of it."""

    def __init__(
        self,
        pools: Pools,
        perform: Perform,
        observer: Observer,
        attempts: Attempts,
        outbox: Outbox,
        done: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pools = pools
        self._perform_action = perform
        self._observer = observer
        self._attempts = attempts
        self._outbox = outbox
        self._done = done
        self._clock = clock
        self._lock = threading.Lock()
        self._work: dict[str, Work] = {}
        self._busy: set[Lane] = set()
        self._prepared: set[str] = set()
        self._removed_volumes: set[tuple[str, str]] = set()
        self.networks_changed = threading.Event()

    def under_way(self) -> UnderWay:
        """To be asked for before the engine is looked at: an action that ends in between is then taken for one under
        way, and not begun again on an outdated look."""
        with self._lock:
            return UnderWay(
                dict(self._work),
                frozenset(self._busy),
                frozenset(self._prepared),
                frozenset(self._removed_volumes),
            )

    def forget(self, orders: Orders) -> None:
        """What these orders don't name."""
        with self._lock:
            self._prepared &= set(orders.bundles)
            self._removed_volumes &= {(one.app, one.volume) for one in orders.volume_removals}

    def begin(self, action: Action, epoch: Epoch) -> None:
        """Unless its lane is at work."""
        with self._lock:
            if action.lane in self._busy:
                return
            self._busy.add(action.lane)
        try:
            self._pools.for_action(action).submit(self._perform, action, epoch)
        except RuntimeError:  # the pools are closed: the agent ends
            with self._lock:
                self._busy.discard(action.lane)

    def note(self, key: str, work: Work) -> bool:
        """Work has entered a phase. True where it is another than before."""
        with self._lock:
            changed = self._work.get(key) != work
            self._work[key] = work
            return changed

    def _perform(self, action: Action, epoch: Epoch) -> None:
        """Runs in a thread of a pool."""
        try:
            if isinstance(action, Stop):
                self._attempts.halts(action.instance.container_name, action.run)
            container_id = self._perform_action(action, epoch)
            if container_id:
                self._observer.mark(container_id)
            self._succeeded(action)
        except StaleEpoch as error:
            _log.info("abandoned", what=action.key, why=error.message)
        except (EngineUnavailable, AuditUnavailable) as error:
            # No failure of the instance: the engine's or the log's own problem says what is wrong.
            longest_s = min(_longest_s(action), UNRECORDED_RETRY_S)
            if isinstance(error, EngineUnavailable):
                longest_s = _longest_s(action)
            if self._attempts.failed(action.key, error.message, self._clock(), longest_s):
                _log.info("put off", what=action.key, why=error.message)
        except PolicyRefused as error:
            self._failed(action, f"{REFUSED_BY_POLICY}{error.message}")
        except HullmarkError as error:
            if isinstance(action, Run) and isinstance(error, NotFound):
                self._unprepare(action)
            self._failed(action, error.message)
        except OSError as error:
            self._failed(action, f"{error.filename or 'a file'}: {error.strerror}")
        finally:
            with self._lock:
                self._busy.discard(action.lane)
                self._work.pop(action.key, None)
            self._done()

    def _succeeded(self, action: Action) -> None:
        if isinstance(action, Stop):
            self._attempts.forget(action.key)
        elif isinstance(action, Prepare):
            self._attempts.forget(action.key)
            with self._lock:
                self._prepared.add(action.assignment.spec_hash)
        elif isinstance(action, Run):
            self._attempts.made(action.key)
        elif isinstance(action, Start):
            self._attempts.restarted(action.key)
            self._attempts.write()
        elif isinstance(action, RemoveVolume):
            with self._lock:
                self._removed_volumes.add((action.app, action.name))
        elif isinstance(action, RemoveNetwork):
            # Where it is still there at the next look, somebody uses it: tried again later.
            self._attempts.failed(action.key, "in use", self._clock())
            self.networks_changed.set()

    def _failed(self, action: Action, reason: str) -> None:
        _log.warning("failed", what=type(action).__name__, of=action.key, why=reason)
        if self._attempts.failed(action.key, reason, self._clock(), _longest_s(action)):
            if isinstance(action, (RemoveNetwork, RemoveVolume)):
                kind, subject = f"{action.lane[0]}.failed", f"{action.app}/{action.name}"
            elif isinstance(action, (Remove, Stop)):
                kind, subject = "instance.failed", str(action.instance)
            else:
                kind, subject = "instance.failed", str(action.assignment.instance)
            self._outbox.add(kind, subject, reason)

    def _unprepare(self, action: Run) -> None:
        """Its image, perhaps, was removed from the host: to be looked for again."""
        with self._lock:
            self._prepared.discard(action.assignment.spec_hash)


def _longest_s(action: Action) -> float:
    return STOP_RETRY_S if isinstance(action, Stop) else MAX_DELAY_S
