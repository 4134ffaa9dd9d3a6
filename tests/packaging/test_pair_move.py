"""docs/operations/high-availability.md, "From one master to a pair", as pasted: a cluster in SQLite goes on in etcd, with a host of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import wait_until
from tests.hosts import Bed, Host
from tests.packaging.products import Products, products
from tests.packaging.walkthrough import Walkthrough, admit

PAGE = Path(__file__).parents[2] / "docs/operations/high-availability.md"
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def made() -> Products:
    # Before the bed: what builds packages is not to be in its network.
    return products()


@pytest.fixture(scope="module")
def page(made: Products) -> Iterator[Walkthrough]:
    with Bed() as bed:
        machines = {name: bed.host(name, "trixie-quorum") for name in ("m1", "m2", "w1")}
        addresses = {f"10.0.0.{n}": host.address for n, host in enumerate(machines.values(), 1)}
        web1 = machines["web1"] = bed.host("web1", "trixie", "docker")
        admit(*machines.values())
        for name in ("m1", "m2", "web1"):
            machines[name].use_repository(made.repo)
        m1 = machines["m1"]
        m1.write("/etc/hosts", f"{m1.read('/etc/hosts')}{web1.address} web1\n")
        yield Walkthrough(PAGE.read_text(), machines, addresses)


def ask(host: Host, *command: str) -> Any:
    """The JSON answer of a command; empty where there is none."""
    done = host.run(["hullmark", *command, "--output", "json"], check=False)
    return json.loads(done.stdout) if done.returncode in (0, 1) else {}


def test_a_cluster_of_one_master_becomes_one_of_a_pair(page: Walkthrough) -> None:
    m1, m2 = page.machines["m1"], page.machines["m2"]
    m1.run("apt-get install -y hullmark-master", timeout_s=240.0)
    m1.run(["hullmark", "master", "init", "--address", m1.address])
    page.walk("### Hosts")
    m1.run("hullmark host label web1 written=1")
    cluster = ask(m1, "status")["cluster_id"]

    page.walk("### etcd")
    configure, first, joining = page.blocks("### Two masters")
    page.paste(*configure)
    page.walk("## From one master to a pair")
    names, commands = first
    init, _, invite = commands.partition("\n")
    assert "master init" in init
    page.paste(names, invite)
    page.paste(*joining)

    wait_until(lambda: roles(m2) == [("m1", "leader"), ("m2", "standby")], "both masters", 60.0)
    wait_until(lambda: states(m2) == ["ready"], "the host obeys", 60.0)
    assert ask(m2, "host", "show", "web1")["host"]["labels"]["written"] == "1"
    assert ask(m2, "status")["cluster_id"] == cluster
    assert ask(m2, "status")["store_condition"]["kind"] == "etcd"


def roles(host: Host) -> list[tuple[str, str]]:
    """Both masters' names and roles, as this one says."""
    return sorted((one["name"], one["role"]) for one in ask(host, "status").get("masters", []))


def states(host: Host) -> list[str]:
    """Of all hosts, as this master says."""
    return [one["state"] for one in ask(host, "hosts").get("hosts", [])]
