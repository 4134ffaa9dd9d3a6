"""docs/operations/high-availability.md, walked through on booted hosts: etcd with TLS on three machines, a pair, a host.

One story, told in the order of the page: each test goes on where the one before has ended.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import wait_until
from tests.hosts import Bed, Host
from tests.packaging.clusterstate import all_is_well
from tests.packaging.filespage import differences, on_host
from tests.packaging.products import Products, products
from tests.packaging.walkthrough import Walkthrough, admit

PAGE = Path(__file__).parents[2] / "docs/operations/high-availability.md"
IMAGES = [
    pytest.param("trixie", id="trixie"),
    pytest.param("bookworm", id="bookworm", marks=pytest.mark.full),
]
ROLES = [("m1", "leader"), ("m2", "standby")]
SWAPPED = [("m1", "standby"), ("m2", "leader")]
AS_ROOT = ". /root/etcd-pki/env; export ETCDCTL_USER=root:$(cat /root/etcd-pki/root.password);"
SERVED = (
    "openssl s_client -connect {address}:2379 -cert /root/etcd-pki/client.crt"
    " -key /root/etcd-pki/client.key </dev/null 2>/dev/null | openssl x509 -noout -serial"
)


@dataclass
class Shop:
    m1: Host
    m2: Host
    w1: Host
    w2: Host
    web1: Host
    page: Walkthrough

    @property
    def members(self) -> tuple[Host, Host, Host]:
        return (self.m1, self.m2, self.w1)

    def ask(self, host: Host, *command: str) -> Any:
        """The JSON answer of a command on this machine; empty where there is none."""
        done = host.run(["hullmark", *command, "--output", "json"], check=False)
        return json.loads(done.stdout) if done.returncode in (0, 1) else {}

    def roles(self, host: Host) -> list[tuple[str, str]]:
        """Both masters' names and roles, as this one says."""
        status = self.ask(host, "status")
        return sorted((one["name"], one["role"]) for one in status.get("masters", []))

    def says(self, host: Host) -> str:
        """The status on this machine, for people."""
        return host.run("hullmark status", check=False).stdout

    def is_well(self) -> bool:
        """As m1 says."""
        return all_is_well(self.m1)

    def etcdctl(self, arguments: str) -> str:
        """As etcd's root, from m1."""
        return self.m1.run(f"{AS_ROOT} etcdctl {arguments}").stdout


@pytest.fixture(scope="module")
def made() -> Products:
    # Before the bed: what builds packages is not to be in its network.
    return products()


@pytest.fixture(scope="module", params=IMAGES)
def shop(request: pytest.FixtureRequest, made: Products) -> Iterator[Shop]:
    with Bed() as bed:
        m1, m2, w1 = (bed.host(name, f"{request.param}-quorum") for name in ("m1", "m2", "w1"))
        web1 = bed.host("web1", request.param, "docker")
        for host in (m1, m2, web1):
            host.use_repository(made.repo)
        machines = {"m1": m1, "m2": m2, "w1": w1, "web1": web1}
        w2 = machines["w2"] = bed.host("w2", f"{request.param}-quorum")
        addresses = {f"10.0.0.{n}": host.address for n, host in enumerate((m1, m2, w1, w2), 1)}
        admit(m1, m2, w1, w2, web1)
        m1.write("/etc/hosts", f"{m1.read('/etc/hosts')}{web1.address} web1\n")
        yield Shop(m1, m2, w1, w2, web1, Walkthrough(PAGE.read_text(), machines, addresses))


def test_etcd_has_three_members_that_want_certificate_and_password(shop: Shop) -> None:
    shop.page.walk("### etcd")
    listed = shop.etcdctl("member list").splitlines()
    assert sorted(line.split(", ")[2] for line in listed) == ["m1", "m2", "w1"]
    for member in shop.members:
        url = f"https://{member.address}:2379"
        bare = shop.m1.run(f"ETCDCTL_API=3 etcdctl --endpoints {url} get x", check=False)
        assert bare.returncode != 0, "etcd answers whoever shows no certificate"
        no_password = shop.m1.run(
            f". /root/etcd-pki/env; ETCDCTL_ENDPOINTS={url} etcdctl get x", check=False
        )
        assert re.search("permission denied|user name is empty", no_password.stderr), no_password
    stray = "ETCDCTL_USER=hullmark:$(cat /root/etcd-pki/hullmark.password) etcdctl put /other x"
    assert "permission denied" in shop.m1.run(f". /root/etcd-pki/env; {stray}", check=False).stderr


def test_a_masters_certificate_is_no_members(shop: Shop) -> None:
    """The port of members takes no certificate of the same authority but a member's."""
    script = (
        "import ssl,sys,socket\n"
        "c=ssl.create_default_context(cafile='/root/etcd-pki/ca.crt')\n"
        "c.check_hostname=False\n"
        "c.load_cert_chain(f'/root/etcd-pki/{sys.argv[1]}.crt',f'/root/etcd-pki/{sys.argv[1]}.key')\n"
        f"s=c.wrap_socket(socket.create_connection(('{shop.w1.address}',2380),5))\n"
        "s.sendall(b'GET /version HTTP/1.1\\r\\nHost: w1\\r\\nConnection: close\\r\\n\\r\\n')\n"
        "print(s.recv(100).decode())\n"
    )
    assert "200 OK" in shop.m1.run(["python3", "-c", script, "m1"]).stdout
    assert shop.m1.run(["python3", "-c", script, "client"], check=False).returncode != 0


