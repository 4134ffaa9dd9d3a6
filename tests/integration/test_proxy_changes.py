"""What is changed while a real proxy works, and what befalls it: nobody's connection is lost by it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hullmark.core.proxyplan import plan
from hullmark.engine import haproxybinds
from hullmark.engine.haproxyconfig import HOLD_S
from hullmark.errors import ProxyUnavailable, Refused
from hullmark.model.directory import Directory, PublishedEntry, ServiceEntry, ServiceName
from hullmark.pki.authority import create_authority
from tests.cluster import wait_until
from tests.integration.proxyhosts import Container, Host, get, is_echoing, within
from tests.load import Load
from tests.proxy import RANGE, abilities
from tests.server import of_the_machine

WEB = ServiceName("shop", "web")
WEB_AT = "10.214.0.1"
DIRECTORY = Directory(
    range=RANGE,
    addresses=(WEB_AT,),
    services=(ServiceEntry(WEB, WEB_AT, (80,), networks={"front": ()}),),
    published=(PublishedEntry(8001, "", WEB, 80),),
)
RATE = 200.0
SPARE = range(4, 9)
"""Slots of instances that only a test makes known."""


class World:
    def __init__(self, host: Host) -> None:
        self.host = host
        host.add_bridge("shop", "front", "br-front", "172.20.0.0/24")
        self.first = host.add_container("shop", "web", 1, front="172.20.0.2")
        self.second = host.add_container("shop", "web", 2, front="172.20.0.3")
        self.friend = host.add_container("shop", "friend", 1, front="172.20.0.9")
        self.sight = replace(host.sight, directory=DIRECTORY)
        # Now, as a bridge's own address changes with what is plugged into it.
        self.spare = [
            host.add_container("shop", "web", slot, front=f"172.20.0.{20 + slot}") for slot in SPARE
        ]
        host.sight = self.sight
        host.apply()

    def load(self) -> Load:
        return Load(self.friend.inside, WEB_AT, 80, rate=RATE)

    def published(self, *ports: int) -> Directory:
        """Another structure for each set of ports."""
        entries = tuple(PublishedEntry(port, "", WEB, 80) for port in (8001, *ports))
        return replace(DIRECTORY, published=entries)

    def workers(self) -> set[int]:
        return set(self.host.proxy.workers)


@pytest.fixture(scope="module")
def standing() -> Iterator[World]:
    with Host("alone", "a" * 32, "192.0.2.11") as host:
        yield World(host)


@pytest.fixture
def world(standing: World) -> World:
    """As it began, whatever the test before did."""
    standing.host.sight = standing.sight
    wait_until(lambda: standing.host.haproxy.look().up, "the proxy runs", 5)
    standing.host.apply()
    return standing


def test_instances_come_and_go_without_a_reload_and_without_a_lost_request(world: World) -> None:
    worker = world.host.haproxy.look().worker
    with world.load() as load:
        for _ in range(5):
            world.host.remove(world.second)
            assert world.host.apply().changed
            time.sleep(0.1)
            world.host.see(members=(*world.host.sight.members, world.second.member()))
            assert not world.host.apply().reloaded
            time.sleep(0.2)
    assert load.outcome.failures == []
    assert load.outcome.sent > RATE
    assert len(load.outcome.answers) == 2, "both servers did"
    assert world.host.haproxy.look().worker == worker
    assert not world.host.apply().changed


def test_new_instances_lose_no_request_whether_or_not_they_take_a_reload(world: World) -> None:
    takes_servers = abilities().takes_servers
    with world.friend.dial(WEB_AT, 80) as held, world.load() as load:
        assert is_echoing(held)
        for one in world.spare:
            world.host.see(members=(*world.sight.members, one.member()))
            assert world.host.apply().reloaded != takes_servers
            wait_until(partial(is_given_some, world, one), "it is given some", 5)
            time.sleep(0.2)
            world.host.remove(one)
            assert not world.host.apply().reloaded, "for one that goes none is needed"
            assert not is_given_some(world, one)
        assert is_echoing(held)
    assert load.outcome.failures == []
    assert len(load.outcome.answers) == 2 + len(SPARE)
    stat = world.host.haproxy.traffic().ports
    assert [(one.name, one.members, one.up) for one in stat] == [(WEB, 2, 2)]


def test_a_container_that_starts_again_and_again_costs_nobody_a_connection(world: World) -> None:
    """At another address each time, as engines give them: none of it takes a reload, and so none is the one too many for a former worker."""
    one = world.spare[0]
    addresses = [each.addresses for each in world.spare]
    member = one.member()
    others = world.sight.members
    world.host.see(members=(*others, member))
    world.host.apply()
    worker = world.host.haproxy.look().worker
    with world.friend.dial(WEB_AT, 80) as held, world.load() as load:
        assert is_echoing(held)
        for at in (*addresses[1:], *addresses):
            world.host.see(members=others)
            assert not world.host.apply().reloaded
            world.host.see(members=(*others, replace(member, addresses=at)))
            assert not world.host.apply().reloaded
            there = next(each for each in world.spare if each.addresses == at)
            wait_until(partial(is_given_some, world, there), "it is given some there", 5)
        assert is_echoing(held)
    assert load.outcome.failures == []
    assert world.host.haproxy.look().worker == worker
    weak = replace(world.spare[1].member(), serving=False)
    world.host.see(members=(*others, weak))
    assert not world.host.apply().reloaded, "it is to get nothing"


def is_given_some(world: World, one: Container) -> bool:
    return str(one.instance) in {world.friend.get(WEB_AT, 80)["name"] for _ in range(6)}


def test_a_leaving_instance_keeps_its_connections_and_gets_none(world: World) -> None:
    world.host.remove(world.second)
    world.host.apply()
    with world.friend.dial(WEB_AT, 80) as held:
        assert is_echoing(held)
        world.host.see(members=(*world.host.sight.members, world.second.member()))
        world.host.mark(world.first, leaving=True)
        world.host.apply()
        first = world.first.member()
        assert world.host.haproxy.open_of(first) == 1
        names = {world.friend.get(WEB_AT, 80)["name"] for _ in range(6)}
        assert names == {"shop/web.2"}
        assert is_echoing(held)
        world.host.apply(world.published(8010))
        assert is_echoing(held), "it lives on in the former worker"
        assert world.host.haproxy.open_of(first) == 1
    wait_until(lambda: world.host.haproxy.open_of(first) == 0, "its last connection ended", 5)


def test_a_container_that_is_gone_leaves_no_server_behind(world: World) -> None:
    with world.friend.dial(WEB_AT, 80) as held, world.friend.dial(WEB_AT, 80) as other:
        assert is_echoing(held)
        assert is_echoing(other)
        world.host.remove(world.second)
        assert world.host.apply().changed
        assert (is_echoing(held), is_echoing(other)) == (True, True), (
            "connections end by themselves"
        )
    wait_until(lambda: world.host.haproxy.open_of(world.second.member()) == 0, "they ended", 5)
    world.host.apply()
    stat = world.host.haproxy.traffic().ports
    assert [(one.name, one.members, one.up) for one in stat] == [(WEB, 1, 1)]


def test_a_reload_under_load_loses_no_connection(world: World) -> None:
    with world.friend.dial(WEB_AT, 80) as held, world.load() as load:
        for port in range(8020, 8025):
            made = world.host.apply(world.published(port))
            assert made.reloaded
            time.sleep(0.2)
        assert is_echoing(held)
    assert load.outcome.failures == []
    assert load.outcome.sent > RATE
    assert world.host.haproxy.look().loaded == world.host.haproxy.wanted()


def test_a_dead_instance_is_left_out_before_anybody_says_so(world: World) -> None:
    """A request that was with it fails; those that come then find the other."""
    doomed = world.host.add_container("shop", "web", 3, front="172.20.0.4")
    world.host.apply()
    with world.load() as load:
        time.sleep(0.5)
        killed_at = time.time()
        doomed.kill()
        time.sleep(1.5)
    late = [one for one in load.outcome.failures if not one.open_at(killed_at)]
    assert late == [], load.outcome
    wait_until(
        lambda: (
            [each.member for one in world.host.haproxy.traffic().ports for each in one.down]
            == ["shop.web.3.g1"]
        ),
        "it is named as one that doesn't answer",
        5,
    )


def test_a_bridge_that_was_made_anew_is_heard_again(world: World) -> None:
    extra = world.host.add_bridge("shop", "back", "br-back", "172.23.0.0/24")
    entry = replace(DIRECTORY.services[0], networks={"front": (), "back": ()})
    told = replace(DIRECTORY, services=(entry,))
    caller = world.host.add_container("shop", "friend", 2, back="172.23.0.9")
    world.host.apply(told)
    assert caller.get(WEB_AT, 80)
    again = world.host.add_bridge("shop", "back", "br-back", "172.23.0.0/24")
    assert again.index != extra.index
    caller = world.host.add_container("shop", "friend", 3, back="172.23.0.10")
    with pytest.raises((OSError, ValueError)):
        caller.get(WEB_AT, 80)
    with world.load() as load:
        assert world.host.apply().reloaded
        assert caller.get(WEB_AT, 80)
    assert load.outcome.failures == []
    world.host.ip("link delete br-back")
    del world.host.bridges["shop", "back"]


def test_a_plan_that_haproxy_refuses_leaves_the_running_one_as_it_is(
    world: World, tmp_path
) -> None:
    before = world.host.haproxy.look()
    text = (world.host.proxy.folder / "haproxy.cfg").read_text()
    (world.host.proxy.folder / "proxy.pem").write_text("none")
    (world.host.proxy.folder / "root.pem").write_text("none")
    world.host.see(tls_address=world.host.address, tls_port=7443, certificate="ab")
    with pytest.raises(Refused, match=r"proxy\.pem"):
        world.host.apply()
    assert world.host.haproxy.look() == before
    assert (world.host.proxy.folder / "haproxy.cfg").read_text() == text
    assert world.friend.get(WEB_AT, 80)
    world.host.admit(create_authority(tmp_path / "authority", "c1", time.time()))
    assert world.host.apply().reloaded


def test_a_port_of_another_program_keeps_nothing_else_away(world: World) -> None:
    with within(world.host.network.path, lambda: listening(world.host.address, 8040)):
        made = world.host.apply(world.published(8040, 8041))
        assert made.left_out == (f"{world.host.address}:8040",)
        assert get(world.host.address, 8041)
        again = world.host.apply()
        assert (again.changed, again.left_out) == (False, made.left_out)
    assert world.host.apply().left_out == ()
    assert get(world.host.address, 8040)


def test_a_start_that_fails_leaves_the_former_one_running(world: World, monkeypatch) -> None:
    """A port that was taken between the look at it and the reload. HAProxy pauses its former worker while it tries."""
    monkeypatch.setattr(haproxybinds, "taken", lambda binds: ())
    loaded = world.host.haproxy.look().loaded
    with world.friend.dial(WEB_AT, 80) as held:
        with within(world.host.network.path, lambda: listening(world.host.address, 8050)):
            with pytest.raises(Refused, match="goes on as it was"):
                world.host.apply(world.published(8050))
            assert world.host.haproxy.look().loaded == loaded
            assert world.friend.get(WEB_AT, 80)
        assert is_echoing(held)
        assert world.host.apply(world.published(8050)).reloaded
        assert is_echoing(held)
    assert get(world.host.address, 8050)


def listening(address: str, port: int) -> socket.socket:
    return socket.create_server((address, port))


def test_reloads_hand_sockets_on_and_keep_nobody_waiting(world: World) -> None:
    """A socket that was bound anew instead has callers of its own, and the former one's are lost. Whoever comes to a worker that is told to
    end is served as by any other: to it, none of its servers is usable."""
    before = within(world.host.network.path, listening_on_8001)
    with Load(world.friend.inside, WEB_AT, 80, rate=2 * RATE) as load:
        for number in range(30):
            assert world.host.apply(world.published(8020 + number % 2)).reloaded
            time.sleep(0.1)
    assert within(world.host.network.path, listening_on_8001) == before
    assert load.outcome.failures == []
    assert load.outcome.slowest_s < HOLD_S


def listening_on_8001() -> set[str]:
    """The sockets, by the kernel's numbers: proc_pid_net(5), and states of include/net/tcp_states.h."""
    lines = Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]
    found = (line.split() for line in lines)
    return {one[9] for one in found if one[1].endswith(f":{8001:04X}") and one[3] == "0A"}


