"""What each host is told of services: who may call, who serves where, and by which digest it knows that it was told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core.directory import all_heard, digest_of, directory_of, tabled
from hullmark.core.members import is_needed
from hullmark.model.app import App, PortMode, PortSpec
from hullmark.model.directory import Admission, Directory, PublishedEntry, ServiceName, Share
from hullmark.model.host import Availability
from hullmark.model.observed import Health, InstanceStatus, Phase
from hullmark.model.orders import Tombstone
from hullmark.model.records import ProxyRecord
from hullmark.model.snapshot import Snapshot
from hullmark.model.wire import canonical, from_wire, to_wire
from tests.unit.core.fleets import LEADER
from tests.unit.core.serviceworld import LOST_S, World, app, changed, facts, service, worlds

DB, WEB = ServiceName("shop", "db"), ServiceName("shop", "web")
SHOP = app("shop", web=service("front"), db=service("front"))

few = settings(max_examples=40)
"""Each is a whole cluster, and says a lot."""


def content(directory: Directory) -> Directory:
    """All but who says it and its digest."""
    return dataclasses.replace(directory, epoch=LEADER.epoch, leader="", digest="")


def elsewhere(directory: Directory, name: ServiceName = DB) -> tuple[Share, ...]:
    (entry,) = [one for one in directory.services if one.name == name]
    return entry.elsewhere


def names(directory: Directory) -> list[str]:
    return [str(one.name) for one in directory.services]


def all_of(snapshot: Snapshot) -> Iterator[tuple[str, Directory]]:
    yield from tabled(snapshot).items()


# who may call


def on_host(snapshot: Snapshot, host: str) -> set[ServiceName]:
    assigned = snapshot.assignments[host].assignments
    return {ServiceName(item.instance.app, item.instance.service) for item in assigned}


def may_call(snapshot: Snapshot, caller: ServiceName, name: ServiceName) -> bool:
    """The rule, said once more and otherwise."""
    one, other = (snapshot.apps[each.app].app.services[each.service] for each in (caller, name))
    if str(name) in one.uses or caller == name:
        return True
    on = [{place.network for place in each.container.networks} for each in (one, other)]
    return caller.app == name.app and bool(on[0] & on[1])


def answers(snapshot: Snapshot, host: str, name: ServiceName) -> bool:
    """Whether some port of the service is to be answered there, if it is not another's already."""
    asked = snapshot.apps[name.app].app.services[name.service]
    if not any(port.published_first for port in asked.ports):
        return False
    if asked.ingress:
        return snapshot.hosts[host].labels.get("edge") == "yes"
    with_one = {key for key, each in snapshot.observed.items() if each.facts.proxy_version}
    return host in (with_one or snapshot.observed)


@few
@given(worlds())
def test_just_those_are_admitted_who_share_a_network_or_declare_a_use(world: World) -> None:
    snapshot = world.snapshot()
    for host, directory in all_of(snapshot):
        told = {(one.host_id, one.name): set(one.scopes) for one in directory.admissions}
        assert len(told) == len(directory.admissions), "each asker once"
        for name in on_host(snapshot, host):
            for asker in set(snapshot.hosts) - {host}:
                calling = {
                    snapshot.apps[one.app].app.services[one.service].container.scope or "out"
                    for one in on_host(snapshot, asker)
                    if may_call(snapshot, one, name)
                }
                found = told.pop((asker, name), set())
                assert found - {""} == calling
                assert "" not in found or answers(snapshot, asker, name)
        assert not told, "nobody may ask a host for what it does not have"


@few
@given(worlds())
def test_a_host_knows_what_it_offers_calls_and_publishes_and_no_more(world: World) -> None:
    snapshot = world.snapshot()
    for host, directory in all_of(snapshot):
        here = on_host(snapshot, host)
        published = {one.name for one in directory.published}
        for app_name, record in snapshot.apps.items():
            for key in record.app.services:
                name = ServiceName(app_name, key)
                wanted = any(may_call(snapshot, one, name) for one in here) or name in published
                assert (name in {one.name for one in directory.services}) == wanted
        for one in directory.services:
            for user in one.users:
                asked = snapshot.apps[user.app].app.services[user.service]
                assert str(one.name) in asked.uses


@few
@given(worlds())
def test_a_host_with_a_proxy_knows_the_address_of_all_other_services(world: World) -> None:
    snapshot = world.snapshot()
    for host, directory in all_of(snapshot):
        there = [ServiceName(*name.split("/")) for name in sorted(world.addresses)]
        rest = [name for name in there if str(name) not in names(directory)]
        has_proxy = bool(snapshot.observed[host].facts.proxy_version)
        assert [one.name for one in directory.others] == (rest if has_proxy else [])
        for one in directory.others:
            assert (one.address, one.ports) == (world.addresses[str(one.name)], (80,))


