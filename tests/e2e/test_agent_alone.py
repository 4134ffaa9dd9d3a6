"""What an agent does by itself: without a leader, with two instances of one slot, with a new certificate.

`lost_after` is shorter here than by default. Times are the engine's own; the measured ones are printed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from hullmark.agentd import enrolment, hearing
from hullmark.agentd.identity import Identity
from hullmark.agentd.link import Link
from hullmark.errors import Forbidden
from hullmark.model.protocol import ORDERS_PATH, OrdersAnswer
from tests.cluster import OneHostCluster, wait_until
from tests.e2e.apps import apply_sleeper, problems, processes
from tests.e2e.conftest import IMAGE
from tests.e2e.history import Happening, History, doubled
from tests.integration.engines import Engine

LOST_AFTER_S = 4.0
GRACE_S = 1.0
STOPS_WITHIN_S = 5.0  # docs/architecture.md, "When a host is not heard"
BACK_WITHIN_S = 3.0 + 3.0
"""The longest wait before an agent tries a leader again, and a margin for a busy machine."""

ALONE = """\
name: alone
services:
  once: &service
    image: {image}
    pull_policy: never
    init: true
    command: [sleep, "100000"]
    stop_grace_period: {grace_s:g}s
    restart: always
    x-hullmark: {{on_host_lost: stop}}
  steady:
    <<: *service
    x-hullmark: {{on_host_lost: keep}}
"""


@pytest.fixture
def strict(engine: Engine, tmp_path: Path) -> Iterator[OneHostCluster]:
    """A cluster whose leader soon takes hosts for lost."""
    engine.load_image(IMAGE)
    cluster = OneHostCluster(tmp_path / "c", engine.socket)
    cluster.master_options = f"lost_after: {LOST_AFTER_S:g}s\n"
    with cluster:
        yield cluster
        cluster.stop()
        cluster.remove_containers()


def of(happenings: list[Happening], slot: str, action: str) -> list[Happening]:
    return [one for one in happenings if (one.slot, one.action) == (slot, action)]


def heard_at(cluster: OneHostCluster) -> float:
    """When the agent heard a leader last, as it keeps it; by the wall clock."""
    stored = json.loads((cluster.folder / "agent" / hearing.FILE).read_text())
    return float(stored["heard_at"]) - hearing.boot_clock() + time.time()


@pytest.mark.parametrize("way", ["the master is killed", "it hangs, and the agent is killed"])
def test_stop_where_no_leader_is_heard(strict: OneHostCluster, way: str) -> None:
    file = strict.folder / "alone.yaml"
    file.write_text(ALONE.format(image=IMAGE, grace_s=GRACE_S))
    strict.hullmark("apply", "--wait", str(file))
    before = processes(strict, "alone")
    hangs = way.startswith("it hangs")
    with History(strict.engine_socket, strict.cluster_id) as history:
        cut_at = time.time()
        if hangs:
            os.kill(strict.master.pid, signal.SIGSTOP)
            time.sleep(1)
            kill_agent(strict)
        else:
            strict.master.kill()
        stopped = wait_until(
            lambda: of(history.happenings(), "alone/once.1", "die"),
            "the agent stops it",
            LOST_AFTER_S + GRACE_S + STOPS_WITHIN_S + 1,
        )[0]
        stopped_at, alone_since = stopped.at_ns / 1e9, heard_at(strict)
        print(f"MEASURED from the cut to the stop: {stopped_at - cut_at:.1f} s")
        assert alone_since <= cut_at, "nobody was heard after the cut"
        assert stopped_at - alone_since >= LOST_AFTER_S - 0.1, "not before its time"
        assert stopped_at - cut_at <= LOST_AFTER_S + GRACE_S + STOPS_WITHIN_S
        if hangs:
            kill_agent(strict)
        mends_a_crash(strict, "alone.steady.1.g1")
        assert list(processes(strict, "alone")) == ["alone.steady.1.g1"]
        assert strict.containers()["alone.once.1.g1"]["Id"] == stopped.container_id, "kept"
        assert not of(history.happenings(), "alone/once.1", "start")
        back_at = time.monotonic()
        if hangs:
            os.kill(strict.master.pid, signal.SIGCONT)
        else:
            strict.master.start()
            strict.wait_for_master()
        wait_until(lambda: len(processes(strict, "alone")) == 2, "it runs again", BACK_WITHIN_S)
        print(f"MEASURED from the leader's return to the start: {time.monotonic() - back_at:.1f} s")
        time.sleep(LOST_AFTER_S / 2)
        assert resumed_once(history.happenings(), stopped.container_id)
    assert processes(strict, "alone").keys() == before.keys()
    counted_as_nothing(strict)
    if not hangs:  # what an agent has not sent yet is lost with it
        told_why(strict)


def kill_agent(cluster: OneHostCluster) -> None:
    cluster.agent.kill()
    cluster.agent.start()


def mends_a_crash(cluster: OneHostCluster, name: str) -> None:
    """Shows that the agent acts, so that what it doesn't do means something."""
    pid = processes(cluster, "alone")[name]
    os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: processes(cluster, "alone").get(name, pid) != pid, "the agent mends a crash", 15
    )


