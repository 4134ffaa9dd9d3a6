"""Who signs a pack: a master, by its answer, or a host without a cluster by a key of its own. And which fingerprint that leads to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from hullmark.errors import BrokenState, Forbidden
from hullmark.evidence.pack import Sign
from hullmark.model.evidence import PackSignature
from hullmark.pki import certificates, packs


@dataclass(frozen=True)
class Signer:
    """`fingerprint` is the root's, SHA-256, to be noted outside of the pack."""

    fingerprint: str
    sign: Sign


def of_root(pem: str) -> str:
    """Raises BrokenState."""
    return certificates.fingerprint(certificates.load_chain(pem.encode(), "the cluster's root")[0])


def of_master(root_pem: str, ask: Callable[[str], PackSignature]) -> Signer:
    """`ask` has a master sign a digest. What it answers is checked before it goes into a pack. Raises BrokenState; signing raises
    Refused."""
    fingerprint = of_root(root_pem)

    def sign(digest: str) -> PackSignature:
        found = ask(digest)
        packs.check_pack(found, digest, fingerprint)
        return found

    return Signer(fingerprint, sign)


def of_this_host(state_dir: str, host: str, by: str, now: float) -> Signer:
    """The key is made where there is none. Raises Forbidden, BrokenState."""
    folder = Path(state_dir)
    try:
        key, certificate = packs.local_signer(folder, host, now)
    except PermissionError as error:
        raise Forbidden(f"{folder} is root's", remedy="run it as root") from error
    except OSError as error:
        raise BrokenState(f"{folder}: {error.strerror}") from error

    def sign(digest: str) -> PackSignature:
        return packs.sign_pack(key, [certificate], digest=digest, of=host, by=by, at=now)

    return Signer(certificates.fingerprint(certificate), sign)


def local_fingerprint(state_dir: str) -> str:
    """Raises NotFound where no pack was signed there, BrokenState."""
    return certificates.fingerprint(packs.local_certificate(Path(state_dir)))
