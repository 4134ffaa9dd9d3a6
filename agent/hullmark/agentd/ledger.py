"""The agent's accepted orders and highest epoch: one object that everything asks before it acts.

A leader of a higher epoch shows itself in its first answer, a moment before its orders come. From then on nothing new
is begun under the older orders, and what is under way ends before its next call to the engine; the new orders
decide anew, and find by its name what was half done. One thing goes on: a container that ended is started again under the
orders that were accepted, because a leader that shows itself and then dies must not leave a host
that restarts nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from hullmark import log
from hullmark.agentd import statefile
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.problems import Problems
from hullmark.agentd.proof import doubt_by
from hullmark.core.acceptance import Held, begins_anew, refusal, stale, unrelated
from hullmark.errors import BrokenState, StaleEpoch
from hullmark.model.audit import BY_HAND, Actor, Entry, Outcome
from hullmark.model.epoch import NO_EPOCH, Epoch
from hullmark.model.incarnation import IncarnationProof
from hullmark.model.orders import InstanceId, Orders
from hullmark.model.protocol import Former

_log = log.get("ledger")


@dataclass(frozen=True)
class Accepted:
    """`orders`: as accepted. `current`: they may be carried out; otherwise only what runs may be kept running, and
    where `readable` is False not even that."""

    orders: Orders
    readable: bool
    current: bool


class Ledger:
    """Orders are on the disk before anyone sees them here. May be used from any thread."""

    def __init__(
        self,
        folder: Path,
        cluster_id: str,
        host_id: str,
        problems: Problems,
        outbox: Outbox,
        note: Callable[[Entry], None] = lambda entry: None,
    ) -> None:
        """`note` records what was accepted or refused."""
        self._note = note
        self._folder = folder
        self._doubt = doubt_by(folder)
        self._problems = problems
        self._outbox = outbox
        self._lock = threading.Lock()
        self._accepting = threading.Lock()
        self._held = Held(cluster_id, host_id)
        self._orders = Orders(cluster_id, host_id)
        self._made_under: Epoch = NO_EPOCH
        self._loaded = False
        self._closed = False
        self._said_damaged: tuple[str, ...] = ()

    def close(self) -> None:
        """Another ledger takes this one's place: nothing is accepted and nothing done under it from now on."""
        with self._accepting, self._lock:
            self._closed = True

    @property
    def closed(self) -> bool:
        return self._closed

    def load(self) -> bool:
        """Read what was accepted before. False while the files can't be trusted: nothing may be
        done then, and asking again finds out whether they were mended."""
        with self._lock:
            if self._loaded:
                return True
            try:
                stored = statefile.load(self._folder)
            except BrokenState as error:
                self._problems.set_error("state.damaged", error)
                return False
            self._loaded = True
            if stored.held is not None:
                self._take_held(stored.held)
            if stored.orders is not None:
                self._take(stored.orders)
        self._problems.clear("state.damaged")
        for path in stored.damaged:
            _log.warning("one of two copies is damaged; using the other", path=path)
        return True

    def _take(self, orders: Orders) -> None:
        held = self._held
        if (orders.cluster_id, orders.host_id) != (held.cluster_id, held.host_id):
            _log.info("accepted orders are of another enrolment, and left alone")
            return
        self._orders = orders
        if (orders.epoch, orders.revision) >= (held.epoch, held.revision):
            self._held = _held_by(held, orders)

    def _take_held(self, stored: Held) -> None:
        """What was accepted last, also where the orders themselves were moved away."""
        same = (stored.cluster_id, stored.host_id) == (self._held.cluster_id, self._held.host_id)
        if same and stored.epoch >= self._held.epoch:
            self._held = stored

    def _take_held_of(self, orders: Orders) -> None:
        # Another leader may have shown itself while the disk was written.
        if orders.epoch >= self._held.epoch:
            self._held = _held_by(self._held, orders)

    @property
    def held(self) -> Held:
        with self._lock:
            return self._ruling()

    def _ruling(self) -> Held:
        """What was held, or the epoch of a container of ours that was made under a higher one."""
        if self._made_under <= self._held.epoch:
            return self._held
        return replace(self._held, epoch=self._made_under, leader="", revision=0)

    @property
    def standing(self) -> Accepted:
        with self._lock:
            return Accepted(self._orders, self._loaded, self._orders.epoch == self._ruling().epoch)

    def seen(
        self,
        epoch: Epoch,
        leader: str,
        former: Optional[Former],
        proof: Optional[IncarnationProof] = None,
    ) -> str:
        """A leader answered a poll with this epoch. A higher one holds up all work on older orders until
        its own come; one of a new incarnation needs its proof. Returns why it isn't believed, empty where it is."""
        unproven = ""
        if begins_anew(self.held, epoch):
            unproven = self._doubt(self._held.cluster_id, epoch.incarnation, proof)
        with self._lock:
            ruling = self._ruling()
            why = stale(ruling, epoch, leader) or unproven or unrelated(ruling, epoch, former)
            if not why and epoch > ruling.epoch:
                self._held = replace(self._held, epoch=epoch, leader=leader, revision=0)
            return why

    def doubts(self, epoch: Epoch, leader: str) -> str:
        """Why this isn't the leader that polls have shown; empty where it is."""
        with self._lock:
            ruling = self._ruling()
        if epoch > ruling.epoch:
            return f"epoch {epoch} has not shown itself in a poll yet"
        return stale(ruling, epoch, leader)

    def at_least(self, epoch: Epoch) -> None:
        """The highest epoch under which a container of ours was made, so that nothing lower is obeyed."""
        with self._lock:
            if epoch > max(self._held.epoch, self._made_under):
                _log.warning("a container is of a higher epoch than was held", epoch=epoch)
            self._made_under = epoch

    def accept(self, orders: Orders) -> bool:
        """Take orders over, or refuse and record them. True where they are held afterwards."""
        with self._accepting:
            with self._lock:
                if self._closed:
                    return False
                held, known = self._ruling(), self._orders
                why = (
                    refusal(held, orders) if self._loaded else "accepted orders can't be read here"
                )
            if why:
                self.refuse(orders.epoch, orders.leader, why)
                return False
            if orders == known and orders.epoch == held.epoch:
                self._problems.clear("order.refused")
                return True
            try:
                statefile.save(self._folder, orders)
            except OSError as error:
                self._problems.set(
                    "state.write",
                    f"accepted orders can't be written to {self._folder}: {error.strerror}",
                    f"free space or mend the disk: df {self._folder}",
                )
                return False
            with self._lock:
                self._orders = orders
                self._take_held_of(orders)
        self._problems.clear("state.write", "order.refused")
        _log.info("orders accepted", epoch=orders.epoch, revision=orders.revision)
        self._note(_acceptance(orders))
        return True

    def refuse(self, epoch: Epoch, leader: str, why: str) -> None:
        """Record that a leader's word was not obeyed, and say so until one is believed."""
        if self._loaded:
            self._problems.set(
                "order.refused",
                f"this host refuses the orders of {leader or 'a master'}, epoch {epoch}: {why}",
                "look for a second master, or a store that is an old copy; what runs here goes on",
            )
        _log.warning("orders refused", epoch=epoch, leader=leader, why=why)
        self._outbox.add(
            "order.refused", f"epoch {epoch}", f"from {leader or 'a master'}: {why}", leader=leader
        )
        self._note(_refusal(self._held.host_id, epoch, leader, why))

    def check(self, epoch: Epoch, instance: Optional[InstanceId] = None) -> None:
        """To be called before each call that changes something in the engine; with the instance before
        its container is made or started.

        Raises StaleEpoch unless work of this epoch may go on.
        """
        with self._lock:
            self._check_open()
            ruling = self._ruling().epoch
            if epoch != ruling:
                raise StaleEpoch(f"epoch {epoch} has passed; {ruling} rules")
            self._check_wanted(instance)

    def check_kept(self, epoch: Epoch, instance: InstanceId) -> None:
        """As `check`, before a container that has run is started again: also under accepted orders whose
        successors have not come yet."""
        with self._lock:
            self._check_open()
            if epoch != self._orders.epoch or epoch < self._made_under:
                raise StaleEpoch(f"epoch {epoch} has passed")
            self._check_wanted(instance)

    def _check_open(self) -> None:
        if self._closed:
            raise StaleEpoch("the agent begins anew with another configuration or identity")

    def _check_wanted(self, instance: Optional[InstanceId]) -> None:
        if instance is not None and self._orders.find(instance) is None:
            raise StaleEpoch(f"{instance} is not asked for any more")


def _held_by(held: Held, orders: Orders) -> Held:
    return replace(held, epoch=orders.epoch, leader=orders.leader, revision=orders.revision)


def _acceptance(orders: Orders) -> Entry:
    return Entry(
        "order.accepted",
        f"host {orders.host_id}",
        by=orders.leader,
        actor=Actor.MASTER,
        origin=orders.leader,
        epoch=str(orders.epoch),
        fields={
            "revision": str(orders.revision),
            "assignments": str(len(orders.assignments)),
            "tombstones": str(len(orders.tombstones)),
        },
    )


def _refusal(host_id: str, epoch: Epoch, leader: str, why: str) -> Entry:
    return Entry(
        "order.refused",
        f"host {host_id}",
        outcome=Outcome.REFUSED,
        by=leader or BY_HAND,
        actor=Actor.MASTER,
        origin=leader,
        reason=why,
        epoch=str(epoch),
    )
