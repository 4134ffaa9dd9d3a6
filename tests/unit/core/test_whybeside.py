"""The way to a service on hosts without a proxy: whole for who runs beside it, and for nobody else."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.why import Case
from hullmark.model.app import Attachment, ContainerSpec, Network, PortSpec
from hullmark.model.directory import ServiceName
from hullmark.model.observed import HostProblem, Phase
from hullmark.model.records import HostAssignments
from hullmark.model.why import Found, Link, Step, Verdict, Why
from tests.unit.core.fleets import CHANGE, next_record
from tests.unit.core.whyworld import (
    API,
    WEB,
    app,
    walked,
    whole,
    with_facts,
    with_problem,
    with_service,
    with_snapshot,
    with_status,
)

APART = ContainerSpec("web", networks=(Attachment("front"),))


def beside() -> Case:
    """`api`, without published ports, and `web` on h1 alone, which has no proxy."""
    case = whole()
    was = case.snapshot
    asked = app(replicas=1)
    api = dataclasses.replace(asked.services["api"], ports=())
    asked = dataclasses.replace(
        asked,
        services={**asked.services, "api": api},
        networks={"back": Network(), "front": Network()},
    )
    held = (*was.assignments["id1"].assignments, *was.assignments["id3"].assignments)
    runs = {**was.observed["id1"].instances, **was.observed["id3"].instances}
    facts = dataclasses.replace(was.observed["id1"].facts, proxy_version="")
    state = dataclasses.replace(was.observed["id1"], instances=runs, facts=facts)
    return with_snapshot(
        case,
        apps={"shop": next_record(None, asked, CHANGE)},
        hosts={"id1": was.hosts["id1"]},
        assignments={"id1": HostAssignments(held)},
        observed={"id1": state},
        heard_s={"id1": 1.0},
    )


def proxy(told: Why) -> Link:
    (service,) = told.services
    (link,) = [link for link in service.links if link.step is Step.PROXY]
    return link


@pytest.mark.parametrize("caller", [WEB, API])
def test_the_way_is_whole_for_who_runs_beside_it(caller: ServiceName) -> None:
    told = walked(beside(), "shop", "api", caller)
    assert (told.verdict, told.first) == (Verdict.OK, "")
    assert proxy(told).found is Found.OK
    assert proxy(told).text.endswith(
        "by containers beside it, on its networks, by the engine's own names"
    )


def test_one_from_before_there_was_a_proxy_goes_on_by_the_engines_names() -> None:
    """The proxy that came brings it nothing, and takes nothing from it."""
    case = with_status(with_facts(beside(), "id1", proxy_version="2.6.12"), "id1", nameless=True)
    told = walked(case, "shop", "api", WEB)
    assert told.verdict is Verdict.DEGRADED
    assert "web.1 was made before its host had a proxy" in told.first
    assert "api leads to what is beside it on its host, by the engine's own names" in told.first
    assert (told.next, "then `hullmark apply`" in told.first) == ("", True)
    ended = with_status(case, "id1", phase=Phase.FAILED)
    assert walked(ended, "shop", "api", WEB).verdict is Verdict.BROKEN
    apart = with_service(with_service(case, "web", container=APART), "web", uses=("api",))
    assert walked(apart, "shop", "api", WEB).verdict is Verdict.BROKEN


def test_who_knows_it_by_its_address_has_no_way_while_the_proxy_is_down() -> None:
    """A hosts file comes before the engine's names."""
    case = with_status(beside(), "id1", named=True)
    for told in (walked(case, "shop", "api"), walked(case, "shop", "api", WEB)):
        assert told.verdict is Verdict.BROKEN
        text = "proxy of h1: none is up: only ports with mode: host work there; "
        assert told.first.startswith(text)


def test_for_all_it_is_broken_in_part_where_who_needs_it_is_beside_it() -> None:
    told = walked(beside(), "shop", "api")
    assert told.verdict is Verdict.DEGRADED
    assert proxy(told).partly
    assert "by containers beside it" in told.first
    assert told.first.endswith("it comes with the package hullmark-proxy")
    assert told.next_on == "h1"


def test_what_the_host_says_of_a_proxy_that_is_away_comes_before_how_one_is_had() -> None:
    down = HostProblem("proxy.missing", "this host has a proxy that does not run: gone", "start it")
    case = with_facts(with_problem(whole(), down, "id1"), "id1", proxy_version="")
    told = walked(case, "shop", "api")
    assert "this host has a proxy that does not run: gone. What to do: start it" in told.first
    assert "the package" not in told.first


