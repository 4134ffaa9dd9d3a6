"""Records of hosts' proxies: what this leader knows of them is kept in the store, so that the next one knows it of a host whose agent says nothing.

Kept is what hosts are told, of hosts that have reported in this term; a record of another host stays as a former leader left it. One transaction in
`EVERY_S` at most, with whose record has waited longest, however much changes: in a fleet of 1,000 hosts all are kept within half a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Optional

from hullmark import log
from hullmark.core.lastknown import record_of
from hullmark.errors import Refused, StaleEpoch, StoreUnavailable
from hullmark.masterd.directories import Directories
from hullmark.masterd.leadership import size_bytes
from hullmark.masterd.putoff import PutOff
from hullmark.masterd.term import Term
from hullmark.masterd.view import View, encode
from hullmark.model.names import PROXIES
from hullmark.model.observed import HostState
from hullmark.model.records import HostAssignments, ProxyRecord
from hullmark.model.snapshot import Snapshot
from hullmark.store.protocol import MAX_OPERATIONS, MAX_TRANSACTION_BYTES, Delete, Put, Write

EVERY_S = 2.0
FENCE_BYTES = 1024
"""Of a transaction, left for the compare of the leader record."""

_log = log.get("proxies")


@dataclass(frozen=True, eq=False)
class _Source:
    """What a record was made from. All but the place are replaced when they change, never changed, and too large to be compared."""

    state: HostState
    orders: Optional[HostAssignments]
    addresses: Mapping[str, str]
    place: Optional[tuple[str, int]]

    def same(self, other: _Source) -> bool:
        return (
            self.state is other.state
            and self.orders is other.orders
            and self.addresses is other.addresses
            and self.place == other.place
        )


class ProxyRecords:
    """The only writer of these records."""

    def __init__(self, term: Term, directories: Directories) -> None:
        self._term = term
        self._directories = directories
        self._made: dict[str, tuple[_Source, Optional[ProxyRecord]]] = {}
        self._waiting: list[str] = []
        what = "what is known of proxies is"
        self._late = PutOff(_log, f"{what} not kept yet", f"{what} kept again")

    async def run(self) -> None:
        """Until this master leads no more."""
        while self._term.leadership.is_leader:
            await asyncio.sleep(EVERY_S)
            try:
                await self.keep()
            except StaleEpoch:
                return
            except (StoreUnavailable, Refused) as error:
                self._late.failed(error)
            else:
                self._late.done()

    async def keep(self) -> int:
        """Write what differs, as much as fits one transaction; how many records. Raises what `Leadership.commit` does."""
        proxies = self._directories.proxies
        if proxies is None:
            return 0
        loop, snapshot = asyncio.get_running_loop(), self._term.snapshot()
        view = self._term.view
        gone = {key[len(PROXIES) :] for key in view.keys(PROXIES)} - snapshot.hosts.keys()
        # In a thread: an address that comes or goes concerns all hosts.
        made = await loop.run_in_executor(None, self._records, snapshot, proxies)
        wanted = {**dict.fromkeys(gone), **made}
        differing = {key for key, record in wanted.items() if _differs(view, key, record)}
        first = dict.fromkeys((*self._waiting, *sorted(differing)))
        self._waiting = [key for key in first if key in differing]
        writes = _fitting(_write(key, wanted[key]) for key in self._waiting)
        if writes:
            await self._term.leadership.commit([], writes)
            self._waiting = self._waiting[len(writes) :]
        return len(writes)

    def _records(
        self, snapshot: Snapshot, proxies: Mapping[str, tuple[str, int]]
    ) -> Mapping[str, Optional[ProxyRecord]]:
        """Of hosts that reported, by id. What nothing of has changed is not made anew."""
        made = {}
        for host_id in snapshot.hosts.keys() & snapshot.observed.keys():
            state, orders = snapshot.observed[host_id], snapshot.assignments.get(host_id)
            source = _Source(state, orders, snapshot.addresses, proxies.get(host_id))
            before = self._made.get(host_id)
            if before is not None and before[0].same(source):
                made[host_id] = before
            else:
                made[host_id] = source, record_of(snapshot, host_id, proxies)
        self._made = made
        return {host_id: record for host_id, (_, record) in made.items()}


def _differs(view: View, host_id: str, record: Optional[ProxyRecord]) -> bool:
    """Where there is to be none, one that can't be read is one too."""
    if record is None:
        return view.modified(PROXIES + host_id) > 0
    return record != view.proxies.get(host_id)


def _write(host_id: str, record: Optional[ProxyRecord]) -> Write:
    key = PROXIES + host_id
    return Delete(key) if record is None else Put(key, encode(record))


def _fitting(writes: Iterable[Write]) -> list[Write]:
    """The first of them, as many as one transaction takes beside the fence."""
    found: list[Write] = []
    room = MAX_TRANSACTION_BYTES - FENCE_BYTES
    for write in writes:
        room -= size_bytes([write])
        if room < 0 or len(found) == MAX_OPERATIONS - 1:
            break
        found.append(write)
    return found
