"""A host of the cardholder data environment gets work of it only where neighbours can't route their way into its containers."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hullmark.config import shipped_controls
from tests import reach
from tests.cluster import wait_until
from tests.controls import own_controls
from tests.fleet import IMAGE, QUICK_AGENT, Fleet, Host
from tests.integration.engines import podman_engine
from tests.integration.namespaces import HostNetwork, enter_private_network

CONTROL = "container-routing"
LACKS = 'control "container routing" FAILS, and scope cde needs it'
PORT, PUBLISHED = 8080, 8088
APP = f"""\
name: cards
services:
  web:
    image: {IMAGE}
    pull_policy: never
    command: [httpd, -f, -p, "{PORT}"]
    stop_grace_period: 1s
    x-hullmark: {{scope: cde}}
"""


class Cardholder(Fleet):
    """One host of scope `cde`, with Podman, whose netavark has the kernel forward and drops nothing."""

    def set_up(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        network = self._resources.enter_context(HostNetwork("box", "192.0.2.81"))
        engine = podman_engine(network=network)
        self._resources.callback(engine.stop)
        engine.start()
        engine.load_image(IMAGE)
        self.set_up_master()
        policies = self.folder / "policy.d"
        policies.mkdir(mode=0o755)
        (policies / "50-host.yaml").write_text("scope: cde\n")
        self.hosts["box"] = host = Host(self.folder, network, engine)
        host.options = f"{QUICK_AGENT}policy_dir: {policies}\n"
        host.write_configuration()
        shipped = Path(shipped_controls(), f"{CONTROL}.yaml").read_text()
        often = "        interval: 1s\n        timeout: 1s\n"
        own_controls(self.folder / "box-controls", shipped + often, besides=(CONTROL,))
        self.enroll_host(host.name, host.config, inside=network.inside)
        host.agent.start()
        self.wait_for_hosts()

    @property
    def box(self) -> Host:
        return self.hosts["box"]

    def nft(self, words: str) -> None:
        subprocess.run([*self.box.network.inside, "nft", words], check=True)

    def control(self) -> dict[str, Any]:
        """As the host says it."""
        done = self.run("controls", CONTROL, "--host", "box", "--output", "json")
        (found,) = json.loads(done.stdout)["controls"] if done.returncode in (0, 1) else [{}]
        return dict(found)

    def wait_for(self, status: str) -> dict[str, Any]:
        return dict(
            wait_until(
                lambda: found if (found := self.control()).get("status") == status else None,
                f"{CONTROL} is {status}: {self.control()}",
            )
        )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cardholder]:
    enter_private_network()
    with Cardholder(Path(tmp_path_factory.mktemp("cardholder"))) as cluster:
        yield cluster
        cluster.empty()


CONTAINERS = "10.0.0.0/8"
NOBODYS = "10.213.200.5"
"""Of the range that apps' networks are made in."""


def pretend(neighbour: HostNetwork, host: Host) -> None:
    """It calls from a container's address, and is the host's way out."""
    host.network.route_by(neighbour.address)
    network = neighbour.inside
    subprocess.run([*network, "ip", "address", "add", f"{NOBODYS}/32", "dev", "lo"], check=True)
    _route(neighbour, host, "src", NOBODYS)


def show_itself(neighbour: HostNetwork, host: Host) -> None:
    network = neighbour.inside
    subprocess.run([*network, "ip", "address", "delete", f"{NOBODYS}/32", "dev", "lo"], check=True)
    _route(neighbour, host)


def _route(neighbour: HostNetwork, host: Host, *more: str) -> None:
    command = ["ip", "route", "replace", CONTAINERS, "via", host.network.address, *more]
    subprocess.run([*neighbour.inside, *command], check=True)


@pytest.fixture(scope="module")
def neighbour(cluster: Cardholder) -> Iterator[HostNetwork]:
    """Another machine on the host's segment, which routes all private addresses to it."""
    with HostNetwork("beside", "192.0.2.86") as network:
        _route(network, cluster.box)
        yield network


@contextlib.contextmanager
def by_hand(host: Host) -> Iterator[Any]:
    """A container that somebody ran, with one port that its engine publishes."""
    with contextlib.closing(host.engine.client()) as client:
        command = ["httpd", "-f", "-p", str(PORT)]
        ports = {f"{PORT}/tcp": PUBLISHED}
        container = client.containers.run(IMAGE, command, ports=ports, detach=True)
        try:
            container.reload()
            yield container
        finally:
            container.remove(force=True)


def test_work_of_the_scope_waits_until_the_shop_loads_the_rule_that_is_named(
    cluster: Cardholder, neighbour: HostNetwork
) -> None:
    box = cluster.box
    told = cluster.wait_for("fail")
    file = cluster.folder / "cards.yaml"
    file.write_text(APP)
    assert LACKS in cluster.run("plan", str(file)).stdout
    cluster.hullmark("apply", "--no-wait", str(file))
    explained = wait_until(lambda: _named(cluster.run("explain", "cards").stdout), "it waits")
    assert f"hullmark controls {CONTROL} --host box" in explained
    assert LACKS in cluster.run("mark", "status").stdout
    with by_hand(box) as container:
        inside = (str(container.attrs["NetworkSettings"]["IPAddress"]), PORT)
        published = (box.network.address, PUBLISHED)
        both = {inside: reach.ANSWERED, published: reach.ANSWERED}
        wait_until(lambda: reach.ask(neighbour.inside, both) == both, "the neighbour gets in")
        pretend(neighbour, box)
        assert reach.ask(neighbour.inside, [inside]) == {inside: reach.ANSWERED}
        cluster.wait_for("fail")
        assert cluster.containers() == []
        cluster.nft(table_in(told))
        assert reach.ask(neighbour.inside, [inside]) == {inside: reach.SILENT}
        show_itself(neighbour, box)
        assert reach.ask(neighbour.inside, [inside, published]) == {
            inside: reach.SILENT,
            published: reach.ANSWERED,
        }
        out = ["nsenter", f"--net=/proc/{container.attrs['State']['Pid']}/ns/net", "--"]
        target = (neighbour.address, PORT)
        assert reach.ask(out, [target]) == {target: reach.REFUSED}, "containers get out"
    cluster.wait_for("pass")
    (web,) = wait_until(lambda: cluster.running("cards"), "the service runs")
    networks = web.inspected["NetworkSettings"]["Networks"].values()
    targets = [(str(network["IPAddress"]), PORT) for network in networks]
    assert reach.ask(neighbour.inside, targets) == dict.fromkeys(targets, reach.SILENT)
    assert reach.ask(box.network.inside, targets) == dict.fromkeys(targets, reach.ANSWERED)
    cluster.nft("delete table inet containers")
    assert reach.ask(neighbour.inside, targets) == dict.fromkeys(targets, reach.ANSWERED)
    cluster.wait_for("fail")
    cluster.hullmark("scale", "cards/web=2", "--no-wait")
    wait_until(lambda: LACKS in cluster.run("explain", "cards").stdout, "the second one waits")
    assert [each.life for each in cluster.running("cards")] == [web.life], "what runs stays"
    cluster.hullmark("mark", "override", CONTROL, "--ticket", "INC-1", "--app", "cards")
    wait_until(lambda: len(cluster.running("cards")) == 2, "a person's word")


def _named(text: str) -> str:
    return text if LACKS in text else ""


def table_in(told: dict[str, Any]) -> str:
    """The table of nftables that a finding's remedy names."""
    (remedy,) = {check["remedy"] for check in told["checks"].values()}
    found = re.search(r"table inet containers \{.*\}$", remedy)
    assert found is not None, remedy
    return found[0]
