"""What runs already when its host's policy forbids it: said, left running, not started again, and stopped only where the policy says so."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import OneHostCluster, wait_until
from tests.e2e.apps import apply_sleeper, problems, processes, wait_for_problem, wait_until_mended
from tests.e2e.conftest import IMAGE
from tests.integration.engines import Engine

pytestmark = pytest.mark.one_engine(together=True)

NOBODY_AS_ROOT = "user: {root: false}\n"


@pytest.fixture
def policed(engine: Engine, tmp_path: Path) -> Iterator[OneHostCluster]:
    engine.load_image(IMAGE)
    (tmp_path / "policy.d").mkdir(mode=0o755)
    options = f"policy_dir: {tmp_path}/policy.d\n"
    with OneHostCluster(tmp_path / "c", engine.socket, agent_options=options) as cluster:
        yield cluster
        cluster.stop()
        cluster.remove_containers()


def write(cluster: OneHostCluster, text: str) -> None:
    (cluster.folder.parent / "policy.d" / "10-host.yaml").write_text(text)


def detail(cluster: OneHostCluster) -> str:
    """What `ps` says of instances that don't run."""
    return " ".join(str(one) for one in cluster.instances("sleeper"))


def test_a_violator_goes_on_until_it_ends_or_the_policy_stops_it(policed: OneHostCluster) -> None:
    apply_sleeper(policed, IMAGE, replicas=2)
    before = processes(policed)
    write(policed, NOBODY_AS_ROOT)
    said = wait_for_problem(policed, "policy.violation")
    assert "user.root: would run as user 0" in said
    assert "10-host.yaml:1" in said
    # One that the engine did not tell of in time follows.
    wait_until(
        lambda: all(name in problems(policed).get("policy.violation", "") for name in before),
        "both are named",
        seen=lambda: problems(policed),
    )
    assert processes(policed) == before
    file, config = str(policed.folder / "sleeper.yaml"), str(policed.agent_config)
    told = policed.run("policy", "test", "--config", config, file)
    assert (told.returncode, told.stderr) == (1, "")
    assert told.stdout.startswith("sleeper/s  refused\n  user.root: would run as user 0")
    killed, kept = sorted(before)
    os.kill(before[killed], signal.SIGKILL)
    wait_until(lambda: killed not in processes(policed), "the engine knows that it ended")
    wait_until(lambda: "10-host.yaml:1" in detail(policed), "its restart is refused, and said so")
    assert processes(policed) == {kept: before[kept]}
    write(policed, f"on_violation: stop\n{NOBODY_AS_ROOT}")
    wait_until(lambda: not processes(policed), "the other is stopped")
    assert set(policed.containers()) == set(before), "nothing was removed"
    records = (policed.folder / "agent-audit" / "audit.log").read_text().splitlines()
    found = [json.loads(line) for line in records]
    (stop,) = [one for one in found if one["kind"] == "container.stop" and one["stage"] == "intent"]
    assert (stop["by"], stop["subject"]) == ("hullmark", "sleeper/s.2")
    assert "on_violation: stop" in stop["reason"]
    assert {one["subject"] for one in found if one["kind"] == "policy.violation"} == {
        "sleeper/s.1",
        "sleeper/s.2",
    }
    write(policed, "{}\n")
    wait_until(lambda: set(processes(policed)) == set(before), "both run again", 60)
    wait_until_mended(policed)


def test_an_agent_with_a_policy_that_cannot_be_read_keeps_what_runs(
    policed: OneHostCluster,
) -> None:
    apply_sleeper(policed, IMAGE)
    before = processes(policed)
    policed.agent.kill()
    write(policed, "privilged: true\n")
    policed.agent.start()
    said = wait_for_problem(policed, "policy.invalid")
    assert "10-host.yaml:1" in said
    apply_sleeper(policed, IMAGE, name="late", wait=False)
    apply_sleeper(policed, IMAGE, replicas=2, wait=False)
    wait_until(lambda: policed.instances("late"), "the app is asked for")
    assert processes(policed) == before
    write(policed, "privileged: true\n")
    wait_until(lambda: len(processes(policed)) == 2, "it is mended without a reload", 60)
    wait_until(lambda: processes(policed, "late"), "the other app too", 60)
    assert before.items() <= processes(policed).items()
    assert "policy.invalid" not in problems(policed)
