"""An agent that starts, or finds itself, where something is wrong: it says what and what to do, harms nothing
that runs, and goes on by itself once that is mended.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hullmark.agentd import enrolment
from hullmark.pki import certificates
from hullmark.pki.authority import Authority
from tests.cluster import Daemon, OneHostCluster, wait_until
from tests.e2e.apps import (
    apply_sleeper,
    problems,
    processes,
    wait_for_problem,
    wait_until_mended,
)
from tests.e2e.conftest import IMAGE
from tests.integration.engines import ENGINES, Engine

pytestmark = pytest.mark.one_engine

FAKETIME = f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketime.so.1"


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_no_engine(fresh_engine, tmp_path: Path, name: str) -> None:
    engine: Engine = fresh_engine(name)
    engine.load_image(IMAGE)
    engine.terminate()
    with OneHostCluster(tmp_path / "c", engine.socket) as cluster:
        assert engine.socket in wait_for_problem(cluster, "engine.unavailable")
        assert cluster.run("status").returncode == 1
        apply_sleeper(cluster, IMAGE, pull="never", wait=False)
        engine.start()
        wait_until(lambda: processes(cluster), "the app runs once the engine is there", 60)
        wait_until_mended(cluster)
        pids = processes(cluster)
        engine.kill()
        wait_for_problem(cluster, "engine.unavailable")
        engine.start()
        wait_until_mended(cluster)
        assert processes(cluster) == pids, "the engine's restart is no reason to restart anything"
        cluster.stop()
        cluster.remove_containers()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB; `fill` it with a file."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all that is left."""
    ballast = folder / "ballast"
    free_bytes = shutil.disk_usage(folder).free
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free_bytes)
    assert shutil.disk_usage(folder).free == 0
    return ballast


def test_no_disk_space(engine: Engine, tmp_path: Path, small_disk: Path) -> None:
    engine.load_image(IMAGE)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "agent").symlink_to(small_disk)
    with OneHostCluster(tmp_path / "c", engine.socket) as cluster:
        apply_sleeper(cluster, IMAGE)
        before = processes(cluster)
        ballast = fill(small_disk)
        apply_sleeper(cluster, IMAGE, replicas=2, wait=False)
        message = wait_for_problem(cluster, "state.write")
        assert "No space left" in message
        assert "df " in message
        assert processes(cluster) == before, "orders that aren't on the disk are not acted on"
        cluster.agent.kill()
        cluster.agent.start()
        wait_for_problem(cluster, "state.write")
        assert processes(cluster) == before
        ballast.unlink()
        wait_until(lambda: len(processes(cluster)) == 2, "the orders are carried out", 60)
        assert before.items() <= processes(cluster).items()
        wait_until_mended(cluster)
        cluster.stop()
        cluster.remove_containers()


def test_one_damaged_copy_of_the_state(own: OneHostCluster) -> None:
    apply_sleeper(own, IMAGE)
    before = processes(own)
    own.agent.kill()
    damage(own.folder / "agent" / "state-a.json")
    own.agent.start()
    own.wait_for_host()
    apply_sleeper(own, IMAGE, replicas=2)
    assert before.items() <= processes(own).items()
    assert problems(own) == {}


def test_a_damaged_state(own: OneHostCluster) -> None:
    apply_sleeper(own, IMAGE)
    before = processes(own)
    own.agent.kill()
    files = [own.folder / "agent" / f"state-{letter}.json" for letter in "ab"]
    for file in files:
        damage(file)
    own.agent.start()
    message = wait_for_problem(own, "state.damaged")
    assert "state-a.json" in message
    assert "mv " in message
    apply_sleeper(own, IMAGE, replicas=2, wait=False)
    time.sleep(3)
    assert processes(own) == before, "nothing is done while it isn't known what was accepted"
    for file in files:
        file.rename(own.folder / file.name)
    wait_until(lambda: len(processes(own)) == 2, "the agent goes on by itself", 60)
    assert before.items() <= processes(own).items()
    wait_until_mended(own)


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x55
    file.write_bytes(bytes(content))


