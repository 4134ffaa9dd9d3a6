"""`master init`: make a cluster on this machine, once.

Each step may be cut short: the next run finds what is there and makes the rest. What is there already is never
changed. An authority without its store is a lost store, not a half-made cluster, and nothing is made then.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from hullmark.config import MasterConfig, values
from hullmark.errors import BrokenState, Conflict, InvalidInput, Problem, UsageError
from hullmark.masterd.certificate import CERTIFICATE, ensure_certificate
from hullmark.masterd.folder import Folder, found_here, reachable_at, system_name
from hullmark.masterd.storage import open_store
from hullmark.masterd.view import decode, encode
from hullmark.model.names import CLUSTER_KEY
from hullmark.model.records import ClusterRecord
from hullmark.pki import certificates
from hullmark.pki.authority import ROOT_KEY, Authority, adopt_authority, create_authority
from hullmark.store.protocol import Compare, Put


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
) -> Made:
    """Raises Refused for a folder that can't be used, BrokenState for what is damaged or lost, Conflict where
    another authority is there already, InvalidInput for an address that is none."""
    folder = Folder(Path(config.state_dir))
    asked = _checked(addresses)
    at = time.time() if now is None else now
    if folder.complete:
        return _there(config, folder, asked, shop)
    folder.make()
    try:
        cluster_id = _cluster(config, folder, at)
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


def _checked(addresses: Sequence[str]) -> tuple[str, ...]:
    try:
        return values.addresses(list(addresses))
    except ValueError:
        problem = Problem(
            ", ".join(addresses), field="--address", allowed="a name or an IP address"
        )
        raise InvalidInput([problem]) from None


def _there(
    config: MasterConfig, folder: Folder, asked: tuple[str, ...], shop: Optional[ShopAuthority]
) -> Made:
    """All was made before. Nothing is changed."""
    if shop is not None:
        raise Conflict(
            f"{folder.pki} holds an authority already",
            remedy="a cluster keeps its authority; for another one, use another state folder",
        )
    pem = (folder.pki / CERTIFICATE).read_bytes()
    identity = certificates.identity_of(certificates.load_chain(pem, CERTIFICATE)[0])
    names = reachable_at(config, folder)
    ignored = tuple(address for address in asked if address.lower() not in names)
    authority = Authority.load(folder.pki)
    return _made(folder, identity.cluster_id, authority, names, new=False, ignored=ignored)


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


def _cluster(config: MasterConfig, folder: Folder, now: float) -> str:
    """The cluster's id, from its store, which is made where there is none."""
    if folder.has_authority and not folder.has_store:
        raise BrokenState(
            f"{folder.store} is missing, though the cluster's authority is there",
            remedy="restore the store from a copy; for a new cluster, move the whole folder away first",
        )
    store = open_store(config, folder)
    try:
        record = ClusterRecord(uuid.uuid4().hex, now)
        store.commit([Compare(CLUSTER_KEY, 0)], [Put(CLUSTER_KEY, encode(record))])
        entry = store.get(CLUSTER_KEY)
        assert entry is not None
        return decode(ClusterRecord, CLUSTER_KEY, entry.value).cluster_id
    finally:
        store.close()


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
