"""Another master of the cluster, as the API has it (`model/peers.py`)."""

from __future__ import annotations

import dataclasses
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hullmark.errors import InvalidInput, Problem, Refused
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.route import ADMINS, Login, Route
from hullmark.model.peers import (
    JoinAnswer,
    JoinRequest,
    MasterInviteAnswer,
    MasterInviteRequest,
)
from hullmark.pki.authority import ROOT_KEY
from hullmark.pki.certificates import chain_pem, load_request
from hullmark.pki.intermediates import root_key, sign_intermediate
from hullmark.pki.invites import MASTER, Invite, new_secret, secret_hash

JOIN_BODY_MAX_BYTES = 64 << 10
INVITES_PATH, JOINS_PATH = "/v1/master-invites", "/v1/master-joins"


async def invite_master(desk: Desk, call: Call) -> MasterInviteAnswer:
    """Where the root's key isn't here nothing could come of it, so that is told now."""
    body: MasterInviteRequest = call.body
    _must_be_shared(desk)
    _root_key(desk)
    if "valid_s" not in call.given:
        body = dataclasses.replace(body, valid_s=desk.terms.invite_valid_s)
    secret = new_secret()
    change = call.change(desk, body.request_id, body.ticket)
    record = await desk.cluster.peers.invite(body, secret_hash(secret), change)
    token = Invite(desk.cluster.api_urls(), desk.authority.root_fingerprint, record.host, secret)
    return MasterInviteAnswer(record.host, token.text(MASTER), record.expires_at)


async def join_master(desk: Desk, call: Call) -> JoinAnswer:
    body: JoinRequest = call.body
    if not body.csr_pem.isascii():
        raise InvalidInput([Problem("not a signing request", field="csr_pem")])
    key = load_request(body.csr_pem).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    def sign() -> x509.Certificate:
        root, cluster_id = desk.authority.root, desk.terms.cluster_id
        signing = _root_key(desk)
        return sign_intermediate(body.csr_pem, cluster_id, body.name, root, signing, desk.wall())

    signed = await desk.cluster.peers.join(
        secret_hash(body.secret),
        body.name,
        hashlib.sha256(key).hexdigest(),
        call.caller.origin,
        sign,
    )
    return JoinAnswer(desk.terms.cluster_id, chain_pem(signed).decode(), desk.authority.root_pem)


def _root_key(desk: Desk) -> ec.EllipticCurvePrivateKey:
    """Raises Refused or BrokenState, saying what to do."""
    folder = desk.authority.folder
    return root_key(desk.authority.root, None if folder is None else folder / ROOT_KEY)


def _must_be_shared(desk: Desk) -> None:
    """Raises Refused where the store is one machine's."""
    kind = desk.cluster.store_condition.kind
    if kind == "sqlite":
        raise Refused(
            "this cluster's store is embedded, so it has one master",
            remedy="move it to etcd first: docs/operations/high-availability.md",
        )


ROUTES = (
    Route(
        "POST",
        INVITES_PATH,
        invite_master,
        "Invite another master",
        MasterInviteAnswer,
        MasterInviteRequest,
        needs=ADMINS,
    ),
    Route(
        "POST",
        JOINS_PATH,
        join_master,
        "Use an invite: another master gets its authority",
        JoinAnswer,
        JoinRequest,
        login=Login.NOBODY,
        body_max_bytes=JOIN_BODY_MAX_BYTES,
        careful=True,
    ),
)
