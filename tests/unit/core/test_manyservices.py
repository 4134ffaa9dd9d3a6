"""With many services: what is gathered once says the same as looking at all of them each time, and no service costs more because there are others."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core import callees, nameless, reaching, serviceview, shutin, whycase
from hullmark.core.directory import tabled
from hullmark.core.portplaces import holder_instead
from hullmark.core.serviceports import has_address
from hullmark.core.serviceview import Survey, reaches
from hullmark.core.why import Case, why
from hullmark.model.app import App, PortSpec, Service
from hullmark.model.directory import ServiceName
from hullmark.model.host import PROXY, Listener
from hullmark.model.snapshot import Snapshot
from tests.unit.core.serviceworld import NAMES, World, app, service, worlds

PORTS = (8000, 8001)
LISTENERS = st.builds(
    Listener,
    st.sampled_from(PORTS),
    st.sampled_from(("tcp", "udp")),
    st.sampled_from(("", "::", "0.0.0.0", "192.0.2.1")),
    st.sampled_from((PROXY, "nginx", "")),
)


def plain_users(snapshot: Snapshot, name: str) -> list[str]:
    found = []
    for key, record in sorted(snapshot.apps.items()):
        for other, each in sorted(record.app.services.items()):
            if name in [use if "/" in use else f"{key}/{use}" for use in each.uses]:
                found.append(f"{key}/{other}")
    return found


def plain_callees(app: App, service: Service) -> set[str]:
    keys = {place.network for place in service.container.networks}
    beside = {
        f"{app.name}/{name}"
        for name, other in app.services.items()
        if other is not service
        and has_address(other)
        and keys & {place.network for place in other.container.networks}
    }
    return beside | {use if "/" in use else f"{app.name}/{use}" for use in service.uses}


def change_each(world: World, change: Callable[[Service], Service]) -> None:
    """All services, without another generation."""
    for name, record in world.apps.items():
        services = {key: change(each) for key, each in record.app.services.items()}
        changed = dataclasses.replace(record.app, services=services)
        world.apps[name] = dataclasses.replace(record, app=changed)


@given(worlds(), st.data())
def test_users_and_listeners_are_those_that_a_look_at_all_finds(
    world: World, data: st.DataObject
) -> None:
    change_each(world, lambda each: dataclasses.replace(each, uses=each.uses * 2))
    for host in world.hosts:
        listeners = tuple(data.draw(st.lists(LISTENERS, max_size=5)))
        world.facts[host] = dataclasses.replace(world.facts[host], listeners=listeners)
    survey = Survey.of(world.snapshot(), None)
    for text in NAMES:
        name = ServiceName(*text.split("/"))
        assert list(survey.users(name)) == plain_users(survey.snapshot, text)
    for host in world.hosts:
        for port in (*PORTS, 80):
            every, some = world.facts[host].listeners, survey.listeners(host, port)
            for address in ("192.0.2.1", "192.0.2.9", "fd00::1"):
                assert holder_instead(some, port, address) == holder_instead(every, port, address)
            assert list(some) == [one for one in every if (one.port, one.protocol) == (port, "tcp")]


@given(worlds(), st.data())
def test_who_calls_whom_is_what_the_list_of_callees_says(world: World, data: st.DataObject) -> None:
    def perhaps_without_ports(each: Service) -> Service:
        expose = data.draw(st.sampled_from((("80",), ())))
        return dataclasses.replace(
            each, container=dataclasses.replace(each.container, expose=expose)
        )

    change_each(world, perhaps_without_ports)
    for record in world.apps.values():
        for each in record.app.services.values():
            there = plain_callees(record.app, each)
            assert callees.calls_any(record.app, each) == bool(there)
            for name in (*NAMES, "blog/none", "none/db"):
                assert callees.calls(record.app, each, name) == (name in there)


def test_what_has_no_port_is_called_by_nobody_beside_it() -> None:
    made = app("shop", db=service("back", expose=()), web=service("back"))
    db, web = made.services["db"], made.services["web"]
    assert callees.calls(made, db, "shop/web")
    assert not callees.calls(made, web, "shop/db")
    assert (callees.calls_any(made, db), callees.calls_any(made, web)) == (True, False)


def many(number: int) -> World:
    """Each uses the one before, has a published port, and an instance on one of three hosts, that knows no names."""
    keys = [f"s{index:02}" for index in range(number)]
    parts = {
        key: service(
            "back", uses=[f"shop/{before}"], ports=[PortSpec(80, 8000 + index, 8000 + index)]
        )
        for index, (key, before) in enumerate(zip(keys, [keys[-1], *keys]))
    }
    world = World([app("shop", **parts)])
    listeners = tuple(Listener(8000 + index, "tcp", "0.0.0.0", PROXY) for index in range(number))
    for host in world.hosts:
        world.facts[host] = dataclasses.replace(world.facts[host], listeners=listeners)
    for index, key in enumerate(keys):
        host = sorted(world.hosts)[index % 3]
        instance = world.run(host, f"shop/{key}")
        status = world.instances[host][instance.container_name]
        world.instances[host][instance.container_name] = dataclasses.replace(status, nameless=True)
    return world


def surveyed(number: int) -> Survey:
    snapshot = many(number).snapshot()
    return Survey.of(snapshot, tabled(snapshot))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[Any, ...]]]:
    """Gives the list of what a function is called with from then on."""

    def counting(module: Any, name: str) -> list[tuple[Any, ...]]:
        calls: list[tuple[Any, ...]] = []
        real = getattr(module, name)

        def counted(*args: Any, **more: Any) -> Any:
            calls.append(args)
            return real(*args, **more)

        monkeypatch.setattr(module, name, counted)
        return calls

    return counting


def test_each_use_and_each_listener_is_looked_at_as_often_with_many_as_with_few(asked: Any) -> None:
    uses, lacking = asked(serviceview, "qualified"), asked(reaching, "_lacking")
    holders = asked(serviceview, "holder_instead")
    for number in (6, 24):
        survey = surveyed(number)
        found = reaches(survey)
        assert [len(each.users) for each in found] == [1] * number
        assert len(uses) == 2 * number  # once for all users, once of each service
        assert len(lacking) == number
        assert [len(listeners) for listeners, *_ in holders] == [1] * number * 3  # hosts
        for calls in (uses, lacking, holders):
            calls.clear()


@pytest.mark.parametrize("caller", [None, ServiceName("shop", "s00")])
def test_what_is_the_same_for_all_services_is_found_once_in_a_walk(asked: Any, caller: Any) -> None:
    survey = surveyed(12)
    names = ("explanation", "present", "callers", "flows", "Grader")
    counted = {name: asked(whycase, name) for name in names}
    counted.update(unable=asked(nameless, "unable"), shut_in=asked(shutin, "shut_in"))
    told = why(Case(survey), "shop", "", caller)
    assert len(told.services) == 12
    once = {name for name, calls in counted.items() if len(calls) == 1}
    never = {name for name, calls in counted.items() if not calls}
    assert once | never == counted.keys()
    of_all = {"explanation", "present", "callers", "Grader", "unable", "shut_in"}
    assert once == (of_all if caller is None else {"explanation", "Grader", "flows"})


def test_hints_are_of_those_who_call_the_service_and_of_nobody_else(asked: Any) -> None:
    """Of one, and of each of all, it is the same."""
    survey = surveyed(6)
    every = why(Case(survey), "shop").services
    for index, each in enumerate(every):
        (alone,) = why(Case(survey), "shop", each.service).services
        assert alone == each
        assert len(of_names(each.hints)) == 6, index  # all are on one network; itself is a note


def of_names(hints: Iterable[str]) -> list[str]:
    return [hint for hint in hints if "was made before its host had a proxy" in hint]
