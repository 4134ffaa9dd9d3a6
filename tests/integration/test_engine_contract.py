"""The Engine protocol, the same for every engine: what may be repeated, what is refused, what is seen."""

from __future__ import annotations

import ipaddress
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import docker.errors
import pytest

from hullmark.engine.docker_api import DockerApiEngine
from hullmark.engine.protocol import ContainerState, Engine
from hullmark.errors import Conflict, EngineUnavailable, HullmarkError, NotFound, Refused
from hullmark.host.routes import known_networks
from hullmark.model import names
from hullmark.model.app import (
    Attachment,
    Bundle,
    ContainerSpec,
    Healthcheck,
    Mount,
    MountKind,
    Network,
    Resources,
    Volume,
)
from hullmark.model.ejection import NO_RESTART, EngineRestart
from hullmark.model.observed import Health
from hullmark.model.orders import PublishedPort
from tests.cluster import wait_until
from tests.integration.relay import Relay
from tests.integration.shipyard import CLUSTER, EPOCH, IMAGE, Events, Yard, request_for, single

WEB = ContainerSpec(IMAGE, stop_grace_s=2)


def script(text: str, **changes) -> ContainerSpec:
    return replace(WEB, command=("sh", "-c", text), **changes)


def on_networks(app: str, *keys: str) -> Bundle:
    places = tuple(Attachment(key) for key in keys)
    networks = {key: Network() for key in keys}
    return Bundle(app, "web", replace(WEB, networks=places), networks)


# -- what may be repeated


def test_create_twice_is_one_container(yard: Yard) -> None:
    request = request_for(single("shop", WEB))
    first = yard.engine.create(request)
    assert yard.engine.create(request) == first
    assert [one.container_id for one in yard.engine.listed()] == [first]


def test_create_twice_on_two_networks_is_one_container_on_both(yard: Yard) -> None:
    made = on_networks("shop", "front", "back")
    yard.prepare(made)
    request = request_for(made)
    first = yard.engine.create(request)
    yard.sdk.networks.get("shop_back").disconnect(first)
    assert yard.engine.create(request) == first
    yard.engine.start(first)
    assert set(yard.engine.container(first).addresses) == {"shop_front", "shop_back"}


def test_a_container_of_another_cluster_is_not_taken_over(yard: Yard) -> None:
    request = request_for(single("shop", WEB))
    theirs = yard.engine.create(replace(request, cluster_id="another"))
    with pytest.raises(Conflict, match="of another cluster"):
        yard.engine.create(request)
    assert yard.engine.container(theirs).state is ContainerState.CREATED


def test_create_with_another_spec_conflicts(yard: Yard) -> None:
    request = request_for(single("shop", WEB))
    first = yard.engine.create(request)
    with pytest.raises(Conflict, match="another spec"):
        yard.engine.create(replace(request, spec_hash="0" * 64))
    assert yard.engine.container(first).spec_hash == request.spec_hash


def test_start_and_stop_and_remove_may_be_repeated(yard: Yard) -> None:
    container_id = yard.engine.create(request_for(single("shop", WEB)))
    assert yard.engine.container(container_id).state is ContainerState.CREATED
    yard.engine.stop(container_id)
    for _ in range(2):
        yard.engine.start(container_id)
        assert yard.engine.container(container_id).state is ContainerState.RUNNING
    with pytest.raises(Conflict):
        yard.engine.remove(container_id)
    for _ in range(2):
        yard.engine.stop(container_id)
        assert yard.engine.container(container_id).state is ContainerState.EXITED
    for _ in range(2):
        yard.engine.remove(container_id)
    yard.engine.stop(container_id)
    for call in (yard.engine.start, yard.engine.container):
        with pytest.raises(NotFound):
            call(container_id)
    assert yard.engine.listed() == []


