"""How apps and the cluster stand, in words: dependencies, standing, overview and the roster behind them."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core.dependencies import hopeless, waits
from hullmark.core.orphans import orphan_views
from hullmark.core.overview import (
    START_AGENT,
    Outlook,
    host_groups,
    host_views,
    orphan_findings,
    outlook,
    ranked,
)
from hullmark.core.roster import Roster
from hullmark.core.schedule import plan
from hullmark.core.serviceview import host_state
from hullmark.core.standing import MAX_WHY, Standing
from hullmark.core.urgency import Urgency
from hullmark.model.api import AppSummary, HostGroup, HostView
from hullmark.model.app import (
    App,
    ContainerSpec,
    Dependency,
    DependencyCondition,
    DeployMode,
    DeploySpec,
    Healthcheck,
    Placement,
    Resources,
    Service,
)
from hullmark.model.epoch import Epoch
from hullmark.model.host import Availability, HostFacts, HostRecord, Maintenance
from hullmark.model.observed import Health, HostProblem, HostState, InstanceStatus, Phase
from hullmark.model.orders import InstanceId, Tombstone
from hullmark.model.records import HostAssignments
from hullmark.model.snapshot import Snapshot
from tests.unit.core.fleets import (
    CHANGE,
    applied,
    fleets,
    obeyed,
    one_host,
    planned,
    silent,
    snapshot,
    with_record,
)

STARTED, HEALTHY, COMPLETED = DependencyCondition
CHECK = Healthcheck(("CMD", "true"))


def app(**deploy: Any) -> App:
    return App("shop", {"web": Service(ContainerSpec("x:1"), DeploySpec(**deploy))})


def with_status(state: Snapshot, service: str, **change: Any) -> Snapshot:
    """Each instance of the service as its host tells otherwise."""
    observed = {}
    for host_id, host in state.observed.items():
        instances = {
            name: dataclasses.replace(one, **change) if one.instance.service == service else one
            for name, one in host.instances.items()
        }
        observed[host_id] = dataclasses.replace(host, instances=instances)
    return dataclasses.replace(state, observed=observed)


def standing(state: Snapshot) -> tuple[str, tuple[str, ...]]:
    """The app's state, and why of its web service."""
    made = plan(state)
    noted = dataclasses.replace(state, rollouts={**state.rollouts, **made.rollouts})
    summary = Standing(noted, made.unplaced).summary(state.apps["shop"])
    return summary.state, next(one.why for one in summary.services if one.service == "web")


# one instance, in each phase


@pytest.mark.parametrize(
    ("change", "state", "why"),
    [
        ({}, "running", ()),
        ({"health": Health.HEALTHY}, "running", ()),
        ({"phase": Phase.COMPLETED}, "running", ()),
        (
            {"health": Health.STARTING},
            "changing",
            ("web.1 on h1: its health check has not passed yet",),
        ),
        ({"health": Health.UNHEALTHY}, "degraded", ("web.1 on h1: its health check fails",)),
        (
            {"health": Health.UNHEALTHY, "detail": "502"},
            "degraded",
            ("web.1 on h1: 502",),
        ),
        ({"phase": Phase.PULLING}, "changing", ("web.1 on h1: its image is being pulled",)),
        ({"phase": Phase.PULLING, "detail": "3 of 5"}, "changing", ("web.1 on h1: 3 of 5",)),
        ({"phase": Phase.CREATING}, "changing", ("web.1 on h1: is being created",)),
        ({"phase": Phase.STARTING}, "changing", ("web.1 on h1: is being started",)),
        ({"phase": Phase.STOPPING}, "changing", ("web.1 on h1: is being stopped",)),
        ({"phase": Phase.WAITING}, "changing", ("web.1 on h1: waits to be started",)),
        ({"phase": Phase.BACKOFF}, "degraded", ("web.1 on h1: ended",)),
        (
            {"phase": Phase.BACKOFF, "exit_code": 3},
            "degraded",
            ("web.1 on h1: ended with exit code 3",),
        ),
        (
            {"phase": Phase.FAILED, "exit_code": 3},
            "failed",
            ("web.1 on h1: ended with exit code 3",),
        ),
        (
            {"phase": Phase.FAILED, "detail": "gave up"},
            "failed",
            ("web.1 on h1: gave up",),
        ),
    ],
)
def test_phases_in_words(change: dict[str, Any], state: str, why: tuple[str, ...]) -> None:
    there = obeyed(planned(one_host(app())), {})
    assert standing(with_status(there, "web", **change)) == (state, why)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("health", list(Health))
