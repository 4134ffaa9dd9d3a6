"""The master's three doors: what each listener answers, how it knows its callers, and how many it lets in."""

from __future__ import annotations

import dataclasses
import os
import socket
import ssl
from collections.abc import Sequence
from functools import partial

from aiohttp import web

from hullmark.errors import StaleEpoch
from hullmark.masterd import identity, routes, vouching_api
from hullmark.masterd.answers import error_answer, json_response
from hullmark.masterd.brake import Brake
from hullmark.masterd.desk import Desk
from hullmark.masterd.directory import Directory
from hullmark.masterd.dispatch import Dispatcher
from hullmark.masterd.forwarding import Forwarder
from hullmark.masterd.recording import Recorder
from hullmark.masterd.route import Login
from hullmark.masterd.server import Listener
from hullmark.model.protocol import NotLeader

AGENTS_MOST, PEOPLE_MOST, LOCAL_MOST, LOCAL_EACH = 8192, 512, 128, 32
"""Connections at a time. An agent has one for its polls, and one more each for orders, reports, records, heads and tasks."""
PEOPLE_EACH = 64
"""Of one address at the API, so that one caller can't keep all others out."""


def listeners(
    desk: Desk,
    directory: Directory,
    contexts: Sequence[ssl.SSLContext],
    sockets: Sequence[socket.socket],
) -> list[Listener]:
    """Agents' port, API's port, Unix socket, as the sockets; contexts of the first two, and of this master's own calls."""
    brake = Brake(desk.clock)
    people = frozenset({Login.NOBODY, Login.PERSON})
    cluster_id = desk.terms.cluster_id
    host = partial(identity.calling_host, cluster=desk.cluster, cluster_id=cluster_id)
    login = partial(identity.bearer, cluster=desk.cluster, directory=directory)
    person = partial(identity.local_person, directory=directory)
    recorder = Recorder(desk)
    agents = Dispatcher(
        desk,
        routes.AGENTS,
        frozenset({Login.HOST}),
        host,
        brake,
        recorder,
        partial(_not_leader, desk),
    )
    elsewhere = partial(_elsewhere, desk)
    api = Dispatcher(desk, routes.API, people, login, brake, recorder, elsewhere)
    local = Dispatcher(
        desk,
        routes.API,
        people | {Login.LOCAL},
        person,
        brake,
        recorder,
        elsewhere,
        Forwarder(desk.cluster, contexts[2]),
    )
    peers = Dispatcher(
        desk,
        routes.API,
        people | {Login.LOCAL},
        partial(identity.forwarded_person, cluster_id=cluster_id),
        brake,
        recorder,
        elsewhere,
    )

    daemon = partial(identity.calling_daemon, cluster=desk.cluster, cluster_id=cluster_id)
    vouching = Dispatcher(
        desk,
        vouching_api.ROUTES,
        frozenset({Login.HOST}),
        daemon,
        brake,
        recorder,
        partial(_not_leader, desk),
    )

    async def agents_port(request: web.BaseRequest) -> web.StreamResponse:
        if request.path in vouching_api.PATHS:
            return await vouching(request)
        peer = request.path.startswith("/v1/") and identity.is_master(request, cluster_id)
        if not peer:
            _count(desk, request)
        return await (peers if peer else agents)(request)

    own = frozenset({"uid 0", f"uid {os.geteuid()}"})
    return [
        Listener("agents", sockets[0], agents_port, AGENTS_MOST, contexts[0]),
        Listener("api", sockets[1], api, PEOPLE_MOST, contexts[1], PEOPLE_EACH),
        Listener("socket", sockets[2], local, LOCAL_MOST, each=LOCAL_EACH, always=own),
    ]


def _count(desk: Desk, request: web.BaseRequest) -> None:
    """A standby counts the hosts that call it: a leader that hears far fewer hands over to it."""
    cluster, host_id = desk.cluster, identity.known_host(request)
    if not cluster.is_leader and cluster.readable and cluster.host(host_id) is not None:
        cluster.knocked(host_id)


def _not_leader(desk: Desk, error: StaleEpoch) -> web.Response:
    leader = desk.cluster.other_leader
    answer = NotLeader() if leader is None else NotLeader(leader.master, leader.address)
    return json_response(answer, 421)


def _elsewhere(desk: Desk, error: StaleEpoch) -> web.Response:
    """With the URL of the leader's API, where it is known."""
    leader = desk.cluster.other_leader
    at = "" if leader is None or not leader.api_address else f"https://{leader.api_address}"
    return json_response(dataclasses.replace(error_answer(error), leader=at), 421)
