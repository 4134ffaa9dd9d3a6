"""`master init`: make a cluster on this machine, once.

Each step may be cut short: the next run finds what is there and makes the rest. What is there already is never
changed. An authority without its store is a lost store, not a half-made cluster, and nothing is made then.

A store that masters share may hold another master's cluster: only the one whose id was written to this folder first is ours.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from hullmark.config import MasterConfig, values
from hullmark.errors import (
    BrokenState,
    Conflict,
    InvalidInput,
    Problem,
    StoreUnavailable,
    UsageError,
)
from hullmark.masterd.belonging import Opened, check_same, cluster_in, own_cluster
from hullmark.masterd.certificate import ensure_certificate
from hullmark.masterd.folder import Folder, found_here, reachable_at, system_name
from hullmark.masterd.storage import open_store
from hullmark.masterd.view import encode
from hullmark.model.names import CLUSTER_KEY, LEADER_KEY, RESTORING_KEY
from hullmark.model.records import ClusterRecord
from hullmark.pki.authority import ROOT_KEY, Authority, adopt_authority, create_authority
from hullmark.store.protocol import Compare, Put, Store


@dataclass(frozen=True)
class ShopAuthority:
    """An intermediate of the shop's own: PEM files, the chain with the intermediate first and its root last."""

    chain: Path
    key: Path


@dataclass(frozen=True)
class Made:
    """`new`: something was made. `root_key`: where the root's key lies, if it is here."""

    new: bool
    cluster_id: str
    addresses: tuple[str, ...]
    root_fingerprint: str
    root_key: Optional[Path]
    ignored: tuple[str, ...] = ()


def init(
    config: MasterConfig,
    addresses: Sequence[str] = (),
    shop: Optional[ShopAuthority] = None,
    now: Optional[float] = None,
    opened: Opened = open_store,
) -> Made:
    """Raises Refused for a folder that can't be used, BrokenState for what is damaged or lost, Conflict where
    another authority is there already or the store holds another cluster, InvalidInput for an address that is none, and
    what opening and using the store raises."""
    folder = Folder.of(config)
    asked = checked(addresses)
    at = time.time() if now is None else now
    if folder.complete:
        return _there(config, folder, asked, shop, opened)
    folder.make()
    try:
        cluster_id = _cluster(config, folder, at, opened)
        _authority(folder, cluster_id, shop, at)
        if not folder.addresses_file.exists():
            folder.remember(asked if asked or config.addresses else found_here())
        authority = Authority.load(folder.pki)
        names = reachable_at(config, folder)
        ensure_certificate(folder.pki, authority, cluster_id, master_name(config), names, at)
    except OSError as error:
        raise folder.not_usable(error) from error
    return _made(folder, cluster_id, authority, names, new=True)


def master_name(config: MasterConfig) -> str:
    return config.name or system_name()


def checked(addresses: Sequence[str]) -> tuple[str, ...]:
    """What `--address` gave. Raises InvalidInput."""
    try:
        return values.addresses(list(addresses))
    except ValueError:
        problem = Problem(
            ", ".join(addresses), field="--address", allowed="a name or an IP address"
        )
        raise InvalidInput([problem]) from None


def _there(
    config: MasterConfig,
    folder: Folder,
    asked: tuple[str, ...],
    shop: Optional[ShopAuthority],
    opened: Opened,
) -> Made:
    """All was made before. Nothing is changed."""
    if shop is not None:
        raise Conflict(
            f"{folder.pki} holds an authority already",
            remedy="a cluster keeps its authority; for another one, use another state folder",
        )
    cluster_id = own_cluster(folder)
    if not folder.embedded:
        _check_shared(config, folder, cluster_id, opened)
    names = reachable_at(config, folder)
    ignored = tuple(address for address in asked if address.lower() not in names)
    authority = Authority.load(folder.pki)
    return _made(folder, cluster_id, authority, names, new=False, ignored=ignored)


