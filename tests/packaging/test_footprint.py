"""`hullmark footprint` on a host that runs an app: what it lists is what the host's own tools say, and what somebody
changes by hand it finds.

One story: each test goes on where the one before has ended.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import wait_until
from tests.hosts import Host
from tests.hosts.bed import Bed
from tests.hosts.engines import SOCKETS
from tests.integration.daemon import load_image
from tests.packaging.pictures import PLANTS, Pictures, differences, not_announced, unseen
from tests.packaging.products import products
from tests.packaging.proxy import Proxy
from tests.packaging.test_lifecycle import IMAGE, PORT, PUBLISHED, Life, enroll, run_an_app

BEFORE = "/root/before.json.gz"
THE_TESTS_OWN = {("file", "/root/compose.yaml"), ("file", "/root/token")}


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    products()  # before the bed: what builds packages is not to be in its network
    with Bed() as found:
        yield found


@pytest.fixture(scope="module")
def life(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Life:
    """A picture was taken of each host before anything of ours was there."""
    with ThreadPoolExecutor(2) as pool:
        hosts = [
            pool.submit(bed.host, "m1", "bookworm"),
            pool.submit(bed.host, "web1", "bookworm", "docker"),
        ]
        found = Life(hosts[0].result(), hosts[1].result())
    for host in (found.master, found.web):
        take_before(host, tmp_path_factory.mktemp("pictures"))
    found.master.install("hullmark-master")
    found.web.install("hullmark-agent")
    enroll(found)
    run_an_app(found)
    found.web.path("/root/token").unlink()
    return found


def take_before(host: Host, folder: Path) -> None:
    host.use_repository(products().repo)
    before = Pictures(host, folder).take("before")
    assert set(unseen(before)) <= {"audit", "module"}, "the box has neither"
    host.path(BEFORE).write_bytes(before.read_bytes())


def listed(host: Host) -> dict[str, Any]:
    document = json.loads(host.run("hullmark footprint --output json").stdout)
    assert document["schema"] == "hullmark.footprint/1"
    return dict(document)


def keys(document: dict[str, Any], group: str, kind: str) -> set[str]:
    return {one["key"] for one in document["items"] if (one["group"], one["kind"]) == (group, kind)}


def compared(host: Host) -> tuple[int, dict[str, Any]]:
    done = host.run(f"hullmark footprint --before {BEFORE} --output json", check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def surprises(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["kind"], one["key"]) for one in document["differences"] if not one["announced"]}


def test_all_that_differs_is_announced(life: Life) -> None:
    code, document = compared(life.web)
    assert surprises(document) == set()
    assert code == 0
    found = {one["announcement"] for one in document["differences"]}
    assert {"package-file", "state", "published", "engine-chain", "bridge"} <= found
    assert {"proxy-state", "proxy-process", "proxy-listener", "proxy-door"} <= found


def test_all_that_differs_on_the_masters_host_is_announced(life: Life) -> None:
    _, document = compared(life.master)
    assert surprises(document) == THE_TESTS_OWN
    found = {one["announcement"] for one in document["differences"]}
    assert {"user", "user-copy", "group", "shadow", "listener"} <= found


def test_what_somebody_changes_by_hand_is_found(life: Life) -> None:
    for plant in PLANTS:
        life.web.run(plant.do)
    code, document = compared(life.web)
    assert code == 1
    found = surprises(document)
    missing = {(plant.kind, plant.key) for plant in PLANTS} - found
    assert missing == set()
    text = life.web.run(f"hullmark footprint --before {BEFORE}", check=False)
    assert text.returncode == 1
    first = text.stdout.partition("ANNOUNCED, ")[0]
    assert "/etc/cron.d/planted" in first
    assert "tcp 0.0.0.0:4444" in first
    for plant in PLANTS:
        life.web.run(plant.undo)
    code, document = compared(life.web)
    assert surprises(document) == set()
    assert code == 0


def test_nothing_of_hullmarks_is_missing(life: Life) -> None:
    document = listed(life.web)
    files = keys(document, "hullmark", "file")
    for package in ("hullmark", "hullmark-agent", "hullmark-proxy"):
        paths = life.web.run(["dpkg", "-L", package]).stdout.split()
        own = {re.sub("^/(lib|bin|sbin)/", r"/usr/\1/", path) for path in paths}
        there = {
            path
            for path in own
            if not life.web.path(path).is_dir() and life.web.path(path).is_file()
        }
        assert len(there) > 5
        assert there <= files
    written = life.web.run(
        "find /etc/hullmark /var/lib/hullmark* /var/log/hullmark /run/hullmark*", check=False
    )
    assert len(written.stdout.split()) > 5
    assert set(written.stdout.split()) <= files
    links = life.web.run("find /etc/systemd /etc/rc?.d -name '*hullmark*'").stdout.split()
    assert links
    assert set(links) <= files
    names = ("hullmark", "hullmark-agent", "hullmark-proxy")
    assert keys(document, "hullmark", "unit") >= {f"{name}.service" for name in names[1:]}
    assert keys(document, "hullmark", "package") == {f"{name}:all" for name in names}
    proxy = Proxy(life.web)
    pids = {str(pid) for pid in (*life.agents(), proxy.first(), *proxy.workers())}
    assert pids
    assert pids <= {re.findall(r"\d+", key)[-1] for key in keys(document, "hullmark", "process")}
    assert not [one["what"] for one in document["not_looked_at"] if one["what"] != "audit"]


def test_where_the_proxy_listens(life: Life) -> None:
    listens = Proxy(life.web).listens()
    assert {f"{life.web.address}:{PUBLISHED}", f"{life.web.address}:7443"} <= set(listens)
    found = keys(listed(life.web), "hullmark", "socket")
    assert {f"tcp {place}" for place in listens} <= found
    assert any(place.startswith("10.214.") for place in listens), "at a service address"


def test_its_connections_and_those_of_the_master(life: Life) -> None:
    """An agent listens nowhere; it calls."""
    (pid,) = life.agents()

    def agrees() -> bool:
        said = life.web.run(f"ss -tnpH | grep pid={pid},").stdout.split("\n")
        known = {line.split()[4] for line in said if line}
        own = [one for one in listed(life.web)["items"] if one["group"] == "hullmark"]
        sockets = {
            one["key"]
            for one in own
            if one["kind"] == "socket" and "hullmark-proxy" not in str(one["details"]["holders"])
        }
        assert all(" -> " in key for key in sockets)
        return bool(known) and known <= {key.split(" -> ")[1] for key in sockets}

    wait_until(agrees, "the agent's connections are listed", 20.0)
    master = listed(life.master)
    assert {key for key in keys(master, "hullmark", "socket") if " -> " not in key} == {
        "tcp 0.0.0.0:7441",
        "tcp 0.0.0.0:7442",
        "unix /run/hullmark/master.sock",
    }
    assert "/etc/passwd:hullmark" in keys(master, "hullmark", "account")
    assert any(
        "hullmark-agent, which is not installed" in one["why"] for one in master["not_looked_at"]
    )


def test_nothing_of_its_containers_is_missing(life: Life) -> None:
    document = listed(life.web)
    names = set(life.lives())
    assert len(names) == 3
    assert keys(document, "containers", "container") == names
    inspected = json.loads(life.web.run(["docker", "inspect", *names]).stdout)
    processes = keys(document, "containers", "process")
    for one in inspected:
        assert any(f"({one['State']['Pid']})" in key for key in processes)
        assert any(one["Id"] in key for key in keys(document, "containers", "cgroup"))
        assert any(
            one["Id"] in str(item["reason"]) or one["Name"][1:] in item["reason"]
            for item in document["items"]
        )
    listeners = life.web.run("ss -ltnH").stdout
    for place in (f"{life.web.address}:{PORT}", f"127.0.0.1:{PORT}"):
        assert place in listeners
        assert f"tcp {place}" in keys(document, "containers", "socket")
    network = json.loads(life.web.run("docker network inspect shop_default").stdout)[0]
    bridge = f"br-{network['Id'][:12]}"
    assert f"interface {bridge}" in keys(document, "containers", "network")
    (address,) = {
        one["NetworkSettings"]["Networks"]["shop_default"]["IPAddress"]
        for one in inspected
        if one["NetworkSettings"]["Ports"].get("8080/tcp")
    }
    rules = [one["details"]["line"] for one in document["items"] if one["kind"] == "firewall"]
    live = life.web.run("nft -s list ruleset").stdout
    for text in (bridge, address):
        expected = [line for line in live.splitlines() if re.search(rf"{re.escape(text)}\b", line)]
        assert expected
        assert len([line for line in rules if re.search(rf"{re.escape(text)}\b", line)]) == len(
            expected
        )
    folders = keys(document, "containers", "file")
    assert "/var/lib/docker/volumes/shop_data/_data" in folders


def test_an_engine_whose_upgrade_stops_containers_is_warned_of(life: Life) -> None:
    """Until it is told not to, which itself stops none."""
    assert listed(life.web)["engine"]["live_restore"] is False
    assert "live-restore" in life.web.run("hullmark footprint").stderr
    lives = life.lives()
    life.web.write("/etc/docker/daemon.json", '{"live-restore": true}\n')
    life.web.run("systemctl reload docker")
    wait_until(
        lambda: listed(life.web)["engine"]["live_restore"] is True, "Docker keeps containers"
    )
    assert listed(life.web)["warnings"] == []
    assert life.lives() == lives


def test_a_restart_of_the_engine_is_announced(life: Life) -> None:
    life.web.run("systemctl restart docker")
    life.wait_until_all_is_well()
    _, document = compared(life.web)
    assert surprises(document) == {("file", "/etc/docker/daemon.json")}


def test_without_root_it_says_what_it_could_not_look_at(life: Life) -> None:
    done = life.web.run(["setpriv", "--reuid", "nobody", "--clear-groups", "hullmark", "footprint"])
    told = done.stdout.partition("NOT LOOKED AT")[2]
    assert "this takes root" in told
    assert "firewall" in told
    refused = life.web.run(
        [
            "setpriv",
            "--reuid",
            "nobody",
            "--clear-groups",
            "hullmark",
            "footprint",
            "--record",
            "/tmp/x",
        ],
        check=False,
    )
    assert (refused.returncode, "takes root" in refused.stderr) == (2, True)


def test_a_picture_of_a_host_is_the_same_by_the_command(life: Life, tmp_path: Path) -> None:
    life.web.run("hullmark footprint --record /root/after.json.gz")
    mode = life.web.run("stat -c %a /root/after.json.gz").stdout.strip()
    assert mode == "600"
    both = f"--before {BEFORE} --after /root/after.json.gz"
    done = life.web.run(f"hullmark footprint {both} --output json", check=False)
    found = surprises(json.loads(done.stdout))
    assert found == {("file", "/etc/docker/daemon.json")}
    cut = life.web.path("/root/cut.json.gz")
    cut.write_bytes(life.web.path(BEFORE).read_bytes()[:-100])
    done = life.web.run("hullmark footprint --before /root/cut.json.gz", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "/root/cut.json.gz" in done.stderr


APP = """\
name: {name}
services:
  web:
    image: {image}
    pull_policy: never
    ports: [{{target: 8080, published: "8080", mode: host}}, "8082:8080"]
    stop_grace_period: 1s
    deploy: {{placement: {{constraints: ["node.hostname == {name}"]}}}}
