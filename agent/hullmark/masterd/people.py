"""Logins: people's sessions, and the tokens of machines. All are kept by the SHA-256 of a secret of 256 bits."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Iterator
from typing import Callable, Optional, Union

from hullmark.errors import Conflict, Forbidden, InvalidInput, NotFound, Problem
from hullmark.masterd import riding
from hullmark.masterd.events import Tell
from hullmark.masterd.repeats import Repeats, asked, id_problems
from hullmark.masterd.term import Term
from hullmark.masterd.view import encode
from hullmark.model.change import Change
from hullmark.model.names import SESSIONS, TOKENS
from hullmark.model.people import (
    RevokeAnswer,
    RevokeRequest,
    TokenList,
    TokenRequest,
    TokenView,
)
from hullmark.model.records import SessionRecord, TokenRecord
from hullmark.store.protocol import Compare, Delete, Put, Write

NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
LIFE_S = (60.0, 366 * 86400.0)
SESSIONS_MAX = 200
"""Of one user."""
TOKENS_MAX = 1000
NETWORKS_MAX = 32
NETWORK_MAX_CHARACTERS = 64

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class People:
    """`wall` is for records: lives are of days, and a clock that steps by hours is the shop's to see to."""

    def __init__(self, term: Term, wall: Callable[[], float], tell: Tell) -> None:
        self._term = term
        self._wall = wall
        self._tell = tell
        self._repeats = Repeats(term.leadership, term.view)
        self._used: dict[str, float] = {}

    async def open_session(self, token_sha256: str, record: SessionRecord, change: Change) -> None:
        await self._term.whole(self._open(token_sha256, record, change))

    async def _open(self, token_sha256: str, record: SessionRecord, change: Change) -> None:
        now, sessions = self._wall(), self._term.view.sessions.values()
        own = sum(one.uid == record.uid and now < one.expires_at for one in sessions)
        if own >= SESSIONS_MAX:
            raise Conflict(
                f"{record.who} has {own} sessions", remedy="use one of them, or wait until one ends"
            )
        key = SESSIONS + token_sha256
        done = await self._term.leadership.commit([Compare(key, 0)], [Put(key, encode(record))])
        if not done.succeeded:
            raise Conflict("this session exists already", remedy="log in again")
        self._tell("session.opened", record.who, change, {"role": record.role})

    def session(self, secret_sha256: str) -> Optional[SessionRecord]:
        """None where there is none, or it has expired."""
        record = self._term.view.sessions.get(secret_sha256)
        return record if record is not None and self._wall() < record.expires_at else None

    def token(self, secret_sha256: str) -> Optional[TokenRecord]:
        """Also one that has expired: `holds` tells."""
        return self._term.view.tokens.get(secret_sha256)

    def holds(self, secret_sha256: str) -> bool:
        """Whether there is a login with this secret, and it has not expired."""
        token = self.token(secret_sha256)
        if token is None:
            return self.session(secret_sha256) is not None
        return self._wall() < token.expires_at

    def used(self, secret_sha256: str) -> None:
        """A token opened the door."""
        self._used[secret_sha256] = self._wall()

    def tokens(self) -> TokenList:
        now = self._wall()
        views = [
            TokenView(
                record.name,
                record.role,
                record.created_at,
                record.expires_at,
                record.by,
                record.networks,
                expired=record.expires_at <= now,
                used_at=self._used.get(secret, 0.0),
            )
            for secret, record in self._term.view.tokens.items()
        ]
        return TokenList(tuple(sorted(views, key=lambda view: view.name)))

    async def create(
        self, request: TokenRequest, secret_sha256: str, change: Change, maker_sha256: str
    ) -> TokenRecord:
        """`maker_sha256`: the login of who asks, empty on the Unix socket. Raises InvalidInput, Forbidden, Conflict."""
        return await self._term.whole(self._create(request, secret_sha256, change, maker_sha256))

    async def _create(
        self, request: TokenRequest, secret_sha256: str, change: Change, maker_sha256: str
    ) -> TokenRecord:
        problems = list(_problems(request))
        if problems:
            raise InvalidInput(problems)
        now, maker = self._wall(), self.token(maker_sha256)
        record = TokenRecord(
            request.name,
            request.role.value,
            now,
            now + request.valid_s,
            change.by,
            tuple(str(_network(text)) for text in request.networks),
            request.request_id,
            change.by if maker is None else maker.person or maker.by,
        )
        _must_not_exceed(record, maker)
        async with self._term.one_at_a_time:
            compares, writes = self._in_place_of_former(record)
            key = TOKENS + secret_sha256
            compares.append(Compare(key, 0))
            # The new one comes first: it tells afterwards whether a transaction without an answer happened.
            writes.insert(0, Put(key, encode(record)))
            done = await self._term.leadership.commit(*riding.aboard(compares, writes))
            if not done.succeeded:
                raise Conflict("the tokens were changed at the same moment", remedy="ask again")
            riding.arrived()
        fields = {"role": record.role, "networks": " ".join(record.networks) or "any"}
        self._tell("token.created", f"token {record.name}", change, fields)
        return record

    def _in_place_of_former(self, record: TokenRecord) -> tuple[list[Compare], list[Write]]:
        """What takes away a token of this name: one that has expired, or one whose secret was lost with the
        answer to this very request. Raises Conflict for another."""
        view, compares, writes = self._term.view, [], []
        for secret, former in view.tokens.items():
            if former.name != record.name:
                continue
            life_s = former.expires_at - former.created_at
            again = dataclasses.replace(
                former, created_at=record.created_at, expires_at=record.created_at + life_s
            )
            if former.expires_at > record.created_at and again != record:
                raise Conflict(
                    f"there is a token {record.name}",
                    remedy=f"take another name; or end that one: hullmark token revoke {record.name}",
                )
            compares.append(Compare(TOKENS + secret, view.modified(TOKENS + secret)))
            writes.append(Delete(TOKENS + secret))
        if len(view.tokens) - len(writes) >= TOKENS_MAX:
            raise Conflict(
                f"there are {TOKENS_MAX} tokens", remedy="revoke some: hullmark token list"
            )
        return compares, list(writes)

    async def revoke(self, name: str, request: RevokeRequest, change: Change) -> RevokeAnswer:
        """Raises NotFound."""
        return await self._term.whole(self._revoke(name, request, change))

    async def _revoke(self, name: str, request: RevokeRequest, change: Change) -> RevokeAnswer:
        asked_for = asked("revoke token", name, request)
        async with self._term.one_at_a_time:
            known = self._repeats.answer(RevokeAnswer, asked_for)
            if known is not None:
                return known
            view = self._term.view
            secrets = [key for key, record in view.tokens.items() if record.name == name]
            if not secrets:
                raise NotFound(f"there is no token {name[:64]}", remedy="hullmark token list")
            keys = [TOKENS + secret for secret in secrets]
            answer = await self._repeats.commit(
                asked_for,
                RevokeAnswer(name),
                change.at,
                [Compare(key, view.modified(key)) for key in keys],
                [Delete(key) for key in keys],
                subject=f"token {name}",
                remedy="hullmark token list",
            )
        for secret in secrets:
            self._used.pop(secret, None)
        self._tell("token.revoked", f"token {name}", change, {})
        return answer