def test_every_phase_has_words(phase: Phase, health: Health) -> None:
    there = with_status(obeyed(planned(one_host(app())), {}), "web", phase=phase, health=health)
    state, why = standing(there)
    assert (state == "running") is (why == ())
    assert all(line.startswith("web.1 on h1: ") and line[-1] not in " :" for line in why)


# before an instance is there


def test_not_scheduled_not_taken_up_not_placed() -> None:
    new = one_host(app())
    empty = dataclasses.replace(new, observed={"h1": HostState()})
    fresh = Standing(empty).summary(empty.apps["shop"])
    assert (fresh.state, fresh.services[0].why) == ("changing", ("web.1: not scheduled yet",))
    assert standing(planned(new)) == (
        "changing",
        ("web.1 on h1: its host has not taken it up yet",),
    )
    big = planned(one_host(app(reservations=Resources(memory_bytes=1 << 30))))
    assert standing(big) == (
        "degraded",
        ("web.1: not placed: host h1: memory: need 1 GiB, free 0 B",),
    )


def test_what_machines_read_of_an_instance_is_no_text() -> None:
    def marks(state: Snapshot) -> list[tuple[bool, bool, bool]]:
        found = Standing(state, plan(state).unplaced).instances()
        return [(one.unplaced, one.held, one.seen) for one in found]

    there = obeyed(planned(one_host(app())), {})
    assert marks(there) == [(False, False, True)]
    assert marks(silent(there, ["h1"])) == [(False, False, False)]
    trouble = HostState(problems=(HostProblem("engine.unavailable", "no socket"),))
    assert marks(dataclasses.replace(there, observed={"h1": trouble})) == [(False, False, False)]
    big = planned(one_host(app(reservations=Resources(memory_bytes=1 << 30))))
    assert marks(big) == [(True, False, True)]
    db = Service(ContainerSpec("x:1", one_shot=True))
    after = (Dependency("db", DependencyCondition.COMPLETED),)
    web = Service(ContainerSpec("x:1"), depends_on=after)
    waiting = planned(one_host(App("shop", {"db": db, "web": web})))
    assert marks(waiting) == [(False, False, True), (False, True, True)]
    record = dataclasses.replace(there.apps["shop"], removing=True)
    going = planned(with_record(there, record))
    assert marks(going) == [(False, False, True)]
    assert marks(silent(going, ["h1"])) == [(False, False, False)]


def test_a_global_service_that_fits_nowhere_is_in_the_list() -> None:
    placement = Placement(("node.labels.gpu == yes",))
    state = planned(one_host(app(mode=DeployMode.GLOBAL, placement=placement)))
    assert standing(state) == (
        "degraded",
        ("web: not placed: host h1: constraint node.labels.gpu == yes",),
    )


def test_a_silent_host() -> None:
    there = obeyed(planned(one_host(app())), {})
    quiet = dataclasses.replace(there, heard_s={"h1": 9.0})
    assert standing(quiet) == ("running", ())
    state, why = standing(silent(there, ["h1"]))
    lost = "web.1 on h1: its host h1 is lost; there is no other host"
    assert (state, why) == ("degraded", (lost,))
    unplanned = Standing(silent(there, ["h1"])).summary(there.apps["shop"])
    assert unplanned.services[0].why == ("web.1 on h1: its host has been silent for 60 s",)
    unheard = dataclasses.replace(there, heard_s={}, observed={})
    assert standing(unheard)[1] == (
        "web.1 on h1: its host has not been heard since this leader began",
    )
    summary = Standing(silent(there, ["h1"])).summary(there.apps["shop"])
    assert (summary.services[0].wanted, summary.services[0].serving) == (1, 0)