def test_what_becomes_of_instances_is_no_news_to_hosts_that_have_nothing_to_do_with_them() -> None:
    world = World([SHOP, app("far", one=service("front"))])
    world.run("h1", "shop/db")
    world.run("h3", "far/one")
    before = tabled(world.snapshot())
    assert [str(one.name) for one in before["h3"].others] == ["shop/db", "shop/web"]
    world.run("h1", "shop/db", 2)
    world.run("h2", "shop/db", 3)
    after = tabled(world.snapshot(), former=before)
    assert after.digests["h3"] == before.digests["h3"]
    assert after.digests["h1"] != before.digests["h1"]
    world.addresses["shop/web"] = "10.214.0.99"
    assert tabled(world.snapshot()).digests["h3"] != before.digests["h3"]


def test_a_service_without_ports_is_nowhere_refused() -> None:
    world = World([app("shop", db=service("front", expose=())), app("far", one=service("front"))])
    world.run("h3", "far/one")
    assert directory_of(world.snapshot(), "h3").others == ()


def test_a_use_is_told_with_its_user_and_needs_no_network() -> None:
    blog = app("blog", web=service("front", uses=["shop/db"]), idle=service("front"))
    shop = app("shop", db=service("back"), web=service("front"))
    world = World([blog, shop])
    world.run("h1", "blog/web")
    world.run("h2", "shop/db")
    world.run("h3", "blog/idle")
    world.run("h3", "shop/web")
    snapshot = world.snapshot()
    caller, callee, other = (directory_of(snapshot, host) for host in ("h1", "h2", "h3"))
    assert names(caller) == ["blog/idle", "blog/web", "shop/db"]
    assert caller.services[2].users == (ServiceName("blog", "web"),)
    assert callee.admissions == (Admission("h1", DB, ("out",)),)
    assert "shop/db" not in names(other)


def test_a_caller_is_let_in_before_it_starts() -> None:
    world = World([SHOP])
    world.run("h1", "shop/db")
    world.assign("h2", "shop/web")
    admitted = directory_of(world.snapshot(), "h1").admissions
    assert admitted == (Admission("h2", DB, ("out",)),)


def test_an_engines_own_network_is_no_common_one() -> None:
    world = World([app("shop", web=service("front"), db=service("front"))])
    record = world.apps["shop"]
    networks = {**record.app.networks}
    networks["front"] = dataclasses.replace(networks["front"], external="lan")
    world.apps["shop"] = dataclasses.replace(
        record, app=dataclasses.replace(record.app, networks=networks)
    )
    world.run("h1", "shop/db")
    world.run("h2", "shop/web")
    assert directory_of(world.snapshot(), "h1").admissions == ()
    assert names(directory_of(world.snapshot(), "h2")) == ["shop/web"]


def test_scopes_of_all_that_asks_from_one_host_are_told() -> None:
    shop = app(
        "shop",
        db=service("front"),
        web=service("front", ports=[PortSpec(80, 8080)]),
        card=service("front", scope="cde"),
    )
    world = World([shop], hosts=2)
    for name in ("shop/web", "shop/card"):
        world.run("h1", name)
    world.run("h2", "shop/db")
    world.run("h2", "shop/web")
    told = {one.name: one.scopes for one in directory_of(world.snapshot(), "h2").admissions}
    assert told == {DB: ("cde", "out"), WEB: ("", "cde", "out")}


@few
@given(worlds())
def test_a_removed_host_is_nobody_to_anybody(world: World) -> None:
    del world.hosts["h2"]
    for host, directory in all_of(world.snapshot()):
        assert host != "h2"
        peers = {one.host_id for one in directory.peers}
        assert "h2" not in peers
        assert peers.isdisjoint(directory.unproxied)
        known = {host, *peers, *directory.unproxied}
        assert known == set(world.hosts), "nobody else is taken for removed"
        assert "h2" not in {one.host_id for one in directory.admissions}
        assert "h2" not in {
            share.host_id for entry in directory.services for share in entry.elsewhere
        }


# who serves where


@few
@given(worlds())
def test_only_other_hosts_with_a_proxy_are_elsewhere(world: World) -> None:
    snapshot = world.snapshot()
    for host, directory in all_of(snapshot):
        peers = {peer.host_id for peer in directory.peers}
        assert host not in peers
        assert peers == {
            other for other, found in world.facts.items() if found.proxy_version and other != host
        }
        for entry in directory.services:
            shares = {share.host_id: share.serving for share in entry.elsewhere}
            assert shares.keys() <= peers
            assert all(
                number == sum(status.serving for status in _instances(snapshot, other, entry.name))
                for other, number in shares.items()
            )


