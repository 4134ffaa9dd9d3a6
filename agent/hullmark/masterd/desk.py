"""What the ports' handlers work with: the cluster, the hub of tasks, and what they tell people and agents."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from aiohttp import web

from hullmark.masterd.accounting import Accounts
from hullmark.masterd.auditing import Auditing
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.identity import Caller, may_not
from hullmark.masterd.receiptbook import Receipts
from hullmark.masterd.refusals import not_leading
from hullmark.masterd.tasks import Hub
from hullmark.masterd.vouching import Vouching
from hullmark.model.change import Change
from hullmark.model.evidence import RoleView
from hullmark.model.people import Role
from hullmark.pki.authority import Authority

if TYPE_CHECKING:  # a route's handler takes a desk
    from hullmark.masterd.route import Route

T = TypeVar("T")


@dataclass(frozen=True)
class Terms:
    """Times in seconds. `api_urls` and `agents_urls`: where people and agents reach the masters.
    `roles`: who has one by this master's configuration."""

    cluster_id: str
    api_urls: tuple[str, ...]
    agents_urls: tuple[str, ...]
    lease_s: float = 10.0
    poll_hold_max_s: float = 4.0
    session_valid_s: float = 28800.0
    invite_valid_s: float = 3600.0
    roles: tuple[RoleView, ...] = ()


@dataclass(frozen=True)
class Desk:
    """`document` is the API's own description, JSON. `wall` is for records only. `told_resend` has for each host
    which life of its agent was last asked for a full report, and when. `under_way` is what goes on when whoever asked for
    it has gone. `auditing` is this master's own record, `accounts` what it has of requests, `vouching`
    what it keeps of others' records, `receipts` which hosts' canaries others found."""

    cluster: Cluster
    hub: Hub
    authority: Authority
    terms: Terms
    auditing: Auditing
    accounts: Accounts
    vouching: Vouching
    document: bytes = b"{}"
    wall: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    told_resend: dict[str, tuple[str, float]] = field(default_factory=dict)
    under_way: set[asyncio.Future[None]] = field(default_factory=set)
    receipts: Receipts = field(default_factory=Receipts)

    def must_lead(self) -> None:
        """Raises StaleEpoch where this master does not lead."""
        if not self.cluster.is_leader:
            raise not_leading(self.cluster.why_not)

    async def hold(self, after: int, hold_s: float) -> None:
        """Wait for a change of anything after this version. Raises StaleEpoch when leading ends."""
        await self.cluster.wait_changed(after, hold_s)
        self.must_lead()

    async def held(self, call: Call, view: Callable[[], T]) -> T:
        """The view; with `after` in the query that of the moment when something has changed since that version."""
        found = view()
        if call.query["after"]:
            await self.hold(call.query["after"], call.query["hold_s"])
            found = view()
        return found


@dataclass(frozen=True)
class Call:
    """One request, read and checked. `given` are the keys of the body that were there; `names` come from the
    path; `query` has a value for every parameter of the route. `routes` are all of this port. Where a change was asked for before,
    `approved_by` is the second person, who sends this request. `break_glass` is the id of one that is open."""

    caller: Caller
    request: web.BaseRequest
    body: Any
    given: frozenset[str]
    names: Mapping[str, str]
    query: Mapping[str, Any]
    routes: Sequence[Route] = ()
    approved_by: str = ""
    break_glass: str = ""

    def change(self, desk: Desk, request_id: str = "", ticket: str = "") -> Change:
        return Change(
            self.caller.who,
            request_id,
            desk.wall(),
            ticket,
            self.caller.origin,
            self.approved_by,
            self.break_glass,
        )

    def must_be(self, roles: frozenset[Role], what: str) -> None:
        """For what needs more than the route. `what` as in "deleting volumes". Raises Forbidden."""
        if self.caller.role not in roles:
            raise may_not(self.caller, roles, what)

    def hang_up(self) -> None:
        """End the connection: the only way to say that an answer which has begun is not whole."""
        if self.request.transport is not None:
            self.request.transport.abort()

    @property
    def gone(self) -> bool:
        """Whether the one who asked went away."""
        transport = self.request.transport
        return transport is None or transport.is_closing()


async def first_of(*works: asyncio.Future[Any]) -> None:
    """Wait until one of them is done; the others are cancelled."""
    try:
        await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for work in works:
            work.cancel()
