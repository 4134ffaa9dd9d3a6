"""The signature of an evidence pack, and how it is asked for.

POST   /v1/evidence/sign   SignRequest -> PackSignature    by the leader's certificate key; for auditors and administrators
GET    /v1/people                      -> RoleList         for the same
"""

from __future__ import annotations

from dataclasses import dataclass

from hullmark.model.audit import ALGORITHM

KIND = "hullmark.evidence"
"""Signed along, so that this signature is worth nothing as another's."""


@dataclass(frozen=True)
class SignRequest:
    """`digest` is the SHA-256 of the pack's manifest, 64 hexadecimal digits; `what` a line for the audit log: which framework, which
    period, which hosts."""

    digest: str
    what: str = ""


@dataclass(frozen=True)
class PackSignature:
    """`of` is the cluster's id, or the name of a host without a cluster; `by` who asked for it, `at` when, seconds since 1970. `chain_pem`
    has the signer's certificate first and the root last; `signature` is base64, over `signed` of all this with `chain_sha256`, the SHA-256 of
    the chain's text, in its place."""

    digest: str
    of: str
    by: str
    at: float
    chain_sha256: str
    signature: str
    algorithm: str = ALGORITHM
    chain_pem: str = ""


@dataclass(frozen=True)
class RoleView:
    """`kind` is `user` or `group`, of the master's system."""

    kind: str
    name: str
    role: str


@dataclass(frozen=True)
class RoleList:
    roles: tuple[RoleView, ...] = ()