def _instances(snapshot: Snapshot, host: str, name: ServiceName) -> Iterator[InstanceStatus]:
    for status in snapshot.observed[host].instances.values():
        if ServiceName(status.instance.app, status.instance.service) == name:
            yield status


def test_a_silent_host_keeps_its_share_and_a_lost_one_has_none() -> None:
    world = World([SHOP], hosts=4)
    for host in ("h1", "h2", "h3"):
        world.run(host, "shop/db")
    world.heard["h2"] = LOST_S - 0.1
    assert elsewhere(directory_of(world.snapshot(), "h1")) == (Share("h2", 1), Share("h3", 1))
    world.heard["h2"] = LOST_S + 0.1
    assert elsewhere(directory_of(world.snapshot(), "h1")) == (Share("h3", 1),)


def test_where_many_are_silent_at_once_nothing_is_taken_out() -> None:
    world = World([SHOP], hosts=4)
    for host in ("h1", "h2", "h3"):
        world.run(host, "shop/db")
    world.heard.update(h2=LOST_S + 1, h3=LOST_S + 1)
    assert elsewhere(directory_of(world.snapshot(), "h1")) == (Share("h2", 1), Share("h3", 1))


def test_a_lost_host_keeps_what_nobody_else_serves() -> None:
    """Its agent may have been removed: proxy and containers go on."""
    world = World([SHOP], hosts=4)
    for host in ("h1", "h2"):
        world.run(host, "shop/web")
    world.run("h2", "shop/db")
    world.heard["h2"] = LOST_S + 1
    assert elsewhere(directory_of(world.snapshot(), "h1")) == (Share("h2", 1),)
    world.run("h3", "shop/db", 2)
    assert elsewhere(directory_of(world.snapshot(), "h1")) == (Share("h3", 1),)


def test_a_lost_host_may_still_call_and_is_still_called_by_its_name() -> None:
    world = World([SHOP], hosts=4)
    world.run("h1", "shop/db")
    world.run("h2", "shop/web")
    world.heard["h2"] = LOST_S + 1
    directory = directory_of(world.snapshot(), "h1")
    assert directory.admissions == (Admission("h2", DB, ("out",)),)
    assert "h2" in {peer.host_id for peer in directory.peers}


def test_both_instances_of_a_slot_count_while_they_serve() -> None:
    world = World([SHOP])
    old = world.run("h2", "shop/db", 1, 1)
    world.run("h2", "shop/db", 1, 2)
    world.run("h1", "shop/web")
    assert elsewhere(directory_of(world.snapshot(), "h1")) == (Share("h2", 2),)
    orders = {**world.snapshot().assignments}
    kept = tuple(item for item in orders["h2"].assignments if item.instance != old)
    buried = (Tombstone(old, LEADER.epoch, "replaced"),)
    orders["h2"] = dataclasses.replace(orders["h2"], assignments=kept, tombstones=buried)
    retired = dataclasses.replace(world.snapshot(), assignments=orders)
    assert elsewhere(directory_of(retired, "h1")) == (Share("h2", 2),), "until it stops"
    world.instances["h2"][old.container_name] = dataclasses.replace(
        world.instances["h2"][old.container_name], phase=Phase.STOPPING
    )
    assert elsewhere(directory_of(world.snapshot(), "h1")) == (Share("h2", 1),)


def test_instances_of_a_host_that_is_drained_count_while_they_serve() -> None:
    world = World([SHOP])
    world.run("h2", "shop/db")
    world.run("h1", "shop/web")
    world.hosts["h2"] = dataclasses.replace(world.hosts["h2"], availability=Availability.DRAINING)
    assert elsewhere(directory_of(world.snapshot(), "h1")) == (Share("h2", 1),)


@pytest.mark.parametrize("health", [Health.STARTING, Health.UNHEALTHY])
def test_what_is_not_healthy_does_not_serve(health: Health) -> None:
    world = World([SHOP])
    world.run("h2", "shop/db", health=health)
    world.run("h1", "shop/web")
    assert elsewhere(directory_of(world.snapshot(), "h1")) == ()


