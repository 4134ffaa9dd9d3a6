"""The mark: which hosts get new work by what they prove, and what of it is nobody's to stop."""

from __future__ import annotations

import dataclasses
from typing import Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core.explain import explanation
from hullmark.core.generations import taken_back
from hullmark.core.loadline import Line, control_in, is_too_many, lack, named
from hullmark.core.schedule import plan
from hullmark.model.app import (
    App,
    ContainerSpec,
    DeployMode,
    DeploySpec,
    Mount,
    MountKind,
    Placement,
    Service,
    UpdateConfig,
    UpdateOrder,
    Volume,
)
from hullmark.model.change import Change
from hullmark.model.control import Status
from hullmark.model.explanation import SlotExplanation
from hullmark.model.host import Availability
from hullmark.model.loadline import Lack, LoadLine, LoadLineRecord, Override, Required
from hullmark.model.records import AppRecord
from tests.unit.core import markpromises, promises
from tests.unit.core.fleets import CHANGE
from tests.unit.core.markpromises import control, posture
from tests.unit.core.test_fleet_life import plain_world
from tests.unit.core.world import World

PASS, FAIL = Status.PASS, Status.FAIL
TRAIL = Required("audit-trail")
SET = LoadLineRecord(LoadLine((TRAIL,)), CHANGE)
DATA = (Mount(MountKind.VOLUME, "/data", "data"),)


def state_of(world: World, host_id: str, status: Status = PASS, level: int = 2) -> None:
    found = control("audit-trail-auditd", status, level, since=world.now, outage="o1")
    world.machines[host_id].posture = posture(found)


def web(image: str = "x:1", mounts: tuple[Mount, ...] = (), **deploy: object) -> Service:
    return Service(ContainerSpec(image, mounts=mounts), DeploySpec(**deploy))  # type: ignore[arg-type]


def shop(*services: tuple[str, Service]) -> App:
    return App("shop", dict(services), volumes={"data": Volume()})


def marked(count: int, *bad: int, record: LoadLineRecord = SET, drain: bool = False) -> World:
    """Hosts `id1` and so on, of which these fail the control that the cluster's mark asks for."""
    world = plain_world(count)
    world.checks += (*promises.ALL, *markpromises.ALL, promises.DataStays())
    if drain:
        world.checks.remove(promises.no_needless_move)
    world.loadline = record
    for number in range(1, count + 1):
        state_of(world, f"id{number}", FAIL if number in bad else PASS)
    world.pass_s(2.0)
    return world


def hosts_of(world: World, service: str = "web") -> list[str]:
    return sorted(host_id for host_id, item in world.running() if item.service == service)


def explained(world: World, service: str = "web") -> tuple[SlotExplanation, ...]:
    snapshot = world.snapshot()
    found = explanation(snapshot, plan(snapshot).unplaced, world.apps["shop"], service)
    return found.services[0].slots


# what one host proves


@pytest.mark.parametrize(
    ("name", "level", "status", "proven", "expected"),
    [
        ("audit-trail", 0, PASS, 2, None),
        ("audit-trail-auditd", 2, PASS, 2, None),
        ("audit-trail", 3, PASS, 2, Lack.LOW),
        ("audit-trail", 0, FAIL, 2, Lack.FAIL),
        ("audit-trail", 0, Status.ERROR, 2, Lack.ERROR),
        ("audit-trail", 0, Status.NOT_RUN, 2, Lack.NOT_RUN),
        ("audit-trail", 0, Status.NOT_APPLICABLE, 2, Lack.NOT_APPLICABLE),
        ("time", 0, PASS, 2, Lack.UNKNOWN),
        ("audit", 0, PASS, 2, Lack.UNKNOWN),
    ],
)
def test_only_a_pass_with_its_level_proves(
    name: str, level: int, status: Status, proven: int, expected: Optional[Lack]
) -> None:
    found = lack(Required(name, level), posture(control("audit-trail-auditd", status, proven)))
    assert (None if found is None else found.lack) is expected


