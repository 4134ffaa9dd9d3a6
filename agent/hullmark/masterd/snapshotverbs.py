"""`snapshot verify` and `snapshot restore`: on files, and on the store of a master that is stopped."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

from cryptography import x509

from hullmark.config import MASTER_FILE, MasterConfig, load_master
from hullmark.errors import HullmarkError, Refused
from hullmark.launchers import start_command
from hullmark.masterd.certificate import CERTIFICATE
from hullmark.masterd.folder import Folder, system_name
from hullmark.masterd.incarnations import Incarnations
from hullmark.masterd.owner import acting_as, owner_of
from hullmark.masterd.restoring import Restored, Restorer, must_be_empty
from hullmark.masterd.snapshotreading import Source, Verified, opened
from hullmark.masterd.storage import open_store
from hullmark.masterd.verbnotes import noted, whoever
from hullmark.model.moments import moment
from hullmark.model.names import ROOT
from hullmark.model.snapshotfile import held
from hullmark.pki import certificates
from hullmark.pki.authority import ROOT_CERTIFICATE, Authority

VERIFY, RESTORE = "snapshot-verify", "snapshot-restore"
VERBS = (VERIFY, RESTORE)


def add(verbs: Any) -> None:
    """To the daemon's own command line; `hullmark snapshot` has its help for people."""
    for name in VERBS:
        verb = verbs.add_parser(name)
        verb.add_argument("file", metavar="FILE")
        verb.add_argument("--output", choices=("text", "json"), default="text")
        verb.add_argument("--config", metavar="FILE", default=MASTER_FILE)
        if name == VERIFY:
            verb.add_argument("--ca", metavar="FILE")
        else:
            verb.add_argument("--incarnation", type=int, default=0, metavar="N")


def shown(verb: str) -> str:
    """What a person typed for it."""
    return f"hullmark {verb.replace('-', ' ')}" if verb in VERBS else f"hullmark master {verb}"


def run(options: argparse.Namespace) -> None:
    """Raises what `verify` and `restore` do."""
    with opened(Path(options.file)) as source:
        if options.verb == VERIFY:
            document, lines = _verified(options, source)
        else:
            document, lines = _restored(options, source)
    print(json.dumps(document, indent=2) if options.output == "json" else "\n".join(lines))


Told = tuple[Mapping[str, Any], list[str]]


def _verified(options: argparse.Namespace, source: Source) -> Told:
    root, where = _root(options)
    found = source.verify(root)
    document = {"schema": "hullmark.snapshot-verify/1", "file": options.file, **_facts(found)}
    lines = ["good: nothing is missing, and nothing was changed", *_lines(found)]
    if root is None:
        lines.append("note: who signed it was not checked: name the cluster's root: --ca root.pem")
    else:
        lines.append(f"  signed by     a master of the cluster, by the root {where}")
    return document, [*lines, *_warnings(found)]


def _root(options: argparse.Namespace) -> tuple[Optional[x509.Certificate], str]:
    """The cluster's root as it is named, or found here; None where there is none that this user may read. Raises what
    `load_master` does for a configuration that somebody named."""
    if options.ca:
        path = Path(options.ca)
        try:
            return certificates.load_chain(path.read_bytes(), str(path))[-1], str(path)
        except OSError as error:
            raise Refused(
                f"{path} can't be read: {error.strerror}",
                remedy="name the cluster's root certificate: root.pem in a master's pki folder",
            ) from error
    try:
        state_dir = load_master(options.config).config.state_dir
        path = Folder(Path(state_dir)).pki / ROOT_CERTIFICATE
        return certificates.load_chain(path.read_bytes(), str(path))[0], str(path)
    except (OSError, HullmarkError) as error:
        if isinstance(error, HullmarkError) and options.config != MASTER_FILE:
            raise
        return None, ""


def _restored(options: argparse.Namespace, source: Source) -> Told:
    by = whoever()
    owner = owner_of(Path(load_master(options.config).config.state_dir))
    with acting_as(owner):
        config = load_master(options.config, owned=True).config
        with noted(Path(config.state_dir), "cluster.restore", "cluster", by):
            found, done = restore(config, source, by=by, incarnation=options.incarnation)
    document = {
        "schema": "hullmark.snapshot-restore/1",
        "changed": True,
        "file": options.file,
        **_facts(found),
        "restored_incarnation": done.incarnation,
        "resumed": done.resumed,
        "store": config.store_kind,
    }
    lines = [
        f"restored into the {config.store_kind} store, as incarnation {done.incarnation}",
        *_lines(found),
        *_warnings(found),
        f"next      {start_command('masterd')}; then: hullmark status, and hullmark orphans",
    ]
    return document, lines


def restore(
    config: MasterConfig,
    source: Source,
    *,
    by: str,
    incarnation: int = 0,
    now: Optional[float] = None,
) -> tuple[Verified, Restored]:
    """Into the empty store of this master, which must not run. `incarnation` 0: the next. Raises what `Restorer.restore` does,
    Refused for another cluster's snapshot or a machine without the cluster's authority, BrokenState, NotFound."""
    folder = Folder.of(config)
    if not folder.has_authority:
        raise Refused(
            f"{folder.pki} has no authority of the cluster, so hosts would not believe this master",
            remedy="put back the copy of that folder first, or restore on the other master's machine",
        )
    authority = Authority.load(folder.pki)
    found = source.verify(authority.root)
    _must_be_ours(folder, found)
    store = open_store(config, folder)
    try:
        must_be_empty(store.list(ROOT))
        incarnations = Incarnations(folder)
        number = incarnations.next(found.cluster, incarnation)
        try:
            incarnations.remember(found.cluster.cluster_id, number)
        except OSError as error:
            raise folder.not_usable(error) from error
        at = time.time() if now is None else now
        restorer = Restorer(store, authority, by=by, origin=config.name or system_name(), now=at)
        return found, restorer.restore(source, found, number)
    finally:
        store.close()


def _must_be_ours(folder: Folder, found: Verified) -> None:
    """Raises Refused for the snapshot of another cluster under the same root, such as a shop's own."""
    certificate = folder.pki / CERTIFICATE
    if not certificate.exists():
        return
    mine = certificates.identity_of(
        certificates.load_chain(certificate.read_bytes(), CERTIFICATE)[0]
    ).cluster_id
    if mine != found.cluster.cluster_id:
        raise Refused(
            f"the snapshot is of cluster {found.cluster.cluster_id}, and this master is of {mine}",
            remedy="restore it on a master of its own cluster",
        )


def _facts(found: Verified) -> dict[str, Any]:
    head = found.head
    return {
        "cluster_id": head.cluster_id,
        "epoch": str(head.epoch),
        "revision": head.revision,
        "saved_at": moment(head.saved_at),
        "saved_by": head.by,
        "master": head.master,
        "version": head.version,
        "entries": found.end.count,
        "counts": dict(found.counts),
        "size_bytes": found.size_bytes,
        "sha256": found.end.sha256,
        "signer_sha256": found.signer,
        "signer_known": found.anchored,
    }


def _lines(found: Verified) -> Iterator[str]:
    head = found.head
    yield f"  cluster       {head.cluster_id}"
    yield f"  saved         {moment(head.saved_at)} by {head.by}, on {head.master} (Hullmark {head.version})"
    yield f"  epoch         {head.epoch}, revision {head.revision}"
    yield f"  holds         {held(found.counts)}"


def _warnings(found: Verified) -> Iterator[str]:
    if found.exposed:
        yield "note: others than its owner may read the file, and the apps' environment is in it: chmod 600"
