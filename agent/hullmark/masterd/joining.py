"""`master join`: this machine becomes another master of a cluster that is there already.

    the shared store holds a cluster -> key made here -> its signing request, signed by the root's key -> authority -> certificate

Signed by the leader, for an invite; or here, where the root's key was brought along; or by the shop, for a root of its own. Each step
may be cut short: the next run goes on, with the same token, because the key waits in the state folder.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hullmark.config import MasterConfig
from hullmark.errors import BrokenState, Conflict, Forbidden, NotFound, Refused
from hullmark.masterd.belonging import Opened, check_same, cluster_in, own_cluster
from hullmark.masterd.certificate import ensure_certificate
from hullmark.masterd.folder import Folder, found_here, reachable_at
from hullmark.masterd.init import Made, ShopAuthority, checked, master_name
from hullmark.masterd.storage import open_store
from hullmark.model.peers import JoinAnswer, JoinRequest
from hullmark.model.wire import canonical, to_wire
from hullmark.pki import asking, certificates, intermediates
from hullmark.pki.asking import Ask
from hullmark.pki.authority import Authority, adopt_authority, install_authority
from hullmark.pki.files import write_private
from hullmark.pki.invites import Invite

JOIN_PATH = "/v1/master-joins"
PENDING_KEY = "joining.key"
"""The intermediate's key until its certificate is here."""


@dataclass(frozen=True)
class RootAtHand:
    """The root's key and certificate, brought to this machine for the join."""

    key: Path
    certificate: Path


@dataclass(frozen=True)
class Way:
    """How the new master gets its authority: by exactly one of these. `fingerprint`: what the root's has to be, empty: not said."""

    invite: Optional[Invite] = None
    root: Optional[RootAtHand] = None
    shop: Optional[ShopAuthority] = None
    fingerprint: str = ""


def join(
    config: MasterConfig,
    way: Way,
    addresses: Sequence[str] = (),
    *,
    ask: Ask = asking.ask_over_tls,
    opened: Opened = open_store,
    wall: Callable[[], float] = time.time,
) -> Made:
    """Raises Refused, Forbidden, Conflict, BrokenState, MasterUnavailable, and what opening and using the store raises."""
    folder = Folder.of(config)
    asked = checked(addresses)
    if folder.embedded:
        raise Refused(
            "store.kind is sqlite, and an embedded store has one master",
            remedy="set store.kind: etcd and store.etcd as they are on the first master, then join",
        )
    cluster_id = _cluster(config, folder, opened)
    if folder.complete:
        check_root(Authority.load(folder.pki), way)
        return _made(config, folder, cluster_id, new=False, asked=asked)
    folder.make()
    try:
        if not folder.has_authority:
            _authority(config, folder, cluster_id, way, ask, wall)
        authority = Authority.load(folder.pki)
        check_root(authority, way)
        folder.begin(cluster_id)
        (folder.pki / PENDING_KEY).unlink(missing_ok=True)
        if not folder.addresses_file.exists():
            folder.remember(asked if asked or config.addresses else found_here())
        names = reachable_at(config, folder)
        name = master_name(config)
        ensure_certificate(folder.pki, authority, cluster_id, name, names, wall())
    except OSError as error:
        raise folder.not_usable(error) from error
    return _made(config, folder, cluster_id, new=True)


def check_root(authority: Authority, way: Way) -> None:
    """Raises Conflict where this machine's authority is under another root than was said."""
    expected = way.fingerprint or (way.invite.fingerprint if way.invite else "")
    if expected and authority.root_fingerprint != expected.lower():
        raise Conflict(
            f"the root here has the fingerprint {authority.root_fingerprint[:16]}..., and the one asked for "
            f"{expected[:16]}...",
            remedy="to be a master of another cluster, move the whole state folder away first",
        )