"""


@pytest.mark.parametrize(
    ("image", "engine"),
    [
        ("bookworm-sysvinit", "podman"),
        pytest.param("trixie", "podman", marks=pytest.mark.full),
        pytest.param("trixie", "docker", marks=pytest.mark.full),
        pytest.param("bookworm", "podman", marks=pytest.mark.full),
        pytest.param("bookworm-sysvinit", "docker", marks=pytest.mark.full),
        pytest.param("noble", "docker", marks=pytest.mark.ubuntu),
        pytest.param("resolute", "docker", marks=pytest.mark.ubuntu),
        pytest.param("resolute", "podman", marks=pytest.mark.ubuntu),
    ],
)
def test_all_that_differs_is_announced_on_other_hosts(
    bed: Bed, life: Life, tmp_path: Path, image: str, engine: str
) -> None:
    host = bed.host(f"other{len(bed.hosts)}", image, engine)
    take_before(host, tmp_path)
    host.install("hullmark-agent")
    invited = life.ask("invite", host.name)
    host.write("/root/token", f"{invited['token']}\n", 0o600)
    host.run("hullmark agent enroll --token-file /root/token; rm /root/token")
    load_image(f"unix://{host.path(SOCKETS[engine])}", IMAGE)
    life.master.write("/root/other.yaml", APP.format(name=host.name, image=IMAGE))
    life.master.run("hullmark apply --wait /root/other.yaml")
    code, document = compared(host)
    assert surprises(document) == set()
    assert code == 0
    announced = {one["announcement"] for one in document["differences"]}
    assert {"published", "proxy-listener"} <= announced
    assert keys(listed(host), "containers", "socket") >= {f"tcp {host.address}:8080"}
    host.apt("purge", "hullmark-agent", "hullmark", "hullmark-proxy")
    host.path(BEFORE).unlink()
    after = Pictures(host, tmp_path).take("after")
    assert not_announced(differences(tmp_path / "before.json.gz", after)) == []
    life.master.run(f"hullmark host remove --force {host.name}")
    # Its port is the next one's.
    life.master.run(f"hullmark rm --timeout 60s {host.name}")
    host.kill()
