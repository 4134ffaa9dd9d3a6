"""Changes of apps by people: apply, scale, remove. Each is one transaction, and safe to ask for again (`repeats`)."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Callable, Optional

from hullmark.compose.localdata import sharing
from hullmark.core import adoption, difference, generations, reaching, schedule, turnedaway
from hullmark.core.concerned import Wanted, concerned
from hullmark.core.portclaims import Masters
from hullmark.errors import Conflict, InvalidInput, Problem
from hullmark.masterd import pinning
from hullmark.masterd.addressing import Addressing
from hullmark.masterd.events import Tell
from hullmark.masterd.history import History
from hullmark.masterd.leadership import Leadership
from hullmark.masterd.loadlines import AppWord, of_app, tell_word
from hullmark.masterd.pinning import Resolver
from hullmark.masterd.repeats import Asked, Repeats, asked
from hullmark.masterd.view import View, encode
from hullmark.model.api import ApplyAnswer, ApplyRequest, PlanAnswer, RemoveRequest, ScaleRequest
from hullmark.model.app import App
from hullmark.model.change import Change
from hullmark.model.names import APPS
from hullmark.model.records import AppRecord
from hullmark.model.snapshot import Snapshot
from hullmark.store.protocol import Compare, Put, Write

__all__ = ["Changes", "Check"]

TOO_LARGE = (
    "an app is kept twice, once in its history; "
    "keep large files on the hosts and mount them, rather than as configs"
)

Check = Callable[[App], Sequence[Problem]]


class Changes:
    """`one_at_a_time` keeps changes apart from each other and from the scheduling loop. `places`: where masters are reached."""

    def __init__(
        self,
        leadership: Leadership,
        view: View,
        one_at_a_time: asyncio.Lock,
        snapshot: Callable[[], Snapshot],
        *,
        check: Check,
        tell: Tell,
        addressing: Addressing,
        places: Callable[[], Masters],
    ) -> None:
        self._repeats = Repeats(leadership, view)
        self._history = History(leadership, view)
        self._view = view
        self._one_at_a_time = one_at_a_time
        self._snapshot = snapshot
        self._check = check
        self._tell = tell
        self._addressing = addressing
        self._places = places

    async def apply(self, request: ApplyRequest, change: Change, resolve: Resolver) -> ApplyAnswer:
        name = request.app.name
        asked_for = asked("apply", name, request)
        known = self._repeats.answer(ApplyAnswer, asked_for)
        if known is not None:
            return known
        self._must_be_valid(request.app)
        self._must_be_at(request)
        app, warnings = await pinning.pinned(request.app, self._view.apps.get(name), resolve)
        async with self._one_at_a_time:
            known = self._repeats.answer(ApplyAnswer, asked_for)
            if known is not None:
                return known
            self._must_be_at(request)
            old = self._view.apps.get(name)
            snapshot = self._snapshot()
            warnings = (*warnings, *self._must_be_reachable(snapshot, app))
            record = _next_record(snapshot, old, app, change)
            future = dataclasses.replace(snapshot, apps={**snapshot.apps, name: record})
            warnings = (*warnings, *turnedaway.warnings(future, name))
            if record is not old:
                record = dataclasses.replace(record, warnings=warnings)
            word = of_app(self._view, name, change) if request.override_mark else None
            answer = await self._write(old, record, asked_for, change, warnings, word)
        if word is not None:
            tell_word(self._tell, word[0], change)
        if answer.changed:
            self._tell("app.applied", name, change, {"generation": str(answer.generation)})
        return answer

    async def scale(self, name: str, request: ScaleRequest, change: Change) -> ApplyAnswer:
        asked_for = asked("scale", name, request)
        async with self._one_at_a_time:
            known = self._repeats.answer(ApplyAnswer, asked_for)
            if known is not None:
                return known
            old = self._view.living_app(name)
            app = generations.scaled(old.app, request.services)
            record = generations.next_record(old, app, change)
            if record is not old:
                record = dataclasses.replace(record, warnings=old.warnings)
            warnings = tuple(_shared_data(app, request.services))
            word = of_app(self._view, name, change) if request.override_mark else None
            answer = await self._write(old, record, asked_for, change, warnings, word)
        if word is not None:
            tell_word(self._tell, word[0], change)
        if answer.changed:
            wanted = {key: str(value) for key, value in sorted(request.services.items())}
            self._tell("app.scaled", name, change, wanted)
        return answer

    async def remove(self, name: str, request: RemoveRequest, change: Change) -> ApplyAnswer:
        """Removing what is being removed is fine, and may ask for the volumes too."""
        asked_for = asked("remove", name, request)
        async with self._one_at_a_time:
            known = self._repeats.answer(ApplyAnswer, asked_for)
            if known is not None:
                return known
            old = self._view.app(name)
            volumes = request.volumes or old.remove_volumes
            record = old
            if not old.removing or volumes != old.remove_volumes:
                record = dataclasses.replace(
                    old, change=change, removing=True, remove_volumes=volumes
                )
            nothing = dataclasses.replace(old.app, services={})
            warnings = tuple(reaching.deserted(self._snapshot(), nothing))
            answer = await self._write(old, record, asked_for, change, warnings)
        if answer.changed:
            self._tell("app.removed", name, change, {"volumes": "yes"} if volumes else {})
        return answer

    def plan(self, app: App) -> PlanAnswer:
        """What applying would change now. Tags are not looked up: an image keeps the digest that it has."""
        return self.foreseen(app)[0]

    def foreseen(
        self, app: App, unknown: Optional[Mapping[str, str]] = None
    ) -> tuple[PlanAnswer, Wanted]:
        """The same, and what each host would get. `unknown`: of which services it is not known what their images expose, and why; None: nobody
        asked."""
        self._must_be_valid(app)
        snapshot = self._snapshot()
        old = snapshot.apps.get(app.name)
        known = generations.known_digests(old, app)
        change = Change("", "", 0.0)
        pinned = generations.pinned(app, known)
        pinned = generations.exposing(pinned, generations.known_exposed(old, pinned))
        unsure = pinning.unsure(pinned) if unknown is None else unknown.keys()
        standing = self._must_be_reachable(snapshot, pinned, unsure)
        record = _next_record(snapshot, old, pinned, change)
        future = dataclasses.replace(snapshot, apps={**snapshot.apps, app.name: record})
        made = schedule.plan(future)
        answer = difference.compare(old, record, made.unplaced)
        unlooked = [pinning.unknown_ports(*each) for each in (unknown or {}).items()]
        notes = [*pinning.plan_notes(app, known), *standing, *unlooked]
        notes += turnedaway.warnings(future, app.name, made)
        wanted = concerned(snapshot, record, made) if answer.changed else {}
        return dataclasses.replace(answer, warnings=(*answer.warnings, *notes)), wanted

    async def _write(
        self,
        old: Optional[AppRecord],
        record: AppRecord,
        request: Asked,
        change: Change,
        warnings: tuple[str, ...],
        word: Optional[AppWord] = None,
    ) -> ApplyAnswer:
        """Record, history and answer in one transaction, and what is said of the mark with it; an unchanged record is not
        written, its answer is."""
        name = record.app.name
        key = APPS + name
        compares = [Compare(key, self._view.modified(key))]
        writes: list[Write] = []
        if word is not None:
            compares.append(word[1])
            writes.append(word[2])
        if record is not old:
            writes.append(Put(key, encode(record)))
            given = self._addressing.with_app(record)
            if given is not None:
                compares.append(given[0])
                writes.append(given[1])
        if old is None or record.generation != old.generation:
            await self._history.fill(old)
            writes += self._history.writes(old, record)
        return await self._repeats.commit(
            request,
            ApplyAnswer(name, record.generation, record is not old, warnings),
            change.at,
            compares,
            writes,
            subject=f"app {name}",
            remedy=TOO_LARGE,
        )

    def _must_be_valid(self, app: App) -> None:
        problems = self._check(app)
        if problems:
            raise InvalidInput(problems)

    def _must_be_reachable(
        self, snapshot: Snapshot, app: App, unsure: Collection[str] = ()
    ) -> Sequence[str]:
        """Warnings. Raises InvalidInput for what the app asks of addresses and ports, and can't have."""
        problems, warnings = reaching.judged(snapshot, app, unsure, self._places())
        if problems:
            raise InvalidInput(problems)
        return warnings

    def _must_be_at(self, request: ApplyRequest) -> None:
        """Raises Conflict where the app isn't at the generation that the request expects."""
        old = self._view.apps.get(request.app.name)
        if old is not None and old.removing and old.remove_volumes:
            raise Conflict(
                f"app {old.app.name} is being removed with its volumes",
                remedy="apply it again once `hullmark apps` no longer lists it",
            )
        at = old.generation if old is not None and not old.removing else 0
        expected = request.expected_generation
        if expected is not None and expected != at:
            now = f"is at generation {at}" if at else "does not exist"
            raise Conflict(
                f"app {request.app.name} {now}, not at {expected}",
                remedy="look at `hullmark plan`, then apply without or with the right generation",
            )


def _next_record(
    snapshot: Snapshot, old: Optional[AppRecord], app: App, change: Change
) -> AppRecord:
    """What of it runs already, unordered, is taken in."""
    floor = generations.highest_generation(snapshot, app.name)
    takeover = adoption.takeover(snapshot, old, app, generations.spec_hashes(app))
    return generations.next_record(old, app, change, floor=floor, takeover=takeover)


def _shared_data(app: App, services: Iterable[str]) -> Iterator[str]:
    """The warnings that their file would get, had it these numbers of replicas."""
    for name in sorted(services):
        service = app.services[name]
        for text in sharing(service.container, service.deploy):
            yield f"services.{name}.volumes: {text}"