def test_the_engines_own_restart_policy_is_told_as_it_became(yard: Yard) -> None:
    """Podman can't change it before 5.1."""
    container_id = yard.run(single("shop", WEB))
    pid = yard.sdk.containers.get(container_id).attrs["State"]["Pid"]
    assert yard.engine.restart_policy(container_id) == NO_RESTART
    can = yard.daemon.name == "docker" or _version(yard) >= (5, 1)
    for wanted in (EngineRestart("on-failure", 3), EngineRestart("always"), NO_RESTART):
        for _ in range(2):
            became = yard.engine.set_restart_policy(container_id, wanted)
            assert became == (wanted if can else NO_RESTART)
            assert yard.engine.restart_policy(container_id) == became
    assert yard.sdk.containers.get(container_id).attrs["State"]["Pid"] == pid
    foreign = yard.sdk.containers.create(IMAGE)
    with pytest.raises(Refused, match="not one of ours"):
        yard.engine.set_restart_policy(str(foreign.id), EngineRestart("always"))
    with pytest.raises(NotFound):
        yard.engine.set_restart_policy("nobody", EngineRestart("always"))


def _version(yard: Yard) -> tuple[int, int]:
    first, second = yard.engine.info().version.split(".")[:2]
    return int(first), int(second)


def test_a_stopped_container_starts_again(yard: Yard) -> None:
    container_id = yard.run(single("shop", WEB))
    yard.engine.stop(container_id)
    yard.engine.start(container_id)
    assert yard.engine.container(container_id).state is ContainerState.RUNNING


def test_remove_takes_anonymous_volumes_and_leaves_named_ones(yard: Yard) -> None:
    mounts = (Mount(MountKind.VOLUME, "/scratch"), Mount(MountKind.VOLUME, "/data", "data"))
    made = Bundle("shop", "web", replace(WEB, mounts=mounts), volumes={"data": Volume()})
    container_id = yard.run(made)
    assert len(yard.sdk.volumes.list()) == 2
    yard.engine.stop(container_id)
    yard.engine.remove(container_id)
    assert [volume.name for volume in yard.sdk.volumes.list()] == ["shop_data"]


def test_networks_may_be_made_and_removed_twice(yard: Yard) -> None:
    for _ in range(2):
        yard.engine.ensure_network(CLUSTER, "shop", "front", Network())
    assert yard.engine.networks(CLUSTER) == [("shop", "front")]
    assert len(yard.sdk.networks.list(names=["shop_front"])) == 1
    for _ in range(2):
        yard.engine.remove_network("shop", "front")
    assert yard.engine.networks(CLUSTER) == []


def test_a_network_in_use_stays(yard: Yard) -> None:
    made = on_networks("shop", "front")
    container_id = yard.run(made)
    yard.engine.remove_network("shop", "front")
    with pytest.raises(Conflict, match="other settings"):
        yard.engine.ensure_network(CLUSTER, "shop", "front", Network(internal=True))
    assert yard.engine.container(container_id).addresses["shop_front"]


def test_a_network_with_other_settings_is_made_anew(yard: Yard) -> None:
    yard.engine.ensure_network(CLUSTER, "shop", "front", Network())
    yard.engine.ensure_network(CLUSTER, "shop", "front", Network(internal=True))
    assert yard.sdk.networks.get("shop_front").attrs["Internal"] is True


