"""The hosts file of a container: what it is itself, what its app adds, and the services that it may reach, by their addresses.

    127.0.0.1  localhost
    10.213.0.2 web1                           itself, on each of its networks
    203.0.113.9 bank                          `extra_hosts`
    10.214.0.4 db db.shop main                a service of a network that both are on: SERVICE, SERVICE.APP, its aliases there
    10.214.0.9 mail.office                    a service that it `uses`

Of two lines with one name most programs take the first, so what is nearest comes first.

A container without a way to service addresses gets none of those names: the engine's own DNS then answers with the instances beside it. Podman gives
no default route to one that is only on `internal` networks; Docker does, and drops what leaves the bridge.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hullmark.core import proxynames
from hullmark.model.app import Network
from hullmark.model.directory import Directory, ServiceEntry, ServiceName

_ALIAS = re.compile(r"[A-Za-z0-9_.-]{1,63}")
HOST_GATEWAY = "host-gateway"
"""Of `extra_hosts`: this host, as the container reaches it."""
LOOPBACK = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "ff00::0\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
)
"""As Docker has them."""
PODMAN = "podman"
OF_PODMAN = ("host.containers.internal", "host.docker.internal")
"""By which Podman lets its containers reach the host."""


@dataclass(frozen=True)
class Resident:
    """A container as its hosts file needs it. `networks` are the app's keys of those that it is on. `addresses` are its own ones, none before it is
    started; `gateway` is the host's on its first network. `is_routed`: it has a way to service addresses."""

    name: ServiceName
    networks: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    hostname: str = ""
    domainname: str = ""
    extra_hosts: tuple[str, ...] = ()
    gateway: str = ""
    engine: str = "docker"
    is_routed: bool = True


@dataclass
class _Lines:
    """Each name once: the first address it is given is the one that counts."""

    taken: set[tuple[str, str]] = field(default_factory=set)
    lines: list[str] = field(default_factory=lambda: list(LOOPBACK))

    def add(self, address: str, names: Iterable[str]) -> None:
        kind = "6" if ":" in address else "4"
        fresh = [name for name in dict.fromkeys(names) if name and (kind, name) not in self.taken]
        if fresh:
            self.lines.append(f"{address}\t{' '.join(fresh)}")

    def close(self) -> None:
        """What comes after gives no other address to the names so far."""
        for line in self.lines:
            address, _, names = line.partition("\t")
            kind = "6" if ":" in address else "4"
            self.taken.update((kind, name) for name in names.split())


def hosts_text(resident: Resident, directory: Directory) -> str:
    """The whole file. Of what a leader tells, only names of services and aliases, and addresses of the range, are written: none can be a line of its
    own, or lead a container that runs to somebody else."""
    made = _Lines()
    full = f"{resident.hostname}.{resident.domainname}" if resident.domainname else ""
    for address in resident.addresses:
        made.add(address, (full, resident.hostname))
    for name, address in _extra(resident):
        made.add(address, (name,))
    made.close()
    if resident.engine == PODMAN and resident.gateway:
        made.add(resident.gateway, OF_PODMAN)
    is_service = proxynames.within(directory.range)
    entries = [
        entry
        for entry in directory.services
        if resident.is_routed and proxynames.is_name(entry.name) and is_service(entry.address)
    ]
    own = {entry.name: tuple(_names(entry, resident)) for entry in entries}
    for entry in entries:
        made.add(entry.address, own[entry.name])
    # Another's alias is not what a service itself is called.
    made.close()
    for entry in entries:
        made.add(entry.address, _aliases(entry, resident))
    return "\n".join(made.lines) + "\n"


def names_of(address: str, text: str) -> tuple[str, ...]:
    """Those that lead to the address in a hosts file; not what a line before has given another one."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        to, *names = line.split()
        for name in names:
            found.setdefault(name, to)
    return tuple(name for name, to in found.items() if to == address)


def _names(entry: ServiceEntry, resident: Resident) -> Iterator[str]:
    name = entry.name
    same_app = name.app == resident.name.app
    if same_app and (_shared(entry, resident) or resident.name in entry.users):
        yield name.service
    if (same_app and _shared(entry, resident)) or resident.name in entry.users:
        yield f"{name.service}.{name.app}"


def _aliases(entry: ServiceEntry, resident: Resident) -> Iterator[str]:
    if entry.name.app == resident.name.app:
        for network in _shared(entry, resident):
            yield from filter(_ALIAS.fullmatch, entry.networks[network])


def _shared(entry: ServiceEntry, resident: Resident) -> tuple[str, ...]:
    return tuple(key for key in resident.networks if key in entry.networks)


def _extra(resident: Resident) -> Iterator[tuple[str, str]]:
    """`NAME:ADDRESS`, as the Compose file has them; what is no address is left out, as nobody could connect to it."""
    for text in resident.extra_hosts:
        name, _, address = text.partition(":")
        address = resident.gateway if address == HOST_GATEWAY else address.strip("[]")
        if name.strip() and _is_address(address):
            yield name.strip(), address


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_shut_in(networks: Collection[Network]) -> bool:
    """Whether who is on these networks, and on no others, is on internal ones only."""
    return len(networks) > 0 and all(each.internal for each in networks)


def network_keys(app: str, engine_names: Iterable[str]) -> Mapping[str, str]:
    """By the engine's name of a network of this app: the app's own key. Those of others, `external` ones, are left out."""
    prefix = f"{app}_"
    return {name: name[len(prefix) :] for name in engine_names if name.startswith(prefix)}