def _made(
    folder: Folder,
    cluster_id: str,
    authority: Authority,
    names: tuple[str, ...],
    *,
    new: bool,
    ignored: tuple[str, ...] = (),
) -> Made:
    root_key = folder.pki / ROOT_KEY
    return Made(
        new,
        cluster_id,
        names,
        authority.root_fingerprint,
        root_key if root_key.exists() else None,
        ignored,
    )


def _cluster(config: MasterConfig, folder: Folder, now: float, opened: Opened) -> str:
    """The cluster's id, from its store. An embedded one is made where there is none."""
    if folder.embedded and folder.has_authority and not folder.has_store:
        raise BrokenState(
            f"{folder.store} is missing, though the cluster's authority is there",
            remedy="restore the store from a copy; for a new cluster, move the whole folder away first",
        )
    store = opened(config, folder)
    try:
        if not folder.embedded:
            return _shared_cluster(store, folder, now)
        return _put(store, uuid.uuid4().hex, now)
    finally:
        store.close()


def _shared_cluster(store: Store, folder: Folder, now: float) -> str:
    """In a store that is not this master's alone: ours is the one that was begun here."""
    begun, known = folder.begun(), cluster_in(store)
    if known is None and folder.has_authority:
        raise _lost(begun)
    if known is not None and not folder.has_authority and store.get(LEADER_KEY) is not None:
        raise _others(known.cluster_id, folder)
    if known is None:
        begun = begun or uuid.uuid4().hex
        folder.begin(begun)
        found = _put(store, begun, now)
    else:
        found = known.cluster_id
    if found != begun:
        raise _others(found, folder)
    return found


def _put(store: Store, cluster_id: str, now: float) -> str:
    """The id of the cluster that is in the store then: another's, if that was there."""
    record = ClusterRecord(cluster_id, now)
    store.commit(
        [Compare(CLUSTER_KEY, 0), Compare(RESTORING_KEY, 0)], [Put(CLUSTER_KEY, encode(record))]
    )
    known = cluster_in(store)
    if known is None:
        raise Conflict(
            "a snapshot is being restored into the store, or was in part",
            remedy="let it be finished: hullmark snapshot restore FILE",
        )
    return known.cluster_id


def _check_shared(config: MasterConfig, folder: Folder, cluster_id: str, opened: Opened) -> None:
    """Raises BrokenState or Conflict where the store holds no cluster any more, or another. One that does not answer is not
    in the way of a run that has nothing to do."""
    try:
        store = opened(config, folder)
        try:
            known = cluster_in(store)
        finally:
            store.close()
    except StoreUnavailable:
        return
    if known is None:
        raise _lost(cluster_id)
    check_same(known, cluster_id)


def _others(cluster_id: str, folder: Folder) -> Conflict:
    return Conflict(
        f"the store holds cluster {cluster_id} already, and its authority is not in {folder.pki}",
        remedy="to be its second master: on its leader: hullmark master invite NAME; here: hullmark master join. "
        "If this was its master: restore that folder from a copy. Another cluster takes an etcd of its own",
    )


def _lost(cluster_id: str) -> BrokenState:
    return BrokenState(
        f"the store holds no cluster, though the authority of cluster {cluster_id} is here",
        remedy="if store.etcd.endpoints names the right etcd: hullmark snapshot restore FILE; for a new cluster, "
        "move the whole state folder away first",
    )


def _authority(folder: Folder, cluster_id: str, shop: Optional[ShopAuthority], now: float) -> None:
    if folder.has_authority:
        if shop is not None:
            raise Conflict(f"{folder.pki} holds an authority already")
        return
    if shop is None:
        create_authority(folder.pki, cluster_id, now)
    else:
        adopt_authority(folder.pki, shop.chain, shop.key)


def shop_authority(chain: Optional[str], key: Optional[str]) -> Optional[ShopAuthority]:
    """Raises UsageError where only one of both is given."""
    if chain is None and key is None:
        return None
    if chain is None or key is None:
        raise UsageError("--ca-chain and --ca-key belong together")
    return ShopAuthority(Path(chain), Path(key))
