"""Where the cluster's store is opened: the one place that knows which kind it is."""

from __future__ import annotations

from hullmark.config import MasterConfig
from hullmark.masterd.folder import Folder
from hullmark.store.protocol import Store
from hullmark.store.sqlite import SqliteStore


def open_store(config: MasterConfig, folder: Folder) -> Store:
    """The store that `store.kind` names; an embedded one is made where there is none. Raises as its class does."""
    kinds = {"sqlite": SqliteStore}
    return kinds[config.store_kind](folder.store)
