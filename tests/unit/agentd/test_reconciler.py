"""The reconciler around an engine in memory."""

from __future__ import annotations

import dataclasses
import random
import tempfile
from pathlib import Path
from typing import Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.agentd.crew import UNRECORDED_RETRY_S, Pools
from hullmark.engine.protocol import ContainerState
from hullmark.errors import AuditUnavailable, EngineUnavailable, HullmarkError, Refused
from hullmark.model.app import (
    Attachment,
    Mount,
    MountKind,
    Restart,
    RestartCondition,
    Volume,
)
from hullmark.model.epoch import Epoch
from hullmark.model.host import Listener
from hullmark.model.orders import InstanceId, Orders, PublishedPort
from tests.unit.agentd.fakes import (
    Agent,
    FakeEngine,
    Inline,
    Parked,
    bundle_of,
    orders_of,
    shows_itself,
)

WEB, WEB2 = InstanceId("shop", "web", 1, 1), InstanceId("shop", "web", 2, 1)
NEXT = InstanceId("shop", "web", 1, 2)
NAME = WEB.container_name


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path / "agent")


def test_an_instance_is_made_once_and_runs(agent: Agent) -> None:
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    assert agent.engine.calls == [("create", NAME), ("start", NAME)]
    assert agent.phases() == {NAME: "running"}
    assert agent.kinds() == ["instance.started"]


def test_what_the_log_does_not_take_is_put_off_and_no_failure_of_the_instance(
    agent: Agent,
) -> None:
    agent.engine.trouble = lambda method: AuditUnavailable("full") if method == "create" else None
    agent.accept(orders_of([(WEB, bundle_of())]))
    for _ in range(20):
        agent.settle()
        agent.clock.now += 60
    assert agent.engine.calls == []
    assert agent.kinds() == []
    agent.engine.trouble = lambda method: None
    agent.clock.now += UNRECORDED_RETRY_S
    agent.settle()
    assert agent.engine.running() == {NAME}


def test_instances_of_one_spec_share_its_image_check_and_network(agent: Agent) -> None:
    bundle = bundle_of(networks=(Attachment("default"),))
    agent.accept(orders_of([(WEB, bundle), (WEB2, bundle)]))
    agent.settle()
    assert agent.engine.running() == {NAME, WEB2.container_name}
    assert agent.engine.asked.count("has_image") == 1
    assert agent.engine.asked.count("ensure_network") == 1


def test_while_events_come_only_what_they_name_is_looked_at(agent: Agent) -> None:
    agent.accept(orders_of([(WEB, bundle_of()), (WEB2, bundle_of())]))
    agent.settle()
    agent.observer.follow(True)
    agent.clock.now += 2
    agent.reconciler.turn()
    agent.engine.asked.clear()
    agent.reconciler.turn()
    assert set(agent.engine.asked) == {"info"}
    agent.engine.crash(NAME)
    agent.observer.mark(agent.engine.named(NAME).container_id)
    agent.reconciler.turn()
    assert agent.engine.asked.count("container") == 1
    assert "listed" not in agent.engine.asked
    assert agent.phases()[NAME] == "backoff"
    agent.clock.now += 61
    agent.reconciler.turn()
    assert "listed" in agent.engine.asked, "all are listed now and then in any case"


def test_a_container_whose_port_is_on_an_address_that_is_gone_is_made_anew(agent: Agent) -> None:
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    agent.engine.crash(NAME)
    gone = Refused("listen tcp4 192.0.2.7:80: bind: cannot assign requested address")
    agent.engine.trouble = lambda method: gone if method == "start" else None
    agent.settle()
    agent.clock.now += 1.0
    agent.settle()
    assert agent.engine.calls[-1] == ("remove", NAME)
    agent.engine.trouble = lambda method: None
    agent.engine.calls.clear()
    agent.clock.now += 61.0
    agent.settle()
    assert agent.engine.calls == [("create", NAME), ("start", NAME)]
    assert agent.phases() == {NAME: "running"}


