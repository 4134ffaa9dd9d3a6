"""What is asked by the Unix socket of a master that does not lead goes on to the leader, by its agents' port.

    person -> Unix socket: who it is, and which role -> this master's certificate, and a header about the person -> leader

The leader takes the word of another master's certificate, and of nobody else's (`identity.forwarded_person`). It never
forwards what was forwarded, so that nothing goes round.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Optional

import aiohttp
from aiohttp import web
from yarl import URL

from hullmark.errors import MasterUnavailable
from hullmark.masterd.cluster import Cluster
from hullmark.masterd.identity import PERSON, Caller, about
from hullmark.masterd.refusals import not_leading
from hullmark.model.records import LeaderRecord

CONNECT_S = 2.0
"""TCP and TLS together: a leader that is frozen has a kernel that still takes connections."""
LOOK_S = 0.25
"""How often it is looked whether the leader that is asked still leads."""
ANSWER_MAX_BYTES = 64 << 20
NOT_LEADER = 421


class Forwarder:
    """`context` has this master's certificate, and verifies the leader's by the cluster's root."""

    def __init__(self, cluster: Cluster, context: ssl.SSLContext) -> None:
        self._cluster = cluster
        self._context = context

    async def answer(
        self, request: web.BaseRequest, caller: Caller, body: bytes
    ) -> web.StreamResponse:
        """The leader's answer, whatever it is, as it comes. Raises StaleEpoch where nobody is known to lead, or another one
        does before the answer was there; MasterUnavailable where none comes."""
        leader = self._cluster.other_leader
        if leader is None:
            raise not_leading(self._cluster.why_not)
        asking = asyncio.ensure_future(
            _Passage(request).through(leader, self._context, caller, body)
        )
        try:
            while not asking.done():
                await asyncio.wait({asking}, timeout=LOOK_S)
                if not asking.done() and self._cluster.other_leader != leader:
                    raise not_leading(f"{leader.master} ceased to lead before it answered")
            return asking.result()
        finally:
            asking.cancel()


class _Passage:
    """One request's way to a leader and its answer's way back."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._begun: Optional[web.StreamResponse] = None

    async def through(
        self, leader: LeaderRecord, context: ssl.SSLContext, caller: Caller, body: bytes
    ) -> web.StreamResponse:
        try:
            return await self._exchange(leader, context, caller, body)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            if self._begun is not None:
                return self._broken(self._begun)
            why = str(error) or "no answer in time"
            raise MasterUnavailable(
                f"the leader, {leader.master} at {leader.address}, does not answer: {why}",
                remedy="ask again in a moment: another master leads soon where it is gone",
            ) from error
        except asyncio.CancelledError:
            if self._begun is not None:
                self._broken(self._begun)
            raise

    def _broken(self, begun: web.StreamResponse) -> web.StreamResponse:
        """The only way to say that an answer which has begun is not whole."""
        if self._request.transport is not None:
            self._request.transport.abort()
        return begun

    async def _exchange(
        self, leader: LeaderRecord, context: ssl.SSLContext, caller: Caller, body: bytes
    ) -> web.StreamResponse:
        headers = {PERSON: about(caller), "Accept": "application/json"}
        if body:
            headers["Content-Type"] = self._request.headers.get("Content-Type", "application/json")
        url = URL(f"https://{leader.address}{self._request.rel_url.raw_path_qs}", encoded=True)
        connector = aiohttp.TCPConnector(ssl=context)
        patience = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=patience) as session:
            asked = session.request(
                self._request.method, url, data=body or None, headers=headers, allow_redirects=False
            )
            async with asked as answer:
                if answer.status == NOT_LEADER:
                    raise not_leading(f"{leader.master} leads no more")
                if answer.content_length is None:
                    return await self._stream(answer)
                if answer.content_length > ANSWER_MAX_BYTES:
                    raise aiohttp.ClientPayloadError("its answer is too large")
                return web.Response(
                    body=await answer.read(), status=answer.status, headers=_kept(answer)
                )

    async def _stream(self, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=_kept(answer))
        await response.prepare(self._request)
        self._begun = response
        async for part in answer.content.iter_any():
            await response.write(part)
        await response.write_eof()
        return response


def _kept(answer: aiohttp.ClientResponse) -> dict[str, str]:
    names = ("Content-Type", "Content-Disposition", "Allow")
    return {name: answer.headers[name] for name in names if name in answer.headers}