def test_a_host_without_a_proxy_is_no_peer_and_has_no_share() -> None:
    world = World([SHOP])
    world.run("h2", "shop/db")
    world.run("h1", "shop/web")
    world.facts["h2"] = facts(2, proxy=False)
    directory = directory_of(world.snapshot(), "h1")
    assert elsewhere(directory) == ()
    assert [peer.host_id for peer in directory.peers] == ["h3"]


def test_a_host_that_lies_gets_no_traffic_and_is_let_in_nowhere() -> None:
    world = World([SHOP])
    world.run("h1", "shop/db")
    world.run("h2", "shop/db")
    world.run("h3", "shop/web")
    honest = directory_of(world.snapshot(), "h1")
    for name in ("shop/db", "shop/web"):
        world.run("h2", name, 7)
        world.assigned["h2"].pop()
    assert directory_of(world.snapshot(), "h1") == honest


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("192.0.2.2 ssl verify none", 7443),
        ("192.0.2.2\nserver x", 7443),
        ("elsewhere.example", 7443),
        ("fe80::1%eth0", 7443),
        ("", 7443),
        ("192.0.2.2", 0),
        ("192.0.2.2", 65536),
        ("192.0.2.2", -1),
        # All other hosts would call there.
        ("127.0.0.1", 6379),
        ("::1", 6379),
        ("0.0.0.0", 7443),
        ("169.254.169.254", 80),
        ("224.0.0.1", 7443),
    ],
)
def test_what_can_not_be_an_address_and_a_port_is_no_proxy(address: str, port: int) -> None:
    world = World([SHOP])
    world.run("h2", "shop/db")
    world.run("h1", "shop/web")
    world.facts["h2"] = dataclasses.replace(
        world.facts["h2"], proxy_address=address, proxy_port=port
    )
    directory = directory_of(world.snapshot(), "h1")
    assert [peer.host_id for peer in directory.peers] == ["h3"]
    assert elsewhere(directory) == ()


# published ports


def test_a_published_port_is_answered_by_each_host_with_a_proxy() -> None:
    shop = app("shop", web=service("front", ports=[PortSpec(80, 8080), PortSpec(81)]))
    world = World([shop])
    world.run("h1", "shop/web")
    world.facts["h3"] = facts(3, proxy=False)
    found = {host: directory.published for host, directory in all_of(world.snapshot())}
    entry = PublishedEntry(8080, "", WEB, 80)
    assert found == {"h1": (entry,), "h2": (entry,), "h3": ()}
    assert names(directory_of(world.snapshot(), "h2")) == ["shop/web"]
    assert directory_of(world.snapshot(), "h1").admissions == (Admission("h2", WEB, ("",)),)


def test_where_no_host_has_a_proxy_each_that_was_heard_is_told_what_it_is_to_answer() -> None:
    world = World([app("shop", web=service("front", ports=[PortSpec(80, 8080)]))])
    for host in world.facts:
        world.facts[host] = facts(1, proxy=False)
    world.unreported.add("h3")
    found = {host: directory_of(world.snapshot(), host) for host in world.hosts}
    assert [host for host in found if is_needed(found[host], is_installed=False)] == ["h1", "h2"]
    world.proxies["h3"] = ProxyRecord("192.0.2.3", 7443, ())
    found = {host: directory_of(world.snapshot(), host) for host in world.hosts}
    assert [host for host in found if is_needed(found[host], is_installed=False)] == ["h3"]


def test_by_constraint_those_hosts_answer_that_are_asked_for() -> None:
    ports = [PortSpec(80, 8080, host_ip="0.0.0.0"), PortSpec(82, 8082, mode=PortMode.HOST)]
    shop = app("shop", web=service("front", ports=ports, ingress=["node.labels.edge == yes"]))
    world = World([shop])
    world.hosts["h2"] = dataclasses.replace(world.hosts["h2"], labels={"edge": "yes"})
    found = {host: directory.published for host, directory in all_of(world.snapshot())}
    assert found == {"h1": (), "h2": (PublishedEntry(8080, "", WEB, 80),), "h3": ()}


def test_of_two_that_want_one_port_of_a_host_the_first_has_it() -> None:
    edge = ["node.labels.edge == yes"]
    blog = app("blog", web=service("front", ports=[PortSpec(80, 8080)], ingress=edge))
    shop = app("shop", web=service("front", ports=[PortSpec(80, 8080), PortSpec(80, 8081)]))
    world = World([blog, shop], hosts=2)
    world.hosts["h2"] = dataclasses.replace(world.hosts["h2"], labels={"edge": "yes"})
    first, second = (directory_of(world.snapshot(), host) for host in ("h1", "h2"))
    assert [(one.port, one.name.app) for one in first.published] == [(8080, "shop"), (8081, "shop")]
    assert [(one.port, one.name.app) for one in second.published] == [
        (8080, "blog"),
        (8081, "shop"),
    ]