def test_controls_of_one_function_stand_for_each_other() -> None:
    both = posture(control("time-chrony", FAIL), control("time-timesyncd", PASS))
    assert lack(Required("time"), both) is None
    found = lack(Required("time-chrony"), both)
    assert found is not None
    assert found.lack is Lack.FAIL
    found = lack(
        Required("time"),
        posture(control("time-chrony", FAIL), control("time-ntp", Status.NOT_APPLICABLE)),
    )
    assert found is not None
    assert (found.carrier, found.lack) == ("time-chrony", Lack.FAIL)


def test_a_host_that_says_nothing_proves_nothing() -> None:
    found = lack(TRAIL, None)
    assert found is not None
    assert found.lack is Lack.UNKNOWN
    assert found.reason == "the host says nothing of its controls"


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True))
def test_a_nameis_found_in_what_is_said_of_it(name: str) -> None:
    assert control_in(f"control {named(name)} FAILS") == name


@pytest.mark.parametrize(
    ("failing", "hosts", "expected"),
    [
        (1, 1, False),
        (1, 3, False),
        (2, 3, True),
        (2, 10, False),
        (3, 10, True),
        (6, 30, False),
        (7, 30, True),
    ],
)
def test_more_than_a_fifth_and_never_one_alone(failing: int, hosts: int, expected: bool) -> None:
    assert is_too_many(failing, hosts, 0.2) is expected


# who gets new work


def test_new_work_goes_where_the_namepasses() -> None:
    world = marked(6, 3)
    world.apply(shop(("web", web(replicas=10))))
    world.pass_s(3.0)
    assert len(hosts_of(world)) == 10
    assert "id3" not in hosts_of(world)


def test_a_service_may_ask_for_more() -> None:
    world = marked(6, 3, record=LoadLineRecord())
    asks = Placement(require=(Required("audit-trail", 3),))
    state_of(world, "id1", PASS, 3)
    world.loadline = LoadLineRecord(LoadLine(brake=1.0))
    world.apply(shop(("web", web(replicas=2, placement=asks)), ("free", web(replicas=6))))
    world.pass_s(3.0)
    assert hosts_of(world) == ["id1", "id1"]
    assert "id3" in hosts_of(world, "free")


def test_what_is_explained_names_control_and_incident() -> None:
    world = marked(1, 1)
    world.apply(shop(("web", web())))
    world.pass_s(2.0)
    snapshot = dataclasses.replace(world.snapshot(), incidents={"o1": 52})
    found = explanation(snapshot, plan(snapshot).unplaced, world.apps["shop"], "web")
    (slot,) = found.services[0].slots
    (refusal,) = slot.refusals
    assert (refusal.filter, refusal.hosts) == ("mark", ("h1",))
    assert refusal.text == 'control "audit trail" FAILS'
    assert refusal.nearest == "h1 (incident #52)"
    assert slot.nearest == 'h1, once "audit trail" is proven there'
    assert slot.commands == (
        "hullmark controls audit-trail --host h1",
        "hullmark mark override audit-trail --ticket TEXT",
    )


def test_what_runs_every_where_goes_only_where_the_namepasses() -> None:
    world = marked(6, 3)
    world.apply(shop(("web", web(mode=DeployMode.GLOBAL))))
    world.pass_s(2.0)
    assert hosts_of(world) == ["id1", "id2", "id4", "id5", "id6"]
    state_of(world, "id3")
    world.pass_s(2.0)
    assert len(hosts_of(world)) == 6
    state_of(world, "id3", FAIL)
    world.pass_s(2.0)
    assert len(hosts_of(world)) == 6, "nothing is stopped"


def test_a_host_is_no_candidate_before_it_has_spoken() -> None:
    world = marked(3)
    world.apply(shop(("web", web(replicas=3))))
    world.new_leader()
    world.lead()
    assert hosts_of(world) == []
    world.pass_s(3.0)
    assert hosts_of(world) == ["id1", "id2", "id3"]


def test_a_new_leader_touches_nothing_that_runs() -> None:
    world = marked(6)
    world.apply(shop(("web", web(replicas=6))))
    world.pass_s(3.0)
    before = dict(world.assignments)
    for host_id in world.machines:
        world.machines[host_id].posture = None  # agents of before there were controls
    world.new_leader()
    world.lead()
    world.pass_s(30.0)
    assert world.assignments == before