@pytest.mark.parametrize("code", ["engine.unavailable", "engine.refuses"])
def test_a_host_whose_engine_is_away_says_nothing_of_its_containers(code: str) -> None:
    there = obeyed(planned(one_host(app())), {})
    trouble = dataclasses.replace(there.observed["h1"], problems=(HostProblem(code, "no socket"),))
    away = dataclasses.replace(there, observed={"h1": trouble})
    state, why = standing(away)
    assert state == "degraded"
    assert why[0].startswith("web.1 on h1: as last seen 0 s ago: the host's engine ")
    (later,) = Standing(away, blind_s={"h1": 40.2}).instances()
    assert later.why.startswith("as last seen 40 s ago: the host's engine ")
    assert Standing(away).summary(away.apps["shop"]).services[0].serving == 0
    full = dataclasses.replace(trouble, problems=(HostProblem("disk.full", "no room"),))
    assert standing(dataclasses.replace(there, observed={"h1": full})) == ("running", ())
    record = dataclasses.replace(away.apps["shop"], removing=True)
    going = Standing(planned(with_record(away, record))).instances()
    assert going[0].why.startswith("the app was removed; the host's engine ")


def test_a_one_shot_counts_once_it_has_completed() -> None:
    spec = App("shop", {"web": Service(ContainerSpec("x:1", one_shot=True))})
    there = obeyed(planned(one_host(spec)), {})
    assert standing(there) == ("changing", ("web.1 on h1: runs, and has to complete",))
    assert not Standing(there).detail(there.apps["shop"], 1, {}).settled
    assert standing(with_status(there, "web", phase=Phase.COMPLETED)) == ("running", ())


def test_many_reasons_are_cut_short() -> None:
    there = with_status(obeyed(planned(one_host(app(replicas=20))), {}), "web", phase=Phase.BACKOFF)
    _, why = standing(there)
    assert len(why) == MAX_WHY
    assert why[-1] == "and 9 more"


# changes and removal


def test_replacing_scaling_and_removing() -> None:
    there = obeyed(planned(one_host(app(replicas=2))), {})
    changed = planned(applied(there, App("shop", {"web": Service(ContainerSpec("x:2"))})))
    detail = Standing(changed).detail(changed.apps["shop"], 7, {"name": "shop"})
    assert (detail.version, detail.settled, detail.failed) == (7, False, False)
    rows = [(one.name, one.generation, one.removing, one.why) for one in detail.instances]
    assert rows == [
        ("shop/web.1", 2, False, "its host has not taken it up yet"),
        ("shop/web.1", 1, True, "replaced by generation 2"),
        ("shop/web.2", 1, True, "scaled to 1"),
    ]
    done = planned(obeyed(changed, {}))
    assert Standing(done).detail(done.apps["shop"], 8, {}).settled
    record = dataclasses.replace(done.apps["shop"], removing=True)
    going = planned(with_record(done, record))
    summary = Standing(going).summary(going.apps["shop"])
    assert (summary.state, summary.services) == ("removing", ())
    assert [one.why for one in Standing(going).instances()] == ["the app was removed"]
    away = silent(going, ["h1"])
    assert (
        Standing(away).instances()[0].why
        == "the app was removed; its host has been silent for 60 s"
    )


def test_what_leaves_a_silent_host_does_not_keep_the_app_from_settling() -> None:
    hosts = [HostRecord("h1", "h1", 1.0), HostRecord("h2", "h2", 1.0)]
    state = snapshot({}, hosts, {host.host_id: HostState() for host in hosts})
    state = obeyed(planned(applied(state, app(replicas=2))), {})
    scaled = planned(applied(silent(state, ["h2"]), app(replicas=1)))
    assert standing(scaled) == ("running", ())
    back = dataclasses.replace(scaled, heard_s=state.heard_s)
    assert standing(back)[0] == "changing"


def test_instances_of_one_app_and_of_none() -> None:
    state = obeyed(planned(one_host(app(replicas=2))), {})
    assert [one.slot for one in Standing(state).instances("shop")] == [1, 2]
    assert Standing(state).instances("none") == ()
    assert Standing(state).summaries()[0].change == CHANGE


# dependencies


def pair(condition: DependencyCondition, *, required: bool = True, **db: Any) -> Snapshot:
    web = Service(ContainerSpec("x"), depends_on=(Dependency("db", condition, required),))
    return planned(one_host(App("shop", {"web": web, "db": Service(ContainerSpec("y", **db))})))