def test_many_hands_make_one_network_and_no_two_share_a_subnet(yard: Yard) -> None:
    def ensure(key: str) -> None:
        yard.engine.ensure_network(CLUSTER, "shop", key, Network())

    keys = ["a", "b", "c", "a", "b", "c"]
    threads = [threading.Thread(target=ensure, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert yard.engine.networks(CLUSTER) == [("shop", key) for key in "abc"]
    found = [subnet_of(yard, f"shop_{key}") for key in "abc"]
    assert len(set(found)) == 3


def test_volumes_may_be_made_and_removed_twice(yard: Yard) -> None:
    for _ in range(2):
        yard.engine.ensure_volume(CLUSTER, "shop", "data", Volume(labels={"kind": "books"}))
    labels = yard.sdk.volumes.get("shop_data").attrs["Labels"]
    assert (labels["kind"], labels[names.LABEL_APP]) == ("books", "shop")
    for _ in range(2):
        yard.engine.remove_volume("shop", "data")
    assert yard.sdk.volumes.list() == []


def test_a_volume_with_other_settings_is_refused(yard: Yard) -> None:
    yard.engine.ensure_volume(CLUSTER, "shop", "data", Volume())
    options = {"type": "tmpfs", "device": "tmpfs"}
    with pytest.raises(Conflict, match="other settings"):
        yard.engine.ensure_volume(CLUSTER, "shop", "data", Volume(driver_options=options))


def test_external_places_are_used_and_never_made_or_removed(yard: Yard) -> None:
    with pytest.raises(NotFound, match="network lan9 does not exist"):
        yard.engine.ensure_network(CLUSTER, "shop", "front", Network(external="lan9"))
    with pytest.raises(NotFound, match="volume box9 does not exist"):
        yard.engine.ensure_volume(CLUSTER, "shop", "data", Volume(external="box9"))
    yard.sdk.networks.create("lan9")
    yard.sdk.volumes.create("box9")
    made = Bundle(
        "shop",
        "web",
        replace(
            WEB,
            networks=(Attachment("front"),),
            mounts=(Mount(MountKind.VOLUME, "/data", "data"),),
        ),
        networks={"front": Network(external="lan9")},
        volumes={"data": Volume(external="box9")},
    )
    container_id = yard.run(made)
    assert set(yard.engine.container(container_id).addresses) == {"lan9"}
    assert "box9" in str(yard.inspect(container_id)["Mounts"])
    yard.engine.stop(container_id)
    yard.engine.remove(container_id)
    yard.engine.remove_network("shop", "front")
    yard.engine.remove_volume("shop", "data")
    assert yard.sdk.networks.get("lan9")
    assert yard.sdk.volumes.get("box9")


# -- what isn't ours


def test_a_foreign_container_of_our_name_conflicts(yard: Yard) -> None:
    request = request_for(single("shop", WEB))
    foreign = yard.sdk.containers.create(IMAGE, name=request.instance.container_name)
    with pytest.raises(Conflict, match="not ours"):
        yard.engine.create(request)
    foreign.reload()
    assert foreign.status == "created"


def test_containers_without_our_labels_are_not_touched(yard: Yard) -> None:
    foreign = yard.sdk.containers.run(IMAGE, detach=True, labels={"io.hullmark.app": "shop"})
    assert yard.engine.listed() == []
    with pytest.raises(NotFound):
        yard.engine.container(str(foreign.id))
    for call in (yard.engine.start, yard.engine.stop, yard.engine.remove):
        with pytest.raises(Refused, match="not one of ours"):
            call(str(foreign.id))
    foreign.reload()
    assert foreign.status == "running"


def test_foreign_places_of_our_names_conflict_and_stay(yard: Yard) -> None:
    yard.sdk.networks.create("shop_front")
    yard.sdk.volumes.create("shop_data", labels={names.LABEL_APP: "other"})
    with pytest.raises(Conflict, match="network shop_front exists and was not made for app shop"):
        yard.engine.ensure_network(CLUSTER, "shop", "front", Network())
    with pytest.raises(Conflict, match="volume shop_data exists and was not made for app shop"):
        yard.engine.ensure_volume(CLUSTER, "shop", "data", Volume())
    yard.engine.remove_network("shop", "front")
    yard.engine.remove_volume("shop", "data")
    assert yard.sdk.networks.get("shop_front")
    assert yard.sdk.volumes.get("shop_data")
    assert yard.engine.networks(CLUSTER) == []


# -- what is seen


def test_listed_and_inspected(yard: Yard) -> None:
    made = on_networks("shop", "front")
    port = PublishedPort(8080, 18080)
    container_id = yard.run(made, (port,))
    found = yard.engine.container(container_id)
    assert names.parse_container_name(found.name) == found.instance
    assert (found.instance.app, found.instance.service) == ("shop", "web")
    assert (found.cluster_id, found.epoch) == (CLUSTER, EPOCH)
    assert (found.state, found.exit_code, found.health) == (
        ContainerState.RUNNING,
        None,
        Health.NONE,
    )
    assert time.time() - 60 < found.started_at < time.time() + 1
    assert found.finished_at == 0.0
    assert found.ports == (port,)
    assert ipaddress.ip_address(found.addresses["shop_front"]) in subnet_of(yard, "shop_front")
    assert found.image_id.endswith(str(yard.sdk.images.get(IMAGE).id).partition(":")[2])
    (row,) = yard.engine.listed()
    assert (row.container_id, row.name, row.state) == (container_id, found.name, found.state)


def test_a_listing_tells_who_was_started_anew_or_moved(yard: Yard) -> None:
    """Docker's by the addresses, Podman's by the first process: both as the container itself has them, also after the engine was away."""
    made = on_networks("shop", "back")
    container_id = yard.run(made)

    def told() -> object:
        (row,), found = yard.engine.listed(), yard.engine.container(container_id)
        assert found.addresses.keys() <= {"shop_back"}
        if yard.daemon.name == "docker":
            assert (row.addresses, row.pid) == (found.addresses, 0)
            return row.addresses
        assert (row.addresses, row.pid) == (None, found.pid)
        return row.pid

    first = told()
    assert first
    yard.daemon.restart()
    assert told() == first
    if yard.daemon.name == "docker":
        yard.sdk.networks.get("shop_back").disconnect(container_id)
        assert told() == {}
        yard.sdk.networks.get("shop_back").connect(container_id, ipv4_address=free_address(yard))
    else:
        yard.sdk.containers.get(container_id).restart(timeout=0)
    assert told() not in (first, {}, 0)
    yard.engine.stop(container_id)
    assert not told()


def free_address(yard: Yard) -> str:
    return str(subnet_of(yard, "shop_back")[-3])


@pytest.mark.parametrize(("text", "code"), [("exit 0", 0), ("exit 7", 7), ("nosuch", 127)])
def test_exit_codes(yard: Yard, text: str, code: int) -> None:
    found = yard.ended(yard.run(single("shop", script(text))))
    assert (found.exit_code, found.oom_killed) == (code, False)
    assert time.time() - 60 < found.started_at < found.finished_at + 1 < time.time() + 2


def test_a_command_that_is_not_there_is_refused_with_the_engines_words(yard: Yard) -> None:
    made = single("shop", replace(WEB, command=("/no/such/program",)))
    container_id = yard.create(made)
    with pytest.raises(Refused, match="/no/such/program"):
        yard.engine.start(container_id)
    assert yard.engine.container(container_id).state is not ContainerState.RUNNING


def test_an_end_for_want_of_memory_is_seen(yard: Yard) -> None:
    """Docker 20.10 forgets it where containerd tells of the end before it tells of the memory: both come at once. So there
    are three of them."""
    hungry = script("x=a; while :; do x=$x$x; done", limits=Resources(memory_bytes=16 << 20))
    made = [yard.run(single("shop", hungry)) for _ in range(3)]
    found = [yard.ended(one) for one in made]
    assert [one.exit_code for one in found] == [137] * 3
    # Podman's monitor of that time (conmon 2.1.6) tells nobody where the cgroups are of version 1.
    of_that_time = yard.engine.info().version.startswith(("4.3", "4.9"))
    assert any(one.oom_killed for one in found) or of_that_time, found


def test_stop_sends_the_signal_and_waits_for_the_grace(yard: Yard) -> None:
    obeys = script("trap 'exit 3' USR1; while :; do sleep 0.05; done", stop_signal="SIGUSR1")
    container_id = yard.run(single("shop", replace(obeys, stop_grace_s=20)))
    wait_until(lambda: has_said(yard, container_id, "SigCgt", signal.SIGUSR1), "the trap")
    yard.engine.stop(container_id)
    assert yard.engine.container(container_id).exit_code == 3
    stubborn = script("trap '' TERM; while :; do sleep 0.05; done", stop_grace_s=1)
    container_id = yard.run(single("shop", stubborn))
    wait_until(lambda: has_said(yard, container_id, "SigIgn", signal.SIGTERM), "the trap")
    began = time.monotonic()
    yard.engine.stop(container_id)
    assert 0.9 < time.monotonic() - began < 10
    assert yard.engine.container(container_id).exit_code == 137


def has_said(yard: Yard, container_id: str, what: str, number: int) -> bool:
    """Whether the first process handles a signal (`SigCgt` of proc(5)), or ignores it (`SigIgn`)."""
    for line in yard.proc(container_id, "status").splitlines():
        if line.startswith(f"{what}:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def test_health_is_seen_whoever_checks(yard: Yard) -> None:
    test = "test -e /tmp/well || { echo probe says no; exit 1; }"
    check = Healthcheck(("CMD-SHELL", test), interval_s=0.5, timeout_s=5, retries=1)
    container_id = yard.run(single("shop", replace(WEB, healthcheck=check)))
    found = yard.engine.container(container_id)
    assert found.healthcheck == check
    wait_until(lambda: yard.health(container_id) is Health.UNHEALTHY, "unhealthy")
    assert yard.engine.container(container_id).health_output == "probe says no"
    yard.sh(container_id, "touch /tmp/well")
    wait_until(lambda: yard.health(container_id) is Health.HEALTHY, "healthy")
    assert yard.engine.container(container_id).health_output == ""
    assert [row.health for row in yard.engine.listed()] == [Health.HEALTHY]
    yard.engine.stop(container_id)
    assert yard.engine.check_health(container_id) is not None


def test_a_health_check_that_hangs_is_unhealthy(yard: Yard) -> None:
    check = Healthcheck(("CMD", "sleep", "600"), interval_s=0.5, timeout_s=1, retries=1)
    container_id = yard.run(single("shop", replace(WEB, healthcheck=check)))
    wait_until(lambda: yard.health(container_id) is Health.UNHEALTHY, "unhealthy")


def test_networks_get_subnets_of_the_pool_that_nobody_uses(yard: Yard) -> None:
    for key in ("front", "back"):
        yard.engine.ensure_network(CLUSTER, "shop", key, Network())
    front, back = (subnet_of(yard, f"shop_{key}") for key in ("front", "back"))
    prefix = yard.daemon.workspace.addresses.partition("/")[0].rpartition(".0.0")[0]
    pool = ipaddress.IPv4Network(f"{prefix}.128.0/18")
    assert front.subnet_of(pool)
    assert back.subnet_of(pool)
    assert not front.overlaps(back)
    assert front.prefixlen == 26


def test_a_subnet_of_the_host_is_passed_over(yard: Yard) -> None:
    yard.engine.ensure_network(CLUSTER, "shop", "front", Network())
    taken = subnet_of(yard, "shop_front")
    yard.engine.remove_network("shop", "front")
    engine = DockerApiEngine(
        yard.daemon.socket,
        subnet_pool=str(taken.supernet(1)),
        subnet_prefix=taken.prefixlen,
        host_networks=lambda: [*known_networks(), taken],
    )
    engine.ensure_network(CLUSTER, "shop", "front", Network())
    assert not subnet_of(yard, "shop_front").overlaps(taken)
    with pytest.raises(Refused, match="no free /26"):
        engine.ensure_network(CLUSTER, "shop", "back", Network())


def subnet_of(yard: Yard, network: str) -> ipaddress.IPv4Network:
    attributes = yard.sdk.networks.get(network).attrs
    return ipaddress.IPv4Network(attributes["IPAM"]["Config"][0]["Subnet"])


# -- events


def test_events_tell_what_happens_and_whose_container_it_is(yard: Yard) -> None:
    events = Events.of(yard)
    foreign = yard.sdk.containers.run(IMAGE, ["true"], detach=True)
    foreign.wait()
    container_id = yard.run(single("shop", script("exit 3")))
    assert events.wait("create", container_id).name == yard.engine.container(container_id).name
    assert time.time() - 60 < events.wait("start", container_id).at < time.time() + 1
    assert (
        events.wait("die", container_id).fields[
            "exitCode" if docker_has(yard) else "containerExitCode"
        ]
        == "3"
    )
    yard.engine.remove(container_id)
    events.wait("destroy", container_id)
    assert {one.ours for one in events.seen if one.container_id == container_id} == {True}
    assert {one.ours for one in events.seen if one.container_id == foreign.id} == {False}
    yard.engine.close()
    assert events.ended()
    assert events.error is None


def docker_has(yard: Yard) -> bool:
    return yard.engine.info().name == "docker"


def test_events_tell_of_health(yard: Yard) -> None:
    events = Events.of(yard)
    check = Healthcheck(("CMD", "true"), interval_s=0.5, timeout_s=5)
    container_id = yard.run(single("shop", replace(WEB, healthcheck=check)))
    wait_until(lambda: yard.health(container_id) is Health.HEALTHY, "healthy")
    events.wait("health_status", container_id)
    yard.engine.close()
    assert events.ended()


def test_events_end_with_the_engine_and_go_on_with_it(yard: Yard) -> None:
    events = Events.of(yard)
    container_id = yard.run(single("shop", WEB))
    yard.daemon.kill()
    assert events.ended()
    assert isinstance(events.error, EngineUnavailable)
    yard.daemon.start()
    events = Events.of(yard)
    yard.engine.stop(container_id)
    events.wait("die", container_id)
    yard.engine.close()
    assert events.ended()


# -- logs

CHATTY = "for n in 1 2 3; do echo out $n; echo err $n >&2; done; printf unfinished"


def test_logs_by_stream_with_times(yard: Yard) -> None:
    container_id = yard.run(single("shop", script(CHATTY)))
    yard.ended(container_id)
    lines = list(yard.engine.logs(container_id, tail="all", since="", follow=False))
    found = {
        name: [line.text for line in lines if line.stream == name] for name in ("stdout", "stderr")
    }
    assert found == {
        "stdout": ["out 1", "out 2", "out 3", "unfinished"],
        "stderr": ["err 1", "err 2", "err 3"],
    }
    assert all(line.at.startswith("20") and "T" in line.at for line in lines)


def test_logs_of_a_terminal_are_one_stream(yard: Yard) -> None:
    container_id = yard.run(single("shop", script(CHATTY, tty=True)))
    yard.ended(container_id)
    lines = list(yard.engine.logs(container_id, tail="all", since="", follow=False))
    assert {line.stream for line in lines} == {"stdout"}
    assert sorted(line.text for line in lines)[:2] == ["err 1", "err 2"]


def test_logs_tail_and_since(yard: Yard) -> None:
    container_id = yard.run(single("shop", script("echo one; sleep 1.5; echo two; echo three")))
    yard.ended(container_id)
    tail = yard.engine.logs(container_id, tail="1", since="", follow=False)
    assert [line.text for line in tail] == ["three"]
    started_at = yard.engine.container(container_id).started_at
    since = yard.engine.logs(container_id, tail="all", since=f"{started_at + 1:.3f}", follow=False)
    assert [line.text for line in since] == ["two", "three"]


def test_logs_follow_until_the_end(yard: Yard) -> None:
    container_id = yard.run(
        single("shop", script("echo first; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo last"))
    )
    logs = yard.engine.logs(container_id, tail="all", since="", follow=True)
    assert next(logs).text == "first"
    yard.sh(container_id, "touch /tmp/go")
    assert [line.text for line in logs] == ["last"]


def test_following_ends_when_the_engine_room_is_closed(yard: Yard) -> None:
    container_id = yard.run(single("shop", script("echo first; exec sleep 600")))
    logs = yard.engine.logs(container_id, tail="all", since="", follow=True)
    assert next(logs).text == "first"
    rest: list[str] = []
    thread = threading.Thread(target=lambda: rest.extend(line.text for line in logs), daemon=True)
    thread.start()
    assert not join(thread, 0.3)
    yard.engine.close()
    assert join(thread, 10)
    assert rest == []


def join(thread: threading.Thread, timeout_s: float) -> bool:
    thread.join(timeout_s)
    return not thread.is_alive()


# -- an engine that goes away


def test_an_answer_that_was_lost_does_no_harm(yard: Yard) -> None:
    made = on_networks("shop", "front", "back")
    yard.prepare(made)
    request = request_for(made)
    with Relay(yard.daemon.socket.partition("://")[2]) as relay:
        engine = DockerApiEngine(f"tcp://{relay.host}")
        engine.info()
        calls: list[Callable[[], object]] = [
            lambda: engine.create(request),
            lambda: engine.start(request.instance.container_name),
            lambda: engine.stop(request.instance.container_name),
            lambda: engine.ensure_volume(CLUSTER, "shop", "data", Volume()),
        ]
        for call in calls:
            relay.lose_answers()
            with pytest.raises(EngineUnavailable):
                call()
            relay.lose_answers(False)
            call()
        engine.close()
    (row,) = yard.engine.listed()
    assert row.state is ContainerState.EXITED


def test_a_call_in_the_middle_of_which_the_engine_dies_may_be_repeated(yard: Yard) -> None:
    stubborn = script("trap '' TERM; while :; do sleep 0.05; done", stop_grace_s=3)
    container_id = yard.run(single("shop", stubborn))
    errors: list[HullmarkError] = []

    def stop() -> None:
        try:
            yard.engine.stop(container_id)
        except HullmarkError as error:
            errors.append(error)

    thread = threading.Thread(target=stop)
    thread.start()
    assert not join(thread, 0.5)
    yard.daemon.kill()
    assert join(thread, 10)
    assert [type(error) for error in errors] == [EngineUnavailable]
    assert errors[0].remedy
    yard.daemon.start()
    yard.engine.stop(container_id)
    assert yard.engine.container(container_id).state is ContainerState.EXITED


def test_every_call_says_that_the_engine_is_away(yard: Yard) -> None:
    container_id = yard.run(single("shop", WEB))
    yard.daemon.kill()
    engine: Engine = yard.engine
    calls: list[Callable[[], object]] = [
        engine.listed,
        lambda: engine.networks(CLUSTER),
        lambda: engine.container(container_id),
        lambda: engine.start(container_id),
        lambda: engine.stop(container_id),
        lambda: engine.remove(container_id),
        lambda: engine.create(request_for(single("shop", WEB))),
        lambda: engine.has_image(single("shop", WEB)),
        lambda: engine.ensure_network(CLUSTER, "shop", "front", Network()),
        lambda: engine.ensure_volume(CLUSTER, "shop", "data", Volume()),
        lambda: engine.remove_network("shop", "front"),
        lambda: engine.remove_volume("shop", "data"),
        lambda: engine.check_health(container_id),
        lambda: engine.restart_policy(container_id),
        lambda: engine.set_restart_policy(container_id, EngineRestart("always")),
        lambda: next(engine.events()),
        lambda: list(engine.logs(container_id, tail="all", since="", follow=False)),
    ]
    for call in calls:
        with pytest.raises(EngineUnavailable, match="does not answer"):
            call()
    yard.daemon.start()
    assert yard.engine.container(container_id).state is ContainerState.RUNNING


def test_what_others_remove_is_gone(yard: Yard) -> None:
    container_id = yard.run(single("shop", WEB))
    yard.sdk.containers.get(container_id).remove(force=True)
    yard.engine.stop(container_id)
    yard.engine.remove(container_id)
    with pytest.raises(docker.errors.NotFound):
        yard.sdk.containers.get(container_id)