def test_a_crashed_instance_comes_back_after_its_delay(agent: Agent) -> None:
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    agent.engine.crash(NAME, 3)
    wait_s = agent.reconciler.turn()
    assert agent.phases() == {NAME: "backoff"}
    assert 0 < wait_s <= 1.0
    agent.clock.now += 1.0
    agent.settle()
    assert agent.phases() == {NAME: "running"}
    state = agent.board.state
    assert state is not None
    assert state.instances[NAME].restarts == 1
    assert agent.kinds() == ["instance.started", "instance.ended", "instance.started"]


def test_after_a_boot_everything_starts_from_the_disk_alone(agent: Agent) -> None:
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    agent.engine.crash(NAME, 255)
    again = Agent(agent.folder, agent.engine)
    again.leader.down = True
    again.settle()
    again.clock.now += 1.0
    again.settle()
    assert again.engine.running() == {NAME}


def test_counts_of_restarts_survive_the_agent(agent: Agent) -> None:
    policy = Restart(RestartCondition.ANY, delay_s=1.0, max_attempts=2)
    agent.accept(orders_of([(WEB, bundle_of(restart=policy))]))
    agent.settle()
    for _ in range(2):
        agent.engine.crash(NAME)
        agent.settle()
        agent.clock.now += 100
        agent.settle()
    agent.engine.crash(NAME)
    agent.settle()
    assert agent.phases() == {NAME: "failed"}
    again = Agent(agent.folder, agent.engine)
    again.settle()
    again.clock.now += 100
    again.settle()
    assert again.phases() == {NAME: "failed"}
    assert again.engine.running() == set()


def test_a_replaced_instance_is_stopped_once_the_new_image_is_here(agent: Agent) -> None:
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    newer = bundle_of(image="registry.test/web:2")
    agent.accept(orders_of([(NEXT, newer)], [WEB], revision=2))
    agent.settle()
    assert agent.engine.running() == {NAME}, "an image that can't be had leaves the old one running"
    agent.engine.registry.add("registry.test/web:2")
    agent.clock.now += 61
    agent.settle()
    assert agent.engine.running() == {NEXT.container_name}
    assert set(agent.phases()) == {NEXT.container_name}


def test_one_failed_pull_is_one_event_and_one_try_at_a_time(agent: Agent) -> None:
    gone = bundle_of(image="registry.test/gone:1")
    agent.accept(orders_of([(WEB, gone), (WEB2, gone)]))
    agent.settle()
    assert agent.engine.asked.count("pull") == 1
    assert agent.phases() == {NAME: "backoff", WEB2.container_name: "backoff"}
    assert agent.kinds() == ["instance.failed"]


def test_a_stale_order_during_a_pull_is_refused_and_nothing_is_made_under_a_passed_epoch(
    agent: Agent,
) -> None:
    agent.engine.registry.add("registry.test/web:2")
    bundle = bundle_of(image="registry.test/web:2")
    agent.accept(orders_of([(WEB, bundle)]))

    def meanwhile() -> None:
        assert not agent.ledger.accept(orders_of([], [WEB], epoch=Epoch(1, 0), leader="m2"))
        assert shows_itself(agent.ledger, Epoch(1, 2), "m2") == ""

    agent.engine.during_pull = meanwhile
    agent.settle()
    assert agent.engine.calls == [("pull", "registry.test/web:2")]
    assert "order.refused" in agent.kinds()
    agent.accept(orders_of([(WEB, bundle)], epoch=Epoch(1, 2), leader="m2"))
    agent.settle()
    assert [one.epoch for one in agent.engine.containers.values()] == [Epoch(1, 2)]
    assert agent.engine.asked.count("pull") == 1


def test_a_new_leader_neither_restarts_nor_doubles_what_runs(agent: Agent) -> None:
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    before = dict(agent.engine.containers)
    shows_itself(agent.ledger, Epoch(1, 2), "m1")
    agent.settle()
    agent.accept(orders_of([(WEB, bundle_of())], epoch=Epoch(1, 2)))
    agent.settle()
    assert agent.engine.containers == before


