"""Containers' hosts files, below the agent's state folder: one for each container that this host makes, mounted as its /etc/hosts.

The engine mounts the file itself, so one that is in use is changed in place: another file of the same name would be seen by nobody.
A container mounts it read-only.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from hullmark.core.hostnames import (
    HOST_GATEWAY,
    PODMAN,
    Resident,
    hosts_text,
    is_shut_in,
    network_keys,
)
from hullmark.engine.protocol import Container
from hullmark.host.interfaces import Interface, interfaces
from hullmark.host.routes import leads_to
from hullmark.model.app import Bundle
from hullmark.model.directory import Directory, ServiceName
from hullmark.model.names import HOSTS_FILE
from hullmark.model.orders import InstanceId

FOLDER = "hosts"
MODE = 0o644


class HostsFiles:
    """May be used from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing = threading.Lock()

    def path(self, instance: InstanceId) -> Path:
        return self._folder / instance.container_name

    def is_ours(self, path: str) -> bool:
        """Whether that is one of these files."""
        return bool(path) and Path(path).parent == self._folder

    def write(self, instance: InstanceId, text: str) -> str:
        """Its path. Where nothing changes, nothing is written. Raises OSError."""
        path = self.path(instance)
        content = text.encode()
        with self._writing:
            self._folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            self._put(path, content)
        return str(path)

    def sweep(self, instances: Iterable[InstanceId]) -> None:
        """Remove the files of all but these. One of a container that still exists is needed, or it could not be started again."""
        kept = {instance.container_name for instance in instances}
        with self._writing, contextlib.suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                if path.name not in kept:
                    with contextlib.suppress(OSError):
                        _remove(path)

    def _put(self, path: Path, content: bytes) -> None:
        """In one write, padded to what was there before: who reads meanwhile finds no half of a former line at its end."""
        descriptor = _opened(path)
        try:
            size = os.fstat(descriptor).st_size
            if size == len(content) and os.pread(descriptor, size, 0) == content:
                return
            os.fchmod(descriptor, MODE)
            _have_room(descriptor, size, len(content))
            os.pwrite(descriptor, content.ljust(size, b"\n"), 0)
            os.ftruncate(descriptor, len(content))
        finally:
            os.close(descriptor)


def _opened(path: Path) -> int:
    """Engines make a folder of what they are to mount and don't find: an empty one is nobody's. Raises OSError with what to do
    about another."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, MODE)
    except IsADirectoryError:
        try:
            path.rmdir()
        except OSError as error:
            why = f"{error.strerror}; a hosts file belongs here: move the folder away"
            raise OSError(error.errno, why, str(path)) from error
        return os.open(path, flags, MODE)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink()


def _have_room(descriptor: int, size: int, wanted: int) -> None:
    """By empty lines at its end: a full disk says so while all that was there still is. Raises OSError."""
    more = wanted - size
    if more > 0 and os.pwrite(descriptor, b"\n" * more, size) < more:
        os.ftruncate(descriptor, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def has_names(bundle: Bundle) -> bool:
    """Whether its hosts file is ours to write: it is on networks of its app, and the app mounts no hosts file of its own."""
    container = bundle.container
    own = any(mount.target == HOSTS_FILE for mount in container.mounts)
    given = any(ref.target == HOSTS_FILE for ref in (*container.configs, *container.secrets))
    return bool(container.networks) and not (container.network_mode or own or given)


class Naming:
    """What stands in these files. May be used from any thread."""

    def __init__(
        self,
        files: HostsFiles,
        directory: Callable[[], Directory],
        engine: Callable[[], str],
        look: Callable[[], Sequence[Interface]] = interfaces,
    ) -> None:
        self.files = files
        self._directory = directory
        self._engine = engine
        self._look = look
        self._written: dict[str, tuple[object, ...]] = {}

    def prepare(self, instance: InstanceId, bundle: Bundle) -> str:
        """The file for a container that is about to be made. Raises OSError."""
        engine = self._engine()
        resident = Resident(
            ServiceName(instance.app, instance.service),
            tuple(place.network for place in bundle.container.networks),
            hostname=bundle.container.hostname,
            domainname=bundle.container.domainname,
            extra_hosts=bundle.container.extra_hosts,
            engine=engine,
            is_routed=engine != PODMAN or not is_shut_in(bundle.networks.values()),
        )
        return self.files.write(instance, hosts_text(resident, self._directory()))

    def show(self, container: Container, *, anew: bool = False) -> None:
        """A container that runs is told who it is, and whom it may reach. What was written already is not written again unless `anew`. Raises
        OSError."""
        if not self.files.is_ours(container.hosts_file):
            return
        directory = self._directory()
        life = directory.digest, container.started_at, tuple(container.addresses.items())
        if anew or self._written.get(container.container_id) != life:
            resident = self._resident(container, directory.range)
            self.files.write(container.instance, hosts_text(resident, directory))
            self._written[container.container_id] = life

    def forget(self, known: Iterable[InstanceId]) -> None:
        """Look at the files themselves again, and remove those of all but these."""
        self._written = {}
        self.files.sweep(known)

    def _resident(self, container: Container, range_: str) -> Resident:
        keys = network_keys(container.instance.app, container.addresses)
        addresses = tuple(container.addresses.values())
        engine = self._engine()
        asked = engine == PODMAN or any(HOST_GATEWAY in one for one in container.extra_hosts)
        return Resident(
            ServiceName(container.instance.app, container.instance.service),
            tuple(keys.values()),
            addresses,
            container.hostname,
            container.domainname,
            container.extra_hosts,
            self._gateway(addresses) if asked else "",
            engine,
            not range_ or leads_to(range_, container.pid),
        )

    def _gateway(self, addresses: Iterable[str]) -> str:
        """This host's address on the first of its networks."""
        for address in map(ipaddress.ip_address, addresses):
            for one in self._look():
                if address in one.network:
                    return one.address
        return ""