def outlooks(state: Snapshot) -> tuple[tuple[str, ...], tuple[str, ...]]:
    roster, record = Roster.of(state), state.apps["shop"]
    return waits(roster, record, "web"), hopeless(roster, record, "web")


@pytest.mark.parametrize(
    ("condition", "phase", "health", "wait", "never"),
    [
        (STARTED, Phase.PULLING, Health.NONE, "db to start", ""),
        (STARTED, Phase.RUNNING, Health.STARTING, "", ""),
        (STARTED, Phase.COMPLETED, Health.NONE, "", ""),
        (STARTED, Phase.FAILED, Health.NONE, "db to start", "db has failed"),
        (HEALTHY, Phase.RUNNING, Health.STARTING, "db to be healthy", ""),
        (HEALTHY, Phase.RUNNING, Health.HEALTHY, "", ""),
        (HEALTHY, Phase.RUNNING, Health.UNHEALTHY, "db to be healthy", ""),
        (
            HEALTHY,
            Phase.RUNNING,
            Health.NONE,
            "db to be healthy",
            "db has no health check, so it never becomes healthy",
        ),
        (
            HEALTHY,
            Phase.COMPLETED,
            Health.NONE,
            "db to be healthy",
            "db has ended, so it never becomes healthy",
        ),
        (COMPLETED, Phase.RUNNING, Health.NONE, "db to complete", ""),
        (COMPLETED, Phase.COMPLETED, Health.NONE, "", ""),
        (COMPLETED, Phase.FAILED, Health.NONE, "db to complete", "db has failed"),
    ],
)
def test_conditions(
    condition: DependencyCondition, phase: Phase, health: Health, wait: str, never: str
) -> None:
    state = obeyed(pair(condition), {"db": phase}, health)
    assert outlooks(state) == ((wait,) if wait else (), (never,) if never else ())
    text = standing(state)[1]
    if never:
        assert text == (f"web.1 on h1: can't start: {never}",)
    elif wait:
        assert text == (f"web.1 on h1: waits for {wait}",)
    else:
        assert text == ("web.1 on h1: waits for the leader's release",)
        assert all(item.released for item in planned(state).assignments["h1"].assignments)
    # One that is not required is waited for only while it can still make it.
    optional = obeyed(pair(condition, required=False), {"db": phase}, health)
    assert outlooks(optional) == ((wait,) if wait and not never else (), ())


def test_a_check_that_is_asked_for_shows_up_later() -> None:
    state = obeyed(pair(HEALTHY, healthcheck=CHECK), {}, Health.NONE)
    assert outlooks(state) == (("db to be healthy",), ())
    off = dataclasses.replace(CHECK, disabled=True)
    assert outlooks(obeyed(pair(HEALTHY, healthcheck=off), {}, Health.NONE))[1]


def test_a_dependency_that_has_run_once_has_started() -> None:
    state = obeyed(pair(STARTED), {"db": Phase.BACKOFF})
    assert outlooks(state)[0] == ("db to start",)
    assert outlooks(with_status(state, "db", started_at=5.0))[0] == ()


def test_what_the_app_does_not_have() -> None:
    for required, expected in ((True, ("cache, which the app doesn't have",)), (False, ())):
        web = Service(ContainerSpec("x"), depends_on=(Dependency("cache", STARTED, required),))
        state = planned(one_host(App("shop", {"web": web})))
        assert outlooks(state) == (expected, ())


def test_all_wanted_instances_count_and_none_holds() -> None:
    web = Service(ContainerSpec("x"), depends_on=(Dependency("db"),))

    def of(replicas: int) -> Snapshot:
        db = Service(ContainerSpec("y"), DeploySpec(replicas=replicas))
        return obeyed(planned(one_host(App("shop", {"web": web, "db": db}))), {})

    assert outlooks(of(0))[0] == ()
    two = of(2)
    assert outlooks(two)[0] == ()
    name = InstanceId("shop", "db", 2, 1).container_name
    instances = {k: v for k, v in two.observed["h1"].instances.items() if k != name}
    partly = dataclasses.replace(two.observed["h1"], instances=instances)
    assert outlooks(dataclasses.replace(two, observed={"h1": partly}))[0] == ("db to start",)


