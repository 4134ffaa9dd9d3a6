"""An app's containers on one host as a Compose project: the document, and the files beside it.

What is written is what Docker Compose of every age takes, 1.29 too, unless an app uses what that doesn't know: no `name:`,
short forms where they say all, limits as keys of the service, and a shipped config as a mounted file. Networks and volumes are
`external`, under the names that the engine has for them, so that data is kept and names are found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hullmark.core.ejectionservice import Names, service, without_empty
from hullmark.model.app import Bundle, Config, Logging, Network, Volume
from hullmark.model.directory import PublishedEntry
from hullmark.model.ejection import NO_RESTART, EngineRestart
from hullmark.model.names import engine_name
from hullmark.model.orders import InstanceId, PublishedPort

COMPLETED = "completed"
"""The profile of what has run to its end, so that `up` doesn't run it a second time."""


@dataclass(frozen=True)
class Member:
    """An instance that becomes a service. `exists`: its container is there, and so are its networks and volumes.
    `image_id`, where not empty, stands for a reference that has come to mean another image. `logging` is what its engine
    was told, `ulimits` what it gets where it names none. `proxied` are ports of its service that the host's proxy answers."""

    instance: InstanceId
    bundle: Bundle
    name: str
    ports: tuple[PublishedPort, ...] = ()
    restart: EngineRestart = NO_RESTART
    exists: bool = True
    completed: bool = False
    image_id: str = ""
    logging: Logging = field(default_factory=Logging)
    ulimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    proxied: tuple[PublishedEntry, ...] = ()


@dataclass(frozen=True)
class ConfigFile:
    """A file of the project. Its container reads it as `uid` and `gid` allow."""

    config: Config
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True)
class Project:
    """`services` gives the service of each container by the container's name; `existing` are those of them that there
    are now. `files` are by path below the project's folder. `proxied` gives, by service of the project, the ports that the
    host's proxy answers, as the short form of `ports` has them; `instances` are the services as the app calls them."""

    app: str
    document: Mapping[str, Any]
    services: Mapping[str, str]
    existing: tuple[str, ...]
    completed: tuple[str, ...]
    files: Mapping[str, ConfigFile]
    proxied: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instances: frozenset[str] = frozenset()


def project(app: str, members: Sequence[Member]) -> Project:
    """`members` are all of one app."""
    made = _Project(app, members)
    called = _service_names(members)
    services = {
        called[member.name]: made.service(member, called[member.name]) for member in members
    }
    document = {
        "services": services,
        "networks": made.networks.values,
        "volumes": made.volumes.values,
        "secrets": made.secrets.values,
    }
    return Project(
        app,
        escaped(without_empty(document)),
        called,
        tuple(member.name for member in members if member.exists),
        tuple(member.name for member in members if member.completed),
        {f"configs/{name}": file for name, file in made.files.values.items()},
        {called[one.name]: short_forms(one.proxied) for one in members if one.proxied},
        frozenset(one.instance.service for one in members),
    )


def short_forms(published: Iterable[PublishedEntry]) -> tuple[str, ...]:
    """As `192.0.2.11:8080:80`."""
    return tuple(_short(str(one.port), one.host_ip, one.target) for one in published)


def escaped(value: Any) -> Any:
    """With every `$` doubled, which Compose takes for one that begins no variable."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: escaped(each) for key, each in value.items()}
    return [escaped(each) for each in value] if isinstance(value, (list, tuple)) else value


def _service_names(members: Sequence[Member]) -> dict[str, str]:
    """A service's own name where it has one instance here, else with the slot. By name of the container."""
    instances = [member.instance for member in members]
    taken = {one.service for one in instances}
    found: dict[str, str] = {}
    for member in members:
        one = member.instance
        name = one.service
        if sum(other.service == one.service for other in instances) > 1:
            name = f"{one.service}-{one.slot}"
            while name in taken:
                name += "_"
            taken.add(name)
        found[member.name] = name
    return found


