"""Signatures of evidence packs: by a master's certificate key, or by a key that an unenrolled host made for this.

They are checked with nothing but the fingerprint of a root, which comes from outside the pack. The certificates have to have been good
when the signature says that it was made. Of the certificates under a root only a master's may sign: a host's may not.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hullmark.errors import BrokenState, NotFound, Refused
from hullmark.model.evidence import KIND, PackSignature
from hullmark.model.wire import canonical, to_wire
from hullmark.pki import certificates, signing
from hullmark.pki.authority import self_signed
from hullmark.pki.files import write_file, write_private

CHAIN_MAX_CERTIFICATES = 6
CHAIN_MAX_CHARACTERS = 40 << 10
KEY, CERTIFICATE = "evidence.key", "evidence.pem"
LOCAL_NAME = "Hullmark evidence of "


def sign_pack(
    key: ec.EllipticCurvePrivateKey,
    chain: Sequence[x509.Certificate],
    *,
    digest: str,
    of: str,
    by: str,
    at: float,
) -> PackSignature:
    """`chain`: the certificate of the key first, the root last."""
    pem = certificates.chain_pem(*chain).decode()
    draft = PackSignature(digest, of, by, at, hashlib.sha256(pem.encode()).hexdigest(), "")
    signature = signing.sign(key, _signed(draft))
    return dataclasses.replace(draft, signature=signature, chain_pem=pem)


def check_pack(found: PackSignature, digest: str, fingerprint: str) -> str:
    """Who signed: `master m1 of cluster ...`, or the name in the certificate of a host by itself. `fingerprint` is the root's, SHA-256. Raises Refused
    unless all of it fits."""
    if found.digest != digest:
        raise Refused("it is the signature of another manifest")
    if hashlib.sha256(found.chain_pem.encode()).hexdigest() != found.chain_sha256:
        raise Refused("its certificates are not those that it was made with")
    chain = _chain(found.chain_pem)
    root = chain[-1]
    if certificates.fingerprint(root) != _plain(fingerprint):
        raise Refused(
            f"its certificates lead to the root {certificates.fingerprint(root)}, and not to the one that was named",
            remedy="ask whom you trust for the fingerprint: hullmark evidence fingerprint",
        )
    _check_chain(chain, found.at)
    signer = _signer(chain)
    if base64.b64encode(_decoded(found.signature)).decode() != found.signature:
        raise Refused("its signature is no signature")
    signing.check(chain[0], _signed(found), found.signature, found.algorithm)
    return signer


def local_signer(
    folder: Path, host: str, now: float
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """The key of a host without a cluster, made on first use, and its certificate. Raises BrokenState, OSError."""
    try:
        key = certificates.load_key(folder / KEY)
    except NotFound:
        key = certificates.new_key()
        certificate = self_signed(LOCAL_NAME + host, key, now)
        write_file(folder / CERTIFICATE, certificates.chain_pem(certificate))
        write_private(folder / KEY, certificates.key_pem(key))
    return key, local_certificate(folder)


def local_certificate(folder: Path) -> x509.Certificate:
    """Raises NotFound where none was made, BrokenState."""
    path = folder / CERTIFICATE
    try:
        return certificates.load_chain(path.read_bytes(), str(path))[0]
    except FileNotFoundError as error:
        raise NotFound(
            f"{path}: no pack was signed on this host yet",
            remedy="hullmark evidence export --local makes the key",
        ) from error
    except PermissionError as error:
        raise BrokenState(f"{path} may be read by root only", remedy="run it as root") from error
    except OSError as error:
        raise BrokenState(f"{path}: {error.strerror}") from error


def _signed(found: PackSignature) -> bytes:
    draft = dataclasses.replace(found, signature="", chain_pem="")
    return canonical({"kind": KIND, **to_wire(draft)})


def _chain(pem: str) -> list[x509.Certificate]:
    if len(pem) > CHAIN_MAX_CHARACTERS:
        raise Refused("its certificates are too long")
    try:
        chain = certificates.load_chain(pem.encode(), "its certificates")
    except BrokenState as error:
        raise Refused(error.message) from error
    if len(chain) > CHAIN_MAX_CERTIFICATES:
        raise Refused("its certificates are too many")
    return chain


def _check_chain(chain: Sequence[x509.Certificate], at: float) -> None:
    for depth, (certificate, issuer) in enumerate(zip(chain, [*chain[1:], chain[-1]])):
        name = certificate.subject.rfc4514_string()
        if not certificates.is_issued_by(certificate, issuer):
            raise Refused(f"the certificate {name} is not signed by the next one")
        if depth:
            _check_authority(certificate, depth - 1, name)
        first, last = certificates.validity(certificate)
        if not first <= at <= last:
            raise Refused(f"the certificate {name} was not good when it was signed")


def _check_authority(certificate: x509.Certificate, below: int, name: str) -> None:
    """`below`: how many authorities stand under it (RFC 5280, section 4.2.1.9)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        found = x509.BasicConstraints(False, None)
    if not found.ca or (found.path_length is not None and below > found.path_length):
        raise Refused(f"the certificate {name} may not sign others")


def _signer(chain: Sequence[x509.Certificate]) -> str:
    if len(chain) == 1:
        return chain[0].subject.rfc4514_string()
    try:
        identity = certificates.identity_of(chain[0])
    except BrokenState as error:
        raise Refused(f"its signer is nobody of a cluster: {error.message}") from error
    if identity.kind != "master":
        raise Refused(f"its signer is the {identity.kind} {identity.name}: only masters sign packs")
    return f"master {identity.name} of cluster {identity.cluster_id}"


def _decoded(signature: str) -> bytes:
    try:
        return base64.b64decode(signature, validate=True)
    except ValueError as error:
        raise Refused("its signature is no signature") from error


def _plain(fingerprint: str) -> str:
    """As people copy it: in capitals, with colons or blanks."""
    return fingerprint.strip().lower().replace(":", "").replace(" ", "")