def test_what_a_silent_host_said_is_old() -> None:
    world = marked(2, 2)
    world.machines["id1"].connected = False
    world.pass_s(6.0)  # quiet, and not lost
    world.apply(shop(("web", web())))
    world.pass_s(2.0)
    assert hosts_of(world) == []
    assert {item.text for slot in explained(world) for item in slot.refusals} == {
        'control "audit trail" is not known: the host is silent',
        'control "audit trail" FAILS',
    }


# what is no new work


def test_what_runs_goes_on_and_is_scaled_down_and_up_elsewhere() -> None:
    world = marked(6)
    world.apply(shop(("web", web(replicas=6))))
    world.pass_s(3.0)
    state_of(world, "id3", FAIL)
    world.pass_s(30.0)
    assert len(set(hosts_of(world))) == 6
    world.apply(shop(("web", web(replicas=12))))
    world.pass_s(3.0)
    assert hosts_of(world).count("id3") == 1
    assert len(hosts_of(world)) == 12


def test_a_new_version_waits_on_a_host_that_fails_and_rolls_elsewhere() -> None:
    world = marked(6)
    update = UpdateConfig(1, monitor_s=1.0)
    world.apply(shop(("web", web("x:1", replicas=6, update=update))))
    world.pass_s(3.0)
    state_of(world, "id3", FAIL)
    world.pass_s(1.0)
    world.apply(shop(("web", web("x:2", replicas=6, update=update))))
    world.pass_s(40.0)
    old = [host_id for host_id, item in world.running() if item.generation == 1]
    assert old == ["id3"]
    assert len(hosts_of(world)) == 6
    (slot,) = explained(world)
    assert slot.why == "generation 2 waits, and the former runs on"
    assert [item.filter for item in slot.refusals] == ["mark"]
    state_of(world, "id3")
    world.pass_s(8.0)
    assert {item.generation for _, item in world.running()} == {2}


def test_a_successor_that_starts_first_starts_where_the_namepasses() -> None:
    world = marked(6)
    update = UpdateConfig(1, monitor_s=1.0, order=UpdateOrder.START_FIRST)
    world.apply(shop(("web", web("x:1", replicas=6, update=update))))
    world.pass_s(3.0)
    state_of(world, "id3", FAIL)
    world.pass_s(1.0)
    world.apply(shop(("web", web("x:2", replicas=6, update=update))))
    world.pass_s(60.0)
    assert {item.generation for _, item in world.running()} == {2}
    assert "id3" not in hosts_of(world)
    assert len(hosts_of(world)) == 6


def test_a_successor_of_one_that_never_started_is_new_work_too() -> None:
    """Beside an older one that goes on, on a host that has fallen silent."""
    world = marked(3)
    update = UpdateConfig(0, monitor_s=1.0, order=UpdateOrder.START_FIRST)

    def change(number: int) -> None:
        world.apply(shop(("web", web(f"x:{number}", replicas=3, update=update))))

    def ordered() -> set[int]:
        return {
            item.instance.generation for item in world.snapshot().assignments["id1"].assignments
        }

    change(1)
    world.pass_s(4.0)
    world.machines["id1"].connected = False
    change(2)
    world.pass_s(6.0)
    assert ordered() == {1, 2}
    change(3)
    world.pass_s(1.0)
    assert ordered() == {1}
    world.machines["id1"].connected = True
    world.pass_s(30.0)
    assert {item.generation for _, item in world.running()} == {3}


def test_a_version_is_taken_back_where_it_was() -> None:
    world = marked(6)
    update = UpdateConfig(0, monitor_s=1.0)
    world.apply(shop(("web", web("x:1", replicas=6, update=update))))
    world.pass_s(3.0)
    former = world.apps["shop"]
    world.apply(shop(("web", web("x:2", replicas=6, update=update))))
    world.pass_s(3.0)
    for host_id in ("id2", "id3", "id4"):  # also under the brake
        state_of(world, host_id, FAIL)
    world.pass_s(1.0)
    world._write(taken_back(world.apps["shop"], former, CHANGE))
    world.pass_s(60.0)
    assert sorted(set(hosts_of(world))) == sorted(world.machines)
    assert {item.generation for _, item in world.running()} == {1}