class _Project:
    """What the services of one project share, while they are made."""

    def __init__(self, app: str, members: Sequence[Member]) -> None:
        self._app = app
        self.networks: Names[Mapping[str, Any]] = Names()
        self.volumes: Names[Mapping[str, Any]] = Names()
        self.secrets: Names[Mapping[str, Any]] = Names()
        self.files: Names[ConfigFile] = Names()
        # What one container has, others that aren't there yet have as well.
        there = [member.bundle for member in members if member.exists]
        self._made_networks = {key for bundle in there for key in bundle.networks}
        self._made_volumes = {key for bundle in there for key in bundle.volumes}

    def service(self, member: Member, called: str) -> Mapping[str, Any]:
        bundle = member.bundle
        networks = {key: self._network(key, bundle.networks[key]) for key in bundle.networks}
        volumes = {key: self._volume(key, bundle.volumes[key]) for key in bundle.volumes}
        secrets = {
            key: self.secrets.of(key, {"file": secret.path})
            for key, secret in bundle.secrets.items()
        }
        configs = {
            ref.target: self.files.of(
                ref.source,
                ConfigFile(
                    bundle.configs[ref.source], ref.mode, int(ref.uid or 0), int(ref.gid or 0)
                ),
            )
            for ref in bundle.container.configs
        }
        made = service(bundle, called, networks, volumes, secrets, configs)
        image = made.pop("image")
        return without_empty(
            {
                "image": member.image_id or image,
                "container_name": member.name,
                "profiles": [COMPLETED] if member.completed else [],
                "restart": str(member.restart),
                **made,
                "logging": without_empty(
                    {"driver": member.logging.driver, "options": dict(member.logging.options)}
                ),
                "ulimits": {**_limits(member.ulimits), **made["ulimits"]},
                # The last: more of them may be written below.
                "ports": [_port(port) for port in member.ports],
            }
        )

    def _network(self, key: str, network: Network) -> str:
        name = network.external or engine_name(self._app, key)
        if network.external or key in self._made_networks:
            return self.networks.of(key, {"name": name, "external": True})
        addresses = without_empty({"subnet": network.subnet, "gateway": network.gateway})
        made = {
            "name": name,
            "internal": network.internal or None,
            "enable_ipv6": network.enable_ipv6 or None,
            "driver_opts": dict(network.driver_options),
            "labels": dict(network.labels),
            "ipam": {"config": [addresses]} if addresses else {},
        }
        return self.networks.of(key, without_empty(made))

    def _volume(self, key: str, volume: Volume) -> str:
        name = volume.external or engine_name(self._app, key)
        if volume.external or key in self._made_volumes:
            return self.volumes.of(key, {"name": name, "external": True})
        made = {
            "name": name,
            "driver": volume.driver,
            "driver_opts": dict(volume.driver_options),
            "labels": dict(volume.labels),
        }
        return self.volumes.of(key, without_empty(made))


def _port(port: PublishedPort) -> Any:
    """The short form where it says all: what isn't TCP it can't say to be the host's own."""
    if port.protocol != "tcp":
        long = {
            "mode": "host",
            "target": port.target,
            "published": port.published,
            "protocol": port.protocol,
            "host_ip": port.host_ip,
        }
        return {key: value for key, value in long.items() if value}
    if not port.published and not port.host_ip:
        return str(port.target)
    return _short(str(port.published or ""), port.host_ip, port.target)


def _short(published: str, host_ip: str, target: int) -> str:
    address = f"[{host_ip}]" if ":" in host_ip else host_ip
    return ":".join([*([address] if address else []), published, str(target)])


def _limits(ulimits: Mapping[str, tuple[int, int]]) -> dict[str, Mapping[str, int]]:
    return {name: {"soft": soft, "hard": hard} for name, (soft, hard) in sorted(ulimits.items())}
