from __future__ import annotations

from ipaddress import IPv4Network
from types import SimpleNamespace

import pytest

from hullmark.errors import Refused
from hullmark.host import loopback
from hullmark.host.loopback import LoopbackAddresses

WHOLE = "255.255.255.255"


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """Commands for the kernel, on a device that has an address of the range, one of somebody else's, and a network in the range."""
    present = [("127.0.0.1", "255.0.0.0"), ("10.214.0.9", WHOLE), ("10.9.9.9", WHOLE)]
    present.append(("10.214.3.1", "255.255.255.0"))
    found = [SimpleNamespace(family=2, address=one, netmask=mask) for one, mask in present]
    monkeypatch.setattr("psutil.net_if_addrs", lambda: {"lo": found})
    monkeypatch.setattr(loopback, "known_networks", lambda: (IPv4Network("10.230.0.0/15"),))
    commands: list[str] = []
    monkeypatch.setattr(loopback, "_change", commands.extend)
    return commands


def test_what_is_missing_comes_and_what_is_not_wanted_goes(told) -> None:
    assert LoopbackAddresses("10.214.0.0/16").have(["10.214.0.1", "10.214.0.1", "192.0.2.1", "x"])
    assert told == [
        "address replace 10.214.0.1/32 dev lo scope host",
        "address delete 10.214.0.9/32 dev lo",
    ]


def test_nothing_to_do_is_nothing_done(told) -> None:
    assert not LoopbackAddresses("10.214.0.0/16").have(["10.214.0.9"])
    assert told == []


def test_what_was_put_there_of_a_former_range_goes(told) -> None:
    """And only that: an address of somebody else's stays."""
    assert LoopbackAddresses("10.216.0.0/16").have(["10.216.0.1"], ["10.214.0.9", "10.214.0.8"])
    assert told == [
        "address replace 10.216.0.1/32 dev lo scope host",
        "address delete 10.214.0.9/32 dev lo",
    ]


def test_a_range_that_the_host_has_a_route_into_is_not_begun_with(told) -> None:
    with pytest.raises(Refused, match=r"10\.230\.0\.0/15"):
        LoopbackAddresses("10.231.0.0/16").have(["10.231.0.1"])
    assert told == []


def test_nor_one_of_which_the_host_has_a_route_to_single_addresses(told, monkeypatch) -> None:
    """Not all of them are named."""
    singles = [IPv4Network(f"10.231.0.{number}/32") for number in range(1, 15)]
    monkeypatch.setattr(loopback, "known_networks", lambda: singles)
    with pytest.raises(Refused, match=r"a route to 10\.231\.0\.1/32, .*10/32, \.\.\.$"):
        LoopbackAddresses("10.231.0.0/16").have(["10.231.0.99"])
    assert told == []


def test_a_route_that_comes_later_ends_nothing(told, monkeypatch) -> None:
    monkeypatch.setattr(loopback, "known_networks", lambda: (IPv4Network("10.0.0.0/8"),))
    assert LoopbackAddresses("10.214.0.0/16").have(["10.214.0.1", "10.214.0.9"])
    assert told == ["address replace 10.214.0.1/32 dev lo scope host"]


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.0/15", "8.8.0.0/16", "10.214.0.1/16", "127.0.0.0/16", "0.0.0.0/0", "fd00::/64"],
)
def test_a_range_that_can_not_be_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        LoopbackAddresses(text)
