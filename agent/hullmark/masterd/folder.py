"""The master's state folder: what is where, and whether it is all there.

store.sqlite     the cluster's state; made first, for it holds the cluster's id
pki/             authority, then the master's own key and certificate, made last
addresses.json   names and addresses that `init` or `join` was given or found
cluster.json     the cluster's id, where its store is not in this folder: made before all else
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

import psutil

from hullmark.config import Loaded, MasterConfig
from hullmark.errors import BrokenState, Refused
from hullmark.host.interfaces import is_local
from hullmark.masterd import certificate
from hullmark.model.loopback import bare, is_loopback
from hullmark.model.names import HOST_NAME
from hullmark.pki import authority
from hullmark.pki.files import write_file
from hullmark.store.sqlite import SqliteStore


@dataclass(frozen=True)
class Folder:
    """`embedded`: the cluster's store is in it."""

    path: Path
    embedded: bool = True

    @classmethod
    def of(cls, config: MasterConfig) -> Folder:
        return cls(Path(config.state_dir), config.store_kind == "sqlite")

    @property
    def store(self) -> Path:
        return self.path / "store.sqlite"

    @property
    def pki(self) -> Path:
        return self.path / "pki"

    @property
    def addresses_file(self) -> Path:
        return self.path / "addresses.json"

    @property
    def cluster_file(self) -> Path:
        return self.path / "cluster.json"

    @property
    def has_authority(self) -> bool:
        return (self.pki / authority.KEY).exists()

    @property
    def has_store(self) -> bool:
        return SqliteStore.exists(self.store)

    @property
    def complete(self) -> bool:
        """Whether `init` or `join` came to its end here. Raises Refused for a folder that this user may not enter."""
        try:
            made = (self.pki / certificate.CERTIFICATE).exists()
            return made and self.has_authority and (self.has_store or not self.embedded)
        except PermissionError as error:
            raise self.not_usable(error) from error

    def make(self) -> None:
        """Raises Refused."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
        except OSError as error:
            raise self.not_usable(error) from error

    def not_usable(self, error: OSError) -> Refused:
        return Refused(
            f"{self.path} can't be used: {error.strerror}",
            remedy="run as root, or set `state_dir` to a folder that this user may write to",
        )

    def remembered(self) -> tuple[str, ...]:
        """Raises BrokenState."""
        try:
            found = json.loads(self.addresses_file.read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            raise self._damaged() from error
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise self._damaged()
        return tuple(found)

    def remember(self, addresses: Iterable[str]) -> None:
        write_file(self.addresses_file, json.dumps(list(addresses)).encode() + b"\n")

    def begun(self) -> str:
        """The id of the cluster that was begun with here; empty where none was. Raises BrokenState."""
        try:
            found = json.loads(self.cluster_file.read_bytes())["cluster_id"]
        except FileNotFoundError:
            return ""
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BrokenState(f"{self.cluster_file} can't be read") from error
        return str(found)

    def begin(self, cluster_id: str) -> None:
        """Raises OSError."""
        content = json.dumps({"cluster_id": cluster_id}).encode() + b"\n"
        write_file(self.cluster_file, content)

    def _damaged(self) -> BrokenState:
        return BrokenState(
            f"{self.addresses_file} can't be read",
            remedy='write it anew, a list such as ["m1.example.net", "192.0.2.1"]',
        )


def reachable_at(config: MasterConfig, folder: Folder) -> tuple[str, ...]:
    """Names and addresses of this master, the preferred one first: configured ones, then remembered ones."""
    found = (*config.addresses, *folder.remembered())
    return tuple(dict.fromkeys(_plain(address) for address in found))


def listening(loaded: Loaded[MasterConfig], folder: Folder) -> MasterConfig:
    """The configuration with the addresses that its ports listen on: where the files say nothing and this
    master is reached by loopback only, loopback only."""
    config = loaded.config
    addresses = reachable_at(config, folder)
    if not addresses or not all(map(is_loopback, addresses)):
        return config
    found = [bare(address) for address in addresses]
    host = "[::1]" if all(isinstance(one, IPv6Address) for one in found) else "127.0.0.1"

    def local(key: str, listen: str) -> str:
        return f"{host}:{listen.rpartition(':')[2]}" if loaded.sources[key] == "default" else listen

    return dataclasses.replace(
        config,
        api_listen=local("api.listen", config.api_listen),
        agents_listen=local("agents.listen", config.agents_listen),
    )


def found_here() -> list[str]:
    """The system's name, and the addresses of its interfaces that other hosts may reach."""
    addresses = []
    for interface, entries in sorted(psutil.net_if_addrs().items()):
        if is_local(interface):
            continue
        for entry in entries:
            if entry.family in (socket.AF_INET, socket.AF_INET6):
                address = ipaddress.ip_address(entry.address.partition("%")[0])
                if not (address.is_loopback or address.is_link_local):
                    addresses.append(str(address))
    return [system_name(), *sorted(addresses, key=lambda text: ":" in text)]


def system_name() -> str:
    """The system's name as a host name, `localhost` where it isn't one."""
    name = socket.gethostname().lower()
    return name if HOST_NAME.fullmatch(name) else "localhost"


def _plain(address: str) -> str:
    """An IP address in its usual form; a name in lower case."""
    try:
        return str(ipaddress.ip_address(address.strip("[]")))
    except ValueError:
        return address.lower()


def urls(addresses: Iterable[str], listen: str) -> tuple[str, ...]:
    """`https://ADDRESS:PORT` for each address, with the port of a listener."""
    port = listen.rpartition(":")[2]
    return tuple(
        f"https://[{address}]:{port}" if ":" in address else f"https://{address}:{port}"
        for address in addresses
    )