def test_a_changed_file_is_noticed_and_restored(world: World) -> None:
    path = world.host.proxy.folder / "haproxy.cfg"
    assert world.host.haproxy.tampered() == ()
    path.write_text(path.read_text().replace("172.20.0.2:80", "172.20.0.9:80"))
    assert world.host.haproxy.tampered() == ("haproxy.cfg",)
    within(world.host.network.path, world.host.haproxy.restore)
    assert world.host.haproxy.tampered() == ()
    assert {world.friend.get(WEB_AT, 80)["name"] for _ in range(4)} == {"shop/web.1", "shop/web.2"}


def test_a_killed_proxy_is_back_by_its_files_alone(world: World) -> None:
    """Within two seconds: the best of a few, as other tests may have the processors meanwhile."""
    before = world.host.haproxy.look()
    assert min(kill(world) for _ in range(3)) < 2.0
    after = world.host.haproxy.look()
    assert (after.loaded, after.replaced) == (before.loaded, ())
    assert after.pid != before.pid
    assert after.started_at > before.started_at
    assert not world.host.apply().changed


def kill(world: World) -> float:
    """How long its services were away, in seconds."""
    worker = world.host.haproxy.look().worker
    world.host.proxy.kill()
    killed_at = time.monotonic()
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), "its worker ended", 5)
    wait_until(lambda: answers(world.friend), "it answers again", 5)
    away_s = time.monotonic() - killed_at
    wait_until(lambda: world.host.haproxy.look().up, "it can be asked", 5)
    return away_s


