"""The agent's hands: each action of the reconciler as calls to the engine.

Before each call that changes something the ledger is asked whether work of this epoch may go on; where it may not,
StaleEpoch ends the action, and the reconciler decides anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from hullmark import log
from hullmark.agentd.configs import Configs
from hullmark.agentd.ledger import Ledger
from hullmark.agentd.outbox import Outbox
from hullmark.core.reconcile import (
    Action,
    Prepare,
    Remove,
    RemoveNetwork,
    RemoveVolume,
    Run,
    Start,
    Work,
)
from hullmark.engine.protocol import CreateRequest, Engine
from hullmark.errors import ImageUnavailable
from hullmark.model.app import Bundle, MountKind, PullPolicy
from hullmark.model.epoch import Epoch
from hullmark.model.observed import Phase
from hullmark.model.orders import Assignment

Progress = Callable[[str, Work], None]
"""(container name, what is done for it now)."""


@dataclass
class Locks:
    """One lock for each name: work on one image or network is done once, and others then find it done."""

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
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._outbox = outbox
        self._configs = configs
        self._progress = progress
        self._images = Locks()
        self._places = Locks()
        self._log = log.get("worker")

    def perform(self, action: Action, epoch: Epoch) -> None:
        """Raises HullmarkError where it did not work, StaleEpoch where it may not go on."""
        if isinstance(action, Prepare):
            self._have_image(action.assignment, action.bundle)
        elif isinstance(action, Run):
            self._run(action, epoch)
        elif isinstance(action, Start):
            self._start(action.assignment, action.container_id, epoch)
        elif isinstance(action, Remove):
            self._remove(action, epoch)
        elif isinstance(action, RemoveNetwork):
            self._ledger.check(epoch)
            self._engine.remove_network(action.app, action.key)
        elif isinstance(action, RemoveVolume):
            self._ledger.check(epoch)
            self._engine.remove_volume(action.app, action.key)
            self._outbox.add("volume.removed", f"{action.app}/{action.key}")

    def _run(self, action: Run, epoch: Epoch) -> None:
        assignment, bundle = action.assignment, action.bundle
        name = assignment.instance.container_name
        self._have_image(assignment, bundle)
        self._progress(name, Work(Phase.CREATING))
        cluster_id = self._ledger.held.cluster_id
        self._have_places(cluster_id, bundle, epoch)
        files = self._configs.write(bundle)
        self._ledger.check(epoch)
        container_id = self._engine.create(
            CreateRequest(
                cluster_id,
                assignment.instance,
                assignment.spec_hash,
                epoch,
                bundle,
                assignment.ports,
                files,
            )
        )
        self._start(assignment, container_id, epoch)

    def _start(self, assignment: Assignment, container_id: str, epoch: Epoch) -> None:
        self._progress(assignment.instance.container_name, Work(Phase.STARTING))
        self._ledger.check(epoch)
        self._engine.start(container_id)
        self._log.info("started", instance=assignment.instance, container=container_id[:12])
        self._outbox.add("instance.started", str(assignment.instance), container=container_id[:12])

    def _remove(self, action: Remove, epoch: Epoch) -> None:
        if action.running:
            self._ledger.check(epoch)
            self._engine.stop(action.container_id)
        self._ledger.check(epoch)
        self._engine.remove(action.container_id)
        self._log.info("removed", instance=action.instance, reason=action.reason)
        self._outbox.add("instance.removed", str(action.instance), action.reason)

    def _have_image(self, assignment: Assignment, bundle: Bundle) -> None:
        container = bundle.container
        policy = container.pull_policy
        with self._images.of(container.image + container.digest):
            present = self._engine.has_image(bundle)
            # A digest names one image for good, so that pulling it again would change nothing.
            if present and (policy is not PullPolicy.ALWAYS or container.digest):
                return
            if policy is PullPolicy.NEVER:
                raise ImageUnavailable(
                    f"image {container.image} is not on this host, and pull_policy is never",
                    remedy="load it: docker load, or docker import",
                )
            self._progress(assignment.instance.container_name, Work(Phase.PULLING))
            self._engine.pull(bundle)
            self._outbox.add("image.pulled", container.image, container.digest)

    def _have_places(self, cluster_id: str, bundle: Bundle, epoch: Epoch) -> None:
        """Networks and named volumes."""
        for key, network in bundle.networks.items():
            with self._places.of(f"network {bundle.app}/{key}"):
                self._ledger.check(epoch)
                self._engine.ensure_network(cluster_id, bundle.app, key, network)
        for mount in bundle.container.mounts:
            if mount.kind is MountKind.VOLUME and mount.source:
                with self._places.of(f"volume {bundle.app}/{mount.source}"):
                    self._ledger.check(epoch)
                    volume = bundle.volumes[mount.source]
                    self._engine.ensure_volume(cluster_id, bundle.app, mount.source, volume)
