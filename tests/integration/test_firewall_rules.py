"""The rules that `hullmark ports --firewall` prints, loaded into real firewalls that drop by default: without them a path is blocked, with them
it is open, and what was not declared stays blocked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hullmark.core.firewallneeds import needs
from hullmark.core.firewallrules import rendered
from hullmark.model.app import App, ContainerSpec, PortSpec, Service
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.observed import HostState
from hullmark.model.orders import Assignment, InstanceId, PublishedPort
from hullmark.model.records import HostAssignments
from tests.cluster import wait_until
from tests.integration.firewallroom import Room, firewalld
from tests.integration.namespaces import HOST_ADDRESS, HostNetwork
from tests.integration.shipyard import Yard
from tests.unit.core import fleets

NEIGHBOUR = "192.0.2.12"
SERVICE, SERVICES = "10.214.0.1", "10.214.0.0/16"
DB, TLS, WEB, HOST_PORT, MASTER, UNDECLARED = 5432, 7443, 443, 18081, 7441, 9999
CONNECT = (
    "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.5).close()"
)
LISTEN = """
import selectors, socket, sys
waiting = selectors.DefaultSelector()
for place in sys.argv[1:]:
    address, port = place.rsplit(":", 1)
    waiting.register(socket.create_server((address, int(port))), selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in waiting.select():
        key.fileobj.accept()[0].close()
"""
RULESET = """
table inet filter {
  chain input { type filter hook input priority 0; policy drop; ct state established,related accept; iifname "lo" accept; }
  chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; }
  chain output { type filter hook output priority 0; policy drop; ct state established,related accept; oifname "lo" accept; }
}
"""
Inside = Sequence[str]


def printed(firewall: str, engine: str, containers: str) -> tuple[str, ...]:
    """Of a host at HOST_ADDRESS with a neighbour that has a master too."""
    facts = HostFacts(
        proxy_version="2.6", proxy_port=TLS, engine=engine, container_range=containers
    )
    hosts = [HostRecord("id1", "web1", 1.0), HostRecord("id2", "web2", 1.0)]
    states = {
        host.host_id: HostState(
            dataclasses.replace(facts, addresses=(address,), proxy_address=address)
        )
        for host, address in zip(hosts, (HOST_ADDRESS, NEIGHBOUR))
    }
    web = Service(ContainerSpec("web:1"), ports=(PortSpec(80, WEB, WEB),))
    there = fleets.applied(fleets.snapshot({}, hosts, states), App("shop", {"web": web}))
    held = (PublishedPort(8080, HOST_PORT),)
    orders = HostAssignments((Assignment(InstanceId("shop", "web", 1, 1), "h", held),))
    there = dataclasses.replace(there, assignments={"id1": orders}, address_range=SERVICES)
    return rendered(firewall, needs(there, "web1", {"m1": ((NEIGHBOUR, MASTER),)}, {}))


def reaches(inside: Inside, address: str, port: int) -> bool:
    words = [*inside, sys.executable, "-c", CONNECT, address, str(port)]
    return subprocess.run(words, stderr=subprocess.DEVNULL, timeout=20).returncode == 0


@contextlib.contextmanager
def listening(inside: Inside, *places: str) -> Iterator[None]:
    words = [*inside, sys.executable, "-c", LISTEN, *places]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def given_address(address: str) -> Iterator[None]:
    """On this namespace's loopback device."""
    subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "address", "delete", f"{address}/32", "dev", "lo"], check=True)


def test_nftables_with_a_real_engine(yard: Yard) -> None:
    text = f"services: {{web: {{image: IMAGE, ports: [{{target: 8080, published: {HOST_PORT}, mode: host}}]}}}}"
    container_id = yard.up(text)
    (network,) = yard.inspect(container_id)["NetworkSettings"]["Networks"].values()
    container, length = network["IPAddress"], network["IPPrefixLen"]
    within = ["nsenter", f"--net=/proc/{yard.pid(container_id)}/ns/net", "--"]
    here = [f"{SERVICE}:{DB}", *(f"{HOST_ADDRESS}:{port}" for port in (TLS, WEB, UNDECLARED))]
    with (
        HostNetwork("web2", NEIGHBOUR) as web2,
        given_address(SERVICE),
        contextlib.ExitStack() as stack,
    ):
        stack.enter_context(listening([], *here))
        there = (f"{NEIGHBOUR}:{port}" for port in (MASTER, TLS))
        stack.enter_context(listening(web2.inside, *there))
        paths: dict[str, tuple[Inside, str, int]] = {
            "container to service address": (within, SERVICE, DB),
            "container to outside": (within, NEIGHBOUR, MASTER),
            "neighbour to proxy": (web2.inside, HOST_ADDRESS, TLS),
            "neighbour to published": (web2.inside, HOST_ADDRESS, WEB),
            "neighbour to mode: host": (web2.inside, HOST_ADDRESS, HOST_PORT),
            "agent to master": ([], NEIGHBOUR, MASTER),
            "proxy to proxy": ([], NEIGHBOUR, TLS),
            "proxy to container": ([], container, 8080),
        }
        undeclared: dict[str, tuple[Inside, str, int]] = {
            "neighbour to undeclared": (web2.inside, HOST_ADDRESS, UNDECLARED),
            "container to undeclared": (within, HOST_ADDRESS, UNDECLARED),
        }

        def open_now() -> set[str]:
            return {name for name, path in {**paths, **undeclared}.items() if reaches(*path)}

        every = {*paths, *undeclared}
        wait_until(lambda: open_now() == every, f"not all open at first: {every - open_now()}")
        stack.callback(subprocess.run, ["nft", "delete", "table", "inet", "filter"], check=True)
        subprocess.run(["nft", "-f", "-"], input=RULESET, text=True, check=True)
        assert open_now() == set()
        rules = printed("nftables", yard.engine.info().name, f"{container}/{length}")
        subprocess.run(["nft", "-f", "-"], input="\n".join(rules) + "\n", text=True, check=True)
        assert open_now() == set(paths)


