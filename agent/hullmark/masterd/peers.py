"""Which masters may come in: invites of the leader's, each good for one new master.

A master gets an authority of its own, so its invite is of another kind than a host's, and is never good as one.
"""

from __future__ import annotations

import dataclasses
from typing import Callable, TypeVar

from hullmark.errors import Conflict, Forbidden, InvalidInput, Problem
from hullmark.masterd import riding
from hullmark.masterd.admission import INVITE_MAX_S, INVITE_MIN_S
from hullmark.masterd.events import Tell
from hullmark.masterd.term import Term
from hullmark.masterd.view import encode
from hullmark.model.change import Change
from hullmark.model.names import HOST_NAME, INVITES
from hullmark.model.peers import MasterInviteRequest
from hullmark.model.records import InviteRecord
from hullmark.pki.invites import MASTER
from hullmark.store.protocol import Compare, Put

T = TypeVar("T")


class Peers:
    """`master`: this one's own name. `wall` is for records."""

    def __init__(self, term: Term, master: str, wall: Callable[[], float], tell: Tell) -> None:
        self._term = term
        self._master = master
        self._wall = wall
        self._tell = tell

    async def invite(
        self, request: MasterInviteRequest, secret_sha256: str, change: Change
    ) -> InviteRecord:
        """Open an invite, kept by the hash of its secret. Raises InvalidInput, Conflict, and what a commit does."""
        return await self._term.whole(self._invite(request, secret_sha256, change))

    async def _invite(
        self, request: MasterInviteRequest, secret_sha256: str, change: Change
    ) -> InviteRecord:
        _check(request)
        if request.name == self._master:
            raise Conflict(
                f"{request.name} is this master's own name",
                remedy="give the other one another: name: NAME in its master.yaml",
            )
        now = self._wall()
        expires_at = now + request.valid_s
        record = InviteRecord(request.name, now, expires_at, change.by, kind=MASTER)
        key = INVITES + secret_sha256
        compares, writes = riding.aboard([Compare(key, 0)], [Put(key, encode(record))])
        done = await self._term.leadership.commit(compares, writes)
        if not done.succeeded:
            raise Conflict("this secret was given out before", remedy="ask for another invite")
        riding.arrived()
        self._tell("master.invited", f"master {request.name}", change, {})
        return record

    async def join(
        self, secret_sha256: str, name: str, key_sha256: str, origin: str, sign: Callable[[], T]
    ) -> T:
        """Use an invite: what `sign` gives. It is called before the invite is used up, and what it raises leaves the invite as
        it was. The same key may ask again until the invite expires. Raises Forbidden, Conflict, and what a commit does."""
        return await self._term.whole(self._join(secret_sha256, name, key_sha256, origin, sign))

    async def _join(
        self, secret_sha256: str, name: str, key_sha256: str, origin: str, sign: Callable[[], T]
    ) -> T:
        async with self._term.one_at_a_time:
            invite = self._usable(secret_sha256, name, key_sha256)
            signed = sign()
            key = INVITES + secret_sha256
            used = dataclasses.replace(invite, used_at=self._wall(), key_sha256=key_sha256)
            compare = Compare(key, self._term.view.modified(key))
            done = await self._term.leadership.commit([compare], [Put(key, encode(used))])
            if not done.succeeded:
                raise Conflict("the invite was used at the same moment", remedy="ask for another")
        change = Change(invite.by, "", used.used_at, origin=origin)
        again = {"again": "yes"} if invite.used_at else {}
        self._tell("master.joined", f"master {name}", change, again)
        return signed

    def _usable(self, secret_sha256: str, name: str, key_sha256: str) -> InviteRecord:
        """The invite. What is wrong with it is told only to one who knows its secret."""
        invite = self._term.view.invites.get(secret_sha256)
        remedy = f"on the leader: hullmark master invite {name}"
        if invite is None or invite.kind != MASTER:
            raise Forbidden("this invite is not known here", remedy=remedy)
        if invite.host != name:
            raise Forbidden(
                f"this invite is for master {invite.host}, not for {name}", remedy=remedy
            )
        if self._wall() > invite.expires_at:
            raise Forbidden("this invite has expired", remedy=remedy)
        if invite.used_at and invite.key_sha256 != key_sha256:
            raise Forbidden("this invite was used already", remedy=remedy)
        return invite


def _check(request: MasterInviteRequest) -> None:
    """Raises InvalidInput."""
    problems = []
    if not HOST_NAME.fullmatch(request.name) or len(request.name) > 253:
        allowed = "letters a to z, digits and -, in parts with dots between"
        problems.append(Problem("not a master's name", field="name", allowed=allowed))
    if not INVITE_MIN_S <= request.valid_s <= INVITE_MAX_S:
        allowed = f"{INVITE_MIN_S:.0f} to {INVITE_MAX_S:.0f} seconds"
        problems.append(Problem(f"{request.valid_s:.0f} s", field="valid_s", allowed=allowed))
    if problems:
        raise InvalidInput(problems)
