"""The view: what the store holds, decoded, in memory.

It is fed twice: with each transaction of this master at once, and with the store's own changes. Every
key remembers the revision of its last change, so a change that comes again, or late, does nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

from hullmark.errors import BrokenState, Conflict, InvalidInput
from hullmark.masterd.refusals import no_app
from hullmark.model import names, wire
from hullmark.model.app import Bundle, bundle
from hullmark.model.changecontrol import BreakGlassRecord, ControlRecord, PendingRecord
from hullmark.model.host import HostRecord
from hullmark.model.loadline import NO_RECORD, LoadLineRecord
from hullmark.model.outage import IncidentRecord
from hullmark.model.records import (
    NO_ADDRESSES,
    AppRecord,
    ClusterRecord,
    EventBatch,
    GenerationRecord,
    HomesRecord,
    HostAssignments,
    InviteRecord,
    LeaderRecord,
    MasterRecord,
    ProxyRecord,
    RequestRecord,
    Rollout,
    ServiceAddresses,
    SessionRecord,
    TokenRecord,
)
from hullmark.store.protocol import Entry, Listing, Put, Write

_TABLES: Mapping[str, type] = {
    names.APPS: AppRecord,
    names.HOSTS: HostRecord,
    names.ASSIGNMENTS: HostAssignments,
    names.REQUESTS: RequestRecord,
    names.INVITES: InviteRecord,
    names.SESSIONS: SessionRecord,
    names.TOKENS: TokenRecord,
    names.HOMES: HomesRecord,
    names.ROLLOUTS: Rollout,
    names.MASTERS: MasterRecord,
    names.CONTROL: ControlRecord,
    names.PENDING: PendingRecord,
    names.BREAK_GLASS: BreakGlassRecord,
    names.INCIDENTS: IncidentRecord,
    names.LOADLINE: LoadLineRecord,
    names.PROXIES: ProxyRecord,
}
_SURVEYED = (names.PROXIES,)
"""Tables that nothing is decided by, and that are made anew: a record there that can't be read is as good as none."""


def encode(value: Any) -> bytes:
    """A record as the store keeps it."""
    return wire.canonical(wire.to_wire(value))


def decode(cls: type[wire.T], key: str, value: bytes) -> wire.T:
    """Raises BrokenState naming the key. Unknown fields are a newer master's, and are ignored."""
    try:
        return wire.from_wire(cls, json.loads(value), ignore_unknown=True)
    except (ValueError, InvalidInput) as error:
        raise BrokenState(
            f"the store's {key} can't be read: {error}",
            remedy="restore the store from a copy; this master changes nothing until then",
        ) from error


