"""What runs on this host already, held against its policy: each container once, and all again when the policy became another.

A violator is a problem of the host, and an event and a record when it is found. It goes on running, unless the policy says
`on_violation: stop`; a start would be refused either way.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Callable

from hullmark import log
from hullmark.agentd.asked import LOCAL, Asked, asking
from hullmark.agentd.observer import Observer
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.policing import Policing, in_words
from hullmark.agentd.problems import Problems
from hullmark.agentd.pulse import rest
from hullmark.engine.protocol import Container, ContainerState, Engine
from hullmark.errors import EngineUnavailable, HullmarkError, NotFound, PolicyRefused
from hullmark.model.audit import Entry, Outcome
from hullmark.model.policy import STOP, Policy

_log = log.get("patrol")

LOOK_S = 5.0
VIOLATION = "policy.violation"
UNJUDGED = "policy.unjudged"
NAMED = 3
"""Containers that the problem names; the rest are counted."""
REMEDY = (
    "change the app, or the policy; what runs goes on unless the policy says on_violation: stop, and is not "
    "started again"
)
UNJUDGED_REMEDY = (
    "see what the engine says of it: docker inspect NAME, or podman inspect NAME; it goes on, is judged as soon as that "
    "answers, and is not started again until then"
)

_RUNS = (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)

Life = tuple[str, float]
"""A container from one start on."""


@dataclass(frozen=True)
class Told:
    """Where a finding goes. `expect` is told of a container that the agent is about to stop."""

    problems: Problems
    outbox: Outbox
    note: Callable[[Entry], None]
    expect: Callable[[str], None]


def _in_a_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="stop by policy", daemon=True).start()


class Patrol:
    """`run` and `look` are one thread's."""

    def __init__(
        self,
        engine: Engine,
        observer: Observer,
        policing: Policing,
        told: Told,
        spawn: Callable[[Callable[[], None]], None] = _in_a_thread,
    ) -> None:
        self._spawn = spawn
        self._engine = engine
        self._observer = observer
        self._policing = policing
        self._told = told
        self._digest = ""
        self._judged: dict[Life, str] = {}
        self._said: dict[str, str] = {}
        self._stopped: set[Life] = set()
        self._unjudged: dict[str, str] = {}
        self._unanswered: set[Life] = set()

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self.look()
            rest(stopping, LOOK_S)

    def look(self) -> None:
        """Once. While the policy can't be read, or the engine doesn't answer, what was found before stands."""
        try:
            policy = self._policing.folder.current()
            running = {life(one): one for one in self._observer.seen() if one.state in _RUNS}
            self._judge(policy, running)
            self._show(running)
            if policy.on_violation == STOP:
                self._stop(running)
        except PolicyRefused:
            return
        except HullmarkError as error:
            _log.debug("put off", why=error.message)

    def _judge(self, policy: Policy, running: Mapping[Life, Container]) -> None:
        if policy.digest != self._digest:
            self._judged.clear()
            self._digest = policy.digest
        self._unjudged.clear()
        self._judged = {key: words for key, words in self._judged.items() if key in running}
        self._stopped &= set(running)
        self._unanswered &= set(running)
        for key, one in running.items():
            if key not in self._judged:
                try:
                    found = self._policing.of_container(self._engine.inspected(one.container_id))
                except NotFound:
                    continue  # gone meanwhile
                except PolicyRefused:
                    raise
                except HullmarkError as error:
                    self._put_off(one, error)
                    continue
                self._judged[key] = in_words(found)
                self._unanswered.discard(key)

    def _put_off(self, one: Container, error: HullmarkError) -> None:
        """One that can't be judged keeps nobody from judging the others. Raises where the engine answers nothing at all; one that hung
        for a while is asked once more before it is said."""
        if isinstance(error, EngineUnavailable):
            self._engine.listed()
            if life(one) not in self._unanswered:
                self._unanswered.add(life(one))
                return
        self._unjudged[one.name] = f"can't be judged: {error.message}"

    def _show(self, running: Mapping[Life, Container]) -> None:
        found = {running[key].name: words for key, words in self._judged.items() if words}
        for key, words in self._judged.items():
            if words and self._said.get(running[key].container_id) != words:
                self._tell(running[key], words)
        self._set(VIOLATION, found, REMEDY)
        # Nobody knows whether it breaks the policy.
        self._set(UNJUDGED, self._unjudged, UNJUDGED_REMEDY)

    def _set(self, code: str, found: Mapping[str, str], remedy: str) -> None:
        if not found:
            self._told.problems.clear(code)
            return
        told = [f"{name}: {words}" for name, words in sorted(found.items())]
        more = [f"and {len(told) - NAMED} more containers"] if len(told) > NAMED else []
        self._told.problems.set(code, "; ".join([*told[:NAMED], *more]), remedy)

    def _tell(self, one: Container, words: str) -> None:
        subject = str(one.instance)
        self._said[one.container_id] = words
        self._told.outbox.add(VIOLATION, subject, words, container=one.container_id[:12])
        self._told.note(
            Entry(
                VIOLATION,
                subject,
                outcome=Outcome.FAILURE,
                origin=LOCAL,
                reason=words,
                container_id=one.container_id,
            )
        )

    def _stop(self, running: Mapping[Life, Container]) -> None:
        for key, words in self._judged.items():
            if not words or key in self._stopped:
                continue
            self._stopped.add(key)
            self._spawn(partial(self._stop_one, running[key], key, words))

    def _stop_one(self, one: Container, key: Life, words: str) -> None:
        """Takes as long as the container's own grace is: nobody else waits for it."""
        self._told.expect(one.container_id)
        try:
            with asking(Asked(reason=f"on_violation: stop; {words}", app=one.instance.app)):
                self._engine.stop(one.container_id)
        except HullmarkError as error:
            _log.warning("not stopped", container=one.name, why=error.message)
            self._stopped.discard(key)
            return
        self._told.outbox.add("instance.stopped", str(one.instance), f"by policy: {words}")
        self._observer.mark(one.container_id)


def life(one: Container) -> Life:
    return one.container_id, one.started_at
