"""Looking up an image's digest: the masters ask no registry themselves, a host with its own access does.

A host that runs the app already is preferred, for it has the credentials. One that does not begin to answer,
or goes away, is left for the next.
"""

from __future__ import annotations

import asyncio
from typing import Optional

from hullmark.errors import InvalidInput, StaleEpoch
from hullmark.masterd import riding
from hullmark.masterd.desk import Desk
from hullmark.masterd.pinning import Resolver
from hullmark.masterd.tasks import Mark
from hullmark.model import jsontext
from hullmark.model.control import Mode
from hullmark.model.protocol import ResolveAnswer
from hullmark.model.wire import from_wire

WITHIN_S = 20.0
BEGIN_S = 5.0
"""A host that has not begun to answer by then is left for the next one."""
YOUNG_S = 5.0
"""For so long after a leader began its hosts may be on their way to it: each tries again within 3 s."""
LOOK_S = 0.1
NOBODY = ResolveAnswer(note="no host is ready to be asked", remedy="start an agent")
NO_HOSTS = ResolveAnswer(
    note="there is no host to ask yet", remedy="enroll a host first: hullmark invite HOST"
)


def resolver(desk: Desk, app: str) -> Resolver:
    async def resolve(image: str, platform: str, pull_policy: str) -> ResolveAnswer:
        known = riding.resolved(image, platform, pull_policy)
        if known is not None:
            return known
        arguments = {"image": image, "platform": platform, "pull_policy": pull_policy}
        began = desk.clock()
        deadline = began + WITHIN_S
        hosts = await _hosts_soon(desk, app)
        for host_id in hosts:
            if desk.clock() >= deadline:
                break
            answer = await _ask(desk, host_id, arguments, deadline)
            if answer is not None:
                return answer
        if not hosts:
            return NOBODY if desk.cluster.snapshot().hosts else NO_HOSTS
        waited_s = desk.clock() - began
        return ResolveAnswer(note=f"no host answered in {waited_s:.1f} s", remedy=NOBODY.remedy)

    return resolve


async def _hosts_soon(desk: Desk, app: str) -> list[str]:
    """A leader that has just begun waits for the first of its hosts."""
    while True:
        hosts, snapshot = _hosts(desk, app), desk.cluster.snapshot()
        if hosts or not snapshot.hosts or snapshot.waited_s >= YOUNG_S:
            return hosts
        await asyncio.sleep(LOOK_S)
        desk.must_lead()


def _hosts(desk: Desk, app: str) -> list[str]:
    """Ready hosts that have an engine to ask, those that run the app first."""
    assignments = desk.cluster.snapshot().assignments
    runs_it = {
        host_id
        for host_id, orders in assignments.items()
        if any(item.instance.app == app for item in orders.assignments)
    }
    ready = [
        host.host_id
        for host in desk.cluster.hosts().hosts
        if host.state == "ready" and host.facts.mode != Mode.OBSERVE.value
    ]
    return sorted(ready, key=lambda host_id: host_id not in runs_it)


async def _ask(
    desk: Desk, host_id: str, arguments: dict[str, str], deadline: float
) -> Optional[ResolveAnswer]:
    """One host's answer, or None where it gives none."""
    lines = desk.hub.reader(8)
    question = desk.hub.ask(host_id, "resolve", arguments, lines)
    until = min(deadline, desk.clock() + BEGIN_S)
    try:
        while True:
            piece = await lines.take(until - desk.clock())
            if desk.hub.stopped:
                raise StaleEpoch("this master is stopping", remedy="ask again in a moment")
            if piece is None or piece.mark in (Mark.ENDED, Mark.BROKEN):
                return None
            if piece.mark is Mark.BEGUN:
                until = deadline
                continue
            return _read(piece.line)
    finally:
        question.close()
        desk.hub.leave(lines)


def _read(line: bytes) -> Optional[ResolveAnswer]:
    try:
        return from_wire(ResolveAnswer, jsontext.loads(line), ignore_unknown=True)
    except (ValueError, InvalidInput):
        return None
