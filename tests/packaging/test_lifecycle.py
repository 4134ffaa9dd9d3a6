"""The life of the packages on stock hosts, from apt-get install to purge, around an app that runs through all of it.

Each of Debian's images and each of the engines is in every run; all pairs are in the full one. Ubuntu's have a run of their own.
"""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.cluster import containers_in, wait_until
from tests.hosts import Bed, Host
from tests.hosts.engines import SOCKETS
from tests.integration.daemon import load_image
from tests.packaging.products import NEXT_VERSION, VERSION, products
from tests.packaging.proxy import Proxy

Result = TypeVar("Result")
IMAGE = "localhost/hullmark-test:1"
PORT = 8080
PUBLISHED = 8081
"""The engine has the one, the proxy the other."""
APP = f"""\
name: shop
services:
  web:
    image: {IMAGE}
    pull_policy: never
    init: true
    ports:
      - {{target: 8080, published: "{PORT}", mode: host}}
      - "{PUBLISHED}:8080"
    volumes: [data:/data]
    healthcheck: {{test: [CMD, wget, -q, -O, /dev/null, "http://127.0.0.1:8080/"], interval: 1s}}
    stop_grace_period: 1s
  worker:
    image: {IMAGE}
    pull_policy: never
    init: true
    command: [sleep, "100000"]
    stop_grace_period: 1s
    deploy: {{replicas: 2}}
volumes: {{data: {{}}}}
"""
EDIT = "# a line of the shop's own\n"
NEEDRESTART = "/etc/needrestart/restart.d/hullmark-proxy"
AGENT_STATE = "/var/lib/hullmark/agent"
ALWAYS = (("bookworm", "podman"), ("trixie", "docker"), ("bookworm-sysvinit", "podman"))
OTHERS = (
    ("bookworm", "docker"),
    ("trixie", "podman"),
    ("bookworm-sysvinit", "docker"),
    ("bookworm-audited", "docker"),
    ("bookworm-audited", "podman"),
)
UBUNTU = (
    *(("resolute", "docker"), ("resolute", "podman"), ("noble", "docker"), ("noble", "podman")),
    ("jammy", "docker"),
)