def test_who_lost_a_port_to_another_takes_it_from_nobody() -> None:
    def wants(*ports: PortSpec) -> App:
        return app("x", web=service("front", ports=ports))

    first = PortSpec(80, 8080, host_ip="192.0.2.1")
    second = PortSpec(80, 8080)
    third = PortSpec(80, 8080, host_ip="192.0.2.2")
    apps = [
        dataclasses.replace(wants(spec), name=name)
        for name, spec in (("a", first), ("b", second), ("c", third))
    ]
    told = directory_of(World(apps, hosts=1).snapshot(), "h1").published
    assert [(one.host_ip, one.name.app) for one in told] == [("192.0.2.1", "a"), ("192.0.2.2", "c")]


def test_what_is_being_removed_answers_no_port_any_more() -> None:
    world = World([app("shop", web=service("front", ports=[PortSpec(80, 8080)]))])
    world.run("h1", "shop/web")
    world.apps["shop"] = dataclasses.replace(world.apps["shop"], removing=True)
    assert directory_of(world.snapshot(), "h1").published == ()


@few
@given(worlds())
def test_no_port_of_a_host_is_two_services(world: World) -> None:
    for _, directory in all_of(world.snapshot()):
        taken: set[tuple[int, str]] = set()
        for one in directory.published:
            assert one.name in {entry.name for entry in directory.services}
            assert (one.port, "") not in taken
            assert (one.port, one.host_ip) not in taken
            assert one.host_ip or one.port not in {port for port, _ in taken}
            taken.add((one.port, one.host_ip))


# the digest, and the forms


@few
@given(st.data(), worlds())
def test_the_digest_is_the_same_where_the_content_is_and_only_there(
    data: st.DataObject, world: World
) -> None:
    before = dict(all_of(world.snapshot()))
    for _ in range(data.draw(st.integers(1, 3))):
        changed(data.draw, world)
    after = dict(all_of(world.snapshot()))
    for host, directory in after.items():
        same = content(directory) == content(before[host])
        assert (directory.digest == before[host].digest) is same


@few
@given(st.data(), worlds())
def test_what_is_kept_of_the_former_table_changes_nothing(
    data: st.DataObject, world: World
) -> None:
    former = tabled(world.snapshot())
    for directory in former.values():
        assert directory.digest
    changed(data.draw, world)
    snapshot = world.snapshot()
    assert dict(tabled(snapshot, former=former)) == dict(tabled(snapshot))


@few
@given(worlds())
def test_the_digest_and_the_text_are_those_of_the_directory(world: World) -> None:
    table = tabled(world.snapshot())
    for host, directory in table.items():
        assert digest_of(directory) == directory.digest == table.digests[host]
        assert table.text(host).encode() == canonical(to_wire(directory))
        assert from_wire(Directory, to_wire(directory)) == directory


def test_another_leader_with_the_same_to_say_has_the_same_digest() -> None:
    world = World([SHOP])
    world.run("h1", "shop/web")
    snapshot = world.snapshot()
    another = dataclasses.replace(LEADER, epoch=dataclasses.replace(LEADER.epoch, term=9))
    later = directory_of(dataclasses.replace(snapshot, leader=another), "h1")
    assert later.epoch == another.epoch
    assert later.digest == directory_of(snapshot, "h1").digest


def test_addresses_are_the_same_for_all_and_in_order() -> None:
    world = World([SHOP])
    world.addresses["shop/web"] = "10.214.0.10"
    world.addresses["shop/db"] = "10.214.0.9"
    for _, directory in all_of(world.snapshot()):
        assert directory.addresses == ("10.214.0.9", "10.214.0.10")
        assert directory.range == "10.214.0.0/16"


# when there is one at all


def test_before_each_host_was_heard_nothing_can_be_said() -> None:
    world = World([SHOP])
    world.unreported.add("h2")
    world.waited_s = 3.0
    assert not all_heard(world.snapshot()), "heard, and its report is on its way"
    del world.heard["h2"]
    assert not all_heard(world.snapshot())
    world.waited_s = LOST_S + 0.1
    assert all_heard(world.snapshot()), "it is lost"


def test_one_that_is_heard_and_never_reports_does_not_hold_up_the_others_for_ever() -> None:
    world = World([SHOP])
    world.unreported.add("h2")
    world.waited_s = LOST_S * 2
    assert not all_heard(world.snapshot())
    world.waited_s = LOST_S * 2 + 0.1
    assert all_heard(world.snapshot())
