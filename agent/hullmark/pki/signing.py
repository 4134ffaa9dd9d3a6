"""Signatures of a daemon's own key: ECDSA on P-256 with SHA-256, DER in base64.

`libcrypto` makes and checks the very same ones without the library that this module needs.
"""

from __future__ import annotations

import base64
import dataclasses

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hullmark.errors import Refused
from hullmark.model.audit import ALGORITHM, Head, Seal, SignedHead
from hullmark.pki import vouched
from hullmark.pki.certificates import fingerprint

SIGNATURE_MAX_CHARACTERS = 128
"""One has at most 72 bytes (RFC 3279, 2.2.3), which are 96 characters."""


def sign(key: ec.EllipticCurvePrivateKey, content: bytes) -> str:
    return base64.b64encode(key.sign(content, ec.ECDSA(hashes.SHA256()))).decode()


def check(certificate: x509.Certificate, content: bytes, signature: str, algorithm: str) -> None:
    """Raises Refused unless the certificate's key signed the content."""
    key = certificate.public_key()
    if algorithm != ALGORITHM:
        raise Refused(f"it is signed by {algorithm[:40]!r}, which is not known here")
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Refused("the key of its certificate is of another kind")
    if len(signature) > SIGNATURE_MAX_CHARACTERS:
        raise Refused("its signature is no signature")
    try:
        key.verify(base64.b64decode(signature, validate=True), content, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError) as error:
        raise Refused("its signature does not fit what it says") from error


def sign_head(
    key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, head: Head
) -> SignedHead:
    return SignedHead(head, fingerprint(certificate), sign(key, vouched.of_head(head)))


def check_head(signed: SignedHead, certificate: x509.Certificate) -> None:
    """Raises Refused unless it was signed with this very certificate's key."""
    if signed.certificate_sha256 != fingerprint(certificate):
        raise Refused("the head is signed with another certificate")
    check(certificate, vouched.of_head(signed.head), signed.signature, signed.algorithm)


def sign_seal(key: ec.EllipticCurvePrivateKey, seal: Seal) -> Seal:
    """The seal with its signature; it names the certificate already."""
    return dataclasses.replace(seal, signature=sign(key, vouched.of_seal(seal)))


def check_seal(seal: Seal, certificate: x509.Certificate) -> None:
    """Raises Refused unless it was signed with this very certificate's key."""
    if seal.certificate_sha256 != fingerprint(certificate):
        raise Refused("the seal is signed with another certificate")
    check(certificate, vouched.of_seal(seal), seal.signature, seal.algorithm)
