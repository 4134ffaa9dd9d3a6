"""The agent's accepted orders and highest epoch: one object that everything asks before it acts."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Optional

from hullmark import log
from hullmark.agentd import statefile
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.problems import Problems
from hullmark.core.acceptance import Held, refusal, stale
from hullmark.errors import BrokenState, StaleEpoch
from hullmark.model.epoch import Epoch
from hullmark.model.orders import Orders


class Ledger:
    """Orders are on the disk before anyone sees them here. May be used from any thread."""

    def __init__(
        self, folder: Path, cluster_id: str, host_id: str, problems: Problems, outbox: Outbox
    ) -> None:
        self._folder = folder
        self._problems = problems
        self._outbox = outbox
        self._lock = threading.Lock()
        self._held = Held(cluster_id, host_id)
        self._orders: Optional[Orders] = None
        self._loaded = False
        self._log = log.get("ledger")

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
            self._problems.clear("state.damaged")
            for path in stored.damaged:
                self._log.warning("one of two copies is damaged; using the other", path=path)
            orders = stored.orders
            if orders is not None and orders.cluster_id == self._held.cluster_id:
                if orders.host_id == self._held.host_id:
                    self._orders = orders
                    self._held = replace(
                        self._held,
                        epoch=orders.epoch,
                        leader=orders.leader,
                        revision=orders.revision,
                    )
            self._loaded = True
            return True

    @property
    def held(self) -> Held:
        with self._lock:
            return self._held

    @property
    def orders(self) -> Optional[Orders]:
        """None until some were accepted, or while the files can't be trusted."""
        with self._lock:
            return self._orders

    def seen(self, epoch: Epoch, leader: str) -> str:
        """A leader answered with this epoch. A higher one holds up all work on older orders until
        its own come. Returns why it isn't believed, empty where it is."""
        with self._lock:
            why = stale(self._held, epoch, leader)
            if not why and epoch > self._held.epoch:
                self._held = replace(self._held, epoch=epoch, leader=leader, revision=0)
            return why

    def at_least(self, epoch: Epoch) -> None:
        """A container of ours was made under this epoch, so nothing lower may be obeyed."""
        with self._lock:
            if epoch > self._held.epoch:
                self._log.warning("a container is of a higher epoch than was held", epoch=epoch)
                self._held = replace(self._held, epoch=epoch, leader="", revision=0)

    def accept(self, orders: Orders) -> bool:
        """Take orders over, or refuse and record them. True where they are held afterwards."""
        with self._lock:
            held = self._held
            why = refusal(held, orders) if self._loaded else "accepted orders can't be read"
            if not why and orders == self._orders:
                return True
            if not why:
                try:
                    statefile.save(self._folder, orders)
                except OSError as error:
                    self._problems.set(
                        "state.write",
                        f"accepted orders can't be written to {self._folder}: {error.strerror}",
                        f"free space or mend the disk: df {self._folder}",
                    )
                    return False
                self._orders = orders
                self._held = replace(
                    held, epoch=orders.epoch, leader=orders.leader, revision=orders.revision
                )
        if why:
            self.refuse(orders.epoch, orders.leader, why)
            return False
        self._problems.clear("state.write")
        self._log.info("orders accepted", epoch=orders.epoch, revision=orders.revision)
        return True

    def refuse(self, epoch: Epoch, leader: str, why: str) -> None:
        """Record that a leader's word was not obeyed."""
        self._log.warning("orders refused", epoch=epoch, leader=leader, why=why)
        self._outbox.add(
            "order.refused", f"epoch {epoch}", f"from {leader or 'a master'}: {why}", leader=leader
        )

    def check(self, epoch: Epoch) -> None:
        """To be called before each call that changes something in the engine.

        Raises StaleEpoch unless work of this epoch may go on.
        """
        with self._lock:
            if epoch != self._held.epoch:
                raise StaleEpoch(f"epoch {epoch} has passed; {self._held.epoch} rules")