def test_where_there_is_a_proxy_it_is_the_way() -> None:
    case = with_facts(beside(), "id1", proxy_version="2.6.12")
    for told in (walked(case, "shop", "api"), walked(case, "shop", "api", WEB)):
        assert (proxy(told).found, proxy(told).text) == (Found.OK, "up")


def test_a_published_port_is_broken_all_the_same() -> None:
    case = with_service(beside(), ports=(PortSpec(80, 8080, 8080),))
    assert walked(case, "shop", "api").verdict is Verdict.BROKEN


def test_who_is_on_no_network_with_it_has_no_way() -> None:
    case = with_service(beside(), "web", container=APART, uses=("api",))
    for told in (walked(case, "shop", "api"), walked(case, "shop", "api", WEB)):
        assert told.verdict is Verdict.BROKEN
        text = "proxy of h1: none is up: only ports with mode: host work there; "
        assert told.first.startswith(text)


def test_what_does_not_serve_is_reached_by_nobody() -> None:
    case = beside()
    (name,) = [one for one in case.snapshot.observed["id1"].instances if ".api." in one]
    state = case.snapshot.observed["id1"]
    kept = {key: one for key, one in state.instances.items() if key != name}
    case = with_snapshot(case, observed={"id1": dataclasses.replace(state, instances=kept)})
    assert walked(case, "shop", "api", WEB).verdict is Verdict.BROKEN


UDP = ContainerSpec("api", expose=("514/udp",), networks=(Attachment("back", ("log",)),))


@pytest.mark.parametrize("proxy_version", ["", "2.6.12"])
def test_who_speaks_udp_only_is_reached_beside_it_by_the_engines_names(proxy_version: str) -> None:
    case = with_facts(with_service(beside(), container=UDP), "id1", proxy_version=proxy_version)
    told = walked(case, "shop", "api", WEB)
    assert (told.verdict, told.first) == (Verdict.OK, "")
    (link,) = [link for link in told.services[0].links if link.step is Step.ADDRESS]
    assert link.hosts == ("h1",)
    assert "beside it on its host api, log leads to it, by the engine's own names" in link.text


def test_udp_on_a_lost_host_may_be_reached_beside_it() -> None:
    case = with_snapshot(with_service(beside(), container=UDP), heard_s={"id1": 60.0})
    told = walked(case, "shop", "api", WEB)
    assert told.verdict is Verdict.UNKNOWN
    (link,) = [link for link in told.services[0].links if link.step is Step.ADDRESS]
    assert (link.found, link.hosts) == (Found.UNKNOWN, ("h1",))


def test_udp_reaches_nobody_on_another_host() -> None:
    case = with_service(whole(), container=UDP, ports=())
    told = walked(case, "shop", "api", WEB)
    assert told.verdict is Verdict.BROKEN
    assert told.first.startswith("address: none: no TCP port of it is known; name the TCP port")
    orders = case.snapshot.assignments
    both = HostAssignments((*orders["id1"].assignments, *orders["id3"].assignments))
    state, other = case.snapshot.observed["id1"], case.snapshot.observed["id3"]
    runs = dataclasses.replace(state, instances={**state.instances, **other.instances})
    case = with_snapshot(
        case,
        assignments={**orders, "id1": both},
        observed={**case.snapshot.observed, "id1": runs},
    )
    told = walked(case, "shop", "api", WEB)
    assert told.verdict is Verdict.DEGRADED
    assert told.first.startswith(
        "address of h3: none: no TCP port of it is known; and beside it on its host none serves; name"
    )


def test_udp_is_not_reached_by_who_is_on_no_network_with_it_or_has_its_name_for_another() -> None:
    case = with_service(beside(), container=UDP)
    apart = with_service(case, "web", container=APART)
    assert walked(apart, "shop", "api", WEB).verdict is Verdict.BROKEN
    taken = ContainerSpec(
        "web", networks=(Attachment("back"),), hostname="api", extra_hosts=("log:203.0.113.9",)
    )
    assert walked(with_service(case, "web", container=taken), "shop", "api", WEB).first.startswith(
        "address: none"
    )


def test_another_host_that_needs_it_has_no_way_without_proxies() -> None:
    case = with_facts(whole(), "id1", "id2", "id3", proxy_version="")
    assert walked(case, "shop", "api").verdict is Verdict.BROKEN
    assert walked(case, "shop", "api", WEB).verdict is Verdict.BROKEN