@given(fleets(), st.data())
@settings(max_examples=20)
def test_every_app_has_a_standing(fleet: Snapshot, data: st.DataObject) -> None:
    phases = {key: data.draw(st.sampled_from(list(Phase))) for key in ("a", "b", "c")}
    state = planned(obeyed(planned(fleet), phases, data.draw(st.sampled_from(list(Health)))))
    shown = Standing(state, plan(state).unplaced)
    for summary in shown.summaries():
        assert summary.state in ("running", "changing", "degraded", "failed", "removing")
        for service in summary.services:
            assert service.serving <= service.running <= service.wanted
            assert service.wanted <= service.serving + service.completed + len(service.why)
            assert all(service.why)


# the cluster


READY = HostView("id1", "h1", "ready", 1.0)


def test_hosts() -> None:
    hosts = [HostRecord("id1", "b", 1.0, {"zone": "a"}), HostRecord("id2", "a", 1.0)]
    problem = HostProblem("disk.full", "no room", "df")
    states = {"id1": HostState(HostFacts(cpus=2), problems=(problem,)), "id2": HostState()}
    state = planned(applied(snapshot({}, hosts, states), app(replicas=3)))
    for heard_s, expected in (
        (1.00049, "ready"),
        (6.0, "silent"),
        (10.0, "silent"),
        (10.5, "lost"),
    ):
        seen = dataclasses.replace(state, heard_s={"id1": heard_s})
        views = host_views(seen, 5.0)
        assert [(view.name, view.state) for view in views] == [("a", "never"), ("b", expected)]
    first = host_views(dataclasses.replace(state, heard_s={"id1": 1.00049}), 5.0)[1]
    assert (first.heard_s, first.labels, first.facts.cpus) == (1.0, {"zone": "a"}, 2)
    assert first.problems == (problem,)
    assert sum(view.instances for view in host_views(state, 5.0)) == 3
    anew = dataclasses.replace(state, heard_s={"id1": 15.0}, spoke_s={"id1": 14400.0})
    view = host_views(anew, 5.0)[1]
    assert (view.state, view.heard_s) == ("lost", 14400.0), "its maintenance ended 15 s ago"


def test_a_host_that_polls_but_has_not_reported_is_not_counted_on() -> None:
    state = dataclasses.replace(one_host(), observed={})
    assert host_views(state, 5.0)[0].state == "never"


LEADS_SINCE = 50.0


@pytest.mark.parametrize(
    ("enrolled_at", "waited_s", "heard_s", "expected", "note"),
    [
        (1.0, 10.0, None, "never", "has not been heard since this leader began"),
        (1.0, 10.1, None, "lost", "has not been heard since this leader began; what runs there"),
        (60.0, 10.1, None, "never", "is enrolled and not heard yet"),
        (60.0, 99.0, 10.1, "lost", "has been silent for 10 s; what runs there goes on"),
    ],
)
def test_a_host_that_a_new_leader_does_not_hear_is_lost_when_it_has_had_its_time(
    enrolled_at: float, waited_s: float, heard_s: Optional[float], expected: str, note: str
) -> None:
    """As it is for all that is decided. Of one that was enrolled under this leader no other leader has heard either."""
    state = snapshot({}, [HostRecord("id1", "h1", enrolled_at)], {})
    state = dataclasses.replace(
        state,
        leader=dataclasses.replace(state.leader, since=LEADS_SINCE),
        waited_s=waited_s,
        heard_s={} if heard_s is None else {"id1": heard_s},
    )
    views = host_views(state, 5.0)
    assert (views[0].state, host_state(state, "id1")) == (expected, expected)
    assert any(f"host h1 {note}" in told for told in outlook(state, views, ()).notes)