def test_data_has_its_instance_where_it_is() -> None:
    world = marked(6)
    world.apply(shop(("web", web("x:1", DATA, update=UpdateConfig(monitor_s=1.0)))))
    world.pass_s(3.0)
    (home,) = hosts_of(world)
    state_of(world, home, FAIL)
    world.pass_s(1.0)
    world.apply(shop(("web", web("x:2", DATA, update=UpdateConfig(monitor_s=1.0)))))
    world.pass_s(6.0)
    assert [(host_id, item.generation) for host_id, item in world.running()] == [(home, 2)]
    world.apply(shop(("web", web("x:2", DATA, replicas=0))))
    world.pass_s(3.0)
    world.apply(shop(("web", web("x:2", DATA))))
    world.pass_s(3.0)
    assert hosts_of(world) == [home]


# the brake, and who lifts it


def test_where_too_many_fail_nothing_is_placed_and_nothing_moves() -> None:
    world = marked(6)
    world.apply(shop(("web", web(replicas=6))))
    world.pass_s(3.0)
    before = sorted(world.running())
    for host_id in ("id1", "id2"):
        state_of(world, host_id, FAIL)
    world.pass_s(2.0)
    world.apply(shop(("web", web(replicas=8))))
    world.pass_s(10.0)
    assert sorted(world.running()) == before
    (found,) = Line(world.snapshot()).cluster_brakes()
    assert (found.control, found.failing, found.eligible) == ("audit-trail", 2, 6)
    told = {item.text: item for item in explained(world)[0].refusals}
    braked = 'control "audit trail" fails on 2 of 6 hosts that would do: a person decides'
    assert told[braked].hosts == ("h3", "h4", "h5", "h6")
    assert told['control "audit trail" FAILS'].hosts == ("h1", "h2")
    assert "hullmark mark override audit-trail --ticket TEXT" in explained(world)[0].commands
    state_of(world, "id1")
    world.pass_s(2.0)
    assert len(hosts_of(world)) == 8
    assert hosts_of(world).count("id2") == 1


def test_only_hosts_that_would_do_count() -> None:
    world = marked(8, 1, 2, 3)
    for host_id in ("id1", "id2"):
        world.change_host(host_id, availability=Availability.CORDONED)
    world.apply(shop(("web", web(replicas=5))))
    world.pass_s(3.0)
    assert hosts_of(world) == ["id4", "id5", "id6", "id7", "id8"]


@pytest.mark.parametrize("app", ["", "shop"])
def test_a_persons_word_lets_it_through_until_it_is_over(app: str) -> None:
    world = marked(4, 1, 2, 3, 4)
    world.apply(shop(("web", web(replicas=2))))
    world.pass_s(2.0)
    assert hosts_of(world) == []
    name = "audit-trail" if not app else "*"
    word = Override(name, "ann", "CHG-1", world.now, world.now + 5.0, app)
    other = dataclasses.replace(word, app="blog")
    world.loadline = dataclasses.replace(SET, overrides=(other,))
    world.pass_s(2.0)
    assert hosts_of(world) == []
    world.loadline = dataclasses.replace(SET, overrides=(word,))
    world.pass_s(3.0)
    assert len(hosts_of(world)) == 2
    world.pass_s(4.0)
    world.apply(shop(("web", web(replicas=3))))
    world.pass_s(3.0)
    assert len(hosts_of(world)) == 2


# draining


def drained(world: World) -> None:
    world.apply(shop(("web", web(replicas=6)), ("db", web(mounts=DATA, replicas=1))))
    world.pass_s(3.0)


def test_what_may_move_leaves_a_host_that_has_failed_for_long() -> None:
    line = LoadLine((TRAIL,), drain=True, drain_after_s=20.0)
    world = marked(6, record=LoadLineRecord(line, CHANGE), drain=True)
    drained(world)
    (home,) = hosts_of(world, "db")
    state_of(world, home, FAIL)
    world.pass_s(15.0)
    assert home in hosts_of(world)
    assert plan(world.snapshot()).again_in_s == pytest.approx(5.05)
    world.pass_s(20.0)
    assert home not in hosts_of(world)
    assert len(hosts_of(world)) == 6
    assert hosts_of(world, "db") == [home], "local data stays"


