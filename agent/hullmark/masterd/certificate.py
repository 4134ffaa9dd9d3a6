"""The master's own certificate: made at `init`, renewed at each start and while running, never by hand.

The key stays the same, so a renewal replaces one file, and a crash leaves the old certificate or the new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hullmark.errors import BrokenState, NotFound
from hullmark.model.moments import day
from hullmark.pki import certificates
from hullmark.pki.authority import MASTER_LIFE_S, Authority
from hullmark.pki.files import write_file, write_private

CERTIFICATE, KEY = "master.pem", "master.key"
RENEW_SHARE = 1 / 3
"""Of its life: renewed when less is left."""


def ensure_certificate(
    folder: Path,
    authority: Authority,
    cluster_id: str,
    name: str,
    addresses: Sequence[str],
    now: float,
) -> bool:
    """Make the certificate where there is none that is good for long enough, for this name and these addresses, by
    this authority. True: it was made. Raises BrokenState for a key that can't be read, or an authority that ended."""
    try:
        key = certificates.load_key(folder / KEY)
    except NotFound:
        key = certificates.new_key()
        write_private(folder / KEY, certificates.key_pem(key))
    if _good(folder, authority, key.public_key(), _names(cluster_id, name, addresses), now):
        return False
    end = certificates.validity(authority.chain[0])[1]
    if end <= now:
        raise BrokenState(
            f"the cluster's intermediate certificate expired on {day(end)}",
            remedy="make a new intermediate with the root's key, and put it in place of the old one",
        )
    chain = authority.issue_master(key.public_key(), cluster_id, name, addresses, now)
    write_file(folder / CERTIFICATE, chain)
    return True


def cluster_of(folder: Path) -> str:
    """The id of the cluster that this master's certificate is of. Raises BrokenState."""
    return certificates.identity_of(_read(folder)[0]).cluster_id


def valid_until(folder: Path) -> float:
    """Raises BrokenState."""
    return certificates.validity(_read(folder)[0])[1]


def _names(cluster_id: str, name: str, addresses: Sequence[str]) -> set[str]:
    return {certificates.Identity(cluster_id, "master", name).uri, *addresses}


def _good(folder: Path, authority: Authority, key: object, names: set[str], now: float) -> bool:
    try:
        chain = _read(folder)
    except BrokenState:
        return False
    certificate = chain[0]
    first, last = certificates.validity(certificate)
    # The issuer may end sooner than a whole life; renewing again and again would not help then.
    life_s = min(MASTER_LIFE_S, certificates.validity(authority.chain[0])[1] - first)
    return (
        first <= now < last - life_s * RENEW_SHARE
        and chain[1:] == list(authority.chain)
        and certificates.is_issued_by(certificate, authority.chain[0])
        and _spki(certificate.public_key()) == _spki(key)
        and _names_in(certificate) == names
    )


def _read(folder: Path) -> list[x509.Certificate]:
    path = folder / CERTIFICATE
    try:
        return certificates.load_chain(path.read_bytes(), str(path))
    except OSError as error:
        raise BrokenState(f"{path}: {error.strerror}") from error


def _names_in(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {
        *names.get_values_for_type(x509.UniformResourceIdentifier),
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    }


def _spki(key: object) -> bytes:
    """A public key's DER form; empty for one of a kind that we don't make."""
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return b""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
