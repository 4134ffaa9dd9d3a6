"""Who may do what: roles, and the tokens that machines log in with.

    GET    /v1/tokens                        -> TokenList
    POST   /v1/tokens         TokenRequest   -> TokenAnswer    the token is shown this once
    DELETE /v1/tokens/TOKEN   RevokeRequest  -> RevokeAnswer

What a login may do with the API is said there by route, in `x-hullmark-roles`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

TOKEN_LIFE_S = 90 * 86400.0


class Role(enum.Enum):
    """From the least to the most: where several are somebody's, the last one holds."""

    VIEWER = "viewer"
    AUDITOR = "auditor"
    DEPLOYER = "deployer"
    ADMIN = "admin"


@dataclass(frozen=True)
class TokenRequest:
    """`networks`: the sources that it may come from, addresses or CIDR; none: any. Asked again with the same request
    id, because the answer was lost, the token gets another secret, and the former one is good for nothing."""

    name: str
    role: Role
    request_id: str
    valid_s: float = TOKEN_LIFE_S
    networks: tuple[str, ...] = ()
    ticket: str = ""


@dataclass(frozen=True)
class TokenAnswer:
    """`token` is shown this once; the store keeps its hash."""

    name: str
    token: str
    role: Role
    expires_at: float
    networks: tuple[str, ...] = ()


@dataclass(frozen=True)
class TokenView:
    """`used_at`: when this leader last saw it; 0: not since it leads. `by`: who made it."""

    name: str
    role: str
    created_at: float
    expires_at: float
    by: str
    networks: tuple[str, ...] = ()
    expired: bool = False
    used_at: float = 0.0


@dataclass(frozen=True)
class TokenList:
    tokens: tuple[TokenView, ...]


@dataclass(frozen=True)
class RevokeRequest:
    request_id: str
    ticket: str = ""


@dataclass(frozen=True)
class RevokeAnswer:
    name: str
