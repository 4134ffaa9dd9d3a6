"""What a master signs with its intermediate's key: the proof of an incarnation, the end of a snapshot.

A statement is checked by the cluster's root alone: the signer's certificates come with it, and have to lead to the root. They
have to have been good when the statement says that it was made, not when it is checked: a proof outlives the intermediate that
signed it, and a host whose clock is wrong must still know its own cluster.
"""

from __future__ import annotations

import dataclasses
from typing import Union

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hullmark.errors import BrokenState, Refused
from hullmark.model.incarnation import IncarnationProof
from hullmark.model.wire import canonical, to_wire
from hullmark.pki import certificates
from hullmark.pki.authority import Authority

ALGORITHM = "ecdsa-sha256"
"""The curve is that of the signer's key: P-256, unless a shop's own intermediate has another."""

CHAIN_MAX_CERTIFICATES = 5
CHAIN_MAX_CHARACTERS = 32 << 10
SIGNATURE_MAX_CHARACTERS = 1024

PROOF_KIND = "hullmark.incarnation"
"""Signed along, so that a signature of one kind of statement is worth nothing as another's."""


def sign(authority: Authority, content: bytes) -> str:
    """The signature of the intermediate's key, DER in hexadecimal."""
    return authority.key.sign(content, ec.ECDSA(hashes.SHA256())).hex()


def signer_chain(authority: Authority) -> str:
    """What goes with a signature: the intermediate and what is between it and the root, PEM."""
    return certificates.chain_pem(*authority.chain).decode()


def check_signature(
    root: x509.Certificate,
    chain_pem: str,
    content: bytes,
    signature: str,
    algorithm: str,
    at: float,
) -> None:
    """Raises Refused unless an authority under this root, good at that moment, signed the content."""
    if algorithm != ALGORITHM:
        raise Refused(f"it is signed by {algorithm[:40]!r}, which is not known here")
    key = _signer(root, chain_pem, at).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    if len(signature) > SIGNATURE_MAX_CHARACTERS:
        raise Refused("its signature is no signature")
    try:
        key.verify(bytes.fromhex(signature), content, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError) as error:
        raise Refused("its signature does not fit what it says") from error


def sign_incarnation(
    authority: Authority, cluster_id: str, incarnation: int, *, reason: str, by: str, now: float
) -> IncarnationProof:
    """`reason` is `restored` or `reclaimed`, `by` who did it, `now` seconds since 1970."""
    draft = IncarnationProof(
        cluster_id, incarnation, now, reason, by, ALGORITHM, "", signer_chain(authority)
    )
    return dataclasses.replace(draft, signature=sign(authority, _signed(draft)))


def check_incarnation(
    proof: IncarnationProof,
    root: Union[x509.Certificate, bytes],
    cluster_id: str,
    incarnation: int,
) -> None:
    """Raises Refused, saying why, unless the cluster's authority began this very incarnation. `root`: a certificate,
    or its PEM, which raises BrokenState where it is none."""
    if isinstance(root, bytes):
        root = certificates.load_chain(root, "the cluster's root")[0]
    if proof.cluster_id != cluster_id:
        raise Refused("it is of another cluster")
    if proof.incarnation != incarnation:
        raise Refused(f"it is of incarnation {proof.incarnation}")
    check_signature(
        root, proof.chain_pem, _signed(proof), proof.signature, proof.algorithm, proof.made_at
    )


def _signed(proof: IncarnationProof) -> bytes:
    """All that the proof says, but for how it is proven."""
    fields = {
        key: value for key, value in to_wire(proof).items() if key not in ("signature", "chain_pem")
    }
    return canonical({"kind": PROOF_KIND, **fields})


def _signer(root: x509.Certificate, chain_pem: str, at: float) -> x509.Certificate:
    """The first certificate of the chain. Raises Refused unless all of it may sign and leads to the root."""
    if len(chain_pem) > CHAIN_MAX_CHARACTERS:
        raise Refused("its certificates are too long")
    try:
        chain = certificates.load_chain(chain_pem.encode(), "its certificates")
    except (BrokenState, UnicodeEncodeError) as error:
        raise Refused(f"its signer can't be read: {error}") from error
    if len(chain) > CHAIN_MAX_CERTIFICATES:
        raise Refused("its certificates are too many")
    for depth, (certificate, issuer) in enumerate(zip(chain, [*chain[1:], root])):
        name = certificate.subject.rfc4514_string()
        if not certificates.is_issued_by(certificate, issuer):
            raise Refused(f"its signer {name} does not lead to the cluster's root")
        _check_may_sign(certificate, depth, name)
        first, last = certificates.validity(certificate)
        if not first <= at <= last:
            raise Refused(f"its signer {name} was not good when it was signed")
    return chain[0]


def _check_may_sign(certificate: x509.Certificate, below: int, name: str) -> None:
    """`below`: how many authorities stand under it (RFC 5280, section 4.2.1.9)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        found = x509.BasicConstraints(False, None)
    if not found.ca:
        raise Refused(f"its signer {name} is no authority")
    if found.path_length is not None and below > found.path_length:
        raise Refused(f"its signer {name} has authorities under it that it may not have")
