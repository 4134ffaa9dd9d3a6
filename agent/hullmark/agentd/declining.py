"""What a host says to its leader's orders while it only observes: each is refused, recorded, and told as an event.

Its leader is believed as any other host's is, so that the host shows it its posture, and obeys no older one later. What was accepted before
stays on the disk, and is what the host goes on with when its mode is `run` again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Optional

from hullmark.agentd.ledger import Accepted, Ledger
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.problems import Problems
from hullmark.core.acceptance import refusal
from hullmark.model.audit import BY_HAND, Actor, Entry, Outcome
from hullmark.model.epoch import Epoch
from hullmark.model.execution import ExecRecord
from hullmark.model.orders import Orders
from hullmark.model.wire import canonical, to_wire

WHY = "mode observe: this host only checks itself"
REMEDY = "on it: mode: run in agent.yaml, then systemctl reload hullmark-agent"
REFUSED = "order.refused"


class DecliningLedger(Ledger):
    """Takes no orders. May be used from any thread."""

    def __init__(
        self,
        folder: Path,
        cluster_id: str,
        host_id: str,
        problems: Problems,
        outbox: Outbox,
        note: Callable[[Entry], None],
    ) -> None:
        super().__init__(folder, cluster_id, host_id, problems, outbox, note)
        self._declined: Optional[tuple[Epoch, int]] = None

    @property
    def standing(self) -> Accepted:
        """What the leader is told is held are the orders that were declined, so that it does not offer them again at once."""
        accepted = super().standing
        with self._lock:
            current = self._declined is not None and self._declined[0] == self._ruling().epoch
        return Accepted(accepted.orders, accepted.readable, current)

    def accept(self, orders: Orders) -> bool:
        """Refuse them. True where there is nothing more to do with them; False where they are not the leader's to give."""
        with self._accepting:
            if self._closed:
                return False
            why = refusal(self.held, orders)
            if why:
                self.refuse(orders.epoch, orders.leader, why)
                return False
            if self._declined != (orders.epoch, orders.revision):
                self._decline(orders)
        return True

    def _decline(self, orders: Orders) -> None:
        with self._lock:
            self._declined = orders.epoch, orders.revision
            self._take_held_of(orders)
        leader = orders.leader
        self._outbox.add(
            REFUSED,
            f"epoch {orders.epoch}",
            f"from {leader}: {WHY}",
            leader=leader,
            revision=str(orders.revision),
        )
        fields = {"revision": str(orders.revision), "assignments": str(len(orders.assignments))}
        self._note(_refused(self._held.host_id, leader, str(orders.epoch), fields))


class NoCommands:
    """In place of what runs commands in containers."""

    def __init__(self, ledger: Ledger, outbox: Outbox, note: Callable[[Entry], None]) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._note = note

    def lines(self, given: Mapping[str, str]) -> Iterator[bytes]:
        held = self._ledger.held
        self._outbox.add(REFUSED, "exec", WHY, leader=held.leader)
        of = ".".join(given.get(name, "")[:100] for name in ("app", "service", "slot"))
        asked = {"order": "exec", "instance": of}
        self._note(_refused(held.host_id, held.leader, str(held.epoch), asked))
        yield canonical(to_wire(ExecRecord(kind="Refused", error=WHY, remedy=REMEDY))) + b"\n"


def _refused(host_id: str, leader: str, epoch: str, fields: Mapping[str, str]) -> Entry:
    return Entry(
        REFUSED,
        f"host {host_id}",
        outcome=Outcome.REFUSED,
        by=leader or BY_HAND,
        actor=Actor.MASTER,
        origin=leader,
        reason=WHY,
        epoch=epoch,
        fields=fields,
    )
