"""What a container's start and end mean to its names, and to who has connections with it. The worker tells; without a proxy on the host most of it
is nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Callable, Optional, Protocol

from hullmark import log
from hullmark.agentd.draining import Draining
from hullmark.agentd.hostnames import Naming, has_names
from hullmark.agentd.observer import Observer
from hullmark.engine.protocol import Container, Engine
from hullmark.errors import HullmarkError
from hullmark.host.interfaces import bindable
from hullmark.model.app import Bundle
from hullmark.model.orders import InstanceId

_log = log.get("reach")


class Reach(Protocol):
    """May be used from any thread."""

    def hosts_file(self, instance: InstanceId, bundle: Bundle) -> str:
        """Of a container that is about to be made; empty where its engine makes one. Raises OSError."""
        ...

    def is_named(self, container_id: str) -> bool:
        """Whether it has a hosts file of ours."""
        ...

    def is_nameless(self, container_id: str, bundle: Bundle) -> bool:
        """Whether it would have a hosts file of ours, were it made now, and has none."""
        ...

    def addresses(self) -> tuple[str, ...]:
        """On which ones of the host a port of the engine is bound that names none; none: on all."""
        ...

    def starts_again(self, container_id: str, bundle: Bundle) -> None:
        """It may get other addresses than it had. Raises OSError."""
        ...

    def started(self, container_id: str) -> None: ...

    def leaving(
        self, instance: InstanceId, container_id: str, *, wait: bool
    ) -> AbstractContextManager[None]:
        """See `draining`."""
        ...


class NoReach:
    """Of a host that never has a proxy."""

    def hosts_file(self, instance: InstanceId, bundle: Bundle) -> str:
        return ""

    def is_named(self, container_id: str) -> bool:
        return False

    def is_nameless(self, container_id: str, bundle: Bundle) -> bool:
        return False

    def addresses(self) -> tuple[str, ...]:
        return ()

    def starts_again(self, container_id: str, bundle: Bundle) -> None: ...

    def started(self, container_id: str) -> None: ...

    @contextmanager
    def leaving(self, instance: InstanceId, container_id: str, *, wait: bool) -> Iterator[None]:
        yield


class ByProxy:
    """`is_installed`: whether this host has a proxy, which may be down now. A container that is made without one has no names of services, also when
    a proxy comes later."""

    def __init__(
        self,
        engine: Engine,
        observer: Observer,
        naming: Naming,
        draining: Draining,
        is_installed: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._observer = observer
        self._naming = naming
        self._draining = draining
        self._is_installed = is_installed

    def hosts_file(self, instance: InstanceId, bundle: Bundle) -> str:
        if not (self._is_installed() and has_names(bundle)):
            return ""
        return self._naming.prepare(instance, bundle)

    def is_named(self, container_id: str) -> bool:
        known = self._known(container_id)
        return known is not None and self._naming.files.is_ours(known.hosts_file)

    def is_nameless(self, container_id: str, bundle: Bundle) -> bool:
        if not (self._is_installed() and has_names(bundle)):
            return False
        return self._known(container_id) is not None and not self.is_named(container_id)

    def _known(self, container_id: str) -> Optional[Container]:
        """None for one that has ended since."""
        try:
            return self._observer.container(container_id)
        except KeyError:
            return None

    def addresses(self) -> tuple[str, ...]:
        """A port that the engine has on all of them, it has on service addresses too: who calls another service there would get this one."""
        return bindable() if self._is_installed() else ()

    def starts_again(self, container_id: str, bundle: Bundle) -> None:
        try:
            known = self._observer.container(container_id)
        except KeyError:
            return
        if self._naming.files.is_ours(known.hosts_file):
            self._naming.prepare(known.instance, bundle)

    def started(self, container_id: str) -> None:
        """Its own name and its address are known from now on. It runs in any case: the `proxy` loop tries again what fails here."""
        if not self._is_installed():
            return
        try:
            container = self._engine.container(container_id)
            self._naming.show(container, anew=True)
        except (HullmarkError, OSError) as error:
            _log.warning("not shown its names yet", container=container_id[:12], why=error)
            return
        self._observer.learn(container)

    @contextmanager
    def leaving(self, instance: InstanceId, container_id: str, *, wait: bool) -> Iterator[None]:
        with self._draining.leaving(instance, container_id, wait=wait):
            yield
