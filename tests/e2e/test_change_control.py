"""Change control with a real master, agent and engine: two people at the terminal, sudo, and a master that is killed."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import OneHostCluster, wait_until
from tests.e2e.apps import SLEEPER, processes
from tests.e2e.auditlog import records
from tests.e2e.conftest import IMAGE

pytestmark = pytest.mark.one_engine(together=True)

ANNA, BERT = 1201, 1202
"""Logins of people, who are root by sudo: the system has no names for them."""
LOGIN = Path("/proc/self/loginuid")
ROUNDS = 4
RULES = """\
freezes:
  always: {begins: 2000-01-01T00:00}
rules:
  - name: frozen
    apps: [frozen-*]
    freeze: [always]
  - name: the rest
    changes: [apply, scale, remove, token]
    ticket: CHG-[0-9]+
    approval: true
"""


def logged_in(uid: int) -> Callable[[], None]:
    """For `preexec_fn`: what pam_loginuid does at a login."""

    def log_in() -> None:
        descriptor = os.open(LOGIN, os.O_WRONLY)
        os.write(descriptor, str(uid).encode())
        os.close(descriptor)

    return log_in


def begin(cluster: OneHostCluster, uid: int, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        cluster.command(*arguments),
        env={**os.environ, "HULLMARK_MASTER": cluster.master_socket},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=logged_in(uid),
    )


def says(cluster: OneHostCluster, uid: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What the command line says to this person. Its exit code is the caller's to judge."""
    process = begin(cluster, uid, *arguments)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def held(done: subprocess.CompletedProcess[str]) -> str:
    """The id of the change that waits."""
    assert done.returncode == 1, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "hullmark.held/1"
    return str(document["change"])


@pytest.fixture
def ruled(own: OneHostCluster, tmp_path: Path) -> OneHostCluster:
    if not LOGIN.exists():
        pytest.skip("this kernel keeps no logins (CONFIG_AUDITSYSCALL)")
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    done = says(own, ANNA, "change-control", "apply", str(rules), "--ticket", "CHG-1")
    assert done.returncode == 0, done.stderr
    return own


def test_two_people_at_the_terminal(ruled: OneHostCluster) -> None:
    cluster = ruled
    file = cluster.folder / "sleeper.yaml"
    file.write_text(
        SLEEPER.format(name="sleeper", image=IMAGE, replicas=1, pull="missing", round="hunter2")
    )
    apply = ("apply", str(file), "--ticket", "CHG-2")

    told = says(cluster, ANNA, *apply)
    assert told.returncode == 1
    change = re.search(r"hullmark approve ([0-9a-f]{8})", told.stdout)
    assert change is not None, told.stdout
    assert "sleeper  apply waits for approval until" in told.stdout
    own_word = says(cluster, ANNA, "approve", change[1])
    assert (own_word.returncode, own_word.stdout) == (2, "")
    assert "asked for change" in own_word.stderr
    assert "can't approve it" in own_word.stderr
    seen = says(cluster, BERT, "changes", "show", change[1], "--output", "json")
    assert json.loads(seen.stdout)["by"] == f"uid {ANNA}"
    assert "hunter2" not in seen.stdout + told.stdout
    assert says(cluster, BERT, "changes", "refuse", change[1]).returncode == 0

    waits = begin(cluster, ANNA, *apply, "--wait", "--timeout", "60s")
    listed = wait_until(
        lambda: json.loads(says(cluster, BERT, "changes", "-o", "json").stdout)["changes"],
        "the change waits",
    )
    assert not processes(cluster)
    done = says(cluster, BERT, "approve", listed[0]["change"])
    assert done.returncode == 0, done.stderr
    out, err = waits.communicate(timeout=60)
    assert (waits.returncode, out[:29]) == (0, "sleeper  applied, generation "), out + err
    assert len(processes(cluster)) == 1
    newest = cluster.json("rollout", "history", "sleeper")["generations"][0]["change"]
    assert (newest["by"], newest["approved_by"]) == (f"uid {ANNA}", f"uid {BERT}")
    started = [
        one
        for one in records(cluster.folder / "agent-audit")
        if one.entry.kind == "container.start"
    ]
    assert {one.entry.by for one in started} == {f"uid {ANNA}"}
    assert {one.entry.ticket for one in started} == {"CHG-2"}
    assert {one.entry.fields["approved_by"] for one in started} == {f"uid {BERT}"}

    nobody = cluster.run("approve", listed[0]["change"])  # without a login
    assert nobody.returncode == 2
    frozen = cluster.folder / "frozen.yaml"
    frozen.write_text(file.read_text().replace("sleeper", "frozen-app"))
    done = says(cluster, ANNA, "apply", str(frozen), "--ticket", "CHG-3", "--no-wait")
    assert done.returncode == 2
    assert "allows no change in the freeze window 'always'" in done.stderr


def test_a_master_that_is_killed_between_approval_and_change(ruled: OneHostCluster) -> None:
    """Whenever it dies the change is made once, and what waited is done with it, or still waits."""
    cluster, chance = ruled, random.Random(17)
    file = cluster.folder / "sleeper.yaml"
    lives = []
    for number in range(1, ROUNDS + 1):
        text = SLEEPER.format(name="sleeper", image=IMAGE, replicas=0, pull="missing", round=number)
        file.write_text(text)
        apply = ("apply", str(file), "--ticket", f"CHG-{number}", "-o", "json")
        change = held(says(cluster, ANNA, *apply))
        approval = begin(cluster, BERT, "approve", change)
        time.sleep(chance.uniform(0.1, 0.5))
        lives.append(cluster.master.pid)
        cluster.master.kill()
        cluster.master.start()
        cluster.wait_for_master()
        approval.communicate(timeout=60)
        if approval.returncode:
            again = says(cluster, BERT, "approve", change)
            assert again.returncode == 0 or "is done" in again.stderr, again.stderr
        detail: Any = json.loads(
            says(cluster, BERT, "changes", "show", change, "-o", "json").stdout
        )
        assert detail["state"] == "done"
        history = cluster.json("rollout", "history", "sleeper")["generations"]
        assert len(history) == number
        assert history[0]["change"]["ticket"] == f"CHG-{number}"
    assert len({*lives, cluster.master.pid}) == ROUNDS + 1, "each kill was one"
