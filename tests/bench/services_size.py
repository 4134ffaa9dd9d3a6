"""A host's proxy at 1,000 services of 5 instances each: how large its configuration is, how long a change of it takes, how much memory.

100 apps of 10 services, each app with a bridge of its own, spread over 11 hosts: so this host has a container of nearly every other service, for
which each of the others may ask it, and its containers may call all 1,000. The product's own code plans, writes and tells; nobody answers behind the servers.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from hullmark.core.proxyplan import plan
from hullmark.engine.haproxy import Haproxy
from hullmark.engine.haproxyconfig import ADMISSIONS, CALLERS, CONFIG
from hullmark.engine.haproxyservers import CERTIFICATE, ROOT
from hullmark.host.loopback import LoopbackAddresses
from hullmark.model.directory import (
    Admission,
    Directory,
    Peer,
    ServiceEntry,
    ServiceName,
    Share,
)
from hullmark.model.orders import InstanceId
from hullmark.model.proxy import Bridge, Member, ProxySight
from tests.cluster import wait_until
from tests.integration.etcdcerts import Certificates
from tests.integration.namespaces import HOST_ADDRESS
from tests.proxy import RANGE, Proxy

APPS, OF_EACH, INSTANCES, HOSTS = 100, 10, 5, 11
MIB = 1 << 20
HERE = f"{0:032x}"


def _name(number: int) -> ServiceName:
    return ServiceName(f"app{number // OF_EACH}", f"service{number % OF_EACH}")


def _hosts_of(number: int) -> list[int]:
    return [(number * INSTANCES + each) % HOSTS for each in range(INSTANCES)]


def _entry(number: int) -> ServiceEntry:
    shares = tuple(Share(f"{host:032x}", 1) for host in _hosts_of(number) if host)
    address = f"10.214.{number // 200}.{number % 200 + 1}"
    return ServiceEntry(_name(number), address, (8080,), shares, {"default": ()})


def _member(number: int, life: int = 0) -> Member:
    instance = InstanceId(_name(number).app, _name(number).service, 1, 1)
    address = f"172.29.{number // OF_EACH}.{number % OF_EACH + 2}"
    container_id = f"{life:04x}{number:08x}".ljust(64, "0")
    return Member(instance, container_id, {"default": address}, serving=True)


def sight(services: int, bridges: tuple[Bridge, ...], certificate: str) -> ProxySight:
    numbers = range(services)
    entries = tuple(map(_entry, numbers))
    peers = tuple(
        Peer(f"{host:032x}", f"host{host}", f"192.0.2.{100 + host}", 7443)
        for host in range(1, HOSTS)
    )
    directory = Directory(
        range=RANGE,
        addresses=tuple(one.address for one in entries),
        services=entries,
        peers=peers,
        admissions=tuple(
            Admission(peer.host_id, _name(number))
            for peer in peers
            for number in numbers
            if 0 in _hosts_of(number)
        ),
    )
    members = tuple(_member(number) for number in numbers if 0 in _hosts_of(number))
    known = bridges[: services // OF_EACH]
    return ProxySight(
        HERE, directory, members, known, (HOST_ADDRESS,), HOST_ADDRESS, 7443, certificate
    )


@contextlib.contextmanager
def made_bridges() -> Iterator[tuple[Bridge, ...]]:
    """In this process's namespace, gone at the end."""
    names = [f"hm-size{number}" for number in range(APPS)]
    _ip([f"link add {name} type bridge" for name in names])
    try:
        _ip(
            [f"address add 172.29.{n}.1/24 dev {name}" for n, name in enumerate(names)]
            + [f"link set {name} up" for name in names]
        )
        yield tuple(
            Bridge(
                f"app{n}",
                "default",
                name,
                socket.if_nametoindex(name),
                f"172.29.{n}.0/24",
                f"172.29.{n}.1",
            )
            for n, name in enumerate(names)
        )
    finally:
        _ip([f"link delete {name}" for name in names])


