"""The host's engine, found when it is first needed and again after it went away.

The agent starts where there is no engine yet; each call then raises EngineUnavailable, and works as soon as one is there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Callable, Optional

from hullmark.engine.protocol import (
    Container,
    CreateRequest,
    Engine,
    EngineEvent,
    EngineInfo,
    Listed,
    LogLine,
    Progress,
    Resolved,
)
from hullmark.model.app import Bundle, Network, Volume
from hullmark.model.observed import Health


class EngineAtHand:
    """An Engine. `find` makes one, or raises EngineUnavailable."""

    def __init__(self, find: Callable[[], Engine]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._found: Optional[Engine] = None

    def _engine(self) -> Engine:
        with self._lock:
            if self._found is None:
                self._found = self._find()
            return self._found

    def close(self) -> None:
        """Ends streams in other threads too. The next call finds an engine anew: perhaps another one."""
        with self._lock:
            found, self._found = self._found, None
        if found is not None:
            found.close()

    def info(self) -> EngineInfo:
        return self._engine().info()

    def listed(self) -> Sequence[Listed]:
        return self._engine().listed()

    def container(self, container_id: str) -> Container:
        return self._engine().container(container_id)

    def has_image(self, bundle: Bundle) -> bool:
        return self._engine().has_image(bundle)

    def pull(self, bundle: Bundle, progress: Optional[Progress] = None) -> None:
        self._engine().pull(bundle, progress)

    def resolve(self, image: str, platform: str, pull_policy: str) -> Resolved:
        return self._engine().resolve(image, platform, pull_policy)

    def ensure_network(self, cluster_id: str, app: str, key: str, network: Network) -> None:
        self._engine().ensure_network(cluster_id, app, key, network)

    def ensure_volume(self, cluster_id: str, app: str, key: str, volume: Volume) -> bool:
        return self._engine().ensure_volume(cluster_id, app, key, volume)

    def networks(self, cluster_id: str) -> Sequence[tuple[str, str]]:
        return self._engine().networks(cluster_id)

    def remove_network(self, app: str, key: str) -> None:
        self._engine().remove_network(app, key)

    def remove_volume(self, app: str, key: str) -> None:
        self._engine().remove_volume(app, key)

    def create(self, request: CreateRequest) -> str:
        return self._engine().create(request)

    def start(self, container_id: str) -> None:
        self._engine().start(container_id)

    def stop(self, container_id: str) -> None:
        self._engine().stop(container_id)

    def remove(self, container_id: str) -> None:
        self._engine().remove(container_id)

    def check_health(self, container_id: str) -> Health:
        return self._engine().check_health(container_id)

    def events(self) -> Iterator[EngineEvent]:
        return self._engine().events()

    def logs(self, container_id: str, *, tail: str, since: str, follow: bool) -> Iterator[LogLine]:
        return self._engine().logs(container_id, tail=tail, since=since, follow=follow)
