"""Files for load balancers, from what is known of the hosts."""

from __future__ import annotations

import dataclasses
import json

from hullmark.core.endpointfiles import haproxy_fragment, hosts_file, json_text
from hullmark.core.serviceview import reaches
from hullmark.core.why import Case, why
from hullmark.model.app import PortMode, PortSpec
from hullmark.model.host import PROXY, Listener, PortRules
from hullmark.model.observed import Phase
from hullmark.model.services import Published, ServiceReach, Spot
from tests.unit.core.whyworld import (
    ADDRESS,
    API,
    HOSTS,
    whole,
    with_facts,
    with_service,
    with_snapshot,
    with_status,
)


def api(case: Case) -> ServiceReach:
    (found,) = reaches(case.survey, "shop", "api")
    return found


def test_a_service_as_it_is_reached() -> None:
    found = api(whole())
    assert (found.address, found.ports, found.wanted, found.serving) == (ADDRESS, (80,), 2, 2)
    assert [(share.host, share.instances, share.serving) for share in found.hosts] == [
        ("h1", 1, 1),
        ("h2", 1, 1),
    ]
    (published,) = found.published
    assert [(spot.host, spot.address, spot.serving) for spot in published.spots] == [
        ("h1", "10.0.0.1", 1),
        ("h2", "10.0.0.2", 1),
        ("h3", "10.0.0.3", 0),
    ]
    assert published.silent == ()


def test_hosts_that_should_answer_and_do_not_are_named() -> None:
    case = with_service(whole(), ingress=("node.hostname != none",))
    case = with_snapshot(case, heard_s={"id1": 1.0, "id2": 60.0, "id3": 1.0})
    (published,) = api(with_facts(case, "id3", proxy_version="")).published
    assert [spot.host for spot in published.spots] == ["h1"]
    assert published.silent == ("h2: lost", "h3: it has no proxy that is up")


def test_a_host_whose_policy_forbids_the_port_does_not_answer_it() -> None:
    rules = PortRules({"ports.published": ("443",)})
    case = with_facts(whole(), "id1", port_rules=rules)
    (published,) = api(case).published
    assert [spot.host for spot in published.spots] == ["h2", "h3"]
    assert [(spot.host, spot.port) for spot in published.barred] == [("h1", 8080)]
    assert published.silent == ("h1: its policy (ports.published) does not allow it",)
    assert "10.0.0.1:8080" not in haproxy_fragment((api(case),))
    assert not published.is_unanswered
    for host in ("id2", "id3"):
        case = with_facts(case, host, port_rules=rules)
    (published,) = api(case).published
    assert published.is_unanswered
    fitting = PortRules({"ports.published": ("8000-8100",)})
    assert api(with_facts(whole(), "id1", port_rules=fitting)).published[0].barred == ()


def test_a_host_where_another_program_has_the_port_does_not_answer_it() -> None:
    other = (Listener(8080, "tcp", "0.0.0.0", "python3"), Listener(8080, "tcp", "fd00::2", PROXY))
    case = with_facts(whole(), "id1", listeners=other)
    (published,) = api(case).published
    assert [spot.host for spot in published.spots] == ["h2", "h3"]
    assert published.silent == ("h1: python3 has port 8080 of 10.0.0.1",)
    assert [spot.host for spot in published.taken] == ["h1"]
    assert "h1 10.0.0.1" not in haproxy_fragment([api(case)])
    unnamed = (Listener(8080, "tcp", "0.0.0.0", ""),)
    (published,) = api(with_facts(whole(), "id1", listeners=unnamed)).published
    assert [spot.host for spot in published.spots] == ["h1", "h2", "h3"]


def test_hosts_that_are_not_heard_are_counted_as_unknown() -> None:
    case = with_snapshot(whole(), heard_s={"id1": 1.0, "id2": 60.0, "id3": 60.0})
    (published,) = api(with_facts(case, "id1", proxy_version="")).published
    assert (published.spots, published.unknown, published.known) == ((), 2, True)
    survey = dataclasses.replace(whole().survey, table=None)
    ((found,),) = [one.published for one in reaches(survey, "shop", "api")]
    assert (found.spots, found.known) == ((), False)


def test_only_hosts_that_have_the_address_answer_a_port_that_is_published_on_it() -> None:
    ports = (
        PortSpec(80, 8080, 8080, host_ip="10.0.0.1"),
        PortSpec(80, 8080, 8080, host_ip="10.0.0.2"),
    )
    first, second = api(with_service(whole(), ports=ports)).published
    assert [(spot.host, spot.address) for spot in first.spots] == [("h1", "10.0.0.1")]
    assert [(spot.host, spot.address) for spot in second.spots] == [("h2", "10.0.0.2")]
    lacking = "10.0.0.1 is not an address of this host"
    assert first.silent == (f"h2: {lacking}", f"h3: {lacking}")


