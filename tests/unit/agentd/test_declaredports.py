"""Which ports containers may listen on, by what is on the disk."""

from __future__ import annotations

from pathlib import Path

from hullmark.agentd import declaredports, statefile
from hullmark.agentd.directorykeeper import FILE, KeptDirectory
from hullmark.model.app import Bundle, ContainerSpec
from hullmark.model.directory import Directory, ServiceEntry, ServiceName
from hullmark.model.orders import Assignment, InstanceId, Orders, PublishedPort

ORDERS = Orders(
    "c1",
    "h1",
    assignments=(
        Assignment(InstanceId("shop", "web", 1, 1), "s", (PublishedPort(53, 5353, "udp"),)),
        Assignment(InstanceId("shop", "gone", 1, 1), "unknown"),
    ),
    bundles={"s": Bundle("shop", "web", ContainerSpec("web:1", expose=("9000", "9001/udp")))},
)
WEB, DB = ServiceName("shop", "web"), ServiceName("shop", "db")
DIRECTORY = Directory(
    services=(ServiceEntry(WEB, "10.214.0.1", (80,)), ServiceEntry(DB, "10.214.0.2", (5432,)))
)


def test_what_an_app_exposes_of_an_instance() -> None:
    web, gone = (one.instance for one in ORDERS.assignments)
    assert declaredports.exposed(ORDERS, web) == {9000}
    assert declaredports.exposed(ORDERS, gone) == set()
    assert declaredports.exposed(ORDERS, InstanceId("shop", "web", 2, 1)) == set()


def test_of_orders_and_directory_together(tmp_path: Path) -> None:
    declared = declaredports.sources(tmp_path).declared
    assert declared() is None
    statefile.save(tmp_path, ORDERS)
    assert declared() is None, "published ports of the proxy are in the directory only"
    kept = KeptDirectory("c1", "h1", DIRECTORY)
    (tmp_path / FILE).write_bytes(statefile.sealed("directory", kept))
    assert declared() == {
        "shop/web": frozenset({"80/tcp", "53/udp", "9000/tcp", "9001/udp"}),
        "shop/db": frozenset({"5432/tcp"}),
    }
    (tmp_path / FILE).write_bytes(b"garbage")
    assert declared() is None
