"""The ways to a service that Hullmark has, and those that are there without it, beside each other in one cluster.

Two hosts with Docker, agent and proxy; beside each proxy a HAProxy with a configuration as somebody writes it by hand: the same program, threads and
certificates of the same kind, a log of each connection at the same place. A third machine is the client from outside, a fourth serves without a container.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil

from tests import reach
from tests.bench.services_load import (
    BULK,
    HTTP,
    IMAGE,
    SERVES,
    TAKES,
    Figures,
    Meter,
    Way,
    load_image,
    takes_calls,
)
from tests.cluster import wait_until
from tests.e2e.service_apps import inside, names, one, wait_for_service
from tests.fleet import Container, Fleet
from tests.integration import engines
from tests.integration.etcdcerts import Certificates
from tests.integration.namespaces import HostNetwork
from tests.proxy import Proxy

SAME, OUTSIDE, ACROSS = "same host", "from outside", "between hosts"
DIRECT, ENGINES, HOSTS = "direct", "engine-published port", "mode: host"
BY_HAND, SERVICE, PUBLISHED = "HAProxy by hand", "service address", "published port"
CLIENT = "192.0.2.40"
THREADS = 2
# Ports of web2 (and of web1, by hand) for requests; those for bulk are the next.
HOST_PORT, PROXY_PORT, ENGINE_PORT, HAND_PORT, HAND_TLS, HAND_CALLS = range(18080, 18200, 20)
APP = """\
name: bench
services:
  near: {{<<: *serves, expose: ["{http}"], deploy: {{placement: {{constraints: [node.hostname == web1]}}}}}}
  near-bulk: {{<<: *takes, expose: ["{bulk}"], deploy: {{placement: {{constraints: [node.hostname == web1]}}}}}}
  far:
    <<: *serves
    ports: ["{proxy}:{http}", {{target: {http}, published: {host}, mode: host}}]
    deploy: {{placement: {{constraints: [node.hostname == web2]}}}}
  far-bulk:
    <<: *takes
    ports: ["{proxy1}:{bulk}", {{target: {bulk}, published: {host1}, mode: host}}]
    deploy: {{placement: {{constraints: [node.hostname == web2]}}}}
  caller:
    <<: *each
    command: [sleep, "100000"]
    deploy: {{placement: {{constraints: [node.hostname == web1]}}}}
"""
EACH = f"""\
x-each: &each {{image: {IMAGE}, pull_policy: never, init: true, stop_grace_period: 1s}}
x-serves: &serves {{<<: *each, command: {list(SERVES)}}}
x-takes: &takes {{<<: *each, command: {list(TAKES)}}}
"""
HAND = f"""\
global
    log /dev/log local0
    maxconn 4000
    nbthread {THREADS}
defaults
    mode tcp
    log global
    option tcplog
    timeout connect 5s
    timeout client 1m
    timeout server 1m
"""
LISTEN = """\
listen port{port}
    bind {address}:{port} {how}
    server one {to} {so}
"""


class ByHand:
    """A HAProxy of somebody else's on a host."""

    def __init__(self, network: HostNetwork) -> None:
        self.proxy = Proxy(network)
        self._parts = [HAND]

    def listen(self, address: str, port: int, to: str, *, how: str = "", so: str = "") -> None:
        """`how`: more words of the listening socket; `so`: of the server."""
        self._parts.append(LISTEN.format(address=address, port=port, to=to, how=how, so=so))

    def start(self) -> None:
        self.proxy.folder.mkdir(parents=True)
        (self.proxy.folder / "haproxy.cfg").write_text("".join(self._parts))
        self.proxy.start()


