"""A pair of masters by Ansible, with the inventory that docs/operations/high-availability.md shows, on booted hosts.

One story, told in the order of this file: each test goes on where the one before has ended.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import wait_until
from tests.hosts import Bed, Host
from tests.hosts.engines import SOCKETS
from tests.hosts.repository import Repositories
from tests.integration.daemon import load_image
from tests.packaging.control import Control, Run
from tests.packaging.products import NEXT_VERSION, Products, products
from tests.packaging.writer import LABEL, Writer, give_login

PAGE = Path(__file__).parents[2] / "docs/operations/high-availability.md"
BLOCK = re.compile(r"```yaml\n# inventory/(\S+?)(?:, [^\n]*)?\n(.*?)```", re.DOTALL)
DOMAIN = ".example.net"
STORE = ("m1", "m2", "w1")
ROLES = [("m1", "leader"), ("m2", "standby")]
IMAGE = "localhost/hullmark-test:1"
APP = f"""\
name: shop
services:
  web:
    image: {IMAGE}
    pull_policy: never
    init: true
    command: [sleep, "100000"]
    stop_grace_period: 1s
    deploy: {{replicas: 2}}
"""
LONGEST_WRITE_S = 10.0
"""The command starts, on a machine that also upgrades packages, and waits while leadership moves."""
IMAGES = [
    pytest.param("bookworm", id="bookworm"),
    pytest.param("trixie", id="trixie", marks=pytest.mark.full),
]


@dataclass
class Shop:
    """`site` is what the repository's URL shows."""

    control: Control
    hosts: dict[str, Host]
    site: Path

    def play(self, playbook: str, *options: str) -> Run:
        return self.control.play(playbook, *options, inventory="inventory/hosts.yml")

    def publish(self, repository: Path) -> None:
        """What the repository's URL shows from now on."""
        shutil.rmtree(self.site / "apt", ignore_errors=True)
        # Copies are new files: a client that asks by date for what is newer gets it.
        shutil.copytree(repository / "apt", self.site / "apt", copy_function=shutil.copy)

    def ask(self, name: str, *command: str) -> Any:
        """The JSON answer of a command on this machine; empty where there is none."""
        done = self.hosts[name].run(["hullmark", *command, "--output", "json"], check=False)
        return json.loads(done.stdout) if done.returncode in (0, 1) else {}

    def roles(self, name: str) -> list[tuple[str, str]]:
        """Both masters' names and roles, as this one says."""
        status = self.ask(name, "status")
        return sorted((one["name"], one["role"]) for one in status.get("masters", []))

    def etcd_since(self, name: str) -> str:
        """When the member was started."""
        show = "systemctl show etcd --property ExecMainStartTimestampMonotonic"
        return self.hosts[name].run(show).stdout

    def wait_for(self, roles: list[tuple[str, str]], name: str) -> None:
        wait_until(lambda: self.roles(name) == roles, f"{name} knows both masters", 60.0)

    def lives(self) -> list[str]:
        """The app's containers, each with when it was started."""
        form = "{{.Id}} {{.State.StartedAt}} {{.RestartCount}}"
        listed = "docker ps -q --filter label=io.hullmark.app=shop"
        found = self.hosts["web1"].run(f"docker inspect --format '{form}' $({listed})").stdout
        return sorted(found.splitlines())


@pytest.fixture(scope="module")
def made() -> Products:
    # Before the bed: what builds packages is not to be in its network.
    return products()