def test_nothing_leaves_under_the_brake_nor_without_being_asked() -> None:
    for drain, bad in ((True, ("id1", "id2", "id3")), (False, ("id1",))):
        line = LoadLine((TRAIL,), drain=drain, drain_after_s=5.0)
        world = marked(6, record=LoadLineRecord(line, CHANGE), drain=True)
        drained(world)
        before = sorted(world.running())
        for host_id in bad:
            state_of(world, host_id, FAIL)
        world.pass_s(40.0)
        assert sorted(world.running()) == before


@pytest.mark.parametrize("status", [Status.NOT_RUN, None])
def test_nothing_leaves_a_host_that_has_not_been_looked_at(status: Optional[Status]) -> None:
    line = LoadLine((TRAIL,), drain=True, drain_after_s=5.0)
    world = marked(6, record=LoadLineRecord(line, CHANGE), drain=True)
    drained(world)
    before = sorted(world.running())
    if status is None:
        world.machines["id1"].posture = None
    else:
        state_of(world, "id1", status)
    world.pass_s(40.0)
    assert sorted(world.running()) == before


def test_a_failure_counts_from_when_the_mark_was_set() -> None:
    world = marked(6, 1, drain=True, record=LoadLineRecord())
    drained(world)
    assert "id1" in hosts_of(world)
    world.pass_s(60.0)
    line = LoadLine((TRAIL,), drain=True, drain_after_s=20.0)
    world.loadline = LoadLineRecord(line, Change("ann", "r", world.now))
    world.pass_s(15.0)
    assert "id1" in hosts_of(world)
    world.pass_s(20.0)
    assert "id1" not in hosts_of(world)


def test_a_new_leader_drains_nothing_before_all_have_spoken() -> None:
    line = LoadLine((TRAIL,), drain=True, drain_after_s=1.0)
    world = marked(6, record=LoadLineRecord(line, CHANGE), drain=True)
    drained(world)
    before = sorted(world.running())
    for host_id in ("id1", "id2"):
        state_of(world, host_id, FAIL)
    world.pass_s(5.0)
    world.new_leader()
    for host_id in ("id2", "id3"):
        world.machines[host_id].connected = False
    world.pass_s(1.0)
    assert sorted(world.running()) == before


# whatever happens


STATES = (PASS, PASS, PASS, FAIL, FAIL, Status.ERROR, Status.NOT_RUN, None)
NEEDS = ((), (), (TRAIL,), (Required("audit-trail", 3),), (TRAIL, Required("time")))


@st.composite
def services(draw: st.DrawFn) -> Service:
    order = draw(st.sampled_from(tuple(UpdateOrder)))
    where = draw(st.sampled_from(((), (), ("node.labels.zone == a",))))
    deploy = DeploySpec(
        draw(st.sampled_from((DeployMode.REPLICATED,) * 4 + (DeployMode.GLOBAL,))),
        draw(st.integers(0, 5)),
        Placement(where, require=draw(st.sampled_from(NEEDS))),
        update=UpdateConfig(draw(st.integers(0, 2)), monitor_s=1.0, order=order),
    )
    image, mounts = draw(st.sampled_from(("x:1", "x:2"))), draw(st.sampled_from(((), (), DATA)))
    one_shot = draw(st.sampled_from((False,) * 5 + (True,)))
    return Service(ContainerSpec(image, mounts=mounts, one_shot=one_shot), deploy)


@st.composite
def shops(draw: st.DrawFn) -> App:
    return shop(*((name, draw(services())) for name in ("a", "b")))


@given(st.data())
@settings(max_examples=60)
def test_only_new_work_is_blocked_whatever_happens(data: st.DataObject) -> None:
    world = plain_world(data.draw(st.sampled_from((2, 5, 7))), {"zone": "a"})
    world.checks += (*promises.ALL, *markpromises.ALL, promises.DataStays())
    # A slot that waits on a host which is then lost gets its former version elsewhere, and in the very next plan the newer one.
    world.checks.remove(promises.at_rest)
    needs = data.draw(st.sampled_from(NEEDS[2:]))
    world.loadline = LoadLineRecord(LoadLine(needs), CHANGE)
    history: list[AppRecord] = []
    for _ in range(data.draw(st.integers(3, 8))):
        host_id = data.draw(st.sampled_from(sorted(world.machines)))
        what = data.draw(
            st.sampled_from(
                ("turn", "turn", "turn", "apply", "back", "cut", "heal", "leader", "host", "word")
            )
        )
        _happen(world, data, what, host_id, history)
        world.pass_s(data.draw(st.sampled_from((1.0, 3.0, 12.0))))