def _must_not_exceed(record: TokenRecord, maker: Optional[TokenRecord]) -> None:
    """A token makes none that may do more than itself, from elsewhere, or for longer: else who took one for an
    hour would have it for a year. Raises Forbidden."""
    if maker is None:
        return
    within = not maker.networks or (
        bool(record.networks)
        and all(
            any(_contains(network, each) for network in maker.networks) for each in record.networks
        )
    )
    if not within:
        raise Forbidden(
            f"token {maker.name} can make only tokens for its own networks",
            remedy="name one of them with --from, or let a person make this one",
        )
    if record.expires_at > maker.expires_at:
        raise Forbidden(
            f"token {maker.name} can make only tokens that end before itself",
            remedy="a shorter --for, or let a person make this one",
        )


def _contains(outer: str, inner: str) -> bool:
    one, other = ipaddress.ip_network(outer), ipaddress.ip_network(inner)
    if isinstance(one, ipaddress.IPv4Network) and isinstance(other, ipaddress.IPv4Network):
        return other.subnet_of(one)
    if isinstance(one, ipaddress.IPv6Network) and isinstance(other, ipaddress.IPv6Network):
        return other.subnet_of(one)
    return False


def _network(text: str) -> Network:
    """Raises ValueError. One host stands for itself."""
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped:
        raise ValueError("IPv4, written as IPv6")
    return network


def _problems(request: TokenRequest) -> Iterator[Problem]:
    if not NAME.fullmatch(request.name):
        allowed = "at most 63 letters a to z, digits and . _ -, the first and last no sign"
        yield Problem("not a token's name", field="name", allowed=allowed)
    yield from id_problems(request.request_id)
    if not LIFE_S[0] <= request.valid_s <= LIFE_S[1]:
        allowed = f"{LIFE_S[0]:.0f} to {LIFE_S[1]:.0f} seconds (366 days)"
        yield Problem(f"{request.valid_s:.0f} s", field="valid_s", allowed=allowed)
    if len(request.networks) > NETWORKS_MAX:
        allowed = f"at most {NETWORKS_MAX}"
        yield Problem(f"{len(request.networks)} networks", field="networks", allowed=allowed)
    for index, text in enumerate(request.networks[:NETWORKS_MAX]):
        try:
            _network(text[:NETWORK_MAX_CHARACTERS])
        except ValueError:
            allowed = "an address, or a network such as 10.1.0.0/16 with nothing set behind it"
            yield Problem("not a network", field=f"networks[{index}]", allowed=allowed)