def test_a_container_half_made_under_the_old_leader_is_taken_over(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent")
    agent.accept(orders_of([(WEB, bundle_of())]))

    def new_leader(method: str) -> None:
        if method == "create":
            shows_itself(agent.ledger, Epoch(1, 2), "m2")

    agent.engine.after = new_leader
    agent.settle()
    assert agent.engine.named(NAME).state is ContainerState.CREATED
    agent.accept(orders_of([(WEB, bundle_of())], epoch=Epoch(1, 2), leader="m2"))
    agent.settle()
    assert agent.engine.calls == [("create", NAME), ("start", NAME)]


def test_a_leader_that_only_showed_itself_stops_no_restart_and_begins_nothing(
    agent: Agent,
) -> None:
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    agent.accept(orders_of([(WEB, bundle_of()), (WEB2, bundle_of())], revision=2))
    shows_itself(agent.ledger, Epoch(1, 2), "m2")
    agent.engine.crash(NAME)
    agent.settle()
    agent.clock.now += 1
    agent.settle()
    assert agent.engine.running() == {NAME}


def test_orders_older_than_a_containers_own_epoch_restart_nothing(agent: Agent) -> None:
    """As after a copy of an old disk was put back: the container tells what was accepted since."""
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    agent.engine.change(NAME, epoch=Epoch(1, 5))
    agent.engine.crash(NAME)
    agent.settle()
    agent.clock.now += 1
    agent.settle()
    assert agent.engine.running() == set()
    assert not agent.ledger.accept(orders_of([(WEB, bundle_of())], epoch=Epoch(1, 4)))


def test_an_app_removed_during_its_pull_is_not_made(tmp_path: Path) -> None:
    pulls, work = Parked(), Parked()
    agent = Agent(tmp_path / "agent", pools=Pools(work, pulls, Inline(), Inline()))
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.reconciler.turn()
    pulls.run()
    agent.reconciler.turn()
    agent.accept(orders_of([], [WEB], revision=2))
    work.run()
    agent.settle()
    assert agent.engine.calls == []


def test_an_action_that_ends_during_a_look_is_not_begun_again(tmp_path: Path) -> None:
    work = Parked()
    agent = Agent(tmp_path / "agent", pools=Pools(work, Inline(), Inline(), Inline()))
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.reconciler.turn()
    agent.reconciler.turn()
    assert len(work.waiting) == 1
    listed = agent.engine.listed

    def slow_look() -> object:
        rows = listed()
        work.run()
        return rows

    agent.engine.listed = slow_look  # type: ignore[assignment,method-assign]
    agent.reconciler.turn()
    assert work.waiting == []
    assert agent.kinds() == ["instance.started"]


def test_a_network_in_use_is_not_tried_in_a_loop(agent: Agent) -> None:
    agent.engine.network_names.add(("old", "default"))
    agent.engine.after = lambda method: agent.engine.network_names.add(("old", "default"))
    agent.accept(orders_of([]))
    for _ in range(10):
        agent.reconciler.turn()
    assert agent.engine.asked.count("remove_network") == 1
    agent.clock.now += 1.1
    agent.settle()
    assert agent.engine.asked.count("remove_network") == 2


def test_no_engine_is_one_problem_and_what_was_known_stands(agent: Agent) -> None:
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    agent.engine.trouble = lambda method: EngineUnavailable("gone", remedy="start it")
    waits = [agent.reconciler.turn() for _ in range(8)]
    longest = (0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0)
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest))
    assert agent.problem_codes() == {"engine.unavailable"}
    assert agent.phases() == {NAME: "running"}
    agent.engine.trouble = lambda method: None
    agent.settle()
    assert agent.problem_codes() == set()