class Beside:
    """A network namespace that is wired to a room: `address` on its own `eth0`, `gateway` on the room's end, which is `name`."""

    def __init__(self, room: Room, name: str, address: str, gateway: str) -> None:
        script = "ip link set lo up; echo ready; exec sleep infinity"
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-ec", script], stdout=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"
        pid = self._holder.pid
        self.inside = ["nsenter", f"--net=/proc/{pid}/ns/net", "--"]
        room.run(*f"ip link add {name} type veth peer name eth0 netns {pid}".split())
        room.run(*f"ip address add {gateway}/24 dev {name}".split())
        room.run(*f"ip link set {name} up".split())
        for words in (
            f"address add {address}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {gateway}",
        ):
            subprocess.run([*self.inside, "ip", *words.split()], check=True)

    def end(self) -> None:
        self._holder.kill()
        self._holder.communicate()


CONTAINER, BRIDGE, CONTAINERS = "10.213.0.2", "10.213.0.1", "10.213.0.0/16"
ENGINE = f"""
table ip engine {{
  chain prerouting {{
    type nat hook prerouting priority dstnat; tcp dport {HOST_PORT} ip daddr {HOST_ADDRESS} dnat to {CONTAINER}:8080
  }}
}}
"""
"""What engines do for a port with mode: host."""


class Street:
    """A host in a room, with a neighbour and a container, and everything that listens."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Street:
        run, enter = self._room.run, self._stack.enter_context
        neighbour = Beside(self._room, "lan", NEIGHBOUR, HOST_ADDRESS)
        self._stack.callback(neighbour.end)
        container = Beside(self._room, "br-shop", CONTAINER, BRIDGE)
        self._stack.callback(container.end)
        run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        run("ip", "address", "add", f"{SERVICE}/32", "dev", "lo")
        run("nft", "-f", "-", given=ENGINE)
        places = [f"{HOST_ADDRESS}:{port}" for port in (TLS, WEB, UNDECLARED)]
        enter(listening(self._room.inside, f"{SERVICE}:{DB}", *places))
        enter(listening(container.inside, f"{CONTAINER}:8080"))
        enter(listening(neighbour.inside, f"{NEIGHBOUR}:{MASTER}"))
        self._paths = {
            "services": (container.inside, SERVICE, DB),
            "proxies": (neighbour.inside, HOST_ADDRESS, TLS),
            "published": (neighbour.inside, HOST_ADDRESS, WEB),
            "mode: host": (neighbour.inside, HOST_ADDRESS, HOST_PORT),
            "master": (self._room.inside, NEIGHBOUR, MASTER),
            "undeclared": (neighbour.inside, HOST_ADDRESS, UNDECLARED),
            "undeclared inside": (container.inside, HOST_ADDRESS, UNDECLARED),
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def open_now(self) -> set[str]:
        return {name for name, path in self._paths.items() if reaches(*path)}

    def load(self, firewall: str) -> None:
        for line in printed(firewall, "podman", CONTAINERS):
            if line and not line.startswith("#"):
                self._room.run(*shlex.split(line))


def test_ufw(room: Room, tmp_path: Path) -> None:
    room.run("cp", "-r", "/etc/ufw", str(tmp_path))
    room.run("mount", "--bind", str(tmp_path / "ufw"), "/etc/ufw")
    with Street(room) as street:
        assert len(street.open_now()) == 7
        room.run("ufw", "default", "deny", "outgoing")
        room.run("ufw", "--force", "enable")
        assert street.open_now() == set()
        street.load("ufw")
        assert street.open_now() == {"services", "proxies", "published", "mode: host", "master"}


def test_firewalld(room: Room, tmp_path: Path) -> None:
    with Street(room) as street, firewalld(room, tmp_path):
        by_itself = {"mode: host", "master"}
        assert street.open_now() == by_itself
        street.load("firewalld")
        assert street.open_now() == {"services", "proxies", "published", *by_itself}
