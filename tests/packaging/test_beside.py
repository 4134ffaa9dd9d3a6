"""Beside the tools of an audited shop: a picture of the host before anything of ours is there, and one after each step of
Hullmark's life on it. Only what the documentation announces differs, and every tool still works.

rsyslog, AIDE, fail2ban, chrony, nftables, an SSH server and a cron job are on the host; auditd is on the machine itself.
One story: each test goes on where the one before has ended.
"""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hullmark.footprint import Verdict
from tests.cluster import wait_until
from tests.hosts.bed import Bed
from tests.packaging.audit import Audit
from tests.packaging.pictures import Pictures, differences, not_announced, unseen
from tests.packaging.products import NEXT_VERSION, products
from tests.packaging.test_lifecycle import PUBLISHED, Life, enroll, run_an_app

AIDE = ["aide", "--config", "/etc/aide/aide.conf", "--check"]
AIDE_ERRORS = 14
"""The first exit code that is no finding; see aide(1)."""
AIDE_PATH = re.compile(r"^[a-z][^:\n]*: (/.*)$", re.MULTILINE)
THE_SHOPS_OWN = re.compile(
    r"file changed /var/tmp/shop-was-here |file added /var/tmp/shop-was-here |process \w+ .*'cron\.service'"
    r"|process added \d+ runc:\[\d:\w+\] .*'containerd\.service'"
)
"""Its cron job writes this file every minute, in the middle of all this, and its engine may be about to look after a container's health: a process
that is in the container a moment later."""


