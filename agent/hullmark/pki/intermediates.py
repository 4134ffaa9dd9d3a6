"""An intermediate for another master: what the root's key is needed for.

The key of an intermediate is made on the master that uses it, and stays there; what travels is a signing request.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hullmark.errors import BrokenState, NotFound, Refused
from hullmark.pki import certificates
from hullmark.pki.authority import ROOT_NAME, intermediate

OFFLINE = "on the new master: hullmark master join --root-key FILE --root-cert FILE"
SHOPS_OWN = "on the new master: hullmark master join --ca-chain FILE --ca-key FILE"


def cluster_of(root: x509.Certificate) -> str:
    """The id of the cluster that this root was made for; empty for a shop's own."""
    names = root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if names else ""
    return name[len(ROOT_NAME) :] if name.startswith(ROOT_NAME) else ""


def root_key(root: x509.Certificate, file: Optional[Path]) -> ec.EllipticCurvePrivateKey:
    """The root's key. Raises Refused where it isn't there, saying what to do, BrokenState for one that is damaged, open to others,
    or another's."""
    if not cluster_of(root):
        raise Refused(
            "the root is the shop's own, so the shop gives each master its intermediate",
            remedy=SHOPS_OWN,
        )
    try:
        if file is None:
            raise NotFound("it is not known where the root's key is")
        key = certificates.load_key(file)
    except NotFound as error:
        raise Refused(
            f"the root's key is needed to sign for another master: {error.message}",
            remedy=f"put it there for as long as the join takes; or take it along: {OFFLINE}",
        ) from error
    except OSError as error:
        raise BrokenState(f"{file}: {error.strerror}") from error
    if key.public_key().public_numbers() != _numbers(root):
        raise BrokenState(f"{file} is not the key of the cluster's root")
    return key


def sign_intermediate(
    csr_pem: str,
    cluster_id: str,
    name: str,
    root: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    now: float,
) -> x509.Certificate:
    """For the master of this name. Raises InvalidInput for a bad request, BrokenState for a root that ended."""
    if certificates.validity(root)[1] <= now:
        raise BrokenState("the cluster's root has expired")
    public = certificates.load_request(csr_pem)
    return intermediate(f"Hullmark {cluster_id} {name}", public, root, key, now)


def _numbers(certificate: x509.Certificate) -> Optional[ec.EllipticCurvePublicNumbers]:
    key = certificate.public_key()
    return key.public_numbers() if isinstance(key, ec.EllipticCurvePublicKey) else None