def _happen(
    world: World, data: st.DataObject, what: str, host_id: str, history: list[AppRecord]
) -> None:
    machine = world.machines[host_id]
    if what == "turn":
        for each in world.machines.values():
            if each is machine or data.draw(st.booleans()):
                trail, time = data.draw(st.sampled_from(STATES)), data.draw(st.sampled_from(STATES))
                found = [
                    control(name, status, data.draw(st.sampled_from((2, 3))), world.now)
                    for name, status in (("audit-trail-auditd", trail), ("time-chrony", time))
                    if status is not None
                ]
                each.posture = posture(*found) if found else None
    elif what == "apply":
        world.apply(data.draw(shops()))
        history.append(world.apps["shop"])
    elif what == "back" and len(history) > 1:
        former = data.draw(st.sampled_from(history[:-1]))
        world._write(taken_back(world.apps["shop"], former, CHANGE))
    elif what in ("cut", "heal"):
        machine.connected = what == "heal"
    elif what == "leader":
        world.new_leader()
    elif what == "host":
        word = data.draw(st.sampled_from((Availability.ACTIVE, Availability.CORDONED)))
        world.change_host(host_id, availability=word)
    elif what == "word":
        name = data.draw(st.sampled_from(("audit-trail", "*")))
        until = world.now + data.draw(st.sampled_from((2.0, 20.0)))
        said = Override(name, "ann", "T", world.now, until, "shop")
        world.loadline = dataclasses.replace(world.loadline, overrides=(said,))


@given(st.data())
@settings(max_examples=50)
def test_changes_roll_while_hosts_turn(data: st.DataObject) -> None:
    """Few kinds of services and many changes: what a version, a host that falls silent and a way back come to."""
    count = data.draw(st.sampled_from((3, 5)))
    world = marked(count)
    world.checks.remove(promises.at_rest)  # as above
    history: list[AppRecord] = []
    images = iter(f"x:{number}" for number in range(2, 100))
    deploy = DeploySpec(
        replicas=count,
        update=UpdateConfig(
            data.draw(st.integers(0, 2)),
            monitor_s=1.0,
            order=data.draw(st.sampled_from(UpdateOrder)),
        ),
    )
    kept = web("x:1", DATA)
    world.apply(shop(("web", Service(ContainerSpec("x:1"), deploy)), ("db", kept)))
    world.pass_s(4.0)
    for _ in range(data.draw(st.integers(2, 7))):
        host_id = data.draw(st.sampled_from(sorted(world.machines)))
        what = data.draw(st.sampled_from(("turn", "turn", "apply", "apply", "back", "cut", "more")))
        history.append(world.apps["shop"])
        if what == "turn":
            state_of(world, host_id, data.draw(st.sampled_from((PASS, FAIL, FAIL))))
        elif what == "apply":
            spec = ContainerSpec(next(images))
            world.apply(shop(("web", Service(spec, deploy)), ("db", kept)))
        elif what == "back":
            former = data.draw(st.sampled_from(history))
            world._write(taken_back(world.apps["shop"], former, CHANGE))
        elif what == "cut":
            machine = world.machines[host_id]
            machine.connected = not machine.connected
        else:
            deploy = dataclasses.replace(deploy, replicas=deploy.replicas + 1)
            services = world.apps["shop"].app.services
            more = dataclasses.replace(services["web"], deploy=deploy)
            world.apply(shop(("web", more), ("db", kept)))
        world.pass_s(data.draw(st.sampled_from((1.0, 2.0, 6.0))))
    for machine in world.machines.values():
        machine.connected = True
    for each in world.machines:
        state_of(world, each)
    world.pass_s(80.0)
    wanted = world.apps["shop"].generations["web"]
    assert {item.generation for _, item in world.running() if item.service == "web"} == {wanted}
    assert len(hosts_of(world)) == world.apps["shop"].app.services["web"].deploy.replicas
