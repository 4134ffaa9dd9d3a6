"""Swarm's overlay between two hosts: a task that serves on one, a container that calls on the other.

`endpoint_mode: dnsrr`, so the way is the overlay's alone: Swarm's virtual addresses and its ingress need IPVS. The encrypted overlay needs ESP. What a
kernel lacks is said in the result. And what went over the wire is looked at: a figure of an encrypted overlay whose packets can be read is none.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.bench.services_load import BULK, HTTP, IMAGE, SERVES, TAKES, Way, load_image, takes_calls
from tests.cluster import wait_until
from tests.integration import engines
from tests.integration.engines import Engine
from tests.integration.namespaces import HostNetwork

MACHINES = {"s1": "192.0.2.31", "s2": "192.0.2.32"}
PLAIN, ENCRYPTED = "Swarm's overlay", "Swarm's overlay, encrypted"
READY_S = 60.0
ANSWERS_S = 15.0
ETH_P_ALL, ETH_P_IP, IP_PROTO = 3, 0x0800, 9
UDP, ESP = 17, 50


class Swarm:
    def __init__(self, machines: Mapping[str, tuple[HostNetwork, Engine]]) -> None:
        self.machines = machines
        first = MACHINES["s1"]
        self.call("s1", "swarm", "init", "--advertise-addr", first, "--listen-addr", first)
        token = self.call("s1", "swarm", "join-token", "--quiet", "worker").strip()
        own = ("--advertise-addr", MACHINES["s2"], "--listen-addr", MACHINES["s2"])
        self.call("s2", "swarm", "join", "--token", token, *own, f"{first}:2377")
        self._node = self.call("s2", "info", "--format", "{{.Swarm.NodeID}}").strip()

    def call(self, machine: str, *arguments: str) -> str:
        command = [engines.docker_command(), "-H", self.machines[machine][1].socket, *arguments]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90
        )
        if done.returncode != 0:
            raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def way(self, group: str, name: str, network: str, *options: str) -> Way:
        """Through an overlay of this name. Nothing is asked of it yet."""
        self.call("s1", "network", "create", "-d", "overlay", "--attachable", *options, network)
        for service, command in (("http", SERVES), ("bulk", TAKES)):
            self.call(
                "s1", "service", "create", "-d", "--no-resolve-image", "--network", network, "--endpoint-mode", "dnsrr",
                "--constraint", f"node.id=={self._node}", "--name", f"{network}-{service}", IMAGE, *command,
            )  # fmt: skip
        http, bulk = (self._address(network, service) for service in ("http", "bulk"))
        caller = self.call(
            "s1", "run", "-d", "--init", "--network", network, IMAGE, "sleep", "100000"
        )
        pid = self.call("s1", "inspect", "--format", "{{.State.Pid}}", caller.strip()).strip()
        inside = ("nsenter", f"--net=/proc/{pid}/ns/net", "--")
        return Way(group, name, inside, (http, HTTP), (bulk, BULK))

    def serve_directly(self) -> str:
        """By containers on the second machine's own network; its address."""
        for command in (SERVES, TAKES):
            self.call("s2", "run", "-d", "--init", "--network", "host", IMAGE, *command)
        return MACHINES["s2"]

    def _address(self, network: str, service: str) -> str:
        label = f"label=com.docker.swarm.service.name={network}-{service}"

        def found() -> str:
            ids = self.call("s2", "ps", "-q", "--filter", label, "--filter", "status=running")
            if not ids.strip():
                return ""
            inspected = json.loads(self.call("s2", "inspect", ids.split()[0]))[0]
            return str(inspected["NetworkSettings"]["Networks"][network]["IPAddress"])

        address: str = wait_until(found, f"Swarm runs {network}-{service}", READY_S)
        return address

    def why_not(self, way: Way, *, encrypted: bool) -> str:
        """Why this way gives no figures; empty where it does."""
        wire = self.machines["s2"][0].port
        with seen(wire) as protocols:
            works = answers(way, ANSWERS_S)
            time.sleep(0.2)
        words = self._engines_words()
        if not works:
            return f"nothing answers through it within {ANSWERS_S:g} s{words}"
        if encrypted and UDP in protocols():
            return f"it answers, but its packets are not encrypted on the wire{words}"
        return ""

    def _engines_words(self) -> str:
        """What the engine logged of a kernel that takes no keys for ESP; not the keys, which are in the same line."""
        log = self.machines["s1"][1].log.read_text(errors="replace").splitlines()
        said = [one.strip('".') for one in log if "Proto: esp" in one and "Failed" in one]
        reason = said[-1].rpartition(": ")[2] if said else ""
        return f": the kernel takes no security association of ESP ({reason})" if reason else ""


def answers(way: Way, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if takes_calls(way):
            return True
        time.sleep(0.2)
    return False


@contextlib.contextmanager
def seen(wire: str) -> Iterator[Callable[[], set[int]]]:
    """Which protocols inside IP a wire carries meanwhile: those with VXLAN in the open (as UDP), those as ESP."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as tap:
        tap.bind((wire, ETH_P_ALL))
        tap.setblocking(False)
        found: set[int] = set()

        def protocols() -> set[int]:
            with contextlib.suppress(BlockingIOError):
                while True:
                    packet, origin = tap.recvfrom(64)
                    if origin[1] == ETH_P_IP and _is_data(packet):
                        found.add(packet[IP_PROTO])
            return found

        yield protocols


def _is_data(packet: bytes) -> bool:
    """ESP, or UDP to VXLAN's port; Swarm's gossip is UDP too."""
    protocol, header = packet[IP_PROTO], (packet[0] & 15) * 4
    return protocol == ESP or (
        protocol == UDP and packet[header + 2 : header + 4] == (4789).to_bytes(2, "big")
    )


@contextlib.contextmanager
def swarm() -> Iterator[Swarm]:
    """`enter_private_network` comes first. Swarm refuses a dockerd that keeps containers over its own restart."""
    with contextlib.ExitStack() as stack:
        machines = {}
        for name, address in MACHINES.items():
            network = stack.enter_context(HostNetwork(name, address))
            engine = engines.docker_engine(network=network, live_restore=False)
            stack.callback(engine.stop)
            machines[name] = network, engine
        with ThreadPoolExecutor() as pool:
            list(pool.map(_start, [engine for _, engine in machines.values()]))
        yield Swarm(machines)


def _start(engine: Engine) -> None:
    engine.start()
    load_image(engine)