def test_a_state_from_before_the_first_look_is_of_no_orders(agent: Agent) -> None:
    agent.accept(orders_of([], [WEB], revision=7))
    agent.engine.trouble = lambda method: EngineUnavailable("gone")
    agent.reconciler.turn()
    state = agent.board.state
    assert state is not None
    assert state.accepted_revision == 0, "else the tombstone's container would count as gone"


def test_an_engine_that_says_no_is_a_problem_too(agent: Agent) -> None:
    agent.engine.trouble = lambda method: Refused("500") if method == "listed" else None
    assert agent.reconciler.turn() <= 0.5
    assert agent.problem_codes() == set(), "once may be by chance"
    assert 0.5 <= agent.reconciler.turn() <= 1.0
    assert agent.problem_codes() == {"engine.refuses"}
    agent.engine.trouble = lambda method: None
    agent.reconciler.turn()
    assert agent.problem_codes() == set()


def test_damaged_orders_hold_everything_until_they_are_moved_away(agent: Agent) -> None:
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    for name in ("state-a.json", "state-b.json"):
        (agent.folder / name).write_text("broken")
    again = Agent(agent.folder, agent.engine)
    again.engine.crash(NAME)
    assert again.reconciler.turn() == 2.0
    assert again.problem_codes() == {"state.damaged"}
    state = again.board.state
    assert state is not None
    assert state.orphans == {}, "what nobody asked for is not known now"
    for name in ("state-a.json", "state-b.json"):
        (agent.folder / name).unlink()
    again.settle()
    assert again.problem_codes() == set()
    again.accept(orders_of([(WEB, bundle_of())], revision=2))
    again.settle()
    again.clock.now += 1
    again.settle()
    assert again.engine.running() == {NAME}


def test_a_volume_that_somebody_removed_is_told_when_it_is_made_anew(agent: Agent) -> None:
    data = Mount(MountKind.VOLUME, "/data", "data")
    bundle = bundle_of(mounts=(data,))
    bundle = dataclasses.replace(bundle, volumes={"data": Volume()})
    agent.accept(orders_of([(WEB, bundle)]))
    agent.settle()
    assert agent.kinds().count("volume.created") == 1
    agent.engine.volume_names.clear()
    del agent.engine.containers[agent.engine.named(NAME).container_id]
    agent.settle()
    assert agent.engine.volume_names == {("shop", "data")}
    assert agent.kinds().count("volume.created") == 2


def test_a_renamed_container_is_the_same_instance(agent: Agent) -> None:
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    before = agent.engine.named(NAME)
    agent.engine.containers[before.container_id] = dataclasses.replace(before, name="renamed")
    agent.observer.mark(before.container_id)
    agent.settle()
    assert list(agent.engine.containers) == [before.container_id], "no second one is made"
    agent.accept(orders_of([], [WEB], revision=2))
    agent.settle()
    assert agent.engine.containers == {}


def test_of_two_with_the_labels_of_one_instance_one_is_an_orphan(agent: Agent) -> None:
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    first = agent.engine.named(NAME)
    agent.engine.containers["twin"] = dataclasses.replace(
        first, container_id="twin", name="copied-by-somebody"
    )
    agent.observer.mark("twin")
    agent.settle()
    state = agent.board.state
    assert state is not None
    assert set(state.orphans) == {"copied-by-somebody"}
    assert set(agent.engine.containers) == {first.container_id, "twin"}


def test_what_others_do_to_a_container_is_told(agent: Agent) -> None:
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    del agent.engine.containers[agent.engine.named(NAME).container_id]
    agent.settle()
    assert agent.kinds() == ["instance.started", "instance.touched", "instance.started"]
    agent.accept(orders_of([], [WEB], revision=2))
    agent.settle()
    assert agent.kinds()[3:] == ["instance.removed"], "its own removal is nobody else's"


