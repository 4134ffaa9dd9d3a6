"""Another master of the cluster: how it is invited, and what it asks for when it joins.

POST /v1/master-invites  MasterInviteRequest -> MasterInviteAnswer
POST /v1/master-joins    JoinRequest         -> JoinAnswer          an invite's secret is the login
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MasterInviteRequest:
    """`name`: the new master's. `request_id` is for change control."""

    name: str
    valid_s: float = 3600.0
    request_id: str = ""
    ticket: str = ""


@dataclass(frozen=True)
class MasterInviteAnswer:
    """`token` is shown this once; the store keeps its hash."""

    name: str
    token: str
    expires_at: float


@dataclass(frozen=True)
class JoinRequest:
    """`csr_pem` is the signing request for the new master's intermediate, whose key stays on it. Asked again with the same key,
    because the answer was lost, the answer is as good."""

    name: str
    secret: str
    csr_pem: str


@dataclass(frozen=True)
class JoinAnswer:
    """`chain_pem`: the new master's intermediate, signed by the root."""

    cluster_id: str
    chain_pem: str
    root_pem: str
