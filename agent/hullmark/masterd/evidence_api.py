"""The API's handlers and routes for evidence packs: the signature under one, and who has which role.

A pack is made by the command; a master signs its manifest's hash, without seeing it, and records who asked.
"""

from __future__ import annotations

import re

from cryptography import x509

from hullmark.errors import BrokenState, InvalidInput, Problem
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import ACCESS, Route
from hullmark.masterd.vouching import Signer
from hullmark.model.evidence import PackSignature, RoleList, SignRequest
from hullmark.pki import certificates
from hullmark.pki.packs import sign_pack

WHAT_MAX_CHARACTERS = 500
_DIGEST = re.compile("[0-9a-f]{64}")


async def sign_evidence(desk: Desk, call: Call) -> PackSignature:
    """Raises InvalidInput, BrokenState."""
    body: SignRequest = call.body
    if not _DIGEST.fullmatch(body.digest):
        allowed = "the SHA-256 of a pack's manifest, 64 hexadecimal digits in lower case"
        raise InvalidInput([Problem("bad value", field="digest", allowed=allowed)])
    if len(body.what) > WHAT_MAX_CHARACTERS:
        allowed = f"at most {WHAT_MAX_CHARACTERS} characters"
        raise InvalidInput([Problem("too long", field="what", allowed=allowed)])
    signer = desk.vouching.signer()
    return sign_pack(
        signer.key,
        _chain(desk, signer),
        digest=body.digest,
        of=desk.terms.cluster_id,
        by=call.caller.who,
        at=desk.wall(),
    )


def _chain(desk: Desk, signer: Signer) -> list[x509.Certificate]:
    """From this master's certificate to the root. An authority that was replaced a moment ago has not signed it."""
    chain = [signer.certificate, *desk.authority.chain, desk.authority.root]
    if not certificates.is_issued_by(chain[0], chain[1]):
        raise BrokenState(
            "this master's certificate is not of the cluster's authority now",
            remedy="restart the master: it renews its certificate",
        )
    return chain


async def people(desk: Desk, call: Call) -> RoleList:
    return RoleList(desk.terms.roles)


ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/evidence/sign",
        sign_evidence,
        "This master's signature under an evidence pack",
        PackSignature,
        SignRequest,
        needs=ACCESS,
    ),
    Route(
        "GET",
        "/v1/people",
        people,
        "Which users and groups have which role by this master's configuration",
        RoleList,
        needs=ACCESS,
    ),
)
