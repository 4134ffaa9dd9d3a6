"""What is listed as Hullmark's and its containers', on a small host in a folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hullmark.footprint import containers, listing, snapshot
from hullmark.footprint.containers import NOT_INSTALLED, Container, Holdings, Network
from hullmark.footprint.listing import OURS, THEIRS, Item, Listing
from hullmark.footprint.snapshot import Host, Unseen
from tests.unit.footprint.conftest import World
from tests.unit.footprint.test_snapshot import TCP, process

ID = "ab" * 32
BRIDGE = "br-0123456789ab"
CONTAINER = Container(
    ID,
    "shop.web.1.g1",
    "shop",
    "running",
    ("10.213.0.2",),
    (("tcp", 8080),),
    (("/var/lib/docker/volumes/shop_data/_data", "volume"),),
)
HOLDINGS = Holdings(
    "docker",
    "20.10",
    "unix:///run/docker.sock",
    False,
    (CONTAINER,),
    (Network("shop_default", "shop", BRIDGE, ("10.213.0.0/25",)),),
)
RULES = f"""\
table ip nat {{
\tchain DOCKER {{
\t\ttcp dport 8080 counter packets 1 bytes 2 dnat to 10.213.0.2:80
\t\ttcp dport 9090 counter packets 1 bytes 2 dnat to 10.213.0.20:80
\t}}
\tchain POSTROUTING {{
\t\tip saddr 10.213.0.0/25 oifname != "{BRIDGE}" counter packets 1 bytes 2 masquerade
\t\tip saddr 172.17.0.0/16 oifname != "docker0" counter packets 1 bytes 2 masquerade
\t}}
}}
"""


@pytest.fixture
def shop(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(listing, "Host", lambda root, connected: _host(world, connected=connected))
    world.says["nft list ruleset"] = RULES
    monkeypatch.setattr(shutil, "which", lambda name, path: f"/usr/sbin/{name}")
    address = [
        {"ifname": BRIDGE, "addr_info": [{"local": "10.213.0.1", "prefixlen": 25}]},
        {"ifname": "docker0", "addr_info": []},
        {"ifname": "veth12", "master": BRIDGE, "addr_info": []},
    ]
    world.says["ip -j address show"] = json.dumps(address)
    for family in ("-4", "-6"):
        world.says[f"ip -j {family} route show table all"] = world.says[
            f"ip -j {family} rule show"
        ] = "[]"
    world.write("/etc/hullmark/agent.yaml", "x", 0o640)
    world.write("/etc/rc2.d/S01hullmark-agent", "")
    world.write("/usr/share/hullmark/agentd", "x")
    world.write("/etc/cron.d/hullmark-agent", "x")
    world.write("/etc/cron.d/other", "x")
    world.write("/usr/share/hullmark/agentd.py", "x")
    world.write("/usr/share/hullmark/__pycache__/agentd.cpython-311.pyc", "x")
    world.write("/usr/share/hullmark/planted", "x")
    world.write(
        "/var/lib/dpkg/info/hullmark-agent.list",
        "/usr/share/hullmark\n/usr/share/hullmark/agentd\n/usr/share/hullmark/agentd.py\n/etc/cron.d/hullmark-agent\n/gone\n",
    )
    world.write("/proc/net/tcp", TCP)
    group = f"0::/docker/{ID}\n"
    process(world, 20, "agentd", exe="/usr/bin/python3.11")
    process(world, 21, "httpd", group=group, exe="/bin/busybox")
    process(world, 22, "httpd", group=group.replace("ab", "cd"), exe="/bin/busybox")
    process(world, 23, "docker-proxy", exe="/usr/bin/docker-proxy")
    process(world, 24, "cat", exe="/usr/bin/cat")
    world.write("/proc/23/cmdline", "/usr/bin/docker-proxy\0-container-ip\x0010.213.0.2\0")
    world.write("/proc/24/cmdline", f"cat\0/var/lib/docker/containers/{ID}/log\0")
    world.link("/proc/23/fd/5", "socket:[77]")
    world.link("/proc/20/fd/5", "socket:[78]")
    (world.root / f"sys/fs/cgroup/pids/docker/{ID}").mkdir(parents=True)
    (world.root / "sys/fs/cgroup/system.slice/hullmark-agent.service").mkdir(parents=True)
    return world


def _host(world: World, *, connected: bool) -> Host:
    host = world.host
    host.connected = connected
    return host


def gathered(holdings: Any = HOLDINGS) -> Listing:
    def ask() -> Holdings:
        if isinstance(holdings, Unseen):
            raise holdings
        assert isinstance(holdings, Holdings)
        return holdings

    return listing.gather(ask)


def keys(found: Listing, group: str, kind: str) -> list[str]:
    return [one.key for one in found.items if (one.group, one.kind) == (group, kind)]


def test_hullmarks_own(shop: World) -> None:
    found = gathered()
    assert keys(found, OURS, "file") == [
        "/etc/hullmark",
        "/etc/hullmark/agent.yaml",
        "/etc/rc2.d/S01hullmark-agent",
        "/usr/share/hullmark",
        "/usr/share/hullmark/__pycache__",
        "/usr/share/hullmark/__pycache__/agentd.cpython-311.pyc",
        "/usr/share/hullmark/agentd",
        "/usr/share/hullmark/agentd.py",
        "/usr/share/hullmark/planted",
        "/var/lib/dpkg/info/hullmark-agent.list",
    ]
    assert keys(found, OURS, "timer") == ["/etc/cron.d/hullmark-agent"]
    assert keys(found, OURS, "process") == ["agentd (20)"]
    assert keys(found, OURS, "socket") == ["tcp 127.0.0.1:53 -> 127.0.0.2:40000"]
    assert keys(found, OURS, "account") == ["/etc/passwd:hullmark"]
    assert keys(found, OURS, "unit") == ["hullmark-agent"]
    assert keys(found, OURS, "package") == ["hullmark-agent:all"]
    assert keys(found, OURS, "cgroup") == ["/sys/fs/cgroup/system.slice/hullmark-agent.service"]
    own: Item = next(one for one in found.items if one.key == "/usr/share/hullmark/agentd")
    assert own.announced_by == "package hullmark-agent"
    assert own.details["mode"] == "0644"
    by = {one.key.rpartition("/")[2]: one.announced_by for one in found.items}
    assert by["agentd.cpython-311.pyc"] == "package hullmark-agent"
    assert by["hullmark-agent.list"] == "package-record"
    assert by["planted"] == "nothing"
    assert all(one.reason and one.announced_by for one in found.items)


def test_files_for_a_load_balancer_where_the_configuration_names_them(shop: World) -> None:
    shop.write("/srv/lb/hullmark.cfg", "x")
    found = listing.gather(lambda: HOLDINGS, exported=("/srv/lb/hullmark.cfg", "/srv/lb/none"))
    (item,) = [one for one in found.items if one.key.startswith("/srv")]
    assert (item.key, item.announced_by) == ("/srv/lb/hullmark.cfg", "services.export")


def test_its_containers_and_not_those_of_others(shop: World) -> None:
    found = gathered()
    assert keys(found, THEIRS, "container") == ["shop.web.1.g1"]
    assert keys(found, THEIRS, "process") == ["docker-proxy (23)", "httpd (21)"]
    assert keys(found, THEIRS, "socket") == ["tcp 127.0.0.1:8080"]
    assert keys(found, THEIRS, "network") == [
        f"address 10.213.0.1/25 dev {BRIDGE}",
        f"interface {BRIDGE}",
        "interface veth12",
    ]
    rules = [one.details["line"] for one in found.items if one.kind == "firewall"]
    assert rules == [
        "tcp dport 8080 counter dnat to 10.213.0.2:80",
        f'ip saddr 10.213.0.0/25 oifname != "{BRIDGE}" counter masquerade',
    ]
    assert keys(found, THEIRS, "cgroup") == [f"/sys/fs/cgroup/pids/docker/{ID}"]
    assert keys(found, THEIRS, "file") == ["/var/lib/docker/volumes/shop_data/_data"]


def test_without_the_engines_word_it_is_said_and_nothing_left_out(shop: World) -> None:
    found = gathered(Unseen(NOT_INSTALLED))
    assert ("container", NOT_INSTALLED) in found.not_looked_at
    assert "interface docker0" in keys(found, THEIRS, "network")
    assert all("whose is not known" in one.reason for one in found.items if one.group == THEIRS)


def test_what_could_not_be_looked_at(shop: World) -> None:
    del shop.says["ip -j address show"]
    (shop.root / "etc/hullmark/agent.yaml").unlink()
    assert ("network", "ip is not installed") in gathered().not_looked_at


@pytest.mark.parametrize(("setting", "warnings"), [(False, 1), (True, 0), (None, 0)])
def test_an_engine_whose_upgrade_stops_containers(setting: Any, warnings: int) -> None:
    found = Listing(holdings=Holdings("docker", "20", "unix:///x", setting))
    assert len(found.warnings) == warnings
    assert all("live-restore" in one for one in found.warnings)
    assert Listing().warnings == []


@pytest.mark.parametrize(
    ("name", "program", "command", "ours"),
    [
        (
            "agentd",
            "/usr/bin/python3.11",
            "/usr/bin/python3 -IB /usr/share/hullmark/agentd run",
            True,
        ),
        ("python", "/usr/bin/python3.11", "python -I -m hullmark.masterd run --config x", True),
        ("python", "/usr/bin/python3.11", "python -m hullmark.cli agent run", False),
        ("agentd", "/tmp/agentd", "agentd", False),
        ("vi", "/usr/bin/vi", "vi -m hullmark.agentd run", False),
        ("haproxy", "/usr/sbin/haproxy", "haproxy -W -p /run/hullmark-proxy/pid -f x", True),
        ("haproxy", "/usr/sbin/haproxy", "haproxy -Ws -f /etc/haproxy/haproxy.cfg", False),
        ("haproxy", "/tmp/haproxy", "haproxy -W -p /run/hullmark-proxy/pid -f x", False),
        ("proxy", "/usr/bin/dash", "/bin/sh /usr/share/hullmark/proxy supervise", True),
        ("vi", "/usr/bin/vi", "vi /usr/share/hullmark/proxy supervise", False),
    ],
)
def test_a_daemon_is_known_by_its_program(
    name: str, program: str, command: str, ours: bool
) -> None:
    assert listing.is_daemon(snapshot.Process(5, 1, 0, name, program, ""), command) is ours


INSPECTED: dict[str, Any] = {
    "Id": ID,
    "Name": "/shop.web.1.g1",
    "State": {"Status": "running"},
    "Config": {"Labels": {"io.hullmark.app": "shop"}},
    "LogPath": "/var/lib/docker/x.log",
    "Mounts": [
        {"Type": "volume", "Name": "shop_data", "Source": "/v", "Destination": "/data"},
        {"Type": "bind", "Source": "/srv/shop", "Destination": "/srv"},
        {"Type": "bind", "Source": "/srv/names", "Destination": "/etc/hosts"},
        {"Type": "tmpfs", "Source": "", "Destination": "/tmp"},
    ],
    "NetworkSettings": {
        "Networks": {"shop_default": {"IPAddress": "10.213.0.2"}, "none": None},
        "Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "81/udp": None},
    },
}


def test_a_container_as_the_engine_tells_it() -> None:
    assert containers.container(INSPECTED) == Container(
        ID,
        "shop.web.1.g1",
        "shop",
        "running",
        ("10.213.0.2",),
        (("tcp", 8080),),
        (
            (
                "/srv/names",
                "mounted at /etc/hosts: names of services, kept by the agent, unless the app's file mounts one",
            ),
            ("/srv/shop", "of the host, mounted at /srv as the app's file says"),
            ("/v", "volume shop_data, mounted at /data"),
            ("/var/lib/docker/x.log", "its output, kept by the engine"),
        ),
    )
    assert containers.container({"Id": ID}).state == ""


@pytest.mark.parametrize(
    ("options", "bridges", "bridge"),
    [
        ({}, {}, "br-0123456789ab"),
        ({"com.docker.network.bridge.name": "shop0"}, {}, "shop0"),
        ({}, {"shop_default": "podman3"}, "podman3"),
    ],
)
def test_the_bridge_of_a_network(options: Any, bridges: Any, bridge: str) -> None:
    found = {
        "Id": "0123456789abcdef",
        "Name": "shop_default",
        "Labels": {"io.hullmark.app": "shop"},
        "Options": options,
        "IPAM": {"Config": [{"Subnet": "10.213.0.0/25"}]},
    }
    assert containers.network(found, bridges) == Network(
        "shop_default", "shop", bridge, ("10.213.0.0/25",)
    )


def test_without_an_engine(tmp_path: Path) -> None:
    with pytest.raises(Unseen, match="does not answer"):
        containers.ask(f"unix://{tmp_path}/none.sock")
