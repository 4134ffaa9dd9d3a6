"""What people see of a host's policy and scope: in `plan`, `ps`, `explain`, `hosts`, and at `exec`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import OneHostCluster, wait_until
from tests.controls import own_controls
from tests.e2e.conftest import IMAGE
from tests.integration.engines import Engine

pytestmark = pytest.mark.one_engine(together=True)

POLICY = """\
name: of the tests
scope: {scope}
privileged: false
apps:
  open:
    exec:
      allowed: true
"""
APP = """\
name: {name}
services:
  web:
    image: {image}
    pull_policy: never
    init: true
    command: [sleep, "100000"]
    stop_grace_period: 1s
    privileged: {privileged}
    x-hullmark: {{scope: {scope}}}
"""
OWN_PROOF = """\
controls:
  - id: site-segment
    function: container-routing
    title: A segment without neighbours
    remediation: Take them off it.
    checks: [{{id: said, kind: file_content, path: {path}, must_match: "^alone$", interval: 1s, timeout: 1s}}]
"""
"""What services of scope cde need is proven here in another way than by the host's packet filter."""
RULE = "privileged: not allowed here (50-host.yaml:3)"


class Policed:
    """A cluster whose host has a policy, which the test may change."""

    def __init__(self, cluster: OneHostCluster, policy: Path) -> None:
        self.cluster = cluster
        self._policy = policy

    def set_scope(self, scope: str) -> None:
        self._policy.write_text(POLICY.format(scope=scope))

    def app(self, name: str, scope: str = "cde", privileged: str = "false") -> str:
        file = self.cluster.folder / f"{name}.yaml"
        text = APP.format(name=name, image=IMAGE, scope=scope, privileged=privileged)
        file.write_text(text)
        return str(file)

    def view(self) -> dict[str, Any]:
        return self.cluster.host_view()

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Of the host's own audit log."""
        lines = (self.cluster.folder / "agent-audit" / "audit.log").read_text().splitlines()
        return [record for record in map(json.loads, lines) if record["kind"] == kind]


@pytest.fixture(scope="module")
def policed(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Policed]:
    engine.load_image(IMAGE)
    folder = Path(tmp_path_factory.mktemp("policed"))
    policies = folder / "policy.d"
    policies.mkdir(mode=0o755)
    made = policies / "50-host.yaml"
    made.write_text(POLICY.format(scope="cde"))
    options = f"policy_dir: {policies}\n"
    proof = folder / "segment.txt"
    proof.write_text("alone\n")
    cluster = OneHostCluster(folder / "c", engine.socket, agent_options=options)
    cluster.agent_controls = own_controls(folder / "controls", OWN_PROOF.format(path=proof))
    with cluster:
        proven = lambda: cluster.run("mark", "status").returncode == 0  # noqa: E731
        wait_until(proven, "the host proves what its scope needs", 20)
        yield Policed(cluster, made)
        cluster.stop()
        cluster.remove_containers()


def test_a_refusal_is_told_before_and_after(policed: Policed) -> None:
    cluster, file = policed.cluster, policed.app("bad", privileged="true")
    done = cluster.run("plan", file)
    assert done.returncode == 1
    assert "web would be refused by the policy of box\n" in done.stdout
    assert f"  {RULE}\n" in done.stdout
    assert cluster.run("apply", "--timeout", "60s", file).returncode == 2

    why = f"refused by the host's policy: {RULE}"
    (instance,) = cluster.instances("bad")
    assert instance["why"] == why

    def explained() -> tuple[int, str]:
        done = cluster.look("explain", "bad", "--output", "json")
        (slot,) = json.loads(done.stdout)["services"][0]["slots"]
        return done.returncode, slot["why"]

    # It is tried again now and then, and that shows for the moment that it takes.
    wait_until(lambda: explained() == (1, why), "the refusal is explained", 10)
    assert [name for name in cluster.containers() if name.startswith("bad.")] == []
    refused = [one for one in policed.records("container.create") if one["subject"] == "bad/web.1"]
    assert {one["outcome"] for one in refused} == {"refused"}
    cluster.hullmark("rm", "--wait", "bad")
    fine = cluster.run("plan", policed.app("fine"), "--output", "json")
    document = json.loads(fine.stdout)
    assert (document["refused"], document["unjudged"]) == ([], [])