class View:
    """Mappings are replaced when they change, never changed: whoever holds one has it as it was."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._tables: dict[str, dict[str, Any]] = {prefix: {} for prefix in _TABLES}
        self._modified: dict[str, int] = {}
        self._deleted: dict[str, int] = {}
        self._bundles: dict[str, Bundle] = {}
        self.cluster: Optional[ClusterRecord] = None
        self.leader: Optional[LeaderRecord] = None
        self.addresses = NO_ADDRESSES
        self.revision = 0

    @property
    def apps(self) -> Mapping[str, AppRecord]:
        return self._tables[names.APPS]

    @property
    def hosts(self) -> Mapping[str, HostRecord]:
        return self._tables[names.HOSTS]

    @property
    def assignments(self) -> Mapping[str, HostAssignments]:
        return self._tables[names.ASSIGNMENTS]

    @property
    def requests(self) -> Mapping[str, RequestRecord]:
        return self._tables[names.REQUESTS]

    @property
    def invites(self) -> Mapping[str, InviteRecord]:
        return self._tables[names.INVITES]

    @property
    def sessions(self) -> Mapping[str, SessionRecord]:
        return self._tables[names.SESSIONS]

    @property
    def tokens(self) -> Mapping[str, TokenRecord]:
        return self._tables[names.TOKENS]

    @property
    def homes(self) -> Mapping[str, HomesRecord]:
        return self._tables[names.HOMES]

    @property
    def rollouts(self) -> Mapping[str, Rollout]:
        return self._tables[names.ROLLOUTS]

    @property
    def masters(self) -> Mapping[str, MasterRecord]:
        return self._tables[names.MASTERS]

    @property
    def control(self) -> Optional[ControlRecord]:
        """None where there is no change control."""
        found: Optional[ControlRecord] = self._tables[names.CONTROL].get("document")
        return found

    @property
    def pending(self) -> Mapping[str, PendingRecord]:
        return self._tables[names.PENDING]

    @property
    def glasses(self) -> Mapping[str, BreakGlassRecord]:
        return self._tables[names.BREAK_GLASS]

    @property
    def loadline(self) -> LoadLineRecord:
        """The mark, and people's words against it."""
        found: LoadLineRecord = self._tables[names.LOADLINE].get("document", NO_RECORD)
        return found

    @property
    def proxies(self) -> Mapping[str, ProxyRecord]:
        """By host id, also of hosts that were removed a moment ago."""
        return self._tables[names.PROXIES]

    @property
    def incidents(self) -> Mapping[str, IncidentRecord]:
        return self._tables[names.INCIDENTS]

    def app(self, name: str) -> AppRecord:
        """Raises NotFound."""
        record = self.apps.get(name)
        if record is None:
            raise no_app(name)
        return record

    def living_app(self, name: str) -> AppRecord:
        """Raises NotFound, and Conflict for one that is being removed."""
        record = self.app(name)
        if record.removing:
            raise Conflict(f"app {name} is being removed", remedy=f"hullmark ps {name}")
        return record

    def modified(self, key: str) -> int:
        """The revision of the key's last change, 0 if there is no such key: for a compare."""
        return self._modified.get(key, 0)

    def keys(self, prefix: str) -> list[str]:
        """Every key of the store that begins so, in order: also of what is not held here."""
        return sorted(key for key in self._modified if key.startswith(prefix))

    def revisions(self, *prefixes: str) -> dict[str, int]:
        """`modified` of every key under the prefixes."""
        return {
            prefix + name: self._modified[prefix + name]
            for prefix in prefixes
            for name in self._tables[prefix]
        }

    def bundle(self, spec_hash: str) -> Optional[Bundle]:
        return self._bundles.get(spec_hash)

    def load(self, listing: Listing) -> None:
        """Take over everything as it stands. Raises BrokenState for a value that can't be read."""
        self._clear()
        for entry in listing.entries:
            self._take(entry)
        self.revision = listing.revision
        for record in self.apps.values():
            self._add_bundles(record)
        self._add_former_bundles(listing)

    def _take(self, entry: Entry) -> None:
        self._modified[entry.key] = entry.modified
        table, name = _place(entry.key)
        if not table:
            self._take_single(entry.key, entry.value)
            return
        record = _read(table, entry.key, entry.value)
        if record is not None:
            self._tables[table][name] = record

    def _take_single(self, key: str, value: Optional[bytes]) -> None:
        if key == names.CLUSTER_KEY and value is not None:
            self.cluster = decode(ClusterRecord, key, value)
        elif key == names.LEADER_KEY:
            self.leader = None if value is None else decode(LeaderRecord, key, value)
        elif key == names.SERVICE_ADDRESSES:
            self.addresses = NO_ADDRESSES if value is None else decode(ServiceAddresses, key, value)

    def apply(self, key: str, value: Optional[bytes], revision: int) -> bool:
        """One change of the store; False where it was known. None deletes the key."""
        if revision <= max(self._modified.get(key, 0), self._deleted.get(key, 0)):
            return False
        table, name = _place(key)
        record = _read(table, key, value) if table and value is not None else None
        if value is None:
            self._modified.pop(key, None)
            self._deleted[key] = revision
        else:
            self._modified[key] = revision
        if not table:
            self._take_single(key, value)
            return True
        replaced = {**self._tables[table]}
        if record is None:
            replaced.pop(name, None)
        else:
            replaced[name] = record
        self._tables[table] = replaced
        if table == names.APPS:
            self._follow_app(record)
        return True

    def apply_writes(self, writes: Iterable[Write], revision: int) -> list[str]:
        """A transaction of this master; the keys that are new to the view."""
        return [
            write.key
            for write in writes
            if self.apply(write.key, write.value if isinstance(write, Put) else None, revision)
        ]

    def passed(self, revision: int) -> None:
        """The store's changes up to this revision have all been applied."""
        self.revision = max(self.revision, revision)
        self._deleted = {key: at for key, at in self._deleted.items() if at > revision}

    def _follow_app(self, record: Optional[AppRecord]) -> None:
        if record is not None:
            self._add_bundles(record)
        # A bundle goes with the last of its record and the last assignment that was made from it.
        used = self._used()
        self._bundles = {key: kept for key, kept in self._bundles.items() if key in used}

    def _add_former_bundles(self, listing: Listing) -> None:
        """Of instances whose turn to be replaced has not come: what they are made of is in history only."""
        used = self._used()
        missing = used - self._bundles.keys()
        for entry in reversed(listing.entries):
            if missing and entry.key.startswith(names.HISTORY):
                # One that can't be read must not keep everything else from being led.
                with contextlib.suppress(BrokenState):
                    self._add_bundles(decode(GenerationRecord, entry.key, entry.value).record)
                    missing = used - self._bundles.keys()
        self._bundles = {key: kept for key, kept in self._bundles.items() if key in used}

    def _used(self) -> set[str]:
        """Spec hashes of all that is assigned, and of all that may be."""
        used = {
            item.spec_hash for orders in self.assignments.values() for item in orders.assignments
        }
        for app in self.apps.values():
            used.update(app.spec_hashes.values())
        return used

    def _add_bundles(self, record: AppRecord) -> None:
        for service, spec_hash in record.spec_hashes.items():
            if spec_hash not in self._bundles and service in record.app.services:
                self._bundles[spec_hash] = bundle(record.app, service)


def _place(key: str) -> tuple[str, str]:
    """(table, name), or two empty strings for a key that stands alone."""
    for prefix in _TABLES:
        if key.startswith(prefix):
            return prefix, key[len(prefix) :]
    return "", ""


def _read(table: str, key: str, value: bytes) -> Any:
    """None for one that can't be read where that keeps nobody from leading. Raises BrokenState where it does."""
    try:
        return decode(_TABLES[table], key, value)
    except BrokenState:
        if table not in _SURVEYED:
            raise
        return None


def event_batches(listing: Listing) -> Sequence[tuple[str, EventBatch]]:
    """The stored events, oldest first. One that can't be read is left out: events decide nothing."""
    found = []
    for entry in listing.entries:
        if entry.key.startswith(names.EVENTS):
            try:
                found.append((entry.key, decode(EventBatch, entry.key, entry.value)))
            except BrokenState:
                continue
    return found
