"""Networks that the host knows, from tables as `ip` and the kernel write them."""

from __future__ import annotations

import ipaddress
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hullmark.errors import Refused
from hullmark.host import routes

HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


SAID = """\
10.214.9.0/24 dev eth0 table 100 scope link\x20
default via 192.0.2.1 dev eth0\x20
unreachable default metric 4278198272\x20
throw 10.77.0.0/16\x20
10.214.0.5 dev wg0 scope link\x20
blackhole 10.215.0.0/16\x20
10.216.0.0/16 proto static \\\tnexthop via 192.0.2.2 dev eth0 weight 1 \\\tnexthop via 192.0.2.3 dev eth0 weight 1\x20
192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.9\x20
multicast 239.0.0.0/8 dev eth0 scope link\x20
local 10.99.0.0/24 dev lo table local scope host\x20
local 10.214.0.9 dev lo table local proto kernel scope host src 10.214.0.9\x20
local 127.0.0.0/8 dev lo table local proto kernel scope host src 127.0.0.1\x20
broadcast 192.0.2.255 dev eth0 table local proto kernel scope link src 192.0.2.9\x20
"""
"""Of `ip -4 -oneline route show table all` (iproute2 6.1)."""


@pytest.fixture
def without_ip(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program isn't installed."""

    def missing(*_arguments: str) -> str:
        raise Refused("ip: No such file or directory")

    monkeypatch.setattr(routes, "ip", missing)


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with these routes, and with a network, a single address of its own, and a service's on its devices."""
    devices = {
        "lo": [("127.0.0.1", "255.0.0.0"), ("10.214.0.9", "255.255.255.255")],
        "eth0": [("192.0.2.9", "255.255.255.0"), ("10.214.0.7", "255.255.255.255")],
    }
    found = {
        name: [
            SimpleNamespace(family=socket.AF_INET, address=one, netmask=mask) for one, mask in each
        ]
        for name, each in devices.items()
    }
    monkeypatch.setattr("psutil.net_if_addrs", lambda: found)
    monkeypatch.setattr(routes, "ip", lambda *_arguments: SAID)


def test_destinations_of_every_table_are_read_by_their_type() -> None:
    assert [str(one) for one in routes.listed(SAID)] == [
        "10.214.9.0/24",
        "10.214.0.5/32",
        "10.215.0.0/16",
        "10.216.0.0/16",
        "192.0.2.0/24",
        "10.99.0.0/24",
    ]
    assert routes.listed("\nlocal\nbroken\n10.0.0.1.2 dev eth0\n") == []


@pytest.mark.usefixtures("tables")
def test_single_addresses_are_known_but_for_those_of_services() -> None:
    found = {str(one) for one in routes.known_networks()}
    assert {"10.214.0.5/32", "10.214.0.7/32", "10.214.9.0/24", "192.0.2.0/24"} <= found
    assert "10.214.0.9/32" not in found


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    ("range_", "singles"),
    [
        ("10.214.0.0/16", {"10.214.0.5/32", "10.214.0.7/32"}),
        ("10.214.0.4/31", {"10.214.0.5/32"}),
        ("10.220.0.0/16", set()),
        ("", {"10.214.0.5/32", "10.214.0.7/32"}),
    ],
)
def test_single_addresses_are_told_where_services_may_get_them(
    range_: str, singles: set[str]
) -> None:
    found = routes.other_networks("10.213.0.0/16", range_)
    assert {one for one in found if one.endswith("/32")} == singles
    assert {"10.214.9.0/24", "192.0.2.0/24"} <= set(found)
    assert not routes.other_networks("0.0.0.0/0", range_)


def row(destination: str, mask: str) -> str:
    """Addresses in the machine's byte order, as the kernel writes them."""

    def word(text: str) -> str:
        return f"{int.from_bytes(ipaddress.IPv4Address(text).packed, sys.byteorder):08X}"

    return f"eth0\t{word(destination)}\t00000000\t0001\t0\t0\t0\t{word(mask)}\t0\t0\t0\n"


def test_destinations_are_read_with_their_masks() -> None:
    table = HEADER + row("10.213.4.0", "255.255.255.128") + row("192.168.0.0", "255.255.0.0")
    assert [str(one) for one in routes.routes(table)] == ["10.213.4.0/25", "192.168.0.0/16"]


@pytest.mark.usefixtures("without_ip")
def test_the_default_route_takes_no_range(tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    table = HEADER + row("0.0.0.0", "0.0.0.0") + row("172.30.0.0", "255.255.0.0")
    (tmp_path / "proc/net/route").write_text(table)
    found = routes.known_networks(tmp_path)
    assert ipaddress.IPv4Network("172.30.0.0/16") in found
    assert ipaddress.IPv4Network("0.0.0.0/0") not in found


@pytest.mark.parametrize("table", ["", HEADER, HEADER + "eth0\tbroken\n"])
def test_a_short_table_is_no_error(table: str) -> None:
    assert routes.routes(table) == []


@pytest.mark.usefixtures("without_ip")
def test_other_networks_are_those_that_apps_do_not_bring(tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    table = HEADER + row("10.213.4.0", "255.255.255.128") + row("172.30.0.0", "255.255.0.0")
    table += row("10.214.0.5", "255.255.255.255") + row("0.0.0.0", "0.0.0.0")
    (tmp_path / "proc/net/route").write_text(table)
    found = routes.other_networks("10.213.0.0/16", "10.214.0.0/16", tmp_path)
    assert {"172.30.0.0/16", "10.214.0.5/32"} <= set(found)
    assert not {"10.213.4.0/25", "127.0.0.0/8", "0.0.0.0/0"} & set(found)


@pytest.mark.usefixtures("without_ip")
def test_a_router_tells_of_what_meets_the_services_range_and_of_its_largest_networks_only(
    tmp_path: Path,
) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    rows = [row(f"172.{a}.{b}.0", "255.255.255.0") for a in (16, 17) for b in range(200)]
    rows += [row("172.20.0.0", "255.252.0.0"), row("10.214.0.5", "255.255.255.255")]
    (tmp_path / "proc/net/route").write_text(HEADER + "".join(rows))
    found = routes.other_networks("10.213.0.0/16", "10.214.0.0/16", tmp_path)
    assert len(found) == routes.NETWORKS_MOST
    assert {"172.20.0.0/14", "10.214.0.5/32"} <= set(found)


def test_a_process_without_a_default_route_has_no_way_to_other_networks(tmp_path: Path) -> None:
    for pid, destination, mask in ((7, "10.213.4.0", "255.255.255.128"), (8, "0.0.0.0", "0.0.0.0")):
        (tmp_path / f"proc/{pid}/net").mkdir(parents=True)
        table = HEADER + row(destination, mask)
        (tmp_path / f"proc/{pid}/net/route").write_text(table)
    assert not routes.leads_to("10.214.0.0/16", 7, tmp_path)
    assert routes.leads_to("10.213.4.0/26", 7, tmp_path)
    assert routes.leads_to("10.214.0.0/16", 8, tmp_path)
    assert routes.leads_to("10.214.0.0/16", 9, tmp_path), "it has ended, or can't be looked at"