@pytest.fixture(scope="module", params=IMAGES)
def shop(
    request: pytest.FixtureRequest, made: Products, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    with Bed() as bed, Control() as control:
        hosts = {name: bed.host(name, f"{request.param}-quorum") for name in STORE}
        hosts["web1"] = bed.host("web1", request.param, "docker")
        for host in hosts.values():
            control.admit(host)
            # What a shop has in its DNS.
            lines = [f"{other.address} {name}{DOMAIN}" for name, other in hosts.items()]
            known = "\n".join(lines)
            host.write("/etc/hosts", f"{host.read('/etc/hosts')}{known}\n")
        repositories = Repositories()
        try:
            shop = Shop(control, hosts, tmp_path_factory.mktemp("site"))
            shop.publish(made.repo)
            write_inventory(shop, repositories.serve(shop.site), made.key.read_text())
            yield shop
        finally:
            repositories.close()


def write_inventory(shop: Shop, url: str, key: str) -> None:
    """The page's, with the bed's addresses and the names' own."""
    found = dict(BLOCK.findall(PAGE.read_text()))
    assert len(found) == 4
    folder = shop.control.folder / "inventory"
    replaced = {f"10.0.0.{n}": shop.hosts[name].address for n, name in enumerate(STORE, 1)}
    replaced["https://packages.example.net/hullmark"] = url
    for name, text in found.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(replace(text, replaced))
    (folder / "hullmark.asc").write_text(key)
    for name, host in shop.hosts.items():
        variables = {
            "ansible_host": host.address,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        file = folder / "host_vars" / f"{name}{DOMAIN}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(variables))


def replace(text: str, replaced: dict[str, str]) -> str:
    return re.sub("|".join(map(re.escape, replaced)), lambda found: replaced[found[0]], text)


def test_a_dry_run_on_fresh_hosts_changes_nothing(shop: Shop) -> None:
    run = shop.play("site.yml", "--check", "--diff").succeeded()
    assert all(changed > 0 for changed in run.changed.values()), run.output
    assert not shop.hosts["w1"].path("/usr/bin/etcd").exists()
    assert not shop.hosts["m1"].path("/usr/bin/hullmark").exists()


def test_a_run_sets_up_store_pair_and_host(shop: Shop) -> None:
    shop.play("site.yml", "--diff").succeeded()
    for name in ("m1", "m2"):
        shop.wait_for(ROLES, name)
    (host,) = shop.ask("m2", "hosts")["hosts"]
    assert (host["name"], host["state"]) == ("web1", "ready")


def test_a_second_run_changes_nothing_but_a_certificate_that_is_due(shop: Shop) -> None:
    """As it is when the former one ends within 60 days: its member is restarted, and no other."""
    before = {name: shop.etcd_since(name) for name in STORE}
    (shop.control.folder / f"inventory/etcd-pki/w1{DOMAIN}.for").write_text("another address\n")
    changed = shop.play("site.yml").succeeded().changed
    assert changed.pop(f"w1{DOMAIN}") > 0
    # It is made on the control machine, which Ansible counts for the first member.
    assert changed == {f"m1{DOMAIN}": 1, f"m2{DOMAIN}": 0, f"web1{DOMAIN}": 0}
    after = {name: shop.etcd_since(name) for name in STORE}
    assert [name for name in STORE if after[name] != before[name]] == ["w1"]


@pytest.mark.full
def test_another_run_changes_nothing(shop: Shop) -> None:
    changed = shop.play("site.yml").succeeded().changed
    assert set(changed.values()) == {0}, changed


def test_a_rolling_upgrade_has_no_gap(shop: Shop, made: Products) -> None:
    """Somebody goes on changing things meanwhile, and an app goes on running."""
    web, admin = shop.hosts["web1"], shop.hosts["w1"]
    load_image(f"unix://{web.path(SOCKETS[web.engine])}", IMAGE)
    shop.hosts["m1"].write("/root/compose.yaml", APP)
    shop.hosts["m1"].run("hullmark apply --wait /root/compose.yaml")
    admin.use_repository(made.repo)
    admin.install("hullmark")
    give_login(shop.hosts["m1"], admin)
    lives = shop.lives()
    assert len(lives) == 2
    shop.publish(made.next_repo)
    urls = [f"https://{name}{DOMAIN}:7442" for name in ("m1", "m2")]
    with Writer(admin, urls, "web1") as writer:
        shop.play("upgrade.yml").succeeded()
    assert writer.failed == []
    assert writer.times > 10
    assert writer.longest_s < LONGEST_WRITE_S
    label = shop.ask("m2", "host", "show", "web1")["host"]["labels"][LABEL]
    assert label == str(writer.acknowledged)
    assert shop.lives() == lives
    for name in ("m1", "m2", "web1"):
        version = shop.hosts[name].run(["hullmark", "version"]).stdout.split()[-1]
        assert version == NEXT_VERSION
    status = shop.ask("m1", "status")
    assert {one["version"] for one in status["masters"]} == {NEXT_VERSION}
    assert status["master"] == "m2", "the leader was upgraded first, and led again"


def test_no_password_was_in_any_output(shop: Shop) -> None:
    said = "\n".join(shop.control.said)
    assert "Make the users" in said
    assert "replace-this-by" not in said