class Bed:
    """`direct`: the address of a machine that serves without a container on a network of its own."""

    def __init__(self, folder: Path, direct: str) -> None:
        self.folder = folder
        self.direct = direct
        self.fleet = Fleet(
            folder / "fleet", dict.fromkeys(("web1", "web2"), engines.docker_engine), proxy=True
        )
        self.client = HostNetwork("client", CLIENT)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Bed:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.fleet)
            stack.enter_context(self.client)
            for host in self.fleet.hosts.values():
                load_image(host.engine)
            self._apply()
            self.caller, self.near = self._one("caller", "web1"), self._one("near", "web1")
            self._publish_by_the_engine()
            self._start_by_hand(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *reason: object) -> None:
        self._stack.close()

    def ways(self) -> Iterator[Way]:
        """All that answer by now."""
        for way in (*self._on_one_host(), *self._from_outside(), *self._between_hosts()):
            wait_until(partial(takes_calls, way), f"{way.key} answers", 30)
            yield way

    def _on_one_host(self) -> Iterator[Way]:
        near, bulk = _address(self.near), _address(self._one("near-bulk", "web1"))
        gateway = _gateway(self.near)
        called = Way(SAME, DIRECT, tuple(inside(self.caller)), (near, HTTP), (bulk, BULK))
        yield called
        yield self._by_hand(called, gateway, HAND_PORT)
        wait_for_service(self.caller, "near", HTTP, 40)
        yield self._of_service(called, "near")

    def _from_outside(self) -> Iterator[Way]:
        web2 = self.fleet.hosts["web2"].network.address
        called = Way(
            OUTSIDE, DIRECT, tuple(self.client.inside), (self.direct, HTTP), (self.direct, BULK)
        )
        yield called
        for name, port in ((ENGINES, ENGINE_PORT), (HOSTS, HOST_PORT)):
            yield replace(called, name=name, http=(web2, port), bulk=(web2, port + 1))
        yield self._by_hand(called, web2, HAND_PORT)
        published = replace(called, name=PUBLISHED, proxies=self._proxies())
        yield replace(published, http=(web2, PROXY_PORT), bulk=(web2, PROXY_PORT + 1))

    def _between_hosts(self) -> Iterator[Way]:
        web2 = self.fleet.hosts["web2"].network.address
        own = tuple(inside(self.caller))
        called = Way(ACROSS, HOSTS, own, (web2, HOST_PORT), (web2, HOST_PORT + 1))
        yield called
        yield replace(
            self._by_hand(called, _gateway(self.near), HAND_CALLS), name=f"{BY_HAND}, TLS"
        )
        wait_for_service(self.caller, "far", HTTP, 40)
        yield replace(self._of_service(called, "far"), name=f"{SERVICE}, TLS")

    def _by_hand(self, called: Way, address: str, port: int) -> Way:
        own = replace(called, name=BY_HAND, proxies=tuple(one.proxy.pid for one in self.by_hand))
        return replace(own, http=(address, port), bulk=(address, port + 1))

    def _proxies(self) -> tuple[int, ...]:
        return tuple(host.proxy.pid for host in self.fleet.hosts.values())

    def _of_service(self, called: Way, name: str) -> Way:
        known = names(self.caller)
        called = replace(called, proxies=self._proxies())
        return replace(
            called, name=SERVICE, http=(known[name], HTTP), bulk=(known[f"{name}-bulk"], BULK)
        )

    def while_ours_stand_still(self, meter: Meter, host_port: Way, published: Way) -> Figures:
        """`mode: host` with every process of ours stopped: the figures of then. The proxy's own port must not answer then, or they weren't."""
        ours = self._processes()
        try:
            for process in ours:
                process.send_signal(signal.SIGSTOP)
            assert reach.ask(published.inside, [published.http])[published.http] == reach.MUTE
            figures = meter.measure(host_port)
        finally:
            for process in ours:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGCONT)
        assert figures.failed == 0, "a process of ours is in the way of `mode: host`"
        return figures

    def _processes(self) -> list[psutil.Process]:
        """The master; of each host agent, proxy and its launcher; with all their children."""
        mains = [self.fleet.master.pid]
        for host in self.fleet.hosts.values():
            mains += [host.agent.pid, psutil.Process(host.proxy.pid).ppid()]
        found = [psutil.Process(pid) for pid in mains]
        assert os.getpid() not in mains
        return [*found, *(child for each in found for child in each.children(recursive=True))]

    def _one(self, service: str, host: str) -> Container:
        return one(self.fleet, "bench", service, host)

    def _apply(self) -> None:
        file = self.fleet.folder / "bench.yaml"
        ports = {"proxy": PROXY_PORT, "proxy1": PROXY_PORT + 1, "host": HOST_PORT}
        text = APP.format(http=HTTP, bulk=BULK, host1=HOST_PORT + 1, **ports)
        file.write_text(EACH + text)
        self.fleet.hullmark("apply", "--wait", str(file))

    def _publish_by_the_engine(self) -> None:
        run = self.fleet.hosts["web2"].engine.client().containers.run
        run(IMAGE, list(SERVES), detach=True, init=True, ports={f"{HTTP}/tcp": ENGINE_PORT})
        run(IMAGE, list(TAKES), detach=True, init=True, ports={f"{BULK}/tcp": ENGINE_PORT + 1})

    def _start_by_hand(self, stack: contextlib.ExitStack) -> None:
        """Without checks of iperf3, which takes each connection for a client."""
        web1, web2 = (self.fleet.hosts[name].network for name in ("web1", "web2"))
        self.by_hand = first, second = ByHand(web1), ByHand(web2)
        for each in self.by_hand:
            stack.callback(each.proxy.stop)
        given = self._certificates()
        gateway = _gateway(self.near)
        for more, near, far in ((0, "near", "far"), (1, "near-bulk", "far-bulk")):
            port = BULK if more else HTTP
            watched = "" if more else "check"
            to = f"{_address(self._one(far, 'web2'))}:{port}"
            second.listen(web2.address, HAND_PORT + more, to, so=watched)
            second.listen(
                web2.address, HAND_TLS + more, to, how=f"ssl {given} verify required", so=watched
            )
            to = f"{_address(self._one(near, 'web1'))}:{port}"
            first.listen(gateway, HAND_PORT + more, to, so=watched)
            tls = f"ssl {given} verify required verifyhost localhost {watched}"
            first.listen(gateway, HAND_CALLS + more, f"{web2.address}:{HAND_TLS + more}", so=tls)
        for each in (first, second):
            each.start()

    def _certificates(self) -> str:
        """TLS 1.3 and keys on P-256, as Hullmark's proxies have."""
        authority = Certificates(self.folder / "by-hand")
        pair = authority.issue("both")
        pem = self.folder / "by-hand" / "both.pem"
        pem.write_bytes(
            pair.with_suffix(".crt").read_bytes() + pair.with_suffix(".key").read_bytes()
        )
        return f"crt {pem} ca-file {authority.ca} ssl-min-ver TLSv1.3"


def _network(container: Container) -> dict[str, str]:
    found: dict[str, str] = next(iter(container.inspected["NetworkSettings"]["Networks"].values()))
    return found


def _address(container: Container) -> str:
    return _network(container)["IPAddress"]


def _gateway(container: Container) -> str:
    return _network(container)["Gateway"]
