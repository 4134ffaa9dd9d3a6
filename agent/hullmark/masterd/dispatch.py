"""From a request to an answer: find the route, know the caller, read the body, ask the handler, name errors.

Each handler runs in a task of its own, which is cancelled when the caller goes away, when its login ends, or
when the master does. What a handler raises by mistake is a fault of ours: it is logged under an id, and the
caller gets only the id.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Sequence
from typing import Any, Callable, Optional
from urllib.parse import unquote

from aiohttp import web
from aiohttp.client_exceptions import ClientError

from hullmark import log
from hullmark.errors import (
    Forbidden,
    HullmarkError,
    InvalidInput,
    MasterUnavailable,
    Problem,
    StaleEpoch,
    StoreUnavailable,
    Unavailable,
)
from hullmark.masterd.answers import (
    NotLoggedIn,
    error_response,
    fault_response,
    json_response,
    traced,
)
from hullmark.masterd.brake import Brake
from hullmark.masterd.changegate import guarded
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.forwarding import Forwarder
from hullmark.masterd.gate import request_came, request_over
from hullmark.masterd.identity import LOCAL, Caller, anyone, may_not
from hullmark.masterd.recording import PATH_MAX_CHARACTERS, Recorder, Seen
from hullmark.masterd.refusals import not_leading
from hullmark.masterd.requestbody import check_type, decode_body, read_body
from hullmark.masterd.route import Login, Route, find, nothing_at
from hullmark.model.changecontrol import Held
from hullmark.model.wire import STALE, from_wire

LOOK_S = 1.0
"""How often a held request looks whether its caller is still there, and may still ask."""

Identify = Callable[[web.BaseRequest], Awaitable[Caller]]
OnStale = Callable[[StaleEpoch], web.Response]

_log = log.get("http")


class Dispatcher:
    """Of one listener. `logins`: which of the routes' logins it can satisfy. `forwarder`: who asks here is answered by
    the leader, where that is another master."""

    def __init__(
        self,
        desk: Desk,
        routes: Sequence[Route],
        logins: frozenset[Login],
        identify: Identify,
        brake: Brake,
        recorder: Recorder,
        on_stale: OnStale = error_response,
        forwarder: Optional[Forwarder] = None,
    ) -> None:
        self._desk = desk
        self._routes = routes
        self._logins = logins
        self._identify = identify
        self._brake = brake
        self._recorder = recorder
        self._on_stale = on_stale
        self._forwarder = forwarder

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        request_came(request)
        began = self._desk.clock()
        seen = Seen(anyone(request), request.method, request.path)
        task = asyncio.ensure_future(self._answer(request, seen))
        try:
            await asyncio.sleep(0)  # it finds its route
            # Thousands of hosts' polls are held at a time: they are woken where a look is needed.
            wakes = seen.route is not None and seen.route.wakes
            while not task.done():
                await asyncio.wait({task}, timeout=None if wakes else LOOK_S)
                if _is_gone(request):
                    break
                seen.over = not (task.done() or await self._may_stay(request, seen))
                if seen.over:
                    break
        finally:
            task.cancel()
        await asyncio.wait({task})
        response = await self._outcome(request, seen, task)
        if request.can_read_body and not request.content.at_eof():
            # What is left of the body would be read as the next request.
            response.force_close()
        self._recorder.tell(seen, response, self._desk.clock() - began)
        request_over(request)
        return response

    async def _may_stay(self, request: web.BaseRequest, seen: Seen) -> bool:
        """Who is no longer let in loses what is held open, such as a followed log."""
        route = seen.route
        if not seen.admitted or route is None or route.login is Login.NOBODY:
            return True
        if route.login is Login.HOST:
            known = seen.caller
            return self._desk.cluster.credentials.may_stay(known.host_id, known.certificate_sha256)
        try:
            caller = await self._identify(request)
        except (Unavailable, ConnectionError):
            return True
        except Forbidden:
            return False
        return caller.refusal is None and caller.role in route.roles

    async def _outcome(
        self, request: web.BaseRequest, seen: Seen, task: asyncio.Future[web.StreamResponse]
    ) -> web.StreamResponse:
        if task.cancelled():
            if seen.over:
                seen.why = "this login has ended, or may no more"
                return error_response(NotLoggedIn(seen.why))
            return web.Response(status=499)
        error = task.exception()
        if error is None:
            return task.result()
        if isinstance(error, (ConnectionError, ClientError, asyncio.IncompleteReadError)):
            # The caller went away in the middle, or what it sent is no HTTP.
            wrong = InvalidInput([Problem("the request was cut off")])
            return error_response(wrong)
        if isinstance(error, StaleEpoch):
            return self._on_stale(error)
        if isinstance(error, HullmarkError):
            return await self._refused(seen, error)
        fault_id = uuid.uuid4().hex[:12]
        path = request.path[:PATH_MAX_CHARACTERS]
        _log.error("a request failed", id=fault_id, path=path, traceback=traced(error))
        return fault_response(fault_id)

    async def _refused(self, seen: Seen, error: HullmarkError) -> web.Response:
        caller, seen.why = seen.caller, error.message
        careful = seen.route is not None and seen.route.careful
        unwelcome = isinstance(error, NotLoggedIn) or error is caller.refusal
        if unwelcome or (careful and isinstance(error, Forbidden)):
            # Behind the Unix socket each user is an address of its own.
            source = f"user {caller.uid}" if caller.origin == LOCAL else caller.origin
            await asyncio.sleep(self._brake.failed(source))
        return error_response(error)

    async def _answer(self, request: web.BaseRequest, seen: Seen) -> web.StreamResponse:
        route, seen.names = find(self._routes, request.method, _parts(request))
        seen.route = route
        await self._admit(request, route, seen)
        seen.admitted = True
        forwarded = await self._forwarded(request, route, seen)
        if forwarded is not None:
            return forwarded
        query = route.read_query(list(request.query.items()))
        body, given = await self._body(request, route)
        call = Call(seen.caller, request, body, given, seen.names, query, self._routes)
        answer = await self._carried_out(route, seen, call)
        response = answer if isinstance(answer, web.StreamResponse) else _response(answer)
        if route.method == "GET" and not route.anywhere:
            self._say_how_old(response)
        return response

    async def _carried_out(self, route: Route, seen: Seen, call: Call) -> Any:
        """The handler's answer. Raises what it does, and AuditUnavailable where a change can't be recorded before it."""
        accounts = self._desk.accounts
        if not route.changes:
            if route.told:
                accounts.read(route, call.caller, call.names, call.query)
            return await route.handler(self._desk, call)
        undertaking = accounts.undertaking(route, call.caller, call.names, call.body)
        seen.recorded = True
        async with undertaking:
            undertaking.answer = await guarded(self._desk, route, call)
        return undertaking.answer

    def _say_how_old(self, response: web.StreamResponse) -> None:
        """What a master knows that doesn't lead is not what is."""
        cluster = self._desk.cluster
        if not cluster.is_leader:
            response.headers[STALE] = f"{cluster.stale_s:.1f}"

    async def _admit(self, request: web.BaseRequest, route: Route, seen: Seen) -> None:
        """Raises StaleEpoch, NotLoggedIn, Forbidden, or Unavailable where nobody says who it is."""
        if route.login is Login.NOBODY:
            if route.careful:
                self._desk.must_lead()
            return
        leads = self._desk.cluster.is_leader
        cut_off = self._desk.cluster.role == "read-only"
        stands_in = route.standby and self._desk.cluster.readable
        answers = stands_in or (self._answers(route) and (leads or cut_off))
        if self._forwarder is None and not answers:
            raise self._why_not()  # a standby knows less than the leader, who can be asked
        caller = seen.caller = await self._identify(request)
        if caller.refusal is not None:
            raise caller.refusal
        if route.login not in self._logins:
            raise Forbidden(
                "this is possible over the master's Unix socket only",
                remedy="log in on the master's host, and ask there",
            )
        if route.login is not Login.HOST and caller.role not in route.roles:
            raise may_not(caller, route.roles, "this")

    def _answers(self, route: Route) -> bool:
        """Whether this master answers itself. One that doesn't lead does where it knows enough, and nothing is changed."""
        cluster = self._desk.cluster
        # Over TLS a caller goes to the leader itself, where the store still says who that is.
        alone = self._forwarder is not None or cluster.role == "read-only"
        known = cluster.readable and route.login is Login.PERSON and route.method == "GET"
        return cluster.is_leader or (alone and known)

    def _why_not(self) -> HullmarkError:
        cluster = self._desk.cluster
        if cluster.role == "read-only" and cluster.read_only and cluster.other_leader is None:
            return StoreUnavailable(
                f"nothing can be changed now: {cluster.read_only}",
                remedy="hullmark status says what is wrong; running apps go on",
            )
        return not_leading(cluster.why_not)

    async def _forwarded(
        self, request: web.BaseRequest, route: Route, seen: Seen
    ) -> Optional[web.StreamResponse]:
        """The leader's answer; None where this master is to answer: it leads, or the leader can't be reached."""
        cluster = self._desk.cluster
        local = route.login in (Login.PERSON, Login.LOCAL)
        if self._forwarder is None or cluster.is_leader or route.standby or not local:
            return None
        leader, body = cluster.other_leader, b""
        try:
            if leader is None:
                raise self._why_not()
            seen.forwarded_to = leader.master
            body = await read_body(request, route.body_max_bytes)
            if not route.changes:
                return await self._forwarder.answer(request, seen.caller, body)
            seen.recorded = True
            accounts = self._desk.accounts
            undertaking = accounts.passed_on(route, seen.caller, seen.names, body, leader.master)
            async with undertaking:
                answer = await self._forwarder.answer(request, seen.caller, body)
                undertaking.answer = answer
            return answer
        except (MasterUnavailable, StoreUnavailable, StaleEpoch):
            # Of a change the body is read: where this master leads by now, it is asked again with the same request id.
            if not body and (self._answers(route) or route.anywhere):
                return None
            raise

    async def _body(
        self, request: web.BaseRequest, route: Route
    ) -> tuple[Optional[Any], frozenset[str]]:
        if route.streams:
            return None, frozenset()
        people = route.login is not Login.HOST
        if people and route.body is not None:
            check_type(request)
        raw = await read_body(request, route.body_max_bytes)
        if route.body is None:
            return None, frozenset()
        data = decode_body(raw, strict=people)
        if route.trim is not None:
            data = route.trim(data)
        # Daemons may be one minor version apart; people are told of what is not understood.
        body: Any = from_wire(route.body, data, ignore_unknown=not people)
        return body, frozenset(data) if isinstance(data, dict) else frozenset()


def _response(answer: Any) -> web.Response:
    return json_response(answer, 202 if isinstance(answer, Held) else 200)


def _is_gone(request: web.BaseRequest) -> bool:
    return request.transport is None or request.transport.is_closing()


def _parts(request: web.BaseRequest) -> list[str]:
    """The path's parts, as they stand between its slashes: `%2F` is none. Raises NotFound for what has no name."""
    raw = request.raw_path.partition("?")[0]
    if not raw.startswith("/"):
        raw = request.rel_url.raw_path  # of a whole URL, as a proxy is asked (RFC 9112, 3.2.2)
    try:
        parts = [unquote(part, errors="strict") for part in raw.split("/")]
    except UnicodeDecodeError as error:
        raise nothing_at("a path that is not UTF-8") from error
    if any("/" in part or part in (".", "..") or not part.isprintable() for part in parts):
        raise nothing_at(raw)
    return parts
