"""The host's engine, found when it is first needed and again after it went away.

The agent starts where there is no engine yet; each call then raises EngineUnavailable, and works as soon as one is there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Callable, Optional

from hullmark.agentd import pulse
from hullmark.engine.boundary import EngineSilent
from hullmark.engine.protocol import (
    Attendant,
    Command,
    Container,
    CreateRequest,
    Engine,
    EngineEvent,
    EngineInfo,
    Hand,
    Listed,
    LogLine,
    Progress,
    Resolved,
)
from hullmark.model.app import Bundle, Network, Volume
from hullmark.model.ejection import EngineRestart
from hullmark.model.observed import Health


class EngineAtHand:
    """An Engine. `find` makes one, or raises EngineUnavailable."""

    def __init__(self, find: Callable[[], Engine]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._found: Optional[Engine] = None
        self._hangs: Optional[EngineSilent] = None

    @property
    def hangs(self) -> bool:
        return self._hangs is not None

    def hang(self, error: Optional[EngineSilent]) -> None:
        """Each call raises this instead of waiting, until None is given."""
        self._hangs = error

    @contextmanager
    def _engine(self) -> Iterator[Engine]:
        """For one call, in which a loop of the agent may wait for the engine as long as that takes."""
        hangs = self._hangs
        if hangs is not None:
            # One of its own: several threads may raise it at once.
            raise EngineSilent(hangs.message, remedy=hangs.remedy)
        with self._any_engine() as engine:
            yield engine

    @contextmanager
    def _any_engine(self) -> Iterator[Engine]:
        """Also one that hangs."""
        with pulse.elsewhere():
            with self._lock:
                if self._found is None:
                    self._found = self._find()
                found = self._found
            yield found

    def close(self) -> None:
        """Ends streams in other threads too. The next call finds an engine anew: perhaps another one."""
        with self._lock:
            found, self._found = self._found, None
        if found is not None:
            with pulse.elsewhere():
                found.close()

    def ping(self, timeout_s: int) -> None:
        with self._any_engine() as engine:
            engine.ping(timeout_s)

    def info(self) -> EngineInfo:
        with self._engine() as engine:
            return engine.info()

    def listed(self) -> Sequence[Listed]:
        with self._engine() as engine:
            return engine.listed()

    def container(self, container_id: str) -> Container:
        with self._engine() as engine:
            return engine.container(container_id)

    def inspected(self, container_id: str) -> Mapping[str, Any]:
        with self._engine() as engine:
            return engine.inspected(container_id)

    def hands(self) -> Sequence[Hand]:
        with self._engine() as engine:
            return engine.hands()

    def told(self, path: str, **parameters: str) -> Any:
        with self._engine() as engine:
            return engine.told(path, **parameters)

    def stat(self, container_id: str, path: str) -> Mapping[str, Any]:
        with self._engine() as engine:
            return engine.stat(container_id, path)

    def inspected_image(self, image: str) -> Mapping[str, Any]:
        with self._engine() as engine:
            return engine.inspected_image(image)

    def inspected_network(self, name: str) -> Mapping[str, Any]:
        with self._engine() as engine:
            return engine.inspected_network(name)

    def inspected_volume(self, name: str) -> Mapping[str, Any]:
        with self._engine() as engine:
            return engine.inspected_volume(name)

    def has_image(self, bundle: Bundle) -> bool:
        with self._engine() as engine:
            return engine.has_image(bundle)

    def pull(self, bundle: Bundle, progress: Optional[Progress] = None) -> None:
        with self._engine() as engine:
            engine.pull(bundle, progress)

    def resolve(self, image: str, platform: str, pull_policy: str) -> Resolved:
        with self._engine() as engine:
            return engine.resolve(image, platform, pull_policy)

    def ensure_network(self, cluster_id: str, app: str, key: str, network: Network) -> None:
        with self._engine() as engine:
            engine.ensure_network(cluster_id, app, key, network)

    def ensure_volume(self, cluster_id: str, app: str, key: str, volume: Volume) -> bool:
        with self._engine() as engine:
            return engine.ensure_volume(cluster_id, app, key, volume)

    def networks(self, cluster_id: str) -> Sequence[tuple[str, str]]:
        with self._engine() as engine:
            return engine.networks(cluster_id)

    def remove_network(self, app: str, key: str) -> None:
        with self._engine() as engine:
            engine.remove_network(app, key)

    def remove_volume(self, app: str, key: str) -> None:
        with self._engine() as engine:
            engine.remove_volume(app, key)

    def create(self, request: CreateRequest) -> str:
        with self._engine() as engine:
            return engine.create(request)

    def start(self, container_id: str) -> None:
        with self._engine() as engine:
            engine.start(container_id)

    def stop(self, container_id: str) -> None:
        with self._engine() as engine:
            engine.stop(container_id)

    def remove(self, container_id: str) -> None:
        with self._engine() as engine:
            engine.remove(container_id)

    def restart_policy(self, container_id: str) -> EngineRestart:
        with self._engine() as engine:
            return engine.restart_policy(container_id)

    def set_restart_policy(self, container_id: str, wanted: EngineRestart) -> EngineRestart:
        with self._engine() as engine:
            return engine.set_restart_policy(container_id, wanted)

    def check_health(self, container_id: str) -> Health:
        with self._engine() as engine:
            return engine.check_health(container_id)

    def execute(self, container_id: str, command: Command, attendant: Attendant) -> int:
        with self._engine() as engine:
            return engine.execute(container_id, command, attendant)

    def events(self) -> Iterator[EngineEvent]:
        with self._engine() as engine:
            events = engine.events()
        return _taken(events)

    def logs(self, container_id: str, *, tail: str, since: str, follow: bool) -> Iterator[LogLine]:
        with self._engine() as engine:
            return engine.logs(container_id, tail=tail, since=since, follow=follow)


def _taken(events: Iterator[EngineEvent]) -> Iterator[EngineEvent]:
    """Each wait for the next one is the engine's."""
    while True:
        with pulse.elsewhere():
            event = next(events, None)
        if event is None:
            return
        yield event