def _ip(commands: list[str]) -> None:
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)


def measure(folder: Path, runs: int) -> dict[str, Any]:
    """`enter_private_network` comes first. Seconds are medians of so many runs."""
    with made_bridges() as bridges, Proxy() as proxy:
        _give_keys(folder, proxy)
        haproxy = Haproxy(proxy.folder, proxy.run_dir)
        haproxy.apply(plan(sight(0, bridges, "")))
        _settled(proxy)
        found: dict[str, Any] = {"idle_mib": _memory(proxy)}
        whole = sight(APPS * OF_EACH, bridges, "1")
        LoopbackAddresses(RANGE).have(whole.directory.addresses)
        found["plan_s"] = _seconds(lambda: plan(whole), runs)
        found["first_apply_s"] = _seconds(lambda: haproxy.apply(plan(whole)), 1)
        _settled(proxy)
        found["loaded_mib"] = _memory(proxy)
        found["bytes"] = {
            name: (proxy.folder / name).stat().st_size for name in (CONFIG, ADMISSIONS, CALLERS)
        }
        found["services"], found["instances"] = APPS * OF_EACH, APPS * OF_EACH * INSTANCES
        before_s = _processor_s(proxy)
        found["reload_s"] = _seconds(haproxy.load_again, runs)
        found["reload_processor_s"] = round((_processor_s(proxy) - before_s) / runs, 3)
        found["app_more_or_less_s"] = _in_turn(haproxy, whole, _without_an_app(whole), True, runs)
        found["instance_replaced_s"] = _in_turn(haproxy, whole, _replaced(whole), False, runs)
    return found


def _without_an_app(whole: ProxySight) -> ProxySight:
    kept = tuple(one for one in whole.directory.services if one.name.app != "app7")
    return replace(whole, directory=replace(whole.directory, services=kept))


def _replaced(whole: ProxySight) -> ProxySight:
    """One of this host's containers was made anew."""
    return replace(whole, members=(_member(0, life=1), *whole.members[1:]))


def _in_turn(
    haproxy: Haproxy, first: ProxySight, second: ProxySight, reloads: bool, runs: int
) -> float:
    """Seconds from what the agent sees until the proxy does it: plan, check, tell."""
    times = []
    for number in range(2 * runs):
        began_s = time.monotonic()
        applied = haproxy.apply(plan(second if number % 2 == 0 else first))
        times.append(time.monotonic() - began_s)
        assert (applied.changed, applied.reloaded) == (True, reloads)
    return round(statistics.median(times), 3)


def _seconds(what: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        began_s = time.monotonic()
        what()
        times.append(time.monotonic() - began_s)
    return round(statistics.median(times), 3)


def _settled(proxy: Proxy) -> None:
    """Former workers have ended."""
    wait_until(lambda: len(proxy.workers) == 1, "the proxy has one worker", 20)


def _processor_s(proxy: Proxy) -> float:
    """Of the main process, which reads a new configuration before its worker has it."""
    times = psutil.Process(proxy.pid).cpu_times()
    return float(times.user + times.system)


def _memory(proxy: Proxy) -> dict[str, float]:
    """Resident; what main process and worker share counts in both, but half each in `proportional`."""
    seen = [psutil.Process(pid).memory_full_info() for pid in (proxy.pid, *proxy.workers)]
    return {
        "main": round(seen[0].rss / MIB, 1),
        "worker": round(seen[1].rss / MIB, 1),
        "proportional": round(sum(one.pss for one in seen) / MIB, 1),
    }


def _give_keys(folder: Path, proxy: Proxy) -> None:
    authority = Certificates(folder / "size")
    pair = authority.issue("proxy")
    pem = pair.with_suffix(".crt").read_bytes() + pair.with_suffix(".key").read_bytes()
    for name, content in ((CERTIFICATE, pem), (ROOT, authority.ca.read_bytes())):
        file = proxy.folder / name
        file.touch(mode=0o600)
        file.write_bytes(content)
