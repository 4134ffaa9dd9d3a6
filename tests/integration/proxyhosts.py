"""Hosts with a real proxy and containers' network namespaces, without an engine or an agent: what the proxy does for itself.

    with Host("one", "a" * 32, "192.0.2.11") as host:
        host.add_bridge("shop", "front", "br-front", "172.20.0.0/16")
        web = host.add_container("shop", "web", 1, front="172.20.0.2")
        host.apply(directory)
        web.get("10.214.0.1", 80)

What the agent does in a host's namespace a thread does here that entered it: a thread may be in another one than its process.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import ipaddress
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional, TypeVar

from hullmark.core.proxyplan import plan
from hullmark.engine.haproxy import Haproxy
from hullmark.errors import ProxyUnavailable
from hullmark.host.loopback import LoopbackAddresses
from hullmark.model.directory import Directory
from hullmark.model.orders import InstanceId
from hullmark.model.proxy import Bridge, Member, ProxySight
from hullmark.model.proxyplan import Applied
from hullmark.pki import certificates
from hullmark.pki.authority import Authority, create_authority
from tests.integration.namespaces import CLONE_NEWNET, HostNetwork
from tests.proxy import RANGE, Proxy

ONE, TWO = "a" * 32, "b" * 32
"""Ids of hosts."""

SERVER = Path(__file__).with_name("answering.py")
PATIENCE_S = 5.0
_libc = ctypes.CDLL(None, use_errno=True)
_Result = TypeVar("_Result")


def within(namespace: Path, call: Callable[[], _Result]) -> _Result:
    """The call's result, from a thread in that network namespace."""

    def enter_and_call() -> _Result:
        handle = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            assert _libc.setns(handle, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        finally:
            os.close(handle)
        return call()

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(enter_and_call).result()


class Container:
    """A network namespace on bridges of a host, with a server at `port` that says its name and who called."""

    def __init__(
        self, host: Host, instance: InstanceId, addresses: dict[str, str], options: tuple[str, ...]
    ) -> None:
        self.host = host
        self.instance = instance
        self.addresses = addresses
        self.container_id = os.urandom(32).hex()
        self._server = subprocess.Popen(
            ["unshare", "--net", sys.executable, "-S", str(SERVER), str(instance), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == b"apart\n"
        self.path = Path(f"/proc/{self._server.pid}/ns/net")
        for index, (network, address) in enumerate(addresses.items()):
            self._plug(index, host.bridge(instance.app, network), address)
        assert self._server.stdin is not None
        self._server.stdin.write(b"go\n")
        self._server.stdin.flush()
        assert self._server.stdout.readline() == b"listening\n"

    @property
    def inside(self) -> list[str]:
        return ["nsenter", f"--net={self.path}", "--"]

    def member(self, *, serving: bool = True, leaving: bool = False) -> Member:
        return Member(
            self.instance, self.container_id, self.addresses, serving=serving, leaving=leaving
        )

    def get(self, address: str, port: int, **headers: str) -> dict[str, Any]:
        """What a server answers. Raises OSError or ValueError where none does."""
        return within(self.path, lambda: get(address, port, **headers))

    def dial(self, address: str, port: int) -> socket.socket:
        """A connection that stays: `echo` it."""
        return within(
            self.path, lambda: socket.create_connection((address, port), timeout=PATIENCE_S)
        )

    def kill(self) -> None:
        self._server.kill()
        self._server.wait()
        for stream in (self._server.stdin, self._server.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()

    def _plug(self, index: int, bridge: Bridge, address: str) -> None:
        outer = f"v{self._server.pid}.{index}"
        pair = f"link add {outer} type veth peer name eth{index} netns {self._server.pid}"
        self.host.ip(pair)
        self.host.ip(f"link set {outer} master {bridge.interface} up")
        for command in (
            "link set lo up",
            f"address add {address}/24 dev eth{index}",
            f"link set eth{index} up",
        ):
            _run([*self.inside, "ip", *command.split()])
        if index == 0:
            _run([*self.inside, "ip", "route", "add", "default", "via", bridge.gateway])


class Host:
    """`state` is what the agent would see; change it with `see` and have it in force with `apply`."""

    def __init__(self, name: str, host_id: str, address: str) -> None:
        self.host_id = host_id
        self.network = HostNetwork(name, address)
        self.proxy: Proxy
        self.haproxy: Haproxy
        self.bridges: dict[tuple[str, str], Bridge] = {}
        self.containers: list[Container] = []
        self.sight = ProxySight(host_id, addresses=(address,))
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Host:
        self._stack.enter_context(self.network)
        self.proxy = self._stack.enter_context(Proxy(self.network))
        self.haproxy = Haproxy(self.proxy.folder, self.proxy.run_dir)
        return self

    def __exit__(self, *error: object) -> None:
        for one in self.containers:
            one.kill()
        self._stack.close()

    @property
    def address(self) -> str:
        return self.network.address

    def admit(self, authority: Authority, cluster_id: str = "c1") -> None:
        """Give the proxy a certificate; it takes other hosts' calls with the next `apply`."""
        pem = proxy_pem(authority, self.host_id, cluster_id)
        for name, content in (("proxy.pem", pem), ("root.pem", authority.root_pem.encode())):
            (self.proxy.folder / name).write_bytes(content)
            (self.proxy.folder / name).chmod(0o600)
        digest = certificates.fingerprint(certificates.load_chain(pem, "proxy.pem")[0])
        self.see(tls_address=self.address, tls_port=7443, certificate=digest)

    def add_bridge(self, app: str, network: str, interface: str, subnet: str) -> Bridge:
        """Or make it anew: then it has another number, and containers have to be plugged in again."""
        if (app, network) in self.bridges:
            self.ip(f"link delete {interface}")
        gateway = str(next(ipaddress.IPv4Network(subnet).hosts()))
        self.ip(f"link add name {interface} type bridge")
        self.ip(f"address add {gateway}/24 dev {interface}")
        self.ip(f"link set {interface} up")
        index = within(self.network.path, lambda: socket.if_nametoindex(interface))
        bridge = Bridge(app, network, interface, index, subnet, gateway)
        self.bridges[app, network] = bridge
        self.see(bridges=tuple(self.bridges.values()))
        return bridge

    def bridge(self, app: str, network: str) -> Bridge:
        return self.bridges[app, network]

    def add_container(
        self, app: str, service: str, slot: int, *options: str, **addresses: str
    ) -> Container:
        made = Container(self, InstanceId(app, service, slot, 1), addresses, options)
        self.containers.append(made)
        self.see(members=(*self.sight.members, made.member()))
        return made

    def remove(self, container: Container) -> None:
        self.see(
            members=tuple(one for one in self.sight.members if one.instance != container.instance)
        )

    def mark(self, container: Container, *, serving: bool = True, leaving: bool = False) -> None:
        self.remove(container)
        again = container.member(serving=serving, leaving=leaving)
        self.see(members=(*self.sight.members, again))

    def see(self, **changes: Any) -> None:
        self.sight = replace(self.sight, **changes)

    def apply(self, directory: Optional[Directory] = None) -> Applied:
        if directory is not None:
            self.see(directory=directory)

        def both() -> Applied:
            made = plan(self.sight)
            with contextlib.suppress(ProxyUnavailable):
                self.haproxy.withdraw(made)
            LoopbackAddresses(RANGE).have(made.addresses)
            return self.haproxy.apply(made)

        return within(self.network.path, both)

    def is_well(self) -> bool:
        """All servers of all services answer the proxy."""
        found = self.haproxy.traffic().ports
        return bool(found) and all(one.up == one.members for one in found)

    def ip(self, command: str) -> None:
        _run([*self.network.inside, "ip", *command.split()])


def proxy_pem(authority: Authority, host_id: str, cluster_id: str = "c1") -> bytes:
    """Chain and key, as HAProxy has them: in one file."""
    key = certificates.new_key()
    request = certificates.new_request(key, host_id).decode()
    chain = authority.issue_proxy(request, cluster_id, host_id, time.time())
    return chain + certificates.key_pem(key)


def agent_pem(authority: Authority, host_id: str) -> bytes:
    key = certificates.new_key()
    request = certificates.new_request(key, host_id).decode()
    return authority.issue_host(request, "c1", host_id, time.time()) + certificates.key_pem(key)


def call_tls(
    place: tuple[str, int], pem: Optional[Path], server_name: str, client: str = "198.51.100.7"
) -> dict[str, Any]:
    """As another host's proxy calls, on behalf of `client`. Raises OSError (ssl's are) or ValueError where it is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if pem is not None:
        context.load_cert_chain(pem)
    with socket.create_connection(place, timeout=PATIENCE_S) as plain:
        plain.sendall(proxy_header(client, place[0]))
        with context.wrap_socket(plain, server_hostname=server_name) as link:
            link.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return _answer(link)


def proxy_header(source: str, target: str) -> bytes:
    """PROXY protocol, version 2, of a TCP connection over IPv4 (HAProxy's proxy-protocol.txt, section 2.2)."""
    addresses = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!HH", 4444, 80)
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, 0x11]) + struct.pack("!H", 12) + addresses


def get(address: str, port: int, **headers: str) -> dict[str, Any]:
    lines = "".join(f"{key.replace('_', '-')}: {headers[key]}\r\n" for key in headers)
    with socket.create_connection((address, port), timeout=PATIENCE_S) as link:
        link.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode())
        return _answer(link)


def is_echoing(link: socket.socket) -> bool:
    """Whether a connection that stays is still one, to the same server."""
    link.settimeout(PATIENCE_S)
    link.sendall(b"echo\n")
    return link.recv(100) == b"echo\n"


def _answer(link: socket.socket) -> dict[str, Any]:
    parts = []
    while part := link.recv(65536):
        parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    if not body:
        raise ConnectionError(f"closed without an answer: {head[:100]!r}")
    found = json.loads(body)
    assert isinstance(found, dict)
    return found


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def several(count: int, call: Callable[[], dict[str, Any]]) -> Iterator[str]:
    """Who answered."""
    for _ in range(count):
        yield str(call()["name"])


@contextlib.contextmanager
def two_hosts(folder: Path) -> Iterator[tuple[Host, Host, Authority]]:
    """Side by side, with the authority of their cluster."""
    authority = create_authority(folder / "authority", "c1", time.time())
    with Host("one", ONE, "192.0.2.11") as one, Host("two", TWO, "192.0.2.12") as two:
        yield one, two, authority