class Clock:
    """The agent's wall clock, `offset` away from the right one. Its monotonic clock is not touched."""

    def __init__(self, agent: Daemon, file: Path) -> None:
        self.file = file
        self.set("+0")
        agent.environment = {
            "LD_PRELOAD": FAKETIME,
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    def set(self, offset: str) -> None:
        self.file.write_text(f"{offset}\n")


@pytest.fixture
def clock(own: OneHostCluster) -> Clock:
    assert Path(FAKETIME).exists(), "run `make setup-engines`"
    clock = Clock(own.agent, own.folder / "clock")
    own.agent.kill(signal.SIGTERM)
    own.agent.start()
    own.wait_for_host()
    return clock


def test_a_clock_that_is_a_little_wrong(own: OneHostCluster, clock: Clock) -> None:
    clock.set("+10m")
    message = wait_for_problem(own, "clock.wrong")
    assert "ahead of" in message
    assert "chronyc" in message or "timedatectl" in message
    apply_sleeper(own, IMAGE)  # the work goes on: nothing is decided by the wall clock
    clock.set("+0")
    wait_until_mended(own)


def test_a_clock_beyond_the_certificates_life(own: OneHostCluster, clock: Clock) -> None:
    """Also what an expired certificate looks like to the agent."""
    apply_sleeper(own, IMAGE)
    name, pid = next(iter(processes(own).items()))
    clock.set("+400d")
    told = ("expired", "hullmark invite", "clock")

    def says_so() -> bool:
        text = own.agent.log.read_text()
        return all(words in text for words in told)

    wait_until(says_so, "the agent says so, and what to do", 30)
    assert processes(own) == {name: pid}
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: processes(own).get(name, pid) != pid, "a crash is mended meanwhile", 30)
    clock.set("+0")
    own.wait_for_host(60)
    wait_until_mended(own)


def test_an_expired_certificate(own: OneHostCluster) -> None:
    """A real one; enrolling again mends it while the agent runs."""
    apply_sleeper(own, IMAGE)
    before = processes(own)
    own.agent.kill(signal.SIGTERM)
    expire_certificate(own)
    own.agent.start()
    wait_until(lambda: "expired" in own.agent.log.read_text(), "the agent says so", 30)
    apply_sleeper(own, IMAGE, replicas=2, wait=False)
    time.sleep(1)
    assert processes(own) == before
    own.enroll("--force")
    wait_until(lambda: len(processes(own)) == 2, "the agent goes on by itself", 60)
    assert before.items() <= processes(own).items()
    wait_until_mended(own)


def expire_certificate(cluster: OneHostCluster) -> None:
    """Give the host a certificate of the cluster's own authority whose life is over."""
    folder = cluster.folder / "agent"
    record = json.loads((folder / enrolment.RECORD).read_text())
    key = certificates.load_key(folder / enrolment.KEY)
    request = certificates.new_request(key, cluster.host).decode()
    authority = Authority.load(cluster.folder / "master" / "pki")
    a_day_ago = time.time() - 86400
    chain = authority.issue_host(request, record["cluster_id"], record["host_id"], a_day_ago, 3600)
    (folder / enrolment.CERTIFICATE).write_bytes(chain)
    first, last = certificates.validity(certificates.load_chain(chain, "new")[0])
    assert last < time.time()
    record.update(valid_from=first, valid_until=last)
    (folder / enrolment.RECORD).write_text(json.dumps(record))


def test_a_second_agent_on_the_same_host(own: OneHostCluster) -> None:
    second = subprocess.run(
        own.agent.command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
    )
    assert second.returncode == 2, second.stderr
    assert "another agent" in second.stderr
    apply_sleeper(own, IMAGE)