def random_orders(chance: random.Random, generation: int, buried: set[InstanceId]) -> Orders:
    assigned = []
    for slot in (1, 2, 3):
        if chance.random() < 0.8:
            number = generation if chance.random() < 0.4 else max(1, generation - 1)
            instance = InstanceId("shop", "web", slot, number)
            if instance not in buried:
                assigned.append((instance, bundle_of(image=f"localhost/web:{number % 2 + 1}")))
    names = {instance for instance, _ in assigned}
    buried -= names
    return orders_of(assigned, sorted(buried - names), revision=generation)


@given(st.integers(0, 1 << 32))
@settings(max_examples=20, deadline=None)
def test_it_converges_whatever_fails_and_removes_only_what_it_is_told(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        converges(Path(folder), random.Random(seed))


def converges(folder: Path, chance: random.Random) -> None:
    engine = FakeEngine()
    engine.images |= {"localhost/web:1", "localhost/web:2"}
    agent = Agent(folder, engine)
    failing = 0.3

    def trouble(method: str) -> Optional[HullmarkError]:
        if chance.random() < failing:
            return chance.choice((EngineUnavailable("gone"), Refused("no")))
        return None

    engine.trouble = trouble
    buried: set[InstanceId] = set()
    known: set[InstanceId] = set()
    allowed: set[str] = set()
    for generation in range(1, 6):
        orders = random_orders(chance, generation, buried)
        buried |= known - {one.instance for one in orders.assignments}
        orders = orders_of(
            [(one.instance, orders.bundles[one.spec_hash]) for one in orders.assignments],
            sorted(buried),
            revision=generation,
        )
        known |= {one.instance for one in orders.assignments}
        allowed |= {one.container_name for one in buried}
        agent.accept(orders)
        for _ in range(chance.randrange(8)):
            agent.reconciler.turn()
            agent.clock.now += chance.choice((0.0, 1.0, 70.0))
            if engine.running() and chance.random() < 0.2:
                engine.crash(chance.choice(sorted(engine.running())))
    failing = 0.0
    for _ in range(12):
        agent.settle()
        agent.clock.now += 70.0
    assert engine.running() == {one.instance.container_name for one in orders.assignments}
    assert {name for method, name in engine.calls if method == "remove"} <= allowed
    assert agent.problem_codes() == set()


def test_who_has_a_port_is_looked_up_at_once_when_a_start_fails_for_it(agent: Agent) -> None:
    agent.accept(orders_of([(WEB, bundle_of())]))
    agent.settle()
    gathered = agent.gathered
    agent.engine.crash(NAME, 1)
    agent.engine.trouble = lambda method: (
        Refused("Bind for 0.0.0.0:80 failed: port is already allocated")
        if method == "start"
        else None
    )
    agent.settle()
    agent.clock.now += 1.0
    agent.settle()
    assert agent.gathered == gathered + 1
    agent.settle()
    assert agent.gathered == gathered + 1, "once for each failure"


def detail_of(agent: Agent) -> str:
    state = agent.board.state
    assert state is not None
    return state.instances[NAME].detail


def test_who_has_the_port_is_said_where_it_is_seen(agent: Agent) -> None:
    (wanted,) = orders_of([(WEB, bundle_of())]).assignments
    port = dataclasses.replace(wanted, ports=(PublishedPort(80, 8080),))
    orders = dataclasses.replace(orders_of([(WEB, bundle_of())]), assignments=(port,))
    said = "listen tcp4 0.0.0.0:8080: bind: address already in use"
    agent.engine.trouble = lambda method: Refused(said) if method in ("run", "start") else None
    agent.listeners = (Listener(8081, "tcp", "0.0.0.0", "other"), Listener(8080, "udp", "", "dns"))
    agent.accept(orders)
    agent.settle()
    assert detail_of(agent) == said
    agent.listeners += (Listener(8080, "tcp", "0.0.0.0", "python"),)
    for _ in range(3):
        agent.clock.now += 70.0
        agent.settle()
        assert detail_of(agent) == f"port 8080/tcp taken by process python: {said}"