def test_a_member_starts_again_whatever_it_ended_by(shop: Shop) -> None:
    shop.w1.run("systemctl kill --signal=KILL etcd")
    shop.m1.run(
        f". /root/etcd-pki/env; export ETCDCTL_ENDPOINTS=https://{shop.w1.address}:2379; for i in $(seq 60);"
        " do etcdctl endpoint health && exit 0; sleep 1; done; exit 1"
    )


def test_two_masters_lead_and_stand_by(shop: Shop) -> None:
    shop.page.walk("### Two masters")
    wait_until(lambda: shop.roles(shop.m2) == ROLES, "m1 leads, m2 stands by", 60.0)
    wait_until(lambda: "standby m2  ready" in shop.says(shop.m2), "m2 would lead", 60.0)
    assert not shop.m2.path("/var/lib/hullmark/master/pki/root.key").exists()


def test_a_host_joins_both(shop: Shop) -> None:
    shop.page.walk("### Hosts")
    for master in (shop.m1, shop.m2):
        master.run("hullmark status --wait 60s", check=False)
        assert " ready " in master.run("hullmark hosts").stdout
    for host in (shop.m1, shop.m2, shop.web1):
        found = on_host(host)
        assert len(found) > 20
        assert differences(found) == []


def test_a_drill_hands_over_and_says_so(shop: Shop) -> None:
    ((names, commands),) = shop.page.blocks("### What to look at")
    assert "hullmark status\n" in commands
    # At a terminal nobody minds that it ends with 1, as it does where a control is out, and on a stock host some are.
    shop.page.paste(names, commands.replace("hullmark status\n", "hullmark status || [ $? = 1 ]\n"))
    assert "passed" in shop.m2.read("/root/drill.md")
    wait_until(lambda: shop.roles(shop.m1) == SWAPPED, "m2 leads, m1 stands by", 60.0)


def test_the_standby_leads_when_the_leaders_machine_dies(shop: Shop) -> None:
    """With its member of etcd."""
    shop.m2.kill()
    shop.m1.run("hullmark status --wait 30s", check=False)
    wait_until(
        lambda: "one more loss -> read-only" in shop.m1.run("hullmark status", check=False).stdout,
        "the new leader says what is left",
        60.0,
    )
    shop.m1.run("hullmark host label web1 written=1")
    shop.m2.boot()
    wait_until(lambda: shop.roles(shop.m2) == ROLES, "m1 leads, m2 stands by", 90.0)


def test_a_lost_member_is_replaced_by_another_machine(shop: Shop) -> None:
    shop.w1.kill()
    out_and_in, *others = shop.page.blocks("### A member is replaced")
    shop.page.paste(*out_and_in)
    packages, _, settings, _ = shop.page.blocks("### etcd")
    shop.page.paste(["w2"], packages[1])
    joining = settings[1].replace("state=new", "state=existing")
    joining = joining.replace(f"w1=https://{shop.w1.address}", f"w2=https://{shop.w2.address}")
    assert "w2=" in joining
    assert "existing" in joining
    shop.page.paste(["w2"], joining)
    shop.m1.run(
        f"{AS_ROOT} export ETCDCTL_ENDPOINTS=https://{shop.w2.address}:2379; for i in $(seq 60);"
        " do etcdctl endpoint health && exit 0; sleep 1; done; exit 1"
    )
    listed = shop.etcdctl("member list").splitlines()
    assert sorted(line.split(", ")[2] for line in listed) == ["m1", "m2", "w2"]
    assert all(", started, " in line for line in listed), listed
    for names, commands in others:
        shop.page.paste(names, commands)
        wait_until(lambda: shop.roles(shop.m1) != [], "a master answers", 60.0)
    wait_until(shop.is_well, "all is well", 90.0)
    members = shop.ask(shop.m2, "status")["store_condition"]["members"]
    assert sorted(one["endpoint"].split("/")[2] for one in members) == sorted(
        f"{host.address}:2379" for host in (shop.m1, shop.m2, shop.w2)
    )


def test_certificates_made_anew_are_read_without_a_restart(shop: Shop) -> None:
    """One that isn't good any more; that of w2, which is not on the page's list, stays."""
    (block,) = shop.page.blocks("### Certificates")
    before = shop.m1.run(f"{SERVED.format(address=shop.m1.address)}").stdout
    shop.m1.run("echo gone >/root/etcd-pki/m1.for")
    shop.page.paste(*block)
    assert "made /root/etcd-pki/m1.crt\n" in shop.page.said[-1]
    assert "client.crt" not in shop.page.said[-1]
    for kind in ("crt", "key"):
        target = f"/etc/etcd/hullmark/member.{kind}"
        shop.m1.run(f"install -g etcd -m 640 /root/etcd-pki/m1.{kind} {target}")
    assert shop.m1.run(f"{SERVED.format(address=shop.m1.address)}").stdout not in ("", before)
