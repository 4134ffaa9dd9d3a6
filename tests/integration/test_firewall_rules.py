"""The rules that `hullmark ports --firewall` prints, loaded into real firewalls that drop by default: without them a path is blocked, with them
it is open, and what was not declared stays blocked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
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


class Estate:
    """This namespace as a host with an engine's container, which a port is handed on to, and with a neighbour; everything listens."""

    def __init__(self, yard: Yard) -> None:
        text = f"services: {{web: {{image: IMAGE, ports: [{{target: 8080, published: {HOST_PORT}, mode: host}}]}}}}"
        container_id = yard.up(text)
        (network,) = yard.inspect(container_id)["NetworkSettings"]["Networks"].values()
        self._container = network["IPAddress"]
        self.network = f"{self._container}/{network['IPPrefixLen']}"
        self._within = ["nsenter", f"--net=/proc/{yard.pid(container_id)}/ns/net", "--"]
        self.paths: dict[str, tuple[Inside, str, int]] = {}
        self.undeclared: dict[str, tuple[Inside, str, int]] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Estate:
        enter, within = self._stack.enter_context, self._within
        web2 = enter(HostNetwork("web2", NEIGHBOUR))
        enter(given_address(SERVICE))
        places = (f"{HOST_ADDRESS}:{port}" for port in (TLS, WEB, UNDECLARED))
        enter(listening([], f"{SERVICE}:{DB}", *places))
        enter(listening(web2.inside, *(f"{NEIGHBOUR}:{port}" for port in (MASTER, TLS))))
        self.paths = {
            "container to service address": (within, SERVICE, DB),
            "container to outside": (within, NEIGHBOUR, MASTER),
            "neighbour to proxy": (web2.inside, HOST_ADDRESS, TLS),
            "neighbour to published": (web2.inside, HOST_ADDRESS, WEB),
            "neighbour to mode: host": (web2.inside, HOST_ADDRESS, HOST_PORT),
            "agent to master": ([], NEIGHBOUR, MASTER),
            "proxy to proxy": ([], NEIGHBOUR, TLS),
            "proxy to container": ([], self._container, 8080),
        }
        self.undeclared = {
            "neighbour to undeclared": (web2.inside, HOST_ADDRESS, UNDECLARED),
            "container to undeclared": (within, HOST_ADDRESS, UNDECLARED),
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def open_now(self) -> set[str]:
        every = {**self.paths, **self.undeclared}
        return {name for name, path in every.items() if reaches(*path)}

    def wait_until_open(self) -> None:
        every = {*self.paths, *self.undeclared}
        wait_until(lambda: self.open_now() == every, "all is open before anything is shut")


def test_nftables_with_a_real_engine(yard: Yard) -> None:
    with Estate(yard) as estate, contextlib.ExitStack() as stack:
        estate.wait_until_open()
        stack.callback(subprocess.run, ["nft", "delete", "table", "inet", "filter"], check=True)
        subprocess.run(["nft", "-f", "-"], input=RULESET, text=True, check=True)
        assert estate.open_now() == set()
        rules = printed("nftables", yard.engine.info().name, estate.network)
        subprocess.run(["nft", "-f", "-"], input="\n".join(rules) + "\n", text=True, check=True)
        assert estate.open_now() == set(estate.paths)


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


CONTROL = f"""
import json
from hullmark.core.checks import JUDGES, Seen
from hullmark.engine.probes import looks
from hullmark.engine.protocol import EngineInfo
from hullmark.host.eye import Eye

class Podman:
    def info(self):
        return EngineInfo("podman", "4.3.1", "unix:///run/podman/podman.sock")

    def told(self, path):
        if path == "/networks":
            return [{{"Driver": "bridge", "Id": "1f", "IPAM": {{"Config": [{{"Subnet": "10.213.0.0/24"}}]}}}}]
        return [{{"id": "1f", "network_interface": "podman1"}}]

given = {{"range": "{CONTAINERS}"}}
found = JUDGES["engines.routing"](Seen(looks(Podman())["engines.routing"](Eye(), given), given, 0.0, 2))
print(json.dumps([found.status.value, found.reason, found.remedy]))
"""
"""With the room's packet filters and links, and an engine that says which network is whose."""


class Street:
    """A host in a room, with a neighbour and a container, and everything that listens."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._stack = contextlib.ExitStack()
        self.printed: tuple[str, ...] = ()

    def __enter__(self) -> Street:
        run, enter = self._room.run, self._stack.enter_context
        self._neighbour = neighbour = Beside(self._room, "lan", NEIGHBOUR, HOST_ADDRESS)
        self._stack.callback(neighbour.end)
        container = Beside(self._room, "br-shop", CONTAINER, BRIDGE)
        self._stack.callback(container.end)
        self._within = container.inside
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

    def lets_in(self) -> bool:
        """The neighbour, which routes the container's address to the host."""
        return reaches(self._neighbour.inside, CONTAINER, 8080)

    def gets_out(self) -> bool:
        """A container, to the neighbour."""
        return reaches(self._within, NEIGHBOUR, MASTER)

    def dropped_where_it_poses(self) -> int:
        """Packets of the neighbour with a container's address that a rule of table raw dropped."""
        inside = self._neighbour.inside
        add = ["ip", "address", "add", "10.213.0.9/32", "dev", "eth0"]
        subprocess.run([*inside, *add], check=True)
        send = "import socket; s = socket.socket(2, 2); s.bind(('10.213.0.9', 0)); s.sendto(b'x', ('%s', 5432))"
        subprocess.run([*inside, sys.executable, "-c", send % SERVICE], check=True)
        counted = self._room.run("iptables", "-t", "raw", "-nvxL", "PREROUTING")
        return int(next(line for line in counted.splitlines() if "DROP" in line).split()[0])

    def lets_in_who_poses(self) -> bool:
        """The neighbour, which is this host's way to everywhere, with an address of no network that is there."""
        self._room.run("ip", "route", "replace", "default", "via", NEIGHBOUR)
        inside = self._neighbour.inside
        add = ["ip", "address", "replace", "10.213.77.5/32", "dev", "eth0"]
        subprocess.run([*inside, *add], check=True)
        call = (
            f"import socket; socket.create_connection(('{CONTAINER}', 8080), 1, ('10.213.77.5', 0))"
        )
        words = [*inside, sys.executable, "-c", call]
        return subprocess.run(words, stderr=subprocess.DEVNULL, timeout=20).returncode == 0

    def by_bridges(self) -> None:
        """As on a host with virtual machines, whose own address is on a bridge; and with a network of Podman's as it is."""
        run = self._room.run
        run("mount", "-t", "sysfs", "none", "/sys")
        for port, bridge, address in (
            ("lan", "br0", HOST_ADDRESS),
            ("br-shop", "podman1", BRIDGE),
        ):
            for words in (
                f"link add {bridge} type bridge",
                f"address flush dev {port}",
                f"link set {port} master {bridge}",
                f"address add {address}/24 dev {bridge}",
                f"link set {bridge} up",
            ):
                run("ip", *words.split())

    def control(self) -> tuple[str, str, str]:
        """What `container-routing` says of the host as it is: status, reason and remedy."""
        printed = self._room.run(sys.executable, "-c", CONTROL)
        status, reason, remedy = json.loads(printed)
        return status, reason, remedy

    def load(self, firewall: str) -> None:
        self.printed = printed(firewall, "podman", CONTAINERS)
        self._room.run("sh", "-es", given="\n".join(self.printed) + "\n")


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
        assert not street.lets_in()
        room.run("nft", "delete", "table", "inet", "containers")
        assert street.lets_in(), "what ufw's route rules open"


OF_BRIDGES = f'ip saddr {CONTAINERS} meta iifkind "bridge" accept'


def test_nftables_where_the_hosts_own_network_is_a_bridge(room: Room) -> None:
    """A neighbour comes by a bridge too, as containers do."""
    with Street(room) as street:
        street.by_bridges()
        wait_until(lambda: len(street.open_now()) == 7, "all is open before anything is shut")
        room.run("nft", "-f", "-", given=RULESET)
        assert street.open_now() == set()
        rules = printed("nftables", "podman", CONTAINERS)
        room.run("nft", "-f", "-", given="\n".join(rules) + "\n")
        assert street.open_now() == {"services", "proxies", "published", "mode: host", "master"}
        assert street.gets_out()
        assert not street.lets_in()
        assert not street.lets_in_who_poses()
        assert street.control()[:2] == ("pass", "")
        room.run("nft", f"add rule inet filter forward {OF_BRIDGES}")
        assert street.lets_in_who_poses(), "what a rule for all bridges opens"
        status, reason, remedy = street.control()
        assert (status, OF_BRIDGES in reason) == ("fail", True)
        assert reason.endswith(". Bridges of no container network: br0")
        table = remedy[remedy.index("table inet containers") :]
        room.run("nft", table.replace('iifname "br0"', 'iifname "br1"'))
        assert street.lets_in_who_poses(), "what the table without that bridge leaves open"
        assert street.control()[0] == "fail"
        room.run("nft", f"delete table inet containers; {table}")
        assert not street.lets_in_who_poses()
        assert street.control()[:2] == ("pass", "")
        assert street.gets_out()
        assert street.open_now() == {"services", "proxies", "published", "mode: host", "master"}


SHUT = """
*filter
:INPUT DROP
:FORWARD DROP
:OUTPUT DROP
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A OUTPUT -o lo -j ACCEPT
-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
COMMIT
"""


def test_iptables(room: Room) -> None:
    with Street(room) as street:
        assert len(street.open_now()) == 7
        for tool in ("iptables", "ip6tables"):
            room.run(f"{tool}-restore", given=SHUT)
        assert street.open_now() == set()
        street.load("iptables")
        assert street.open_now() == {"services", "proxies", "published", "mode: host", "master"}
        assert not street.lets_in()
        assert not street.lets_in_who_poses()
        rule = ("FORWARD", "-s", CONTAINERS, "-j", "ACCEPT")
        room.run("iptables", "-A", *rule)
        assert street.lets_in_who_poses(), "what the rule without Podman's bridges opens"
        room.run("iptables", "-D", *rule)
        assert street.dropped_where_it_poses() > 0
        for tool in ("iptables", "ip6tables"):
            saved = room.run(f"{tool}-save")
            lines = [one[len(f"{tool} -w ") :] for one in street.printed if one.startswith(tool)]
            assert len(saved.splitlines()) > len(lines) > 0
            room.run(f"{tool}-restore", given=f"*raw\nCOMMIT\n{SHUT}")
            room.run(f"{tool}-restore", "--noflush", given=_file_of(lines))
            assert _rules(room.run(f"{tool}-save")) == _rules(saved), "the same from a file"


def _file_of(lines: Sequence[str]) -> str:
    raw = [line.replace("-t raw ", "") for line in lines if line.startswith("-t raw ")]
    rest = [line for line in lines if not line.startswith("-t raw ")]
    return "\n".join(["*filter", *rest, "COMMIT", "*raw", ":PREROUTING ACCEPT", *raw, "COMMIT", ""])


def _rules(saved: str) -> list[str]:
    return sorted(line for line in saved.splitlines() if line.startswith("-A"))


def test_iptables_with_a_real_engine(yard: Yard) -> None:
    """Whose own rules are in the same chains: what it hands on, and its containers' way out, are open before."""
    with Estate(yard) as estate, contextlib.ExitStack() as stack:
        estate.wait_until_open()
        for tool in ("iptables", "ip6tables"):
            saved = subprocess.run([f"{tool}-save"], check=True, capture_output=True, text=True)
            words = [f"{tool}-restore"]
            stack.callback(subprocess.run, words, input=saved.stdout, text=True, check=True)
            for chain in ("INPUT", "FORWARD", "OUTPUT"):
                subprocess.run([tool, "-w", "-P", chain, "DROP"], check=True)
            subprocess.run([*words, "--noflush"], input=REPLIES, text=True, check=True)
        assert estate.open_now() <= {"neighbour to mode: host", "container to outside"}
        script = "\n".join(printed("iptables", yard.engine.info().name, estate.network))
        subprocess.run(["sh", "-e"], input=script, text=True, check=True)
        assert estate.open_now() == set(estate.paths)


REPLIES = "".join(line for line in SHUT.splitlines(keepends=True) if not line.startswith(":"))


def test_firewalld(room: Room, tmp_path: Path) -> None:
    with Street(room) as street, firewalld(room, tmp_path):
        by_itself = {"mode: host", "master"}
        assert street.open_now() == by_itself
        street.load("firewalld")
        assert street.open_now() == {"services", "proxies", "published", *by_itself}