def test_what_an_operator_said_of_a_host_is_shown() -> None:
    work = Maintenance(50.0, 200.0, "anna", "CHG-881")
    drained = HostRecord("id1", "h1", 1.0, availability=Availability.DRAINING, maintenance=work)
    state = snapshot({}, [drained], {"id1": HostState()})
    tombstone = Tombstone(InstanceId("shop", "web", 1, 1), Epoch(1, 1))
    state = dataclasses.replace(
        state, assignments={"id1": HostAssignments((), (tombstone,))}, now=100.0
    )
    (view,) = host_views(state, 5.0)
    assert (view.availability, view.maintenance) == (Availability.DRAINING, work)
    assert view.drain == "1 left"
    active = dataclasses.replace(drained, availability=Availability.ACTIVE)
    (view,) = host_views(dataclasses.replace(state, hosts={"id1": active}), 5.0)
    assert view.drain == ""
    (view,) = host_views(dataclasses.replace(state, now=200.0), 5.0)
    assert view.maintenance is None, "it is over"


def test_hosts_are_counted_once_each() -> None:
    problem = (HostProblem("x", "no room"),)
    work = Maintenance(0.0, 3000.0, "anna", "CHG-881")
    views = [
        *[READY] * 3,
        dataclasses.replace(READY, availability=Availability.DRAINING),
        dataclasses.replace(READY, availability=Availability.CORDONED),
        dataclasses.replace(READY, availability=Availability.CORDONED, problems=problem),
        dataclasses.replace(READY, state="lost", maintenance=work),
        dataclasses.replace(READY, state="silent", availability=Availability.DRAINING),
        dataclasses.replace(READY, state="lost", problems=problem),
        dataclasses.replace(READY, state="never"),
    ]
    assert host_groups(views, 600.0) == (
        HostGroup("ok", 3),
        HostGroup("draining", 1),
        HostGroup("cordoned", 1),
        HostGroup("maintenance", 1, "CHG-881, 40 min left"),
        HostGroup("troubled", 1),
        HostGroup("silent", 1),
        HostGroup("lost", 1),
        HostGroup("never", 1),
    )
    sooner = dataclasses.replace(READY, maintenance=Maintenance(0.0, 1200.0, "anna"))
    assert host_groups([*views[6:7], sooner], 600.0) == (
        HostGroup("maintenance", 2, "first 10 min left"),
    )
    assert host_groups(views[6:7], 3000.0 - 45.0)[0].detail == "CHG-881, 45 s left"
    assert host_groups([], 0.0) == ()


def test_orphans() -> None:
    state = one_host()
    instance = InstanceId("old", "web", 1, 1)
    status = InstanceStatus(instance, Phase.RUNNING)
    orphans = HostState(orphans={instance.container_name: status})
    state = dataclasses.replace(state, observed={"h1": orphans, "gone": orphans})
    assert [(one.host, one.name) for one in orphan_views(state)] == [
        ("gone", "old.web.1.g1"),
        ("h1", "old.web.1.g1"),
    ]


def seen(
    *hosts: HostView, apps: tuple[AppSummary, ...] = (), orphans: int = 0, **more: Any
) -> Outlook:
    return outlook(one_host(), hosts, apps, list(orphan_findings(orphans)), **more)


def test_incidents_are_told_after_the_hosts_that_are_lost() -> None:
    lost = HostView("id2", "h2", "lost", 60.4)
    out = [(1, "incident 7, since 1 min: host on h2", "hullmark outages ack 7")]
    found = outlook(one_host(), [READY, lost], (), out)
    assert found.state == "degraded"
    assert found.notes[-1].startswith("incident 7")
    assert "hullmark-agent" in found.next
    assert outlook(one_host(), [READY], (), out).next == "hullmark outages ack 7"


def test_what_is_only_worth_knowing_comes_after_what_is_wrong() -> None:
    """The first note is what a person reads behind DEGRADED."""
    waiting, broken = (0, "2 changes wait for approval", ""), (1, "break-glass is OPEN", "close it")
    lost = HostView("id2", "h2", "lost", 60.4)
    behind = tuple(ranked(Urgency.CONTROLS, (broken, waiting)))
    assert seen(READY, lost, behind=behind[1:]).notes[-1] == waiting[1]
    found = seen(READY, lost, behind=behind)
    assert (found.notes[0], found.notes[-1]) == (broken[1], waiting[1])


