"""What became of deeds in whose middle a process ended: looked up in the engine, and recorded as their outcomes.

A process that is killed leaves an intent without outcome in the audit log. The engine may have done it, or not, or may still be at
it. Where the engine's state tells, the outcome is `success` or `failure`, otherwise `unknown`; the record says that it comes
from a look afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Callable

from hullmark import log
from hullmark.agentd.auditing import Auditing
from hullmark.agentd.deedwords import NAME, RESTART
from hullmark.agentd.pulse import rest
from hullmark.engine.protocol import Container, ContainerState, DeedKind, Engine
from hullmark.errors import EngineUnavailable, HullmarkError, NotFound, Refused
from hullmark.model.audit import Entry, Outcome, Record, Stage
from hullmark.model.moments import NS_PER_S, nanoseconds

_log = log.get("aftermath")

RETRY_S = 1.0
LOOKED = "looked_afterwards"
"""The field of an outcome that was not seen when it came."""
UP = frozenset([ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING])


@dataclass(frozen=True)
class Became:
    outcome: Outcome
    reason: str
    container_id: str = ""


class Aftermath:
    """`settle` is called before anything new is done, `run` is one thread's. Both may be at it at the same time."""

    def __init__(self, engine: Engine, auditing: Auditing) -> None:
        self._engine = engine
        self._auditing = auditing
        self._lock = threading.Lock()

    def settle(self) -> None:
        """Raises HullmarkError where the engine can't be asked, or the log can't be opened: then it isn't known what is open."""
        if not self._auditing.open_intents:
            return
        with self._lock:
            for intent in self._auditing.open_intents:
                found = self._became(intent)
                _log.warning(
                    "looked what became of it",
                    kind=intent.entry.kind,
                    of=intent.entry.subject,
                    became=found.outcome.value,
                    why=found.reason,
                )
                self._auditing.settle(intent, outcome_of(intent, found))

    def _became(self, intent: Record) -> Became:
        try:
            return became(intent.entry, intent.at, self._engine)
        except EngineUnavailable:
            self._engine.listed()
            # The engine answers, but not about this: nothing else shall wait for it.
            return Became(Outcome.UNKNOWN, "the engine gives no answer about it")

    def run(self, stopping: threading.Event) -> None:
        """Until nothing is open."""
        while not stopping.is_set():
            with suppress(HullmarkError):
                self.settle()
                if not self._auditing.open_intents:
                    return
            rest(stopping, RETRY_S)


def outcome_of(intent: Record, found: Became) -> Entry:
    return replace(
        intent.entry,
        stage=Stage.OUTCOME,
        outcome=found.outcome,
        reason=f"the agent was ended in the middle of it; {found.reason}",
        container_id=found.container_id or intent.entry.container_id,
        of=intent.seq,
        fields={**intent.entry.fields, LOOKED: "yes"},
    )


def became(intent: Entry, at: str, engine: Engine) -> Became:
    """Raises EngineUnavailable. `at` is when it was recorded."""
    look = _LOOKS.get(intent.kind)
    if look is None:
        return Became(Outcome.UNKNOWN, "nothing tells what became of it")
    try:
        return look(intent, at, engine)
    except NotFound:
        return _GONE.get(intent.kind, Became(Outcome.FAILURE, "it is not there"))
    except Refused as error:
        return Became(Outcome.UNKNOWN, f"the engine refuses to tell: {error.message}")


def _created(intent: Entry, at: str, engine: Engine) -> Became:
    found = engine.container(intent.fields.get(NAME, intent.subject))
    return Became(Outcome.SUCCESS, "the container is there", found.container_id)


def _started(intent: Entry, at: str, engine: Engine) -> Became:
    found = engine.container(intent.container_id)
    if found.state in UP:
        return Became(Outcome.SUCCESS, "the container runs", found.container_id)
    if _since(found, at):
        return Became(Outcome.SUCCESS, "the container was started, and has ended since")
    return Became(Outcome.FAILURE, "the container was not started")