@dataclass
class Life:
    """A host with an app, and its master on another one of the same image."""

    master: Host
    web: Host
    cluster_id: str = ""

    def ask(self, *arguments: str) -> Any:
        """What the command answers on the master."""
        done = self.master.run(["hullmark", *arguments, "--output", "json"], check=False)
        return json.loads(done.stdout) if done.returncode in (0, 1) else {}

    def is_ready(self) -> bool:
        hosts = self.ask("hosts").get("hosts", [])
        return [(one["state"], one["problems"]) for one in hosts] == [("ready", [])]

    def is_well(self) -> bool:
        """All of the app, as the master sees it now."""
        instances = self.ask("ps", "shop").get("instances", [])
        found = [one["status"] for one in instances if one["seen"] and one["status"]]
        states = sorted((one["phase"], one["health"]) for one in found)
        return states == [("running", "healthy"), ("running", "none"), ("running", "none")]

    def lives(self) -> dict[str, tuple[str, int, str]]:
        """The app's running containers as their engine has them: equal ones were neither stopped nor made anew."""
        socket = f"unix://{self.web.path(SOCKETS[self.web.engine])}"
        return {
            name: (one["Id"], one["State"]["Pid"], one["State"]["StartedAt"])
            for name, one in containers_in(socket, self.cluster_id).items()
            if one["State"]["Running"]
        }

    def serves(self, port: int = PORT) -> bool:
        """Whether the app answers on the host's own address."""
        try:
            with urllib.request.urlopen(f"http://{self.web.address}:{port}/", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def is_published(self) -> bool:
        return self.serves(PUBLISHED)

    def agents(self) -> list[int]:
        """The process ids of what runs of the agent on the host, without what it is about to run for a check."""
        done = self.web.run(["pgrep", "-P", "1", "-f", "/usr/share/hullmark/agentd"], check=False)
        return [int(word) for word in done.stdout.split()]

    def wait_until_all_is_well(self) -> None:
        wait_until(self.is_ready, "the host is ready", 120.0)
        wait_until(self.is_well, "the app is well", 120.0)
        wait_until(self.serves, "the app answers", 30.0)
        wait_until(self.is_published, "the proxy passes on to it", 30.0)


@pytest.fixture(
    params=[
        *ALWAYS,
        *(pytest.param(pair, marks=pytest.mark.full) for pair in OTHERS),
        *(pytest.param(pair, marks=pytest.mark.ubuntu) for pair in UBUNTU),
    ],
    ids="-".join,
)
def life(request: pytest.FixtureRequest) -> Iterator[Life]:
    """Two hosts that have never seen Hullmark."""
    image, engine = request.param
    with Bed() as bed:
        yield Life(*_both(lambda: bed.host("m1", image), lambda: bed.host("web1", image, engine)))


@pytest.mark.timeout(600)
def test_a_host_lives_with_hullmark_and_without(life: Life) -> None:
    for step in (
        *(install, enroll, run_an_app, reboot, upgrade, restart, downgrade),
        *(remove, reinstall, mend, purge),
    ):
        began = time.monotonic()
        step(life)
        print(f"{step.__name__}: {time.monotonic() - began:.1f} s", flush=True)


def install(life: Life) -> None:
    """Before the host is enrolled its agent only looks at the host's controls."""
    of_master, of_agent = _install_both(life, products().repo)
    assert "hullmark master init" in of_master
    assert "hullmark agent enroll" in of_agent
    assert VERSION in life.web.run("hullmark version").stdout
    assert len(life.agents()) == 1
    wait_until(lambda: controls_of(life.web), "controls were looked at", 60.0)
    assert not life.web.path("/run/hullmark").exists()


def controls_of(host: Host) -> dict[str, Any]:
    """What its agent says of its controls; empty as long as it hasn't."""
    done = host.run(["hullmark", "controls", "--local", "--output", "json"], check=False)
    return json.loads(done.stdout).get("controls", {}) if done.returncode in (0, 1, 2) else {}


def _install_both(life: Life, repository: Path) -> tuple[str, str]:
    """What apt printed for the master and for the agent."""

    def install_from(host: Host, package: str) -> str:
        host.use_repository(repository)
        return host.install(package)

    return _both(
        lambda: install_from(life.master, "hullmark-master"),
        lambda: install_from(life.web, "hullmark-agent"),
    )


def _both(first: Callable[[], Result], second: Callable[[], Result]) -> tuple[Result, Result]:
    """At once."""
    with ThreadPoolExecutor(2) as pool:
        jobs = pool.submit(first), pool.submit(second)
        return jobs[0].result(), jobs[1].result()


def enroll(life: Life) -> None:
    master, web = life.master, life.web
    master.run(["hullmark", "master", "init", "--address", master.address])
    master.run(["hullmark", "status", "--wait", "60s"], check=False)
    life.cluster_id = life.ask("status")["cluster_id"]
    master.run(["hullmark", "invite", web.name, "--token-file", "/root/token"])
    web.write("/root/token", master.read("/root/token"), 0o600)
    web.run(["hullmark", "agent", "enroll", "--token-file", "/root/token"])
    wait_until(life.is_ready, "the host is ready", 120.0)


def run_an_app(life: Life) -> None:
    load_image(f"unix://{life.web.path(SOCKETS[life.web.engine])}", IMAGE)
    life.master.write("/root/compose.yaml", APP)
    life.master.run(["hullmark", "apply", "--wait", "/root/compose.yaml"])
    life.wait_until_all_is_well()


def reboot(life: Life) -> None:
    """Both daemons and the app return by themselves; it was really down."""
    before = life.lives()
    _both(life.master.reboot, life.web.reboot)
    life.wait_until_all_is_well()
    after = life.lives()
    assert len(after) == 3
    assert not set(before.values()) & set(after.values())


def upgrade(life: Life) -> None:
    """A file that the shop edited stays as it is."""
    conffile = life.web.path("/etc/hullmark/agent.yaml")
    conffile.write_text(conffile.read_text() + EDIT)
    lives, agents, proxy = life.lives(), life.agents(), Proxy(life.web).first()
    _install_both(life, products().next_repo)
    life.web.install("hullmark-proxy")
    assert NEXT_VERSION in life.web.run("hullmark version").stdout
    assert not set(agents) & set(life.agents()), "the agent is the new version's"
    assert Proxy(life.web).first() == proxy, "and the proxy was not started anew"
    life.wait_until_all_is_well()
    assert life.lives() == lives
    assert life.web.read("/etc/hullmark/agent.yaml").endswith(EDIT)


def restart(life: Life) -> None:
    """And what needrestart does to the proxy, whose connections a restart would cut."""
    lives, agents, proxy = life.lives(), life.agents(), Proxy(life.web)
    life.web.run(["service", "hullmark-agent", "restart"])
    assert life.agents()
    assert not set(agents) & set(life.agents())
    first, workers = proxy.first(), set(proxy.workers())
    life.web.run([f"{NEEDRESTART}.service" if life.web.has_systemd else NEEDRESTART])
    wait_until(lambda: set(proxy.workers()) - workers, "the proxy is reloaded", 15.0)
    assert proxy.first() == first
    life.wait_until_all_is_well()
    assert life.lives() == lives


def downgrade(life: Life) -> None:
    lives = life.lives()
    packages = ("hullmark-agent", "hullmark", "hullmark-proxy")
    older = [f"{package}={VERSION}-1" for package in packages]
    life.web.install(*older, options=("--allow-downgrades",))
    assert VERSION in life.web.run("hullmark version").stdout
    life.wait_until_all_is_well()
    assert life.lives() == lives
    assert life.web.read("/etc/hullmark/agent.yaml").endswith(EDIT)


def remove(life: Life) -> None:
    """Only the program goes. What runs goes on, the proxy too."""
    lives, kept, proxy = life.lives(), _kept(life.web), Proxy(life.web).first()
    life.web.apt("remove", "hullmark-agent")
    assert Proxy(life.web).first() == proxy
    assert life.is_published()
    assert life.agents() == []
    assert life.lives() == lives
    assert life.serves()
    assert _kept(life.web) == kept
    assert life.web.read("/etc/hullmark/agent.yaml").endswith(EDIT)


def _kept(host: Host) -> dict[str, str]:
    """Configuration, identity, accepted orders; what a stopping agent writes once more has the same name."""
    folders = f"/etc/hullmark/agent* {AGENT_STATE} /var/log/hullmark"
    names = host.run(f"find {folders} -type f | sort").stdout.split()
    assert f"{AGENT_STATE}/enrolment.json" in names
    fixed = ("enrolment.json", "agent.yaml", "host.key", "host.pem", "root.pem")
    return {
        name: host.run(["sha256sum", name]).stdout if Path(name).name in fixed else ""
        for name in names
    }


def reinstall(life: Life) -> None:
    """Without being enrolled again, and without touching what runs."""
    lives = life.lives()
    life.web.install("hullmark-agent")
    assert life.agents()
    life.wait_until_all_is_well()
    assert life.lives() == lives


def mend(life: Life) -> None:
    """The agent has taken over: what ends is started again."""
    name, (_, pid, _) = next(iter(life.lives().items()))
    life.web.run(["kill", "-9", str(pid)])
    wait_until(lambda: life.lives().get(name, ("", pid, ""))[1] != pid, f"{name} is back", 30.0)
    life.wait_until_all_is_well()


def purge(life: Life) -> None:
    """Nothing stays but what runs, and audit logs, of which apt says where they are."""
    lives = life.lives()
    output = life.web.apt("purge", "hullmark-agent", "hullmark")
    assert life.lives() == lives
    assert life.is_published()
    life.web.apt("purge", "hullmark-proxy")
    assert not life.is_published()
    assert Proxy(life.web).remains() == []
    assert life.lives() == lives
    assert life.serves()
    life.web.apt("clean")
    left = "find / -xdev -iname '*hullmark*' -not -path '/var/lib/docker/*' -not -path '/var/lib/containers/*'"
    found = life.web.run(f"{left} -not -path '/var/lib/apt/*' -not -path '/tmp/*'").stdout.split()
    assert sorted(found) == ["/var/log/hullmark"]
    logs = life.web.run("ls -A /var/log/hullmark").stdout.split()
    assert [re.sub("-unenrolled-.*-audit", "-unenrolled-*-audit", log) for log in logs] == [
        "audit.log",
        "former-host-unenrolled-*-audit.log",
    ]
    assert [log for log in logs if f"kept /var/log/hullmark/{log}\n" not in output] == []
    life.master.apt("purge", "hullmark-master", "hullmark")
    assert not life.master.path("/var/lib/hullmark").exists()
    assert not life.master.path("/etc/hullmark").exists()
