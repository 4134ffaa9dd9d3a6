"""Digests for the tags of an app that is applied, and the ports that its images expose; each distinct image looked up once.

A tag that nobody looked up is never taken silently: what it means could change with the next pull. Such an app is
refused, unless it has a digest for the same image already. What an image exposes is only asked for where the app names no port itself:
nothing is refused because nobody could say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Callable, Optional

from hullmark.core import generations, serviceports
from hullmark.errors import ImageUnavailable
from hullmark.model.app import App, PullPolicy, Service
from hullmark.model.protocol import ResolveAnswer
from hullmark.model.records import AppRecord
from hullmark.model.reference import parse

Resolver = Callable[[str, str, str], Awaitable[ResolveAnswer]]
"""(image, platform, pull policy's value) to what the image is now. With a local id and no digest it stays
unpinned, and `note` says why. Without either nobody looked: `note` says why, `remedy` what helps."""

AT_ONCE = 8
SOON_S = 5.0
PIN_IT = (
    "pin the image by digest (IMAGE@sha256:...), "
    "or set pull_policy: never for an image that is on the hosts only"
)

_Question = tuple[str, str, str]


def looked_up(app: App) -> Mapping[_Question, Sequence[str]]:
    """The names of services whose tags `apply` looks up, by what is asked."""
    found: dict[_Question, list[str]] = {}
    for name, service in sorted(app.services.items()):
        never = service.container.pull_policy is PullPolicy.NEVER
        if not generations.is_pinned(service) and not never:
            found.setdefault(_question(service), []).append(name)
    return found


async def pinned(
    app: App, old: Optional[AppRecord], resolve: Resolver
) -> tuple[App, tuple[str, ...]]:
    """The app with digests for its tags, and warnings. Raises ImageUnavailable."""
    limit = asyncio.Semaphore(AT_ONCE)

    wanted = looked_up(app)

    async def ask(question: _Question) -> ResolveAnswer:
        async with limit:
            if question in wanted:
                return await resolve(*question)
            return await _soon(resolve, question)

    questions = list(dict.fromkeys((*wanted, *portless(app))))
    found = await asyncio.gather(*(ask(question) for question in questions))
    answers = dict(zip(questions, found))
    digests, warnings = _digests(app, old, wanted, answers)
    made = generations.pinned(app, digests)
    exposed, unknown = _exposed(made, old, answers)
    return generations.exposing(made, exposed), (*warnings, *unknown)


async def exposing(
    app: App, apps: Mapping[str, AppRecord], resolve: Resolver
) -> tuple[App, Mapping[str, str]]:
    """The app with what the images of those of its services expose that somebody uses and that name no port, for a plan; and why that is not
    known of others, by service. `apps` are all that there are. Nothing else is looked up, and nothing is refused."""
    old = apps.get(app.name)
    known = generations.known_digests(old, app)
    exposed = generations.known_exposed(old, generations.pinned(app, known))
    users = [app, *(record.app for name, record in apps.items() if name != app.name)]
    used = {each for user in users for service in user.services.values() for each in service.uses}
    unknown: dict[str, str] = {}
    asked = {
        question: names
        for question, names in portless(app).items()
        if any(name not in exposed and f"{app.name}/{name}" in used for name in names)
    }
    answers = await asyncio.gather(*(_soon(resolve, question) for question in asked))
    for names, answer in zip(asked.values(), answers):
        if answer.digest or answer.local_id:
            exposed.update(dict.fromkeys(names, answer.exposed))
        else:
            unknown.update(dict.fromkeys(names, answer.error or answer.note))
    return generations.exposing(app, exposed), unknown


async def _soon(resolve: Resolver, question: _Question) -> ResolveAnswer:
    """What nothing is refused for is not waited for long."""
    try:
        return await asyncio.wait_for(resolve(*question), SOON_S)
    except asyncio.TimeoutError:
        return ResolveAnswer(note=f"no host answered in {SOON_S:g} s")


def unsure(app: App) -> set[str]:
    """Services that name no port, and of whose image nobody said that it exposes one."""
    return {name for name in _names(portless(app)) if not app.services[name].exposed}


def portless(app: App) -> Mapping[_Question, Sequence[str]]:
    """The names of services that others could reach, and that name no port themselves, by what is asked of their image."""
    found: dict[_Question, list[str]] = {}
    for name, service in sorted(app.services.items()):
        on_network = service.container.networks or service.container.network_mode
        if on_network and serviceports.may_serve(service) and not serviceports.declared(service):
            found.setdefault(_question(service), []).append(name)
    return found


def _exposed(
    app: App, old: Optional[AppRecord], answers: Mapping[_Question, ResolveAnswer]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """What images expose, by service; and warnings of those of which it is needed and not known."""
    exposed, warnings = generations.known_exposed(old, app), []
    needed = {each for each in _names(portless(app)) if reachable(app, each)} - exposed.keys()
    for name, service in sorted(app.services.items()):
        answer = answers.get(_question(service))
        if answer is not None and answer.exposed:
            exposed[name] = answer.exposed
        elif name in needed and answer is not None and not (answer.digest or answer.local_id):
            warnings.append(unknown_ports(name, answer.error or answer.note))
    return exposed, warnings


def unknown_ports(name: str, why: str) -> str:
    return f"{name}: which ports its image exposes is not known: {why}"


def reachable(app: App, name: str) -> bool:
    """Whether another service of the app would reach it, had it a port."""
    networks = {place.network for place in app.services[name].container.networks}
    return any(
        f"{app.name}/{name}" in other.uses
        or networks.intersection(place.network for place in other.container.networks)
        for each, other in app.services.items()
        if each != name
    )


def _names(asked: Mapping[_Question, Sequence[str]]) -> set[str]:
    return {name for names in asked.values() for name in names}


def _digests(
    app: App,
    old: Optional[AppRecord],
    wanted: Mapping[_Question, Sequence[str]],
    answers: Mapping[_Question, ResolveAnswer],
) -> tuple[dict[str, str], list[str]]:
    """What pins the images, by service, and warnings. Raises ImageUnavailable."""
    digests = generations.known_digests(old, app)
    warnings = []
    for question, services in wanted.items():
        image, answer = question[0], answers[question]
        digest = _digest(image, services, answer, digests)
        for name in services:
            digests[name] = digest
        if not answer.digest:
            state = "keeps its digest" if digest else "is not pinned"
            note = answer.note or "it has no digest"
            warnings.append(f"{', '.join(services)}: image {image} {state}: {note}")
    return digests, warnings


def plan_notes(app: App, known: Mapping[str, str]) -> Sequence[str]:
    """What `plan`, which looks nothing up, can't know of the app's tags."""
    names = [name for services in looked_up(app).values() for name in services]
    new = sorted(name for name in names if name not in known)
    again = sorted(name for name in names if name in known)
    notes = []
    if new:
        notes.append(f"{', '.join(new)}: the image's tag is looked up at apply")
    if again:
        notes.append(
            f"apply looks up the tags of {', '.join(again)} again; one that moved is a change"
        )
    return notes


def _digest(
    image: str, services: Sequence[str], answer: ResolveAnswer, known: Mapping[str, str]
) -> str:
    """What pins the image; empty where it stays unpinned. Raises ImageUnavailable."""
    if answer.error:
        raise ImageUnavailable(f"{', '.join(services)}: {answer.error}", remedy=answer.remedy)
    if answer.digest or answer.local_id:
        # An image that is there without a digest: one that it had before is another image's.
        return answer.digest
    kept = [known[name] for name in services if known.get(name)]
    if kept or parse(image).local:
        return kept[0] if kept else ""
    raise ImageUnavailable(
        f"{', '.join(services)}: the tag of image {image} can't be looked up: {answer.note}",
        remedy=f"{answer.remedy or 'start an agent'}; or {PIN_IT}",
    )


def _question(service: Service) -> _Question:
    container = service.container
    return container.image, container.platform, container.pull_policy.value
