"""Which cluster a store holds, and which one a master's folder is of: before anything is written they have to be the same."""

from __future__ import annotations

from typing import Callable, Optional

from hullmark.config import MasterConfig
from hullmark.errors import BrokenState, Conflict
from hullmark.masterd.certificate import CERTIFICATE
from hullmark.masterd.folder import Folder
from hullmark.masterd.view import decode
from hullmark.model.names import CLUSTER_KEY
from hullmark.model.records import ClusterRecord
from hullmark.pki import certificates
from hullmark.store.protocol import Store

Opened = Callable[[MasterConfig, Folder], Store]
"""Opens the configured store: `storage.open_store`."""


def cluster_in(store: Store) -> Optional[ClusterRecord]:
    """Raises BrokenState for a record that can't be read, and what the store does."""
    entry = store.get(CLUSTER_KEY)
    return None if entry is None else decode(ClusterRecord, CLUSTER_KEY, entry.value)


def own_cluster(folder: Folder) -> str:
    """The id of the cluster whose master this is, by its certificate. Raises BrokenState."""
    path = folder.pki / CERTIFICATE
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise BrokenState(f"{path}: {error.strerror}") from error
    return certificates.identity_of(certificates.load_chain(pem, str(path))[0]).cluster_id


def check_same(known: ClusterRecord, cluster_id: str) -> None:
    """Raises Conflict where the store holds another cluster than this master is of."""
    if known.cluster_id != cluster_id:
        raise Conflict(
            f"the store holds cluster {known.cluster_id}, and this master is of cluster {cluster_id}",
            remedy="set store.etcd.endpoints to this cluster's etcd; a new cluster takes a state folder of its own",
        )


def check_belongs(store: Store, folder: Folder) -> None:
    """To be called before a master leads: nothing is written to a store that is another cluster's. Raises BrokenState, Conflict, and
    what the store does. A store without a cluster is found by whoever leads."""
    known = cluster_in(store)
    if known is not None:
        check_same(known, own_cluster(folder))