def answers(caller: Container) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return bool(caller.get(WEB_AT, 80))
    return False


def test_a_proxy_that_does_not_run_gets_its_files_for_its_next_start(world: World) -> None:
    world.host.proxy.end()
    assert not world.host.haproxy.look().up
    with pytest.raises(ProxyUnavailable):
        world.host.apply(world.published(8060))
    world.host.ip(f"address delete {WEB_AT}/32 dev lo")  # as a boot does
    world.host.proxy.start()
    wait_until(lambda: world.host.haproxy.look().up, "it runs", 5)
    assert world.friend.get(WEB_AT, 80)
    assert get(world.host.address, 8060)
    assert not world.host.apply().changed
    assert world.host.haproxy.look().loaded == world.host.haproxy.wanted()


def test_another_object_knows_what_is_in_force(world: World) -> None:
    """As after a restart of the agent."""
    other = type(world.host.haproxy)(world.host.proxy.folder, world.host.proxy.run_dir)
    made = within(world.host.network.path, lambda: other.apply(plan(world.host.sight)))
    assert (made.changed, made.reloaded) == (False, False)
    assert other.wanted() == world.host.haproxy.wanted()


def test_a_program_that_was_replaced_is_seen_and_loaded(tmp_path, monkeypatch) -> None:
    """As an update does: another file under the same name."""
    program = tmp_path / "haproxy"
    real = of_the_machine("haproxy")
    shutil.copy(real, program)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with Host("updated", "b" * 32, "192.0.2.12") as host:
        host.apply(Directory())
        assert host.haproxy.look().replaced == ()
        pid = host.haproxy.look().pid
        shutil.copy(real, tmp_path / "newer")
        (tmp_path / "newer").replace(program)
        assert host.haproxy.look().replaced == (str(program),)
        host.haproxy.load_again()
        assert host.haproxy.look().replaced == ()
        assert host.haproxy.look().pid == pid