def test_of_a_host_that_tells_no_addresses_any_may_be_its_own() -> None:
    case = with_service(whole(), ports=(PortSpec(80, 8080, 8080, host_ip="10.0.0.9"),))
    (published,) = api(with_facts(case, "id3", addresses=())).published
    assert [spot.host for spot in published.spots] == ["h3"]


def test_a_service_without_an_address_says_why() -> None:
    (web,) = reaches(whole().survey, "shop", "web")
    assert (web.address, web.why_no_address) == ("", "no TCP port of it is known")
    assert api(with_snapshot(whole(), addresses={})).why_no_address == "none was given yet"


def test_who_uses_a_service() -> None:
    case = with_service(whole(), "web", uses=("shop/api",))
    assert api(case).users == ("shop/web",)


def test_what_it_uses_and_is_not_there_is_told() -> None:
    case = with_service(whole(), "web", uses=("shop/api", "bank/ledger"))
    (web,) = reaches(case.survey, "shop", "web")
    assert web.notes == ("it uses bank/ledger: there is no app bank",)
    assert web.notes[0] in why(case, "shop", "web").services[0].hints
    assert api(case).notes == ()


def test_what_is_being_removed_is_not_listed() -> None:
    record = dataclasses.replace(whole().snapshot.apps["shop"], removing=True)
    assert reaches(with_snapshot(whole(), apps={"shop": record}).survey) == ()


def test_a_hosts_file_has_those_that_serve_first() -> None:
    case = with_status(whole(), "id1", phase=Phase.FAILED)
    assert hosts_file([api(case)]).splitlines()[1:] == [
        "10.0.0.2\tapi.shop",
        "10.0.0.1\tapi.shop",
        "10.0.0.3\tapi.shop",
    ]


def test_a_hosts_file_where_nobody_answers() -> None:
    nobody = with_facts(whole(), *HOSTS, proxy_version="")
    assert hosts_file([api(nobody)]).splitlines()[1:] == ["# api.shop: no host answers for it now"]


def test_a_haproxy_fragment_spares_hosts_that_would_only_pass_on() -> None:
    assert haproxy_fragment([api(whole())]).splitlines()[1:] == [
        "",
        "backend shop.api.8080",
        "    server h1 10.0.0.1:8080 check",
        "    server h2 10.0.0.2:8080 check",
        "    server h3 10.0.0.3:8080 check backup",
    ]


def test_a_haproxy_fragment_of_ports_of_hosts() -> None:
    spots = (Spot("h1", "10.0.0.1", 8001, 1), Spot("h1", "fd00::1", 8002, 1))
    ports = (
        Published(0, 80, PortMode.HOST, spots=spots),
        Published(53, 53, PortMode.HOST, "udp", (Spot("h1", "10.0.0.1", 53, 1),)),
        Published(90, 90),
    )
    reach = ServiceReach(API, published=ports)
    assert haproxy_fragment([reach]).splitlines()[1:] == [
        "",
        "backend shop.api.80",
        "    server h1-8001 10.0.0.1:8001 check",
        "    server h1-8002 [fd00::1]:8002 check",
        "",
        "backend shop.api.90",
        "    # no host answers for it now",
    ]


def test_what_answers_its_own_host_alone_is_no_endpoint_for_others() -> None:
    spots = (Spot("h1", "127.0.0.1", 8080, 1), Spot("h2", "127.0.0.1", 8080, 1))
    reach = ServiceReach(API, published=(Published(8080, 80, spots=spots),))
    words = "each host answers for it on a loopback address, for its own programs only"
    assert hosts_file([reach]).splitlines()[1:] == [f"# api.shop: {words}"]
    assert haproxy_fragment([reach]).splitlines()[2:] == [
        "backend shop.api.8080",
        f"    # {words}",
    ]


def test_json_has_every_service() -> None:
    found = json.loads(json_text(reaches(whole().survey)))
    assert found["schema"] == "hullmark.endpoints/1"
    assert [(one["app"], one["service"], one["address"]) for one in found["services"]] == [
        ("shop", "api", ADDRESS),
        ("shop", "web", ""),
    ]
    (port,) = found["services"][0]["published"]
    assert port["endpoints"][0] == {
        "host": "h1",
        "address": "10.0.0.1",
        "port": 8080,
        "serving": 1,
    }


def test_the_same_services_give_the_same_text() -> None:
    for form in (hosts_file, haproxy_fragment, json_text):
        assert form(reaches(whole().survey)) == form(reaches(whole().survey))
