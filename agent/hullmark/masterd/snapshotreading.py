"""Reading a snapshot's file: whole, unchanged, and signed by an authority of the cluster's."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Optional

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hullmark.errors import BrokenState, NotFound, Refused
from hullmark.masterd.view import decode
from hullmark.model import snapshotfile
from hullmark.model.names import CLUSTER_KEY
from hullmark.model.records import ClusterRecord
from hullmark.model.snapshotfile import End, Head, Item, Reader
from hullmark.pki import certificates, statements

OTHERS_MAY_READ = stat.S_IRWXG | stat.S_IRWXO
_ANOTHER = "name a file that hullmark snapshot save wrote, and that you may read"


@dataclass(frozen=True)
class Verified:
    """`counts` by kind; `size_bytes` of the file. `signer` is the intermediate's fingerprint, and `anchored` whether it was
    checked that it belongs to a root. `exposed`: others than the owner may read the file."""

    head: Head
    end: End
    cluster: ClusterRecord
    counts: Mapping[str, int]
    size_bytes: int
    signer: str
    anchored: bool
    exposed: bool


class Source:
    """A snapshot's file, open. It is read more than once, whoever this process acts as by then."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file

    def verify(self, root: Optional[x509.Certificate]) -> Verified:
        """Reads all of it. Without a root only that it was signed is checked, and not by whom. Raises BrokenState for what is
        damaged, or no snapshot; Refused for one that somebody else signed."""
        keys: list[str] = []
        cluster: Optional[ClusterRecord] = None
        with self._named():
            reader = self._begin()
            for item in reader.items():
                keys.append(item.key)
                if item.key == CLUSTER_KEY:
                    cluster = decode(ClusterRecord, item.key, item.value.encode())
            if cluster is None or cluster.cluster_id != reader.head.cluster_id:
                raise BrokenState("it is damaged: its cluster's record is missing")
            signer = _signer(reader, root)
            status = os.fstat(self._file.fileno())
        return Verified(
            reader.head,
            reader.end,
            cluster,
            snapshotfile.counted(keys),
            status.st_size,
            signer,
            root is not None,
            bool(status.st_mode & OTHERS_MAY_READ),
        )

    def entries(self, expected: End) -> Iterator[Item]:
        """Of a file that was verified. Raises BrokenState, at its end at the latest, where it is another one by now."""
        with self._named():
            reader = self._begin()
            yield from reader.items()
            if reader.end != expected:
                raise BrokenState("it was changed while it was read")

    def _begin(self) -> Reader:
        self._file.seek(0)
        return Reader(self._lines())

    def _lines(self) -> Iterator[bytes]:
        while True:
            line = self._file.readline(snapshotfile.LINE_MAX_BYTES)
            if not line:
                return
            if len(line) >= snapshotfile.LINE_MAX_BYTES:
                raise BrokenState("it is damaged: a line without end")
            yield line

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors of the file name it."""
        try:
            yield
        except OSError as error:
            raise Refused(
                f"{self.path} can't be read: {error.strerror}", remedy=_ANOTHER
            ) from error
        except BrokenState as error:
            raise BrokenState(f"{self.path}: {error.message}", remedy=error.remedy) from error


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Raises NotFound, Refused for a file that can't be read."""
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise NotFound(f"{path} does not exist", remedy=_ANOTHER) from error
    except OSError as error:
        raise Refused(f"{path} can't be read: {error.strerror}", remedy=_ANOTHER) from error
    with file:
        yield Source(path, file)


def _signer(reader: Reader, root: Optional[x509.Certificate]) -> str:
    """Its fingerprint. Raises Refused where its signature is not what it should be."""
    end = reader.end
    chain = certificates.load_chain(end.chain_pem.encode(), "its signer's certificates")
    try:
        if root is None:
            _check_signature_alone(chain[0], end)
        else:
            at = reader.head.saved_at
            statements.check_signature(
                root, end.chain_pem, end.signed(), end.signature, end.algorithm, at
            )
    except Refused as error:
        raise Refused(
            f"the snapshot is not to be trusted: {error.message}",
            remedy="is it another cluster's? Otherwise who wrote it is none of its masters",
        ) from error
    return certificates.fingerprint(chain[0])


def _check_signature_alone(signer: x509.Certificate, end: End) -> None:
    key = signer.public_key()
    try:
        if end.algorithm != statements.ALGORITHM or not isinstance(key, ec.EllipticCurvePublicKey):
            raise Refused(f"it is signed by {end.algorithm[:40]!r}, which is not known here")
        key.verify(bytes.fromhex(end.signature), end.signed(), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError) as error:
        raise Refused("its signature does not fit what it says") from error
