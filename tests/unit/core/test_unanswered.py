"""Which containers should answer their host's proxy, and how often in a row they did not."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from hullmark.core import proxyplan
from hullmark.core.unanswered import backends, counted, due
from hullmark.model.directory import Admission, Directory, PublishedEntry, ServiceEntry, ServiceName
from hullmark.model.orders import InstanceId, PublishedPort
from hullmark.model.proxy import Bridge, ContainerLook, ContainerPort, Member, ProxySight

WEB = ServiceName("shop", "web")
ENTRY = ServiceEntry(WEB, "10.214.0.1", (80, 443), networks={"back": ()})
HERE = Member(InstanceId("shop", "web", 1, 1), "a" * 64, {"back": "10.213.0.2"}, serving=True)
CALLER = Member(InstanceId("shop", "job", 1, 1), "b" * 64, {"back": "10.213.0.3"}, serving=True)
PUBLISHED = PublishedEntry(8080, "", WEB, 80)
PLACE = ContainerPort("shop.web.1.g1", 80)


def sight(*members: Member, entry: ServiceEntry = ENTRY, **told: Any) -> ProxySight:
    directory = Directory(range="10.214.0.0/16", services=(entry,), **told)
    bridge = Bridge("shop", "back", "br-1", 3, "10.213.0.0/25", "10.213.0.1")
    return ProxySight("h1", directory, members, (bridge,))


def ports(seen: ProxySight, exposed: Collection[int] = (80,)) -> list[int]:
    found = due(seen, lambda one: exposed if one.service == "web" else ())
    assert set(found.values()) <= {WEB}
    return sorted(place.port for place in found)


def test_who_serves_is_to_answer_where_somebody_may_call() -> None:
    assert ports(sight(HERE)) == [], "nobody does"
    assert ports(sight(HERE, CALLER)) == [80], "by the network that both are on"
    assert ports(sight(HERE, dataclasses.replace(CALLER, addresses={"front": "10.213.1.2"}))) == []
    user = dataclasses.replace(ENTRY, users=(ServiceName("pay", "job"),))
    assert ports(sight(HERE, entry=user)) == [80]
    assert ports(sight(HERE, admissions=(Admission("h2", WEB, ("out",)),))) == [80]


def test_a_port_of_the_image_alone_is_not_waited_for() -> None:
    assert ports(sight(HERE, CALLER), exposed=()) == []


def test_a_published_port_is_to_answer() -> None:
    assert ports(sight(HERE, published=(PUBLISHED,)), exposed=()) == [80]
    elsewhere = (Admission("h2", WEB, ("",)),)
    assert ports(sight(HERE, admissions=elsewhere), exposed=()) == [80, 443]
    bound = dataclasses.replace(HERE, bound=(PublishedPort(443, 8443), PublishedPort(80, 8, "udp")))
    assert ports(sight(bound), exposed=()) == [443], "the engine's own"


def test_who_does_not_serve_need_not_answer() -> None:
    for other in (
        dataclasses.replace(HERE, serving=False),
        dataclasses.replace(HERE, leaving=True),
        dataclasses.replace(HERE, instance=InstanceId("other", "web", 1, 1)),
    ):
        assert ports(sight(other, CALLER, published=(PUBLISHED,))) == []


def test_it_is_told_by_the_backend_that_the_list_of_services_goes_by() -> None:
    seen = sight(HERE, CALLER)
    found = backends(proxyplan.plan(seen), {PLACE: WEB, ContainerPort("shop.web.1.g1", 9): WEB})
    assert {place: one.name for place, one in found.items()} == {PLACE: "svc:shop:web:80"}
    assert found[PLACE].members == 1


def test_looks_in_a_row_are_counted() -> None:
    down, unsettled, up = (ContainerLook(PLACE, answers) for answers in (False, None, True))
    assert counted({}, [down], {PLACE}) == {PLACE: 1}
    assert counted({PLACE: 1}, [down], {PLACE}) == {PLACE: 2}
    assert counted({PLACE: 2}, [unsettled], {PLACE}) == {PLACE: 2}, "a reload begins nothing anew"
    assert counted({}, [unsettled], {PLACE}) == {}
    assert counted({PLACE: 2}, [up], {PLACE}) == {}
    assert counted({PLACE: 2}, [], {PLACE}) == {}
    assert counted({PLACE: 2}, [down], ()) == {}
