"""Which interfaces other hosts can't reach."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import psutil
import pytest

from hullmark.host.interfaces import bindable, is_local


@pytest.mark.parametrize(
    "name", ["lo", "docker0", "br-1a2b", "podman0", "cni-podman0", "veth12", "virbr0", "hm0"]
)
def test_local_ones(name: str) -> None:
    assert is_local(name)


@pytest.mark.parametrize("name", ["eth0", "enp3s0", "br0", "bond0", "wlan0", "lan1", "lowpan0"])
def test_others(name: str) -> None:
    assert not is_local(name)


def test_where_a_port_of_the_host_is_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    def v4(address: str) -> SimpleNamespace:
        return SimpleNamespace(family=socket.AF_INET, address=address)

    def v6(address: str) -> SimpleNamespace:
        return SimpleNamespace(family=socket.AF_INET6, address=address)

    there = {
        "lo": [v4("127.0.0.1"), v4("10.214.0.1"), v6("::1")],
        "eth0": [v4("192.0.2.7"), v6("fe80::1%eth0")],
        "docker0": [v4("172.17.0.1")],
        "br-1a2b": [v4("10.213.0.1")],
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: there)
    assert bindable() == ("172.17.0.1", "192.0.2.7", "127.0.0.1")
    there["eth1"] = [v6("2001:db8::1")]
    assert bindable() == ("172.17.0.1", "192.0.2.7", "127.0.0.1", "::")
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"lo": there["lo"]})
    assert bindable() == ()
