"""Networks that the host knows, from a table as the kernel writes it."""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path

import pytest

from hullmark.host import routes

HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


def row(destination: str, mask: str) -> str:
    """Addresses in the machine's byte order, as the kernel writes them."""

    def word(text: str) -> str:
        return f"{int.from_bytes(ipaddress.IPv4Address(text).packed, sys.byteorder):08X}"

    return f"eth0\t{word(destination)}\t00000000\t0001\t0\t0\t0\t{word(mask)}\t0\t0\t0\n"


def test_destinations_are_read_with_their_masks() -> None:
    table = HEADER + row("10.213.4.0", "255.255.255.128") + row("192.168.0.0", "255.255.0.0")
    assert [str(one) for one in routes.routes(table)] == ["10.213.4.0/25", "192.168.0.0/16"]


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


def test_other_networks_are_those_that_apps_do_not_bring(tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    table = HEADER + row("10.213.4.0", "255.255.255.128") + row("172.30.0.0", "255.255.0.0")
    table += row("10.214.0.5", "255.255.255.255") + row("0.0.0.0", "0.0.0.0")
    (tmp_path / "proc/net/route").write_text(table)
    found = routes.other_networks("10.213.0.0/16", tmp_path)
    assert "172.30.0.0/16" in found
    assert not {"10.213.4.0/25", "10.214.0.5/32", "127.0.0.0/8", "0.0.0.0/0"} & set(found)


def test_a_router_tells_of_its_largest_networks_only(tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    rows = [row(f"172.{a}.{b}.0", "255.255.255.0") for a in (16, 17) for b in range(200)]
    (tmp_path / "proc/net/route").write_text(
        HEADER + "".join(rows) + row("172.20.0.0", "255.252.0.0")
    )
    found = routes.other_networks("10.213.0.0/16", tmp_path)
    assert len(found) == routes.NETWORKS_MOST
    assert "172.20.0.0/14" in found


def test_a_process_without_a_default_route_has_no_way_to_other_networks(tmp_path: Path) -> None:
    for pid, destination, mask in ((7, "10.213.4.0", "255.255.255.128"), (8, "0.0.0.0", "0.0.0.0")):
        (tmp_path / f"proc/{pid}/net").mkdir(parents=True)
        table = HEADER + row(destination, mask)
        (tmp_path / f"proc/{pid}/net/route").write_text(table)
    assert not routes.leads_to("10.214.0.0/16", 7, tmp_path)
    assert routes.leads_to("10.213.4.0/26", 7, tmp_path)
    assert routes.leads_to("10.214.0.0/16", 8, tmp_path)
    assert routes.leads_to("10.214.0.0/16", 9, tmp_path), "it has ended, or can't be looked at"
