"""`master init --reclaim`: a new incarnation in the store that is there, for hosts that obey a higher epoch than it holds.

So it is where the store itself was put back from a copy (a file of SQLite's, a snapshot of etcd's). One transaction writes the
incarnation with its proof, an event, and a leader record that names nobody: whoever leads is fenced off by it.
"""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass

from hullmark.config import MasterConfig
from hullmark.errors import Conflict, Refused
from hullmark.masterd.belonging import Opened, check_same, cluster_in, own_cluster
from hullmark.masterd.events import NUMBERS_SKIPPED
from hullmark.masterd.folder import Folder
from hullmark.masterd.incarnations import Incarnations
from hullmark.masterd.init import master_name
from hullmark.masterd.storage import open_store
from hullmark.masterd.view import encode
from hullmark.model.epoch import Epoch
from hullmark.model.event import Event
from hullmark.model.names import CLUSTER_KEY, EVENTS, LEADER_KEY
from hullmark.model.records import ClusterRecord, EventBatch, LeaderRecord
from hullmark.pki.authority import Authority
from hullmark.pki.statements import sign_incarnation
from hullmark.store.protocol import Compare, Put, Store

ATTEMPTS = 5
"""A leader may begin a term meanwhile."""


@dataclass(frozen=True)
class Reclaimed:
    cluster_id: str
    incarnation: int


def reclaim(
    config: MasterConfig,
    cluster_id: str,
    *,
    by: str,
    now: float,
    opened: Opened = open_store,
) -> Reclaimed:
    """Raises Refused where this is no master or the cluster isn't the one that was named, Conflict where the store holds another or
    was changed again and again, BrokenState, and what opening and using the store raises. Each time it begins another incarnation."""
    folder = Folder.of(config)
    if not folder.complete:
        raise Refused(
            f"there is no master's authority in {folder.path}, which has to sign an incarnation",
            remedy="do it on a machine that is one of the cluster's masters",
        )
    own = own_cluster(folder)
    if cluster_id != own:
        raise Refused(
            f"this is a master of cluster {own}, not of {cluster_id[:64]}",
            remedy=f"if you mean this one: hullmark master init --reclaim {own}",
        )
    authority = Authority.load(folder.pki)
    store = opened(config, folder)
    try:
        for _ in range(ATTEMPTS):
            begun = _begin(store, folder, authority, master_name(config), by, now)
            if begun:
                return Reclaimed(own, begun)
    finally:
        store.close()
    raise Conflict("the store was changed at the same moment", remedy="run it again")


def _begin(
    store: Store, folder: Folder, authority: Authority, master: str, by: str, now: float
) -> int:
    """The incarnation; 0 where another writer was faster."""
    known = cluster_in(store)
    entry = store.get(CLUSTER_KEY)
    if known is None or entry is None:
        raise Refused("the store holds no cluster", remedy="hullmark snapshot restore FILE")
    check_same(known, own_cluster(folder))
    incarnations = Incarnations(folder)
    number = incarnations.next(known, 0)
    try:
        incarnations.remember(known.cluster_id, number)
    except OSError as error:
        raise folder.not_usable(error) from error
    cluster = _signed(known, authority, number, by, now)
    leader = store.get(LEADER_KEY)
    nobody = LeaderRecord(Epoch(number, 0), "", "", now)
    event_key = _event_key(store)
    done = store.commit(
        [
            Compare(CLUSTER_KEY, entry.modified),
            Compare(LEADER_KEY, 0 if leader is None else leader.modified),
            Compare(event_key, 0),
        ],
        [
            Put(CLUSTER_KEY, encode(cluster)),
            Put(LEADER_KEY, encode(nobody)),
            Put(event_key, encode(EventBatch((_event(number, master, by, now),)))),
        ],
    )
    return number if done.succeeded else 0


def _signed(
    known: ClusterRecord, authority: Authority, number: int, by: str, now: float
) -> ClusterRecord:
    proof = sign_incarnation(
        authority, known.cluster_id, number, reason="reclaimed", by=by, now=now
    )
    return dataclasses.replace(known, incarnation=number, proof=proof)


def _event_key(store: Store) -> str:
    """Above all that former leaders wrote."""
    last = max((entry.key for entry in store.list(EVENTS).entries), default=f"{EVENTS}0")
    return f"{EVENTS}{int(last[len(EVENTS) :]) + NUMBERS_SKIPPED:016d}"


def _event(number: int, master: str, by: str, now: float) -> Event:
    return Event(
        uuid.uuid4().hex,
        now,
        "cluster.reclaimed",
        "the cluster",
        master,
        f"incarnation {number} was begun; whoever led was fenced off",
        by,
        {"incarnation": str(number)},
    )
