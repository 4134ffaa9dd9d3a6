"""The agent's hands: each action of the reconciler as calls to the engine.

Before each call that changes something the ledger is asked whether work of this epoch may go on; where it may not,
StaleEpoch ends the action, and the reconciler decides anew. The engine's gate is told who asked for it (`asked`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Optional

from hullmark import log
from hullmark.agentd.asked import Asked, asking, of_change
from hullmark.agentd.configs import Configs
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.reach import NoReach, Reach
from hullmark.core.actions import (
    Action,
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
    cut_off_text,
    is_cut_off,
)
from hullmark.engine.protocol import CreateRequest, Engine
from hullmark.errors import HullmarkError, ImageUnavailable, StaleEpoch
from hullmark.model.app import Bundle, MountKind, PullPolicy
from hullmark.model.epoch import Epoch
from hullmark.model.observed import Phase
from hullmark.model.orders import Assignment, Orders

_log = log.get("worker")

NO_SUCH_ADDRESS = "cannot assign requested address"
"""In what an engine says where a container's port can't be bound on an address that the host has not (EADDRNOTAVAIL)."""

STOPS = 16
"""Containers that an engine is asked to stop at a time, of those that are to be removed."""

Progress = Callable[[str, Work], None]
"""(key of the action, what is done for it now)."""


@dataclass
class Locks:
    """One lock for each name: work on one network or volume is done once, and others then find it done."""

    _guard: threading.Lock = field(default_factory=threading.Lock)
    _locks: dict[str, threading.Lock] = field(default_factory=dict)

    def of(self, name: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(name, threading.Lock())


class Worker:
    """`perform` may be called from several threads, for different lanes."""

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        outbox: Outbox,
        configs: Configs,
        progress: Progress,
        unheard_s: Callable[[], float],
        reach: Optional[Reach] = None,
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._outbox = outbox
        self._configs = configs
        self._progress = progress
        self._unheard_s = unheard_s
        self._reach = reach or NoReach()
        self._stops = threading.BoundedSemaphore(STOPS)
        self._places = Locks()
        self._places_here: dict[str, object] = {}

    def perform(self, action: Action, epoch: Epoch) -> str:
        """The container that was made, started or removed; empty where it was about none. Raises HullmarkError
        where it did not work, StaleEpoch where it may not go on, OSError where a config can't be written."""
        with asking(asked_of(action, epoch, self._ledger.standing.orders)):
            return self._perform(action, epoch)

    def _perform(self, action: Action, epoch: Epoch) -> str:
        if isinstance(action, Prepare):
            self._have_image(action)
        elif isinstance(action, Run):
            return self._run(action, epoch)
        elif isinstance(action, Start):
            return self._start_again(action, epoch)
        elif isinstance(action, Remove):
            return self._remove(action, epoch)
        elif isinstance(action, Stop):
            return self._stop(action)
        elif isinstance(action, RemoveNetwork):
            self._ledger.check(epoch)
            self._places_here.clear()
            self._engine.remove_network(action.app, action.name)
        else:
            self._ledger.check(epoch)
            self._places_here.clear()
            self._engine.remove_volume(action.app, action.name)
            self._outbox.add("volume.removed", f"{action.app}/{action.name}")
        return ""

    def _run(self, action: Run, epoch: Epoch) -> str:
        assignment, bundle = action.assignment, action.bundle
        self._progress(action.key, Work(Phase.CREATING))
        cluster_id = self._ledger.held.cluster_id
        try:
            self._have_places(cluster_id, bundle, epoch)
            files = self._configs.write(bundle)
            hosts = self._reach.hosts_file(assignment.instance, bundle)
            self._ledger.check(epoch, assignment.instance)
            container_id = self._engine.create(
                CreateRequest(
                    cluster_id,
                    assignment.instance,
                    assignment.spec_hash,
                    epoch,
                    bundle,
                    assignment.ports,
                    files,
                    hosts,
                    self._reach.addresses() if assignment.ports else (),
                )
            )
            self._progress(action.key, Work(Phase.STARTING))
            self._ledger.check(epoch, assignment.instance)
            self._check_heard(assignment)
            self._engine.start(container_id)
        except HullmarkError:
            # Perhaps a network was taken away behind our back: look again at the next try.
            self._places_here.clear()
            raise
        self._reach.started(container_id)
        self._say_started(assignment, container_id)
        return container_id

    def _start_again(self, action: Start, epoch: Epoch) -> str:
        self._progress(action.key, Work(Phase.STARTING))
        self._ledger.check_kept(epoch, action.assignment.instance)
        self._check_heard(action.assignment)
        bundle = self._ledger.standing.orders.bundles.get(action.assignment.spec_hash)
        if bundle is not None:
            self._reach.starts_again(action.container_id, bundle)
        try:
            self._engine.start(action.container_id)
        except HullmarkError as error:
            if NO_SUCH_ADDRESS in error.message:
                # The host has another address than when the container was made: the next try makes it anew.
                self._ledger.check(epoch, action.assignment.instance)
                self._engine.remove(action.container_id)
            raise
        self._reach.started(action.container_id)
        self._say_started(action.assignment, action.container_id)
        return action.container_id

    def _say_started(self, assignment: Assignment, container_id: str) -> None:
        _log.info("started", instance=assignment.instance, container=container_id[:12])
        self._outbox.add("instance.started", str(assignment.instance), container=container_id[:12])

    def _remove(self, action: Remove, epoch: Epoch) -> str:
        if action.running:
            self._ledger.check(epoch)
            with self._reach.leaving(action.instance, action.container_id, wait=True), self._stops:
                self._ledger.check(epoch)
                self._engine.stop(action.container_id)
        self._ledger.check(epoch)
        self._engine.remove(action.container_id)
        _log.info("removed", instance=action.instance, reason=action.reason)
        self._outbox.add("instance.removed", str(action.instance), action.reason)
        return action.container_id

    def _stop(self, action: Stop) -> str:
        """Under whatever epoch: nobody's orders are obeyed here, and a leader that was heard ends it."""
        if self._unheard_s() < action.after_s:
            raise StaleEpoch("a leader is heard again")
        # Its deadline is what the leader counts on: nothing is waited for.
        with self._reach.leaving(action.instance, action.container_id, wait=False):
            self._engine.stop(action.container_id)
        _log.warning("stopped", instance=action.instance, why=cut_off_text(action.after_s))
        text = cut_off_text(action.after_s)
        self._outbox.add("instance.stopped", str(action.instance), text)
        return action.container_id

    def _check_heard(self, assignment: Assignment) -> None:
        if is_cut_off(assignment, self._unheard_s()):
            raise StaleEpoch(cut_off_text(assignment.stop_unheard_s))

    def _have_image(self, action: Prepare) -> None:
        container = action.bundle.container
        policy = container.pull_policy
        present = self._engine.has_image(action.bundle)
        # A digest names one image for good, so that pulling it again would change nothing.
        if present and (policy is not PullPolicy.ALWAYS or container.digest):
            return
        if policy is PullPolicy.NEVER:
            raise ImageUnavailable(
                f"image {container.image} is not on this host, and pull_policy is never: load it there, or have it pulled",
                remedy="load it: docker load, or docker import",
            )
        self._progress(action.key, Work(Phase.PULLING))
        self._engine.pull(action.bundle, lambda done, whole: self._pulled(action.key, done, whole))
        self._outbox.add("image.pulled", container.image, container.digest)

    def _pulled(self, key: str, done: int, whole: int) -> None:
        """Told in whole percents, so that a pull is a hundred reports at most."""
        share = f"{100 * done // whole} % of {whole / 1e6:.0f} MB" if whole else ""
        self._progress(key, Work(Phase.PULLING, share))

    def _have_places(self, cluster_id: str, bundle: Bundle, epoch: Epoch) -> None:
        """Networks and named volumes. A network that was seen with the same settings is not asked for again: without
        it the container doesn't start. A volume that somebody removed would be made by the engine, as nobody's."""
        for key, network in bundle.networks.items():
            place = f"network {bundle.app}/{key}"
            with self._places.of(place):
                if self._places_here.get(place) != network:
                    self._ledger.check(epoch)
                    self._engine.ensure_network(cluster_id, bundle.app, key, network)
                    self._places_here[place] = network
        for mount in bundle.container.mounts:
            if mount.kind is MountKind.VOLUME and mount.source:
                app, key, volume = bundle.app, mount.source, bundle.volumes[mount.source]
                with self._places.of(f"volume {app}/{key}"):
                    self._ledger.check(epoch)
                    if self._engine.ensure_volume(cluster_id, app, key, volume):
                        self._outbox.add("volume.created", f"{app}/{key}", "new and empty")


def asked_of(action: Action, epoch: Epoch, orders: Orders) -> Asked:
    """Who answers for an action. What the agent does of itself names the change that it serves, but not its person."""
    app = app_of(action)
    change = orders.asked.get(app)
    if isinstance(action, (Start, Stop, RemoveNetwork)):
        asked = Asked(
            ticket=change.ticket if change else "", request_id=change.request_id if change else ""
        )
    else:
        asked = of_change(change, orders.leader)
    return replace(
        asked,
        app=app,
        epoch=str(epoch),
        reason=_reason(action),
        essential=isinstance(action, (Start, Stop)),
        anyhow=isinstance(action, Stop),
    )


def app_of(action: Action) -> str:
    if isinstance(action, (RemoveNetwork, RemoveVolume)):
        return action.app
    if isinstance(action, (Remove, Stop)):
        return action.instance.app
    return action.assignment.instance.app


def _reason(action: Action) -> str:
    if isinstance(action, Remove):
        return action.reason
    if isinstance(action, Stop):
        return cut_off_text(action.after_s)
    if isinstance(action, Start):
        return "it ended, and is kept running"
    return "no container uses it any more" if isinstance(action, RemoveNetwork) else ""