def test_what_is_out_of_scope_gets_no_place_here(policed: Policed) -> None:
    cluster = policed.cluster
    assert policed.view()["facts"]["scope"] == "cde"
    assert "scope cde" in cluster.hullmark("hosts")
    out = cluster.run("plan", policed.app("out", scope="out")).stdout
    assert "no place for web.1" in out
    assert "x-hullmark.scope: cde not asked for, host is cde" in out
    cluster.hullmark("apply", policed.app("cards"))
    (labels,) = (one["Config"]["Labels"] for one in cluster.containers().values())
    assert labels["io.hullmark.scope"] == "cde"

    policed.set_scope("out")
    wait_until(lambda: policed.view()["facts"]["scope"] == "out", "the host's scope is told", 20)
    wait_until(
        lambda: [one["code"] for one in policed.view()["problems"]] == ["policy.violation"],
        "what runs against the policy is told",
        30,
    )
    (instance,) = cluster.instances("cards")
    assert instance["status"]["phase"] == "running"
    assert instance["host"] == "box"
    assert "scope cde asked for, host is out" in cluster.run("plan", policed.app("more")).stdout
    policed.set_scope("cde")
    wait_until(lambda: not policed.view()["problems"], "all is well again", 30)
    cluster.hullmark("rm", "--wait", "cards")


def test_a_policy_that_cant_be_read_places_nothing_new(policed: Policed) -> None:
    policed.set_scope("5")
    wait_until(lambda: policed.view()["facts"]["scope"] == "unknown", "it is told", 30)
    out = policed.cluster.run("plan", policed.app("new")).stdout
    assert "its policy can't be read, so it starts nothing" in out
    policed.set_scope("cde")
    wait_until(lambda: not policed.view()["problems"], "all is well again", 30)


def test_exec_where_it_is_allowed_and_where_it_is_not(policed: Policed) -> None:
    cluster = policed.cluster
    for name in ("open", "shut"):
        cluster.hullmark("apply", policed.app(name))
    script = "echo out; echo err >&2; exit 7"
    asked = ("--ticket", "OPS-7", "--reason", "a look", "--", "sh", "-c", script)
    done = cluster.run("exec", "open/web", *asked)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    intent, outcome = policed.records("container.exec")
    assert (intent["stage"], outcome["stage"], outcome["of"]) == (
        "intent",
        "outcome",
        intent["seq"],
    )
    for one in (intent, outcome):
        assert one["by"]
        assert (one["actor"], one["subject"]) == ("human", "open/web.1")
        assert (one["ticket"], one["origin"]) == ("OPS-7", "local")
        assert one["fields"]["command"] == f"sh -c '{script}'"
    assert outcome["fields"]["exit_code"] == "7"

    done = cluster.run("exec", "shut/web", "--", "true")
    assert done.returncode == 2
    assert "exec.allowed: running commands in containers is not allowed here" in done.stderr
    refused = policed.records("container.exec")[-1]
    assert (refused["outcome"], refused["subject"]) == ("refused", "shut/web.1")

    began = time.monotonic()
    done = cluster.run("exec", "open/web", "--timeout", "1s", "--", "sleep", "300")
    assert done.returncode == 2
    assert "its time limit of 1 s" in done.stderr
    assert time.monotonic() - began < 15
    ended = policed.records("container.exec")[-1]
    assert (ended["outcome"], "time limit" in ended["reason"]) == ("failure", True)
    time.sleep(3)  # as long as it takes to be told
    assert policed.records("unmanaged.exec") == []
    for name in ("open", "shut"):
        cluster.hullmark("rm", "--no-wait", name)