def resumed_once(happenings: list[Happening], container_id: str) -> bool:
    """The same container was stopped and started, once, and nothing was made."""
    told = [one for one in happenings if one.slot == "alone/once.1"]
    return [(one.action, one.container_id) for one in told] == [
        ("die", container_id),
        ("start", container_id),
    ]


def counted_as_nothing(cluster: OneHostCluster) -> None:
    """Neither as a failure nor as a restart."""
    status = wait_until(lambda: running(cluster, "once"), "the leader knows that it runs", 15)
    assert status.get("restarts", 0) == 0
    assert wait_until(lambda: running(cluster, "steady"), "and the other")["restarts"] == 1
    rows = json.loads((cluster.folder / "agent" / "attempts.json").read_text())
    failures, restarts, reason, _, halted = rows["alone.once.1.g1"]
    assert (failures, restarts, reason, halted) == (0, 0, "", "")
    assert "instance.ended" not in dict(events(cluster))


def told_why(cluster: OneHostCluster) -> None:
    text = f"no leader heard for {LOST_AFTER_S:g} s (on_host_lost: stop)"
    assert ("instance.stopped", text) in events(cluster)


def events(cluster: OneHostCluster) -> list[tuple[str, str]]:
    """Kind and message of what is told of the instance."""
    found = cluster.json("events")["events"]
    return [(one["kind"], one["message"]) for one in found if "alone/once" in one["subject"]]


def running(cluster: OneHostCluster, service: str) -> Optional[dict[str, object]]:
    for one in cluster.instances("alone"):
        status: dict[str, object] = one["status"] or {}
        if one["service"] == service and status.get("phase") == "running":
            return status
    return None


BESIDE = """\
name: beside
services:
  s:
    image: {image}
    pull_policy: never
    init: true
    command: [sleep, "100000"]
    stop_grace_period: 1s
    environment: {{ROUND: "{number}"}}
    volumes: ['{gates}:/gates:ro']
    healthcheck:
      test: [CMD-SHELL, "test -e /gates/$$ROUND"]
      interval: 1s
      retries: 100
    deploy: {{update_config: {{order: start-first, monitor: 1s}}}}
"""
OLD, NEW = "beside.s.1.g1", "beside.s.1.g2"


@pytest.mark.one_engine
def test_two_generations_of_a_slot_side_by_side(strict: OneHostCluster, tmp_path: Path) -> None:
    """Start-first: the new one serves once its gate is open. Meanwhile agent and master are killed."""
    gates = tmp_path / "gates"
    gates.mkdir()

    def apply(number: int, *options: str) -> None:
        file = strict.folder / "beside.yaml"
        file.write_text(BESIDE.format(image=IMAGE, number=number, gates=gates))
        strict.hullmark("apply", *options, str(file))

    (gates / "1").touch()
    with History(strict.engine_socket, strict.cluster_id) as history:
        apply(1, "--wait")
        old = processes(strict, "beside")
        assert list(old) == [OLD]
        apply(2, "--no-wait")
        wait_until(lambda: len(processes(strict, "beside")) == 2, "both run")
        both = processes(strict, "beside")
        assert both == {**old, NEW: both[NEW]}
        kill_agent(strict)
        strict.master.kill()
        strict.master.start()
        strict.wait_for_host()
        time.sleep(2)
        assert processes(strict, "beside") == both, "nothing goes before its successor serves"
        (gates / "2").touch()
        wait_until(lambda: OLD not in strict.containers(), "the former one is removed", 30)
        time.sleep(2)
        happenings = history.happenings()
    assert processes(strict, "beside") == {NEW: both[NEW]}, "only the former one was stopped"
    assert len(list(doubled(happenings))) == 1, "they did run side by side"
    done = [one.action for one in happenings if one.action != "create"]
    assert done == ["start", "start", "die", "destroy"]