def _since(found: Container, at: str) -> bool:
    """Both are of this host's clock."""
    begun_ns = nanoseconds(at)
    return begun_ns is not None and found.started_at >= begun_ns / NS_PER_S


def _stopped(intent: Entry, at: str, engine: Engine) -> Became:
    if engine.container(intent.container_id).state in UP:
        return Became(Outcome.UNKNOWN, "the container still runs, and the engine may yet stop it")
    return Became(Outcome.SUCCESS, "the container does not run")


def _removed(intent: Entry, at: str, engine: Engine) -> Became:
    engine.container(intent.container_id)
    return Became(Outcome.FAILURE, "the container is still there")


def _updated(intent: Entry, at: str, engine: Engine) -> Became:
    has = str(engine.restart_policy(intent.container_id))
    done = has == intent.fields.get(RESTART)
    return Became(
        Outcome.SUCCESS if done else Outcome.FAILURE, f"the container's restart policy is {has}"
    )


def _pulled(intent: Entry, at: str, engine: Engine) -> Became:
    engine.inspected_image(intent.fields.get(NAME, intent.subject))
    return Became(Outcome.SUCCESS, "the image is there")


def _network_there(intent: Entry, at: str, engine: Engine) -> Became:
    engine.inspected_network(intent.fields.get(NAME, intent.subject))
    return Became(Outcome.SUCCESS, "the network is there")


def _network_gone(intent: Entry, at: str, engine: Engine) -> Became:
    return replace(_network_there(intent, at, engine), outcome=Outcome.FAILURE)


def _connected(intent: Entry, at: str, engine: Engine) -> Became:
    settings = engine.inspected(intent.container_id).get("NetworkSettings") or {}
    if intent.fields.get(NAME) in (settings.get("Networks") or {}):
        return Became(Outcome.SUCCESS, "the container is on the network")
    return Became(Outcome.FAILURE, "the container is not on the network")


def _volume_there(intent: Entry, at: str, engine: Engine) -> Became:
    engine.inspected_volume(intent.fields.get(NAME, intent.subject))
    return Became(Outcome.SUCCESS, "the volume is there")


def _volume_gone(intent: Entry, at: str, engine: Engine) -> Became:
    return replace(_volume_there(intent, at, engine), outcome=Outcome.FAILURE)


Look = Callable[[Entry, str, Engine], Became]

_LOOKS: Mapping[str, Look] = {
    DeedKind.CONTAINER_CREATE.value: _created,
    DeedKind.CONTAINER_START.value: _started,
    DeedKind.CONTAINER_STOP.value: _stopped,
    DeedKind.CONTAINER_REMOVE.value: _removed,
    DeedKind.CONTAINER_UPDATE.value: _updated,
    DeedKind.IMAGE_PULL.value: _pulled,
    DeedKind.NETWORK_CREATE.value: _network_there,
    DeedKind.NETWORK_CONNECT.value: _connected,
    DeedKind.NETWORK_REMOVE.value: _network_gone,
    DeedKind.VOLUME_CREATE.value: _volume_there,
    DeedKind.VOLUME_REMOVE.value: _volume_gone,
}
_GONE: Mapping[str, Became] = {
    DeedKind.CONTAINER_REMOVE.value: Became(Outcome.SUCCESS, "the container is gone"),
    DeedKind.NETWORK_REMOVE.value: Became(Outcome.SUCCESS, "the network is gone"),
    DeedKind.VOLUME_REMOVE.value: Became(Outcome.SUCCESS, "the volume is gone"),
    DeedKind.CONTAINER_STOP.value: Became(Outcome.SUCCESS, "the container is gone"),
    DeedKind.CONTAINER_START.value: Became(Outcome.UNKNOWN, "the container is gone"),
}
"""What it means that the thing isn't there, where that is no failure."""
