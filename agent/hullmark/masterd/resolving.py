"""Looking up an image's digest: the masters ask no registry themselves, a host with its own access does.

A host that runs the app already is preferred, for it has the credentials. One that does not begin to answer,
or goes away, is left for the next; so is one that doesn't have it, as another may have a copy, or other credentials.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Optional

from hullmark.core import imagehosts
from hullmark.errors import InvalidInput, StaleEpoch
from hullmark.masterd import riding
from hullmark.masterd.asking import ask
from hullmark.masterd.desk import Desk
from hullmark.masterd.pinning import Resolver
from hullmark.masterd.tasks import Mark
from hullmark.model import jsontext
from hullmark.model.app import App, PullPolicy
from hullmark.model.control import Mode
from hullmark.model.protocol import ResolveAnswer
from hullmark.model.reference import parse
from hullmark.model.wire import from_wire

WITHIN_S = 20.0
BEGIN_S = 5.0
"""A host that has not begun to answer by then is left for the next one."""
REGISTRY_MOST = 3
"""Hosts that may say no before nobody else is asked: a registry counts how often somebody calls it."""
HOSTS_MOST = 64
"""That are asked for an image of their own, for so long."""
LOCAL_S = 3.0
YOUNG_S = 5.0
"""For so long after a leader began its hosts may be on their way to it: each tries again within 3 s."""
LOOK_S = 0.1
NOBODY = ResolveAnswer(note="no host is ready to be asked", remedy="start an agent")
NO_HOSTS = ResolveAnswer(
    note="there is no host to ask yet", remedy="enroll a host first: hullmark invite HOST"
)


def resolver(desk: Desk, app: App) -> Resolver:
    async def resolve(image: str, platform: str, pull_policy: str) -> ResolveAnswer:
        known = riding.resolved(image, platform, pull_policy)
        if known is not None:
            return known
        arguments = {"image": image, "platform": platform, "pull_policy": pull_policy}
        ready = await _ready_soon(desk)
        snapshot = desk.cluster.snapshot()
        if not ready:
            return NOBODY if snapshot.hosts else NO_HOSTS
        hosts = imagehosts.ordered(snapshot, app, image, platform, ready)
        if pull_policy == PullPolicy.NEVER.value or parse(image).local:
            return await _of_any(desk, hosts, arguments)
        return await _of_the_first(desk, hosts, arguments)

    return resolve


async def _of_the_first(
    desk: Desk, hosts: Sequence[str], arguments: Mapping[str, str]
) -> ResolveAnswer:
    """One host after the other, as each asks the registry: those that don't answer are no reason not to ask more."""
    began, answers = desk.clock(), dict[str, Optional[ResolveAnswer]]()
    deadline = began + WITHIN_S
    refused = 0
    for host_id in hosts:
        if desk.clock() >= deadline or refused == REGISTRY_MOST:
            break
        answer = answers[host_id] = await _ask(desk, host_id, arguments, deadline)
        if answer is not None:
            if not answer.error:
                return answer
            refused += 1
    told = imagehosts.refusal(desk.cluster.snapshot(), answers, len(hosts) - len(answers))
    return told if refused else _unanswered(told, desk.clock() - began)


async def _of_any(desk: Desk, hosts: Sequence[str], arguments: Mapping[str, str]) -> ResolveAnswer:
    """All at once: each only looks at what it has."""
    began, asked = desk.clock(), hosts[:HOSTS_MOST]
    questions = dict.fromkeys(asked, arguments)
    lines = await ask(desk, "resolve", questions, LOCAL_S, enough=lambda line: _has_it(_read(line)))
    answers = {one: _read(lines[one]) if one in lines else None for one in asked}
    for answer in answers.values():
        if answer is not None and not answer.error:
            return answer
    told = imagehosts.refusal(desk.cluster.snapshot(), answers, len(hosts) - len(asked))
    return told if told.error else _unanswered(told, desk.clock() - began)


def _has_it(answer: Optional[ResolveAnswer]) -> bool:
    return answer is not None and not answer.error


def _unanswered(told: ResolveAnswer, waited_s: float) -> ResolveAnswer:
    note = f"no host answered in {waited_s:.1f} s ({told.note})"
    return ResolveAnswer(note=note, remedy=NOBODY.remedy)


async def _ready_soon(desk: Desk) -> list[str]:
    """Hosts that can be asked. A leader that has just begun waits for the first of its hosts."""
    while True:
        hosts, snapshot = _ready(desk), desk.cluster.snapshot()
        if hosts or not snapshot.hosts or snapshot.waited_s >= YOUNG_S:
            return hosts
        await asyncio.sleep(LOOK_S)
        desk.must_lead()


def _ready(desk: Desk) -> list[str]:
    """Those that have an engine to ask."""
    return [
        host.host_id
        for host in desk.cluster.hosts().hosts
        if host.state == "ready" and host.facts.mode != Mode.OBSERVE.value
    ]


async def _ask(
    desk: Desk, host_id: str, arguments: Mapping[str, str], deadline: float
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