@pytest.mark.one_engine
def test_a_renewal_drops_no_poll(engine: Engine, tmp_path: Path) -> None:
    """The former certificate is refused once the daemon has used the new one, and its polls go on."""
    engine.load_image(IMAGE)
    hold_s = 1.0
    with OneHostCluster(
        tmp_path / "c", engine.socket, agent_options=f"poll_hold: {hold_s:g}s\n"
    ) as own:
        apply_sleeper(own, IMAGE)
        before = processes(own)
        former = copied(own.folder / "agent", tmp_path / "former")
        former.call(ORDERS_PATH, {}, OrdersAnswer, 5.0)
        known = enrolment.load(own.folder / "agent")
        said_before = own.agent.log.read_text()
        with Silence(own) as silence:
            for renewals in (1, 2):
                text = own.hullmark("agent", "renew", "--config", str(own.agent_config))
                renewed = enrolment.load(own.folder / "agent")
                day = time.strftime("%Y-%m-%d", time.gmtime(renewed.valid_until))
                assert f"host box is good until {day}" in text
                assert renewed.pair == f"host-{renewals + 1}"
                time.sleep(1.5 * hold_s)
        assert silence.samples > 4
        assert silence.states == {"ready"}
        print(f"MEASURED longest silence while renewing: {silence.longest_s:.1f} s")
        assert silence.longest_s < hold_s + 0.7, "a poll was dropped"
        assert (renewed.host_id, renewed.valid_until >= known.valid_until) == (known.host_id, True)
        with pytest.raises(Forbidden, match="a newer one was made"):
            former.call(ORDERS_PATH, {}, OrdersAnswer, 5.0)
        apply_sleeper(own, IMAGE, replicas=2)
        assert before.items() <= processes(own).items()
        assert own.agent.log.read_text()[len(said_before) :].count("problem code=") == 0
        assert problems(own) == {}
        own.stop()
        own.remove_containers()


def copied(folder: Path, to: Path) -> Link:
    """A link with what the folder has now of certificate and key."""
    shutil.copytree(folder, to)
    return Link(Identity(to))


class Silence:
    """The longest time for which the leader did not hear the host, from `__enter__` to `__exit__`."""

    def __init__(self, cluster: OneHostCluster) -> None:
        self.longest_s = 0.0
        self.samples = 0
        self.states: set[str] = set()
        self._cluster = cluster
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Silence:
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._over.set()
        self._thread.join(30)

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            view = self._cluster.host_view()
            self.states.add(view["state"])
            self.longest_s = max(self.longest_s, view["heard_s"])
            self.samples += 1


@pytest.mark.one_engine
def test_enrolling_again_adopts_the_containers(strict: OneHostCluster) -> None:
    """Also of a host that has lost all its files: as the host that it was, and nothing is made or started again."""
    apply_sleeper(strict, IMAGE, replicas=2)
    before, host_id = processes(strict), strict.host_view()["host_id"]
    with History(strict.engine_socket, strict.cluster_id) as history:
        strict.agent.kill()
        shutil.rmtree(strict.folder / "agent")
        strict.enroll()
        strict.agent.start()
        wait_until(lambda: strict.host_view()["state"] == "ready", "the host is heard")
        apply_sleeper(strict, IMAGE, replicas=3)
        time.sleep(1)
        made = [one.action for one in history.happenings()]
    assert made == ["create", "start"], "only what was asked for now"
    assert before.items() <= processes(strict).items()
    assert len(processes(strict)) == 3
    assert (strict.host_view()["host_id"], len(strict.host_views())) == (host_id, 1)
    assert strict.run("status").returncode == 0
