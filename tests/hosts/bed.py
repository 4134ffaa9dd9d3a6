"""All hosts of a test, and their end."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Optional

from tests.hosts.host import Host
from tests.hosts.images import IMAGES
from tests.hosts.repository import Repositories
from tests.hosts.roots import held_root
from tests.integration.namespaces import HOST_ADDRESS, HostNetwork, enter_private_network
from tests.integration.workspace import Workspace


class Bed:
    """A bridge and the hosts on it. Needs root; moves this process into namespaces of its own for good, so begin it
    before the first thread is started. One at a time in a process.

    Hosts may be made and booted by several threads at once. When the process ends, also by SIGKILL, a watchdog
    removes all of it.
    """

    address = HOST_ADDRESS
    """Ours on the bridge: where hosts reach what a test listens with."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self._resources = contextlib.ExitStack()
        self._lock = threading.Lock()

    def __enter__(self) -> Bed:
        enter_private_network()
        with contextlib.ExitStack() as resources:
            self.workspace = Workspace.make("bed")
            resources.callback(self.workspace.remove)
            # A host's processes end with the thread that started them, so it is one that stays.
            self._starter = ThreadPoolExecutor(1)
            resources.callback(self._starter.shutdown)
            self._repositories = Repositories()
            resources.callback(self._repositories.close)
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        for host in self.hosts.values():
            host.kill()
        self.hosts.clear()
        self._resources.close()

    def host(self, name: str, image: str, engine: str = "", *, boot: bool = True) -> Host:
        """A new host, booted. `name` is also its hostname; `image` one of `images.IMAGES`; `engine` is docker,
        podman or empty: the other, or both, are masked."""
        assert image in IMAGES, f"image is one of {', '.join(IMAGES)}, not {image!r}"
        assert len(name) <= 12, (
            f"{name}: a name has at most 12 characters, as its wire is named by it"
        )
        root = self._resources.enter_context(held_root(IMAGES[image]))
        with self._lock:
            assert name not in self.hosts, f"there is a host {name} already"
            network = HostNetwork(name, f"192.0.2.{len(self.hosts) + 11}")
            self._starter.submit(self._resources.enter_context, network).result()
            host = Host(
                self.workspace.path / name,
                IMAGES[image],
                root,
                engine,
                network,
                f"{self.workspace.cgroup_parent.lstrip('/')}/{name}",
                self._starter,
                self._repositories,
            )
            self.hosts[name] = host
        host.prepare()
        if boot:
            host.boot()
            host.settle()
        return host
