"""Who restarts what once the agent has left, and which containers become a Compose project."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import pytest

from hullmark.core.ejection import Ejection, Present, Scene, eject, restart_of
from hullmark.core.ejectionwords import Place, notes
from hullmark.core.found import Found, FoundState
from hullmark.core.restart import Attempt
from hullmark.model.app import (
    Attachment,
    Bundle,
    ContainerSpec,
    Healthcheck,
    Mount,
    MountKind,
    Network,
    Restart,
    RestartCondition,
    Volume,
)
from hullmark.model.directory import PublishedEntry, ServiceName
from hullmark.model.ejection import NO_RESTART, EngineRestart
from hullmark.model.epoch import Epoch
from hullmark.model.orders import Assignment, InstanceId, Orders, PublishedPort, Tombstone
from hullmark.model.wire import digest

UNLESS_STOPPED = EngineRestart("unless-stopped")
IMAGE = "localhost/web:1"


def bundle_of(service: str = "web", **spec: Any) -> Bundle:
    places = spec.get("networks", ())
    volumes = {m.source for m in spec.get("mounts", ()) if m.kind is MountKind.VOLUME and m.source}
    return Bundle(
        "shop",
        service,
        ContainerSpec(IMAGE, **spec),
        {place.network: Network() for place in places},
        {key: Volume() for key in volumes},
    )


def assigned(bundle: Bundle, slot: int = 1, generation: int = 1, **more: Any) -> Assignment:
    instance = InstanceId("shop", bundle.service, slot, generation)
    return Assignment(instance, digest(bundle), **more)


def found(assignment: Assignment, state: FoundState = FoundState.RUNNING, **more: Any) -> Found:
    name = assignment.instance.container_name
    fields = {"container_id": f"id-{name}", "name": name, "image_id": "sha256:1", **more}
    return Found(
        instance=assignment.instance, spec_hash=assignment.spec_hash, state=state, **fields
    )


def ejected(
    *pairs: tuple[Bundle, Assignment, Optional[Found]],
    engine: str = "docker",
    orphans: tuple[Found, ...] = (),
    tombstones: tuple[Tombstone, ...] = (),
    **scene: Any,
) -> Ejection:
    orders = Orders(
        "c1",
        "h1",
        assignments=tuple(assignment for _, assignment, _ in pairs),
        tombstones=tombstones,
        bundles={digest(bundle): bundle for bundle, _, _ in pairs},
    )
    there = [one for _, _, one in pairs if one is not None]
    return eject(Scene(orders, engine, [Present(one) for one in (*there, *orphans)], **scene))


def alone(bundle: Bundle, state: FoundState = FoundState.RUNNING, **more: Any) -> Ejection:
    one = assigned(bundle)
    return ejected((bundle, one, found(one, state, **more)))


@pytest.mark.parametrize(
    ("restart", "one_shot", "docker", "podman"),
    [
        (Restart(), False, "unless-stopped", "always"),
        (Restart(RestartCondition.NONE), False, "no", "no"),
        (Restart(RestartCondition.ON_FAILURE), False, "on-failure", "on-failure"),
        (
            Restart(RestartCondition.ON_FAILURE, max_attempts=3),
            False,
            "on-failure:3",
            "on-failure:3",
        ),
        # What has done its work is not to do it again after a boot.
        (Restart(), True, "on-failure", "on-failure"),
        (Restart(RestartCondition.NONE), True, "no", "no"),
    ],
)
def test_the_engine_restarts_as_the_app_says(
    restart: Restart, one_shot: bool, docker: str, podman: str
) -> None:
    spec = ContainerSpec(IMAGE, restart=restart, one_shot=one_shot)
    assert str(restart_of(spec, "docker")) == docker
    assert str(restart_of(spec, "podman")) == podman


def test_a_running_container_is_kept_and_not_started() -> None:
    (kept,) = alone(bundle_of()).kept
    assert (kept.running, kept.start, kept.restart) == (True, False, UNLESS_STOPPED)
    assert kept.has == NO_RESTART
    assert kept.remarks == ()


@pytest.mark.parametrize(
    ("restart", "exit_code", "start"),
    [
        (Restart(), 0, True),
        (Restart(), 1, True),
        (Restart(RestartCondition.ON_FAILURE), 1, True),
        (Restart(RestartCondition.ON_FAILURE), 0, False),
        (Restart(RestartCondition.NONE), 1, False),
    ],
)
def test_what_the_agent_was_about_to_start_is_started(
    restart: Restart, exit_code: int, start: bool
) -> None:
    (kept,) = alone(bundle_of(restart=restart), FoundState.ENDED, exit_code=exit_code).kept
    assert kept.start is start
    assert bool(kept.remarks) is not start


def test_what_failed_too_often_is_not_started() -> None:
    bundle = bundle_of(restart=Restart(RestartCondition.ON_FAILURE, max_attempts=2))
    one = assigned(bundle)
    there = found(one, FoundState.ENDED, exit_code=1)
    name = one.instance.container_name
    tried = Attempt(failures=3, ended=there.ended_key)
    assert not ejected((bundle, one, there), attempts={name: tried}).kept[0].start
    fresh = Attempt(failures=1, ended=there.ended_key)
    assert ejected((bundle, one, there), attempts={name: fresh}).kept[0].start


def test_what_waits_for_another_or_is_paused_is_not_started() -> None:
    bundle = bundle_of()
    waiting = assigned(bundle, released=False)
    made = found(waiting, FoundState.CREATED)
    assert not ejected((bundle, waiting, made)).kept[0].start
    assert ejected((bundle, assigned(bundle), made)).kept[0].start
    (kept,) = alone(bundle, FoundState.PAUSED).kept
    assert not kept.start
    assert kept.remarks == ("it is paused",)


def test_what_must_never_run_twice_is_named_and_never_started() -> None:
    bundle = bundle_of()
    one = assigned(bundle, stop_unheard_s=5.0)
    runs = ejected((bundle, one, found(one)))
    assert runs.once == (one.instance,)
    assert runs.movable == ()
    stopped = ejected((bundle, one, found(one, FoundState.ENDED, exit_code=143)))
    assert stopped.once == ()
    assert not stopped.kept[0].start
    assert "never run twice" in stopped.kept[0].remarks[0]


@pytest.mark.parametrize(
    ("mount", "movable"),
    [
        (Mount(MountKind.VOLUME, "/d", "data"), False),
        (Mount(MountKind.BIND, "/d", "/srv"), False),
        (Mount(MountKind.VOLUME, "/d"), True),
        (Mount(MountKind.TMPFS, "/d"), True),
    ],
)
def test_what_has_no_local_data_may_be_started_elsewhere(mount: Mount, movable: bool) -> None:
    assert bool(alone(bundle_of(mounts=(mount,))).movable) is movable


def test_of_two_instances_of_a_slot_the_one_that_runs_stays() -> None:
    old, new = bundle_of(user="1"), bundle_of(user="2")
    former, later = assigned(old, generation=1), assigned(new, generation=2)
    failing = found(later, FoundState.ENDED, exit_code=1)
    during = ejected((old, former, found(former)), (new, later, failing))
    assert [one.name for one in during.kept] == ["shop.web.1.g1"]
    assert [one.name for one in during.leftovers] == ["shop.web.1.g2"]
    both = ejected((old, former, found(former)), (new, later, found(later)))
    assert [one.name for one in both.kept] == ["shop.web.1.g2"]
    assert list(both.projects[0].services) == ["shop.web.1.g2"]


def test_what_nobody_asked_for_is_left_as_it_is() -> None:
    bundle = bundle_of()
    one, going, unknown = assigned(bundle), assigned(bundle, 2), assigned(bundle, 3)
    made = ejected(
        (bundle, one, found(one)),
        orphans=(found(going), found(unknown)),
        tombstones=(Tombstone(going.instance, Epoch(1, 1), "scaled down"),),
    )
    assert {left.name: left.why for left in made.leftovers} == {
        "shop.web.2.g1": "was to be removed: scaled down",
        "shop.web.3.g1": "no order names it",
    }
    assert [kept.name for kept in made.kept] == ["shop.web.1.g1"]


def test_a_container_with_another_spec_is_left_as_it_is() -> None:
    bundle = bundle_of()
    one = assigned(bundle)
    made = ejected((bundle, one, replace(found(one), spec_hash="other")))
    assert (made.kept, made.projects) == ((), ())
    assert len(made.leftovers) == 1


def test_a_renamed_container_keeps_the_name_that_somebody_gave_it() -> None:
    made = alone(bundle_of(), name="renamed")
    assert made.projects[0].existing == ("renamed",)
    assert made.projects[0].document["services"]["web"]["container_name"] == "renamed"


def test_ports_are_those_that_are_bound() -> None:
    bundle = bundle_of()
    one = assigned(bundle, ports=(PublishedPort(80, 0),))
    bound = found(one, ports=(PublishedPort(80, 32768),))
    (project,) = ejected((bundle, one, bound)).projects
    assert project.document["services"]["web"]["ports"] == ["32768:80"]
    (project,) = ejected((bundle, one, None)).projects
    assert project.document["services"]["web"]["ports"] == ["80"]
    on_host = bundle_of(network_mode="host")
    one = assigned(on_host, ports=(PublishedPort(80, 80),))
    (project,) = ejected((on_host, one, found(one))).projects
    assert "ports" not in project.document["services"]["web"]


def test_an_image_whose_name_means_another_one_by_now_is_named_by_its_id() -> None:
    bundle = bundle_of()
    one = assigned(bundle)

    def image(now: str) -> Any:
        (project,) = ejected((bundle, one, found(one)), images={one.spec_hash: now}).projects
        return project.document["services"]["web"]["image"]

    assert image("sha256:1") == image("") == IMAGE
    assert image("sha256:2") == "sha256:1"


def test_several_instances_are_services_of_their_own_that_answer_to_one_name() -> None:
    web = bundle_of("web", networks=(Attachment("default"),))
    taken = bundle_of("web-2", networks=(Attachment("default"),))
    pairs = [(web, assigned(web, slot)) for slot in (1, 2)] + [(taken, assigned(taken))]
    (project,) = ejected(*((bundle, one, found(one)) for bundle, one in pairs)).projects
    assert project.services == {
        "shop.web.1.g1": "web-1",
        "shop.web.2.g1": "web-2_",
        "shop.web-2.1.g1": "web-2",
    }
    services = project.document["services"]
    assert services["web-1"]["networks"]["default"]["aliases"] == ["web"]
    assert services["web-2"]["networks"]["default"] is None


def test_places_are_the_ones_that_are_there_or_are_made() -> None:
    volume = Mount(MountKind.VOLUME, "/d", "data")
    bundle = bundle_of(networks=(Attachment("default"),), mounts=(volume,))
    one = assigned(bundle)
    (project,) = ejected((bundle, one, found(one))).projects
    external = {"name": "shop_default", "external": True}
    assert project.document["networks"] == {"default": external}
    assert project.document["volumes"] == {"data": {"name": "shop_data", "external": True}}
    (project,) = ejected((bundle, one, None)).projects
    assert project.document["networks"] == {"default": {"name": "shop_default"}}
    assert project.existing == ()


def test_what_has_completed_is_not_run_again_by_up() -> None:
    bundle = bundle_of("migrate", one_shot=True, restart=Restart(RestartCondition.NONE))
    one = assigned(bundle)
    done = ejected((bundle, one, found(one, FoundState.ENDED, exit_code=0)))
    (project,) = done.projects
    assert project.document["services"]["migrate"]["profiles"] == ["completed"]
    assert project.completed == ("shop.migrate.1.g1",)
    assert done.kept[0].remarks == ("it has completed",)
    failed = ejected((bundle, one, found(one, FoundState.ENDED, exit_code=1)))
    assert failed.projects[0].completed == ()


def test_what_engines_can_not_do_is_said() -> None:
    bundle = bundle_of(restart=Restart(max_attempts=4), healthcheck=Healthcheck(("CMD", "true")))
    one = assigned(bundle)
    (kept,) = ejected((bundle, one, found(one)), checks_health=False).kept
    assert len(kept.remarks) == 2
    assert "4 restarts" in kept.remarks[0]
    assert "health check" in kept.remarks[1]


@pytest.mark.parametrize("has_hosts", [False, True])
@pytest.mark.parametrize(
    ("engine", "then"),
    [("docker", "without localhost, or not at all"), ("podman", "not start it again after that")],
)
def test_who_has_a_hosts_file_of_the_agents_is_named(
    engine: str, then: str, has_hosts: bool
) -> None:
    service = bundle_of()
    one = assigned(service)
    orders = Orders("c1", "h1", assignments=(one,), bundles={digest(service): service})
    (kept,) = eject(Scene(orders, engine, [Present(found(one), has_hosts=has_hosts)])).kept
    assert len(kept.remarks) == has_hosts
    for remark in kept.remarks:
        assert remark.startswith(
            "its /etc/hosts is mounted from the agent's state folder: hand it over"
        )
        assert remark.endswith(then)


def test_ports_that_the_proxy_answers_are_told_as_a_project_would_have_them() -> None:
    web, db = bundle_of(), bundle_of("db")
    bound = (PublishedPort(81, 8081), PublishedPort(83, 8082, host_ip="192.0.2.11"))
    first, second, third = assigned(web), assigned(web, 2), assigned(db)
    name = ServiceName("shop", "web")
    published = (
        PublishedEntry(8443, "", name, 443),
        PublishedEntry(8080, "192.0.2.11", name, 80),
        PublishedEntry(8081, "192.0.2.11", name, 81),
        PublishedEntry(8082, "2001:db8::2", name, 82),
        PublishedEntry(80, "", ServiceName("other", "web"), 80),
    )
    triples = ((web, first, found(first, ports=bound)), (web, second, None), (db, third, None))
    made = ejected(*triples, published=published)
    place = Place("box", "docker", "unix:///run/docker.sock", "/root/out", "/state")
    mine = [note for note in notes(made, (), place) if "hullmark-proxy" in note]
    elsewhere, here = sorted(mine)
    assert here.startswith("shop/web: the host's proxy answers its published ports")
    assert here.endswith("ports: ['192.0.2.11:8080:80', '[2001:db8::2]:8082:82', '8443:443']")
    assert elsewhere.startswith("other/web: ")
    assert "no instance of it is here" in elsewhere
    told = ("192.0.2.11:8080:80", "[2001:db8::2]:8082:82", "8443:443")
    assert made.projects[0].proxied == {"web-1": told, "web-2": told}
    assert notes(ejected(*triples), (), place) == [
        n for n in notes(made, (), place) if n not in mine
    ]
