"""Who starts a container again, and when: decision 2, row by row."""

from __future__ import annotations

import os
import signal

from tests.cluster import OneHostCluster, wait_until
from tests.e2e.apps import apply_sleeper, processes
from tests.e2e.conftest import IMAGE
from tests.integration import process
from tests.integration.engines import Engine


def kill(pid: int) -> None:
    found = process.identity(pid)
    os.kill(pid, signal.SIGKILL)
    if found is not None:
        process.wait_for_end(found)


def test_a_crash_with_the_agent_up(own: OneHostCluster) -> None:
    apply_sleeper(own, IMAGE)
    ((name, pid),) = processes(own).items()
    kill(pid)
    wait_until(lambda: processes(own).get(name, pid) != pid, "it runs again")

    def told() -> bool:
        return bool(own.instances("sleeper")[0]["status"]["restarts"] >= 1)

    wait_until(told, "the restart is told")


def test_a_crash_with_the_agent_down(own: OneHostCluster) -> None:
    apply_sleeper(own, IMAGE, replicas=2)
    before = processes(own)
    own.agent.kill()
    (crashed, pid), (other, other_pid) = sorted(before.items())
    kill(pid)
    wait_until(lambda: processes(own) == {other: other_pid}, "the engine sees the end")
    assert not own.containers()[crashed]["State"]["Running"], "nobody but the agent starts it"
    own.agent.start()
    wait_until(lambda: len(processes(own)) == 2, "the agent starts it again")
    assert processes(own)[other] == other_pid


def test_after_a_reboot_without_a_leader(own: OneHostCluster, engine: Engine) -> None:
    """All processes of the host are gone; the engine and the agent come up, no master does."""
    apply_sleeper(own, IMAGE, replicas=2)
    before = processes(own)
    own.master.kill()
    own.agent.kill()
    engine.kill()
    for pid in before.values():
        kill(pid)
    engine.start()
    wait_until(lambda: not processes(own), "nothing runs after the boot", 60)
    own.agent.start()
    wait_until(lambda: set(processes(own)) == set(before), "all of it runs again", 60)
    own.master.start()
    own.wait_for_host()
    assert own.json("orphans")["orphans"] == []


def test_after_the_agent_was_removed(own: OneHostCluster) -> None:
    apply_sleeper(own, IMAGE)
    before = processes(own)
    own.agent.kill(signal.SIGTERM)
    assert processes(own) == before, "what runs goes on running"
