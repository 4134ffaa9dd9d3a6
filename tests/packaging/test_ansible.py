"""The Ansible role on booted hosts: a master and an agent, from a dry run on fresh hosts to their purge.

One story, told in the order of this file: each test goes on where the one before has ended.
"""

from __future__ import annotations

import contextlib
import copy
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from hullmark.pki.invites import PREFIX
from tests.cluster import wait_until
from tests.hosts import Bed, Host
from tests.hosts.repository import Repositories
from tests.integration.process import pids
from tests.packaging.control import Control, Run
from tests.packaging.products import NEXT_VERSION, VERSION, Products, products

PASSWORD = "correct-horse-battery-staple"
VAULT_PASSWORD = "only-for-this-test"
AGENT_DROP_IN = "/etc/hullmark/agent.d/50-ansible.yaml"
AGENTS = {
    "hullmark_labels": {"zone": "a", "disk": "ssd"},
    "hullmark_agent_config": {"parallel": 4},
    "hullmark_policies": {"shop": {"name": "shop", "description": "What runs on web hosts"}},
    "hullmark_registries": {
        "shop": {"registry": "registry.example.net", "username": "web", "password": PASSWORD}
    },
}
TOKEN = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{20,}")


@dataclass
class Shop:
    """A control machine, its hosts, and what its inventory says. `site` is what the repository's URL shows, `agents` the
    agents' variables."""

    control: Control
    master: Host
    web: Host
    site: Path
    url: str = ""
    agents: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(AGENTS))

    def play(self, playbook: str, *options: str) -> Run:
        hosts = {host.name: {"ansible_host": host.address} for host in (self.master, self.web)}
        key = self.control.folder / "repository.asc"
        everybody = {
            "ansible_python_interpreter": "/usr/bin/python3",
            "hullmark_repository_url": self.url,
            "hullmark_repository_key": f"{{{{ lookup('ansible.builtin.file', '{key}') }}}}",
            "hullmark_master_host": "m1",
        }
        masters = {"hullmark_master_config": {"addresses": [self.master.address]}}
        groups = {
            "hullmark_masters": {"hosts": {"m1": hosts["m1"]}, "vars": masters},
            "hullmark_agents": {"hosts": {"web1": hosts["web1"]}, "vars": self.agents},
        }
        inventory = {"all": {"vars": everybody, "children": groups}}
        self.control.write("hosts.yml", json.dumps(inventory, indent=2))
        return self.control.play(playbook, *options)

    def publish(self, repository: Path) -> None:
        """What the repository's URL shows from now on."""
        former, current = self.site / "former", self.site / "apt"
        if current.exists():
            current.rename(former)
        # Copies are new files: a client that asks by date for what is newer gets it.
        shutil.copytree(repository / "apt", current, copy_function=shutil.copy)
        shutil.rmtree(former, ignore_errors=True)

    def ask(self, *command: str) -> Any:
        """The master's JSON answer."""
        done = self.master.run(["hullmark", *command, "--output", "json"], check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def labels(self) -> Any:
        return self.ask("host", "show", "web1")["host"]["labels"]

    def agent_pid(self) -> str:
        return self.web.run(["pgrep", "-f", "^[^ ]*python3 .*/hullmark/agentd run"]).stdout.strip()

    def agent_log(self) -> str:
        if self.web.has_systemd:
            return self.web.run("journalctl --unit hullmark-agent").stdout
        return self.web.read("/var/log/hullmark/agent.log")

    def in_force(self, key: str) -> Any:
        """A key of the agent's configuration, as its files say it."""
        shown = self.web.run("hullmark config show agent --output json").stdout
        return next(row["value"] for row in json.loads(shown)["keys"] if row["key"] == key)


@pytest.fixture(scope="module")
def made() -> Products:
    # Before the bed: what builds packages is not to be in its network.
    return products()


IMAGES = [
    pytest.param(("bookworm", "trixie"), id="systemd"),
    pytest.param(("bookworm-sysvinit", "bookworm-sysvinit"), id="sysvinit", marks=pytest.mark.full),
]


@pytest.fixture(scope="module", params=IMAGES)
def shop(
    request: pytest.FixtureRequest, made: Products, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    site = tmp_path_factory.mktemp("site")
    with Bed() as bed, Control() as control:
        master = bed.host("m1", request.param[0])
        web = bed.host("web1", request.param[1], "docker")
        for host in (master, web):
            control.admit(host)
        control.write("repository.asc", made.key.read_text())
        repositories = Repositories()
        try:
            shop = Shop(control, master, web, site)
            shop.publish(made.repo)
            shop.url = repositories.serve(site)
            yield shop
        finally:
            repositories.close()


@contextmanager
def watched_arguments() -> Iterator[list[str]]:
    """Every token that was seen in the arguments of any process meanwhile."""
    seen: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            for pid in pids():
                with contextlib.suppress(OSError):
                    arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
                    seen.extend(TOKEN.findall(arguments.decode(errors="replace")))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def test_an_argument_of_a_process_is_seen() -> None:
    with watched_arguments() as seen:
        subprocess.run(["sh", "-c", "sleep 1", f"{PREFIX}{'x' * 30}"], check=True)
    assert seen


def test_a_dry_run_on_fresh_hosts_says_what_it_would_do(shop: Shop) -> None:
    run = shop.play("site.yml", "--check", "--diff").succeeded()
    assert all(changed > 0 for changed in run.changed.values()), run.output
    for host in (shop.master, shop.web):
        assert not host.path("/etc/apt/sources.list.d/hullmark.sources").exists()
        assert not host.path("/usr/bin/hullmark").exists()


def test_a_run_sets_up_the_master_and_enrolls_the_agent(shop: Shop) -> None:
    with watched_arguments() as seen:
        shop.play("site.yml", "--diff", "-vvv").succeeded()
    assert not seen
    (host,) = shop.ask("hosts")["hosts"]
    assert (host["name"], host["state"]) == ("web1", "ready")
    assert shop.labels() == {"zone": "a", "disk": "ssd"}
    assert shop.in_force("parallel") == 4
    registry = shop.web.path("/etc/hullmark/registries.d/shop.yaml")
    assert yaml.safe_load(registry.read_text())["password"] == PASSWORD
    assert registry.stat().st_mode & 0o777 == 0o600
    assert shop.web.run(["hullmark", "version"]).stdout.split()[-1] == VERSION


def test_a_second_run_changes_nothing(shop: Shop) -> None:
    assert shop.play("site.yml").succeeded().changed == {"m1": 0, "web1": 0}


def test_a_changed_label_and_a_changed_drop_in_converge(shop: Shop) -> None:
    before = shop.agent_pid()
    shop.agents["hullmark_labels"] = {"zone": "b", "disk": None}
    shop.agents["hullmark_agent_config"] = {"parallel": 5}
    shop.agents["hullmark_policies"]["shop"]["description"] = "What may run on web hosts"
    agents = ("--limit", "hullmark_agents")
    dry = shop.play("site.yml", "--check", "--diff", *agents).succeeded()
    assert dry.changed["web1"] > 0
    assert "+parallel: 5" in dry.output
    assert (shop.labels()["zone"], shop.in_force("parallel")) == ("a", 4)
    wet = shop.play("site.yml", *agents).succeeded()
    assert wet.changed == dry.changed, f"{dry.output}\n{wet.output}"
    assert shop.labels() == {"zone": "b"}
    assert shop.in_force("parallel") == 5
    assert "may run" in shop.web.read("/etc/hullmark/policy.d/shop.yaml")
    assert shop.agent_pid() == before, "it was restarted, and not only told to read its files"
    wait_until(
        lambda: re.search(r"configuration read afresh(?!:)", shop.agent_log()),
        "the agent reads its configuration anew",
    )


@pytest.mark.parametrize(
    ("variables", "file", "said"),
    [
        ({"hullmark_agent_config": {"parallel": "many"}}, AGENT_DROP_IN, "parallel"),
        (
            {"hullmark_policies": {"shop": {"name": "shop", "rules": []}}},
            "/etc/hullmark/policy.d/shop.yaml",
            "rules",
        ),
    ],
    ids=["agent", "policy"],
)
def test_a_bad_value_is_refused_and_does_not_land(
    shop: Shop, variables: dict[str, Any], file: str, said: str
) -> None:
    before, pid = shop.web.read(file), shop.agent_pid()
    good, shop.agents = shop.agents, {**shop.agents, **variables}
    try:
        dry = shop.play("site.yml", "--check", "--limit", "hullmark_agents")
        run = shop.play("site.yml", "--limit", "hullmark_agents")
    finally:
        shop.agents = good
    assert re.search(rf":\d+: .*{said}", dry.output), dry.output
    assert run.failed == {"web1": 1}, run.output
    assert "failed to validate" in run.output
    assert re.search(rf":\d+: .*{said}", run.output), run.output
    assert (shop.web.read(file), shop.agent_pid()) == (before, pid)


def test_an_upgrade_goes_host_by_host(shop: Shop, made: Products) -> None:
    shop.publish(made.next_repo)
    run = shop.play("upgrade.yml").succeeded()
    assert all(changed > 0 for changed in run.changed.values()), run.output
    for host in (shop.master, shop.web):
        assert host.run(["hullmark", "version"]).stdout.split()[-1] == NEXT_VERSION
    assert shop.ask("host", "show", "web1")["host"]["facts"]["agent_version"] == NEXT_VERSION
    again = shop.play("upgrade.yml", "--limit", "hullmark_agents").succeeded()
    assert again.changed == {"web1": 0}


@pytest.mark.full
def test_a_pin_goes_back(shop: Shop) -> None:
    shop.agents["hullmark_version"] = VERSION
    shop.play("site.yml", "--limit", "hullmark_agents").succeeded()
    assert shop.web.run(["hullmark", "version"]).stdout.split()[-1] == VERSION


def test_absent_removes_and_keeps_the_configuration(shop: Shop) -> None:
    limit = ("--limit", "web1")
    shop.play("remove.yml", *limit).succeeded()
    assert not shop.web.path("/usr/bin/hullmark").exists()
    assert not shop.web.path("/etc/apt/sources.list.d/hullmark.sources").exists()
    assert shop.web.path(AGENT_DROP_IN).exists()
    assert shop.web.path("/var/lib/hullmark/agent/enrolment.json").exists()
    purge = (*limit, "-e", '{"hullmark_purge": true}')
    shop.play("remove.yml", *purge).succeeded()
    assert not shop.web.path(AGENT_DROP_IN).exists()
    assert not shop.web.path("/var/lib/hullmark/agent").exists()
    assert shop.play("remove.yml", *purge).succeeded().changed == {"web1": 0}


def test_a_token_from_a_vault_enrolls(shop: Shop) -> None:
    """After the purge the host is a new one to the master."""
    shop.master.run(["hullmark", "host", "remove", "web1", "--force"])
    token = shop.ask("invite", "web1")["token"]
    assert TOKEN.fullmatch(token)
    password = shop.control.write("vault-password", VAULT_PASSWORD)
    vault = ["ansible-vault", "encrypt", "--vault-password-file", str(password)]
    plain = yaml.safe_dump({"hullmark_enroll_token": token})
    secrets = shop.control.write(
        "secrets.yml",
        shop.control.run(
            [*vault, "--encrypt-vault-id", "default", "--output", "-", "-"], plain
        ).stdout,
    )
    options = ("--vault-password-file", str(password), "-e", f"@{secrets}", "--limit", "web1")
    with watched_arguments() as seen:
        shop.play("site.yml", *options, "-vvv").succeeded()
    assert not seen
    (host,) = shop.ask("hosts")["hosts"]
    assert host["state"] == "ready"
    left = shop.web.run(
        ["grep", "-rlF", "-f", "-", "/root", "/tmp", "/var/tmp", "/var/log", "/run", "/etc"],
        input=f"{token}\n",
        check=False,
    )
    assert left.stdout == "", left.stdout


def test_no_secret_was_in_any_output(shop: Shop) -> None:
    said = "\n".join(shop.control.said)
    assert "Join the cluster" in said, "nobody has enrolled"
    assert not TOKEN.search(said)
    assert PASSWORD not in said