def _cluster(config: MasterConfig, folder: Folder, opened: Opened) -> str:
    """The id of the cluster in the store, before anything else is touched."""
    store = opened(config, folder)
    try:
        known = cluster_in(store)
    finally:
        store.close()
    if known is None:
        raise Refused(
            "the store holds no cluster yet",
            remedy="on the first master: hullmark master init; or store.etcd.endpoints names another etcd",
        )
    if folder.complete:
        check_same(known, own_cluster(folder))
    elif folder.begun():
        check_same(known, folder.begun())
    return known.cluster_id


def _authority(
    config: MasterConfig,
    folder: Folder,
    cluster_id: str,
    way: Way,
    ask: Ask,
    wall: Callable[[], float],
) -> None:
    if way.shop is not None:
        adopt_authority(folder.pki, way.shop.chain, way.shop.key)
        return
    folder.pki.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = _pending(folder.pki / PENDING_KEY)
    name = master_name(config)
    csr_pem = certificates.new_request(key, name).decode()
    if way.root is not None:
        root = _read_root(way.root.certificate, cluster_id)
        signing = intermediates.root_key(root, way.root.key)
        now = wall()
        signed = intermediates.sign_intermediate(csr_pem, cluster_id, name, root, signing, now)
        install_authority(folder.pki, root, [signed], key)
        return
    if way.invite is None:
        raise Refused(
            f"there is no authority in {folder.pki} yet, and no token",
            remedy=f"on the leader: hullmark master invite {name}; carry the token here, then: --token-file FILE",
        )
    given = _asked(way.invite, way.fingerprint, name, csr_pem, ask, wall())
    if given.cluster_id != cluster_id:
        raise Conflict(
            f"the store holds cluster {cluster_id}, and the invite is of cluster {given.cluster_id}",
            remedy="set store.etcd.endpoints to that cluster's etcd",
        )
    root = certificates.load_chain(given.root_pem.encode(), "the leader's answer")[0]
    if certificates.fingerprint(root) != way.invite.fingerprint.lower():
        raise BrokenState("the leader's answer: its root is not the invite's")
    chain = certificates.load_chain(given.chain_pem.encode(), "the leader's answer")
    install_authority(folder.pki, root, chain, key)


def _pending(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        return certificates.load_key(path)
    except (NotFound, BrokenState):
        key = certificates.new_key()
        write_private(path, certificates.key_pem(key))
        return key


def _read_root(path: Path, cluster_id: str) -> x509.Certificate:
    try:
        root = certificates.load_chain(path.read_bytes(), str(path))[0]
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    of = intermediates.cluster_of(root)
    if of and of != cluster_id:
        raise Conflict(f"{path} is the root of cluster {of}, and the store holds {cluster_id}")
    return root


def _asked(
    invite: Invite, fingerprint: str, name: str, csr_pem: str, ask: Ask, now: float
) -> JoinAnswer:
    """By the master of the invite that leads, or the one that it names. Raises MasterUnavailable, Forbidden."""
    if fingerprint and fingerprint.lower() != invite.fingerprint.lower():
        raise Conflict("--ca-sha256 is not the fingerprint that the token has")
    if invite.host != name:
        raise Conflict(
            f"the invite is for master {invite.host}, and this one is {name}",
            remedy=f"on the leader: hullmark master invite {name}; or here, in master.yaml: name: {invite.host}",
        )
    body = canonical(to_wire(JoinRequest(name, invite.secret, csr_pem)))
    try:
        given: JoinAnswer = asking.of_leader(JoinAnswer, invite, JOIN_PATH, body, ask, now)
    except Forbidden as error:
        remedy = error.remedy or f"on the leader: hullmark master invite {name}"
        raise Forbidden(error.message, remedy=remedy) from error
    return given


def _made(
    config: MasterConfig,
    folder: Folder,
    cluster_id: str,
    *,
    new: bool,
    asked: tuple[str, ...] = (),
) -> Made:
    names = reachable_at(config, folder)
    ignored = tuple(address for address in asked if address.lower() not in names)
    fingerprint = Authority.load(folder.pki).root_fingerprint
    return Made(new, cluster_id, names, fingerprint, None, ignored)
