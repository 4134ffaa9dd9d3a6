"""Which interfaces other hosts can't reach."""

from __future__ import annotations

import pytest

from hullmark.host.interfaces import is_local


@pytest.mark.parametrize(
    "name", ["lo", "docker0", "br-1a2b", "podman0", "cni-podman0", "veth12", "virbr0", "hm0"]
)
def test_local_ones(name: str) -> None:
    assert is_local(name)


@pytest.mark.parametrize("name", ["eth0", "enp3s0", "br0", "bond0", "wlan0", "lan1", "lowpan0"])
def test_others(name: str) -> None:
    assert not is_local(name)
