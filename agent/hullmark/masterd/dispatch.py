"""From a request to an answer: find the route, know the caller, read the body, ask the handler, name errors.

Each handler runs in a task of its own, which is cancelled when the caller goes away or the master ends. What
a handler raises by mistake is a fault of ours: it is logged under an id, and the caller gets only the id.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any, Callable, Optional

from aiohttp import web
from aiohttp.client_exceptions import ClientError

from hullmark import log
from hullmark.errors import Forbidden, HullmarkError, InvalidInput, Problem, StaleEpoch
from hullmark.masterd.answers import (
    NotLoggedIn,
    error_response,
    fault_response,
    json_response,
    traced,
)
from hullmark.masterd.brake import Brake
from hullmark.masterd.desk import Call, Desk
from hullmark.masterd.gate import request_came
from hullmark.masterd.identity import Caller, anyone
from hullmark.masterd.requestbody import decode_body, read_body
from hullmark.masterd.route import Login, Route, find
from hullmark.model.wire import from_wire

LOOK_S = 1.0
"""How often a held request looks whether its caller is still there."""

Identify = Callable[[web.BaseRequest], Caller]
OnStale = Callable[[StaleEpoch], web.Response]

_log = log.get("http")


class Dispatcher:
    """Of one listener. `logins`: which of the routes' logins it can satisfy."""

    def __init__(
        self,
        desk: Desk,
        routes: Sequence[Route],
        logins: frozenset[Login],
        identify: Identify,
        brake: Brake,
        on_stale: OnStale = error_response,
    ) -> None:
        self._desk = desk
        self._routes = routes
        self._logins = logins
        self._identify = identify
        self._brake = brake
        self._on_stale = on_stale

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        request_came(request)
        began = self._desk.clock()
        task = asyncio.ensure_future(self._answer(request))
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=LOOK_S)
                if request.transport is None or request.transport.is_closing():
                    break
        finally:
            task.cancel()
        await asyncio.wait({task})
        response = await self._outcome(request, task)
        took_s = round(self._desk.clock() - began, 3)
        path = request.path[:200]
        _log.debug(
            "answered", method=request.method, path=path, status=response.status, took_s=took_s
        )
        return response

    async def _outcome(
        self, request: web.BaseRequest, task: asyncio.Future[web.StreamResponse]
    ) -> web.StreamResponse:
        if task.cancelled():
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
            return await self._refused(request, error)
        fault_id = uuid.uuid4().hex[:12]
        _log.error(
            "a request failed", id=fault_id, path=request.path[:200], traceback=traced(error)
        )
        return fault_response(fault_id)

    async def _refused(self, request: web.BaseRequest, error: HullmarkError) -> web.Response:
        caller = anyone(request)
        careful = isinstance(error, NotLoggedIn) or (
            isinstance(error, Forbidden) and request.path == "/v1/enroll"
        )
        if isinstance(error, Forbidden):
            _log.info("refused", origin=caller.origin, path=request.path[:200], why=error.message)
        if careful:
            await asyncio.sleep(self._brake.failed(caller.origin))
        return error_response(error)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        route, names = find(self._routes, request.method, request.path)
        caller = self._admitted(request, route)
        query = route.read_query(list(request.query.items()))
        body, given = await self._body(request, route)
        call = Call(caller, request, body, given, names, query)
        answer = await route.handler(self._desk, call)
        if isinstance(answer, web.StreamResponse):
            return answer
        if route.method != "GET" and route.login is not Login.HOST:
            by, path = caller.who or caller.origin, request.path[:200]
            _log.info("done", method=route.method, path=path, by=by, origin=caller.origin)
        return json_response(answer)

    def _admitted(self, request: web.BaseRequest, route: Route) -> Caller:
        """Raises StaleEpoch, NotLoggedIn or Forbidden."""
        if route.login is Login.NOBODY:
            if route.careful:
                self._desk.must_lead()
            return anyone(request)
        self._desk.must_lead()
        caller = self._identify(request)
        if route.login not in self._logins:
            raise Forbidden(
                "this is possible over the master's Unix socket only",
                remedy="log in on the master's host, and ask there",
            )
        return caller

    async def _body(
        self, request: web.BaseRequest, route: Route
    ) -> tuple[Optional[Any], frozenset[str]]:
        if route.streams:
            return None, frozenset()
        raw = await read_body(request, route.body_max_bytes)
        if route.body is None:
            return None, frozenset()
        data = decode_body(raw)
        # Daemons may be one minor version apart; people are told of what is not understood.
        body: Any = from_wire(route.body, data, ignore_unknown=route.login is Login.HOST)
        return body, frozenset(data) if isinstance(data, dict) else frozenset()