def test_all_is_well() -> None:
    assert seen(READY) == Outlook("ok", (), "")
    changing = seen(READY, apps=(AppSummary("shop", "changing", 1, CHANGE),))
    assert changing == Outlook("ok", ("app shop is changing",), "")


@pytest.mark.parametrize(
    ("found", "state", "note", "then"),
    [
        (seen(), "ok", "no host is enrolled", "hullmark invite HOST"),
        (
            seen(READY, HostView("id2", "h2", "lost", 60.4)),
            "degraded",
            "host h2 has been silent for 60 s; what runs there goes on",
            f"{START_AGENT}   (on h2)",
        ),
        (
            seen(HostView("id2", "h2", "never")),
            "failed",
            "host h2 has not been heard since this leader began",
            f"{START_AGENT}   (on h2)",
        ),
        (
            seen(HostView("id2", "h2", "silent", 6.0)),
            "degraded",
            "host h2 has been silent for 6 s",
            "",
        ),
        (
            seen(dataclasses.replace(READY, problems=(HostProblem("x", "no room", "df"),))),
            "degraded",
            "host h1: no room",
            "df",
        ),
        (
            seen(READY, apps=(AppSummary("shop", "failed", 1, CHANGE),)),
            "degraded",
            "app shop failed: ",
            "hullmark ps shop",
        ),
        (
            seen(READY, apps=(AppSummary("shop", "degraded", 1, CHANGE),)),
            "degraded",
            "app shop degraded: ",
            "hullmark explain shop",
        ),
        (
            seen(apps=(AppSummary("shop", "running", 1, CHANGE),)),
            "degraded",
            "no host is enrolled",
            "hullmark invite HOST",
        ),
        (
            seen(invited=("web3",)),
            "ok",
            "no host is enrolled; invited: web3",
            "hullmark agent enroll --token-file FILE   (on web3)",
        ),
        (
            seen(READY, invited=("web3",)),
            "ok",
            "host web3 is invited; its token has not been used yet",
            "",
        ),
        (
            seen(HostView("h1", "h1", "never")),
            "degraded",
            "host h1 is enrolled and not heard yet",
            f"{START_AGENT}   (on h1)",
        ),
        (
            seen(READY, orphans=1),
            "ok",
            "1 container of ours that no order names; kept",
            "hullmark orphans",
        ),
        (
            seen(READY, orphans=2),
            "ok",
            "2 containers of ours that no order names; kept",
            "hullmark orphans",
        ),
        (
            seen(READY, HostView("id2", "h2", "ready", 0.5), claims=[("h1", Epoch(1, 9))]),
            "degraded",
            "host h1 obeys epoch 1.9, later than this leader's 1.1: this master's store may be an old copy",
            "look at the log of host h1: which master did it obey?",
        ),
        (
            seen(READY, claims=[("h1", Epoch(1, 9))]),
            "failed",
            "host h1 obeys epoch 1.9, later than this leader's 1.1: this master's store may be an old copy",
            "stop this master and look for the one that leads",
        ),
    ],
)
def test_what_is_wrong_and_what_to_type(found: Outlook, state: str, note: str, then: str) -> None:
    assert found == Outlook(state, (note,), then)


def test_the_worst_comes_first() -> None:
    found = seen(
        READY, HostView("id2", "h2", "lost", 60.0), orphans=1, masters=[(2, "none leads", "wait")]
    )
    assert found.state == "failed"
    assert len(found.notes) == 3
    assert found.next == "wait"


def test_a_roster_is_in_order_of_slot() -> None:
    state = obeyed(planned(one_host(app(replicas=11))), {})
    placed = Roster.of(state).placed("shop", "web")
    assert [item.assignment.instance.slot for item in placed] == list(range(1, 12))
    assert all(item.status is not None for item in placed)
    changed = planned(applied(state, App("shop", {"web": Service(ContainerSpec("x:2"))})))
    roster = Roster.of(changed)
    assert len(roster.leaving("shop")) == len(roster.leaving("shop", "web")) == 11
    assert roster.leaving("blog") == []
    assert roster.placed("blog", "web") == []
    assert len(roster.current(changed.apps["shop"], "web")) == 1
    removing = dataclasses.replace(changed.apps["shop"], removing=True)
    assert roster.wanted(removing, "web") == 0
