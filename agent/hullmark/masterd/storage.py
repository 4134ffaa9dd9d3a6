"""Where the cluster's store is opened: the one place that knows which kind it is."""

from __future__ import annotations

from pathlib import Path

from hullmark.config import MasterConfig
from hullmark.errors import BrokenState, NotFound, Refused
from hullmark.masterd.folder import Folder
from hullmark.pki.files import read_private
from hullmark.store.etcd import EtcdStore
from hullmark.store.gateway import Access
from hullmark.store.protocol import Store
from hullmark.store.sqlite import SqliteStore


def open_store(config: MasterConfig, folder: Folder) -> Store:
    """The store that `store.kind` names. An embedded one is made where there is none, and raises as its class does; etcd
    is connected to when it is first used. Raises BrokenState where a private file of etcd's is not private."""
    if config.store_kind == "sqlite":
        return SqliteStore(folder.store)
    return EtcdStore(_access(config))


def _access(config: MasterConfig) -> Access:
    if config.store_etcd_key:
        _read(config.store_etcd_key)
    if config.store_etcd_user:
        _password(config)
    return Access(
        config.store_etcd_endpoints,
        ca=config.store_etcd_ca,
        cert=config.store_etcd_cert,
        key=config.store_etcd_key,
        user=config.store_etcd_user,
        password=lambda: _password(config),
    )


def _password(config: MasterConfig) -> str:
    """Read anew for each token, so that it may be changed while the master runs."""
    text = _read(config.store_etcd_password_file).decode(errors="replace").rstrip("\r\n")
    if not text:
        raise BrokenState(f"{config.store_etcd_password_file} is empty")
    return text


def _read(path: str) -> bytes:
    try:
        return read_private(Path(path))
    except NotFound as error:
        raise BrokenState(error.message, remedy="see store.etcd in master.yaml") from error
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