@dataclass
class Shop:
    """`told` has the findings of each step, for the end."""

    life: Life
    pictures: Pictures
    before: Path
    audit: Audit
    audited: Mapping[str, str]
    firewall: str
    told: dict[str, tuple[Verdict, ...]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    products()
    folder = tmp_path_factory.mktemp("pictures")
    with Audit() as audit, Bed() as bed, ThreadPoolExecutor(2) as pool:
        hosts = [
            pool.submit(bed.host, "m1", "bookworm"),
            pool.submit(bed.host, "web1", "bookworm-audited", "docker"),
        ]
        life = Life(hosts[0].result(), hosts[1].result())
        for host in (life.master, life.web):
            host.use_repository(products().repo)
        life.master.install("hullmark-master")
        # As old as AIDE's database is what the shop has settled: where packages come from.
        life.web.run([*AIDE[:-1], "--init"])
        life.web.run("mv /var/lib/aide/aide.db.new /var/lib/aide/aide.db")
        life.web.run(["logger", "the first message of its kind makes a file"])
        pictures = Pictures(life.web, folder)
        before = pictures.take("before")
        yield Shop(
            life, pictures, before, audit, audit.state() if not audit.why else {}, firewall(life)
        )


def firewall(life: Life) -> str:
    return life.web.run("nft -s list table inet shop").stdout


def install(shop: Shop) -> None:
    shop.life.web.install("hullmark-agent")


def join(shop: Shop) -> None:
    enroll(shop.life)
    shop.life.web.path("/root/token").unlink()


def start(shop: Shop) -> None:
    run_an_app(shop.life)


def upgrade(shop: Shop) -> None:
    """The repository has a higher version now; that the test names it anew is put back with its times."""
    web = shop.life.web
    named = "/etc/apt/sources.list.d/bed.sources /etc/apt/keyrings/bed.asc"
    web.run(f"mkdir /root/kept; cp -a {named} /root/kept")
    web.use_repository(products().next_repo)
    web.install("hullmark-agent", "hullmark-proxy")
    web.run(f"for file in {named}; do cp -a /root/kept/${{file##*/}} $file; done; rm -r /root/kept")
    assert NEXT_VERSION in web.run("hullmark version").stdout
    shop.life.wait_until_all_is_well()


def remove(shop: Shop) -> None:
    shop.life.web.apt("remove", "hullmark-agent")
    assert shop.life.serves()
    assert shop.life.is_published()


def purge(shop: Shop) -> None:
    shop.life.web.apt("purge", "hullmark-agent", "hullmark", "hullmark-proxy")
    assert shop.life.serves()


STEPS: Mapping[str, Callable[[Shop], None]] = {
    "install": install,
    "enroll": join,
    "app": start,
    "upgrade": upgrade,
    "remove": remove,
    "purge": purge,
}


def test_the_picture_has_all_but_what_a_box_has_not(shop: Shop) -> None:
    assert set(unseen(shop.before)) <= {"audit", "module"}
    tools_work(shop)


@pytest.mark.parametrize("step", STEPS)
def test_only_what_is_announced_differs_after(shop: Shop, step: str) -> None:
    STEPS[step](shop)
    found = differences(shop.before, shop.pictures.take(step))
    shop.told[step] = found
    surprises = [line for line in not_announced(found) if not THE_SHOPS_OWN.match(line)]
    assert surprises == []
    tools_work(shop)
    assert firewall(shop.life) == shop.firewall
    aide_finds_what_is_announced(shop, found)


def test_auditd_was_left_alone(shop: Shop) -> None:
    """It was looked at after each step too."""
    if shop.audit.why:
        pytest.skip(f"untried: {shop.audit.why}")
    assert shop.audit.state() == shop.audited
    shop.audit.hears()


def test_each_step_was_seen(shop: Shop) -> None:
    """What the pictures have to show of it, so that they prove something by showing no more."""
    keys = {step: {one.difference.key for one in found} for step, found in shop.told.items()}
    assert {"hullmark-agent:all", "/usr/share/hullmark/agentd"} <= keys["install"]
    assert "/var/lib/hullmark/agent/enrolment.json" in keys["enroll"] - keys["install"]
    published = {f"tcp {shop.life.web.address}:{PUBLISHED}", f"tcp 127.0.0.1:{PUBLISHED}"}
    by_the_engine = f"tcp {shop.life.web.address}:8080"
    assert {by_the_engine, *published} <= keys["app"] - keys["enroll"]
    assert published <= keys["remove"], "the proxy stays"
    assert not published & keys["purge"]
    assert "/etc/hullmark/agent.yaml" in keys["remove"]
    assert "/usr/share/hullmark/agentd" not in keys["remove"]
    assert not any(
        key.startswith(("/etc/hullmark", "/var/lib/hullmark", "/usr")) for key in keys["purge"]
    )
    assert by_the_engine in keys["purge"], "the containers stay"


PLANTED = {
    "/etc/cron.d/planted": "echo '* * * * * root true' >/etc/cron.d/planted",
    "/etc/shadow": "chmod 0644 /etc/shadow",
    "nft table inet shop chain input": "nft insert rule inet shop input tcp dport 4444 accept",
    "fail2ban.service": "systemctl stop fail2ban",
}


def test_changes_by_hand_are_found(shop: Shop) -> None:
    for command in PLANTED.values():
        shop.life.web.run(command)
    found = differences(shop.before, shop.pictures.take("planted"))
    assert set(PLANTED) <= {one.difference.key for one in found if one.announcement is None}


def tools_work(shop: Shop) -> None:
    """By what each tool itself puts out, after something that only it can have passed on."""
    web = shop.life.web
    nonce = secrets.token_hex(8)
    web.run(["logger", f"canary {nonce}"])
    wait_until(lambda: nonce in web.read("/var/log/syslog"), "rsyslog writes", 10.0)
    assert "pong" in web.run("fail2ban-client ping").stdout
    assert "sshd" in web.run("fail2ban-client status").stdout
    assert "Leap status" in web.run("chronyc tracking").stdout
    with socket.create_connection((web.address, 22), 10.0) as connection:
        assert connection.recv(8).startswith(b"SSH-2.0")
    web.run(["systemctl", "is-active", "cron.service"])
    if not shop.audit.why:
        assert shop.audit.state() == shop.audited
        shop.audit.hears()


def aide_finds_what_is_announced(shop: Shop, found: tuple[Verdict, ...]) -> None:
    """And folders in which something came or went since: their times are another's."""
    done = shop.life.web.run(AIDE, check=False)
    assert done.returncode < AIDE_ERRORS, done.stderr
    reported = {path.rstrip("/") for path in AIDE_PATH.findall(done.stdout)}
    announced = {one.difference.key for one in found if one.announcement is not None}
    moved = (one.difference.key for step in shop.told.values() for one in step if one.announcement)
    folders = {str(parent) for key in moved for parent in Path(key).parents}
    assert sorted(reported - announced - folders) == []
    assert bool(reported) == bool(done.returncode)
