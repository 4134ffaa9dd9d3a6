"""The way to a service: whole, and with each of its links broken alone."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.why import Case, why
from hullmark.model.app import DeploySpec, Placement, PortMode, PortSpec
from hullmark.model.host import Listener
from hullmark.model.observed import REFUSED_BY_POLICY, Health, HostProblem, Phase
from hullmark.model.orders import PublishedPort
from hullmark.model.proxy import Down, Traffic
from hullmark.model.why import Found, Link, Step, Verdict, Why
from tests.unit.core.whyworld import (
    HOSTS,
    PUBLISHED,
    whole,
    with_facts,
    with_port,
    with_problem,
    with_service,
    with_snapshot,
    with_status,
    with_traffic,
)

ALL = tuple(HOSTS)
BOTH = ("id1", "id2")


def links(found: Why) -> tuple[Link, ...]:
    (service,) = found.services or (None,)
    return (*found.links, *(() if service is None else service.links))


def asked(case: Case) -> Why:
    return why(case, "shop", "api")


def only_broken(case: Case, verdict: Verdict, found: Found = Found.BROKEN) -> Link:
    """The one link that is not whole."""
    told = asked(case)
    assert told.verdict is verdict
    (link,) = [link for link in links(told) if link.found is not Found.OK]
    assert link.found is found
    assert link.step.value in told.first
    assert link.text in told.first
    assert link.next in told.next
    return link


def test_all_links_are_whole_and_told_in_the_order_in_which_they_are_walked() -> None:
    told = asked(whole())
    assert (told.verdict, told.first, told.next) == (Verdict.OK, "", "")
    steps = [link.step for link in links(told)]
    assert steps == [
        Step.MASTER,
        Step.STORE,
        Step.APP,
        Step.PLACEMENT,
        Step.AGENT,
        Step.ENGINE,
        Step.CONTAINER,
        Step.ADDRESS,
        Step.PROXY,
        Step.DIRECTORY,
        Step.MEMBERS,
        Step.BETWEEN,
        Step.PUBLISHED,
    ]
    by_step = {link.step: link.hosts for link in links(told)}
    assert by_step[Step.AGENT] == ("h1", "h2", "h3")
    assert by_step[Step.CONTAINER] == ("h1", "h2")
    assert by_step[Step.PUBLISHED] == ("h1", "h2", "h3")
    assert "--firewall" in told.services[0].hints[0]


def test_every_service_of_an_app() -> None:
    told = why(whole(), "shop")
    assert [(item.service, item.verdict) for item in told.services] == [
        ("api", Verdict.OK),
        ("web", Verdict.OK),
    ]


def test_the_worst_service_is_the_verdict_and_its_first_link_is_named() -> None:
    told = why(with_status(whole(), "id3", phase=Phase.FAILED, exit_code=3), "shop")
    assert [item.verdict for item in told.services] == [Verdict.OK, Verdict.BROKEN]
    assert told.verdict is Verdict.BROKEN
    assert told.first == "container of h3: shop/web.1: ended with exit code 3"
    assert told.next == "hullmark logs shop/web.1"


def test_store() -> None:
    case = dataclasses.replace(whole(), store_trouble="disk full")
    link = only_broken(case, Verdict.DEGRADED)
    assert (link.step, link.partly) == (Step.STORE, True)
    assert "disk full" in link.text


def test_no_such_app() -> None:
    told = why(whole(), "shpo", "api")
    assert (told.verdict, told.first) == (Verdict.BROKEN, "app: there is no app shpo")
    assert (told.next, told.services) == ("hullmark apps", ())


def test_no_such_service() -> None:
    told = why(whole(), "shop", "db")
    assert told.verdict is Verdict.BROKEN
    assert told.first == "app: app shop has no service db, but api, web"


def test_an_app_that_is_being_removed() -> None:
    record = dataclasses.replace(whole().snapshot.apps["shop"], removing=True)
    told = asked(with_snapshot(whole(), apps={"shop": record}))
    assert (told.verdict, told.first) == (Verdict.BROKEN, "app: app shop is being removed")


def scaled(replicas: int) -> Case:
    return with_service(whole(), deploy=DeploySpec(replicas=replicas))


def test_placement_of_one_instance_too_many() -> None:
    hosts = {
        key: dataclasses.replace(host, labels={} if key == "id3" else {"zone": "a"})
        for key, host in whole().snapshot.hosts.items()
    }
    placement = Placement(("node.labels.zone == a",), max_replicas_per_node=1)
    case = with_snapshot(whole(), hosts=hosts)
    case = with_service(case, deploy=DeploySpec(replicas=3, placement=placement))
    link = only_broken(case, Verdict.DEGRADED)
    assert (link.step, link.partly) == (Step.PLACEMENT, True)
    assert "shop/api.3 has no place: no host fits" in link.text
    assert "zone == a" in link.text
    assert link.next.startswith("hullmark host label h3")


def test_no_instance_is_wanted() -> None:
    told = asked(with_snapshot(scaled(0), assignments={}))
    assert told.verdict is Verdict.BROKEN
    assert told.first == "placement: no instance of it is wanted"
    assert told.next == "hullmark scale shop/api=1"


def test_an_agent_that_is_not_heard_any_more() -> None:
    case = with_snapshot(whole(), heard_s={**whole().snapshot.heard_s, "id3": 60.0})
    told = asked(case)
    assert told.verdict is Verdict.DEGRADED
    broken = [link for link in links(told) if link.found is Found.BROKEN]
    # What hangs on it is told too: its proxy is not known to answer.
    assert [(link.step, link.hosts) for link in broken] == [
        (Step.AGENT, ("h3",)),
        (Step.PUBLISHED, ("h3",)),
    ]
    assert told.first == "agent of h3: not heard for more than 10 s"
    assert told.next.endswith("(on h3)")
    assert "hullmark-agent" in told.next


def test_all_agents_are_gone_so_it_is_broken() -> None:
    told = asked(with_snapshot(whole(), heard_s=dict.fromkeys(ALL, 60.0)))
    assert told.verdict is Verdict.BROKEN
    assert told.first.startswith("agent of h1, h2, h3: not heard")


def test_agents_that_a_new_leader_has_not_heard_yet() -> None:
    case = with_snapshot(whole(), heard_s={}, observed={}, waited_s=2.0)
    told = asked(case)
    assert told.verdict is Verdict.UNKNOWN
    assert told.first == "agent of h1, h2: not heard since this leader began"


def test_orders_that_a_host_refuses() -> None:
    refused = HostProblem("order.refused", "the order is of an old epoch", "look at its log")
    case = with_problem(with_status(whole(), "id1", phase=Phase.WAITING), refused, "id1")
    found = [link for link in links(asked(case)) if link.found is Found.BROKEN]
    assert [(link.step, link.text, link.hosts) for link in found] == [
        (Step.ORDERS, "the order is of an old epoch", ("h1",))
    ]
    assert asked(case).first.startswith("orders of h1")


def test_a_problem_that_keeps_nothing_from_serving_is_no_broken_link() -> None:
    stale = HostProblem("policy.invalid", "line 3: not a rule")
    assert asked(with_problem(whole(), stale, *ALL)).verdict is Verdict.OK


def test_an_engine_that_does_not_answer() -> None:
    away = HostProblem("engine.unavailable", "docker does not answer", "systemctl start docker")
    link = only_broken(with_problem(whole(), away, "id1"), Verdict.DEGRADED)
    assert (link.step, link.hosts, link.there) == (Step.ENGINE, ("h1",), True)
    assert link.next == "systemctl start docker"


def test_all_engines_are_away_so_it_is_broken() -> None:
    away = HostProblem("engine.unavailable", "docker does not answer", "systemctl start docker")
    assert asked(with_problem(whole(), away, *ALL)).verdict is Verdict.BROKEN


def test_a_container_whose_check_fails() -> None:
    case = with_status(
        whole(), "id2", health=Health.UNHEALTHY, detail="its health check fails: 500"
    )
    link = only_broken(case, Verdict.DEGRADED)
    assert (link.step, link.hosts) == (Step.CONTAINER, ("h2",))
    assert link.text == "shop/api.2: its health check fails: 500"
    assert link.next == "hullmark logs shop/api.2"


def test_no_container_serves() -> None:
    case = with_status(whole(), *BOTH, phase=Phase.BACKOFF, detail="ended with exit code 1")
    told = asked(case)
    assert told.verdict is Verdict.BROKEN
    assert told.first == "container of h1: shop/api.1: ended with exit code 1"


def test_a_container_that_is_being_started_is_not_broken() -> None:
    case = with_status(whole(), "id2", phase=Phase.PULLING)
    link = only_broken(case, Verdict.UNKNOWN, Found.UNKNOWN)
    assert (link.step, link.text) == (Step.CONTAINER, "shop/api.2: its image is being pulled")


def test_a_container_that_the_policy_refuses() -> None:
    detail = f"{REFUSED_BY_POLICY}privileged is not allowed"
    link = only_broken(
        with_status(whole(), "id2", phase=Phase.BACKOFF, detail=detail), Verdict.DEGRADED
    )
    assert link.next == "hullmark explain shop/api"


def test_no_address() -> None:
    told = asked(with_snapshot(whole(), addresses={}))
    assert told.verdict is Verdict.BROKEN
    assert told.first == "address: none was given to it"


def test_a_service_without_ports_needs_none() -> None:
    told = why(whole(), "shop", "web")
    assert told.verdict is Verdict.OK
    assert "none: no port of it is known" in [link.text for link in links(told)]


def test_a_proxy_that_is_not_up() -> None:
    link = only_broken(with_facts(whole(), "id3", proxy_version=""), Verdict.DEGRADED)
    assert (link.step, link.hosts, link.there) == (Step.PROXY, ("h3",), True)
    assert "hullmark-proxy" in link.next


def test_a_published_port_that_a_chosen_host_can_not_answer_without_a_proxy() -> None:
    case = with_service(whole(), ingress=("node.hostname == h3",))
    told = asked(with_facts(case, "id3", proxy_version=""))
    found = [link for link in links(told) if link.found is Found.BROKEN]
    assert [(link.step, link.hosts, link.partly) for link in found] == [
        (Step.PROXY, ("h3",), True),
        (Step.PUBLISHED, ("h3",), False),
    ]
    assert found[1].text == "8080/tcp is not answered: it has no proxy that is up"


def test_a_proxy_that_refuses_its_configuration() -> None:
    failing = HostProblem("proxy.failing", "line 7: unknown keyword", "look at haproxy.cfg")
    link = only_broken(with_problem(whole(), failing, "id3"), Verdict.DEGRADED)
    assert (link.step, link.text, link.hosts) == (Step.PROXY, "line 7: unknown keyword", ("h3",))


def test_a_policy_that_turns_callers_of_other_hosts_away() -> None:
    text = "services here are to be used by hosts that this host's policy turns away: {}"
    refused = HostProblem("proxy.refused", text.format("shop/api by out of host id3"), "ask")
    link = only_broken(with_problem(whole(), refused, "id1"), Verdict.DEGRADED)
    assert (link.step, link.hosts, link.next) == (Step.BETWEEN, ("h1",), "ask")
    other = HostProblem("proxy.refused", text.format("shop/web by out of host id3"), "ask")
    assert asked(with_problem(whole(), other, "id1")).verdict is Verdict.OK


def test_a_published_port_that_a_host_says_it_does_not_answer() -> None:
    text = (
        "published ports that do not answer here: {} of shop/api: not allowed by this host's policy"
    )
    ports = HostProblem("proxy.ports", text.format(PUBLISHED), "hullmark ports")
    link = only_broken(with_problem(whole(), ports, "id2"), Verdict.DEGRADED)
    assert (link.step, link.hosts, link.next) == (Step.PUBLISHED, ("h2",), "hullmark ports")
    other = HostProblem("proxy.ports", text.format(9090), "hullmark ports")
    assert asked(with_problem(whole(), other, "id2")).verdict is Verdict.OK


def test_no_proxy_anywhere_so_it_is_broken() -> None:
    told = asked(with_facts(whole(), *ALL, proxy_version=""))
    assert told.verdict is Verdict.BROKEN
    assert told.first.startswith("proxy of h1, h2, h3: none is up")


def test_a_directory_that_a_host_has_not_accepted() -> None:
    case = dataclasses.replace(whole(), accepted={**whole().accepted, "id2": "an older one"})
    link = only_broken(case, Verdict.DEGRADED)
    assert (link.step, link.hosts, link.there) == (Step.DIRECTORY, ("h2",), True)


def test_a_directory_that_a_host_never_accepted() -> None:
    link = only_broken(dataclasses.replace(whole(), accepted={}), Verdict.BROKEN)
    assert link.hosts == ("h1", "h2", "h3")
    assert "accepted none" in link.text


def test_a_leader_that_has_no_directory_yet() -> None:
    case = whole()
    case = dataclasses.replace(case, survey=dataclasses.replace(case.survey, table=None))
    told = asked(case)
    assert told.verdict is Verdict.UNKNOWN
    assert told.first.startswith("directory: this leader has not heard all hosts yet")


def test_a_service_that_hosts_are_about_to_be_told_of() -> None:
    before = with_snapshot(whole(), addresses={}).survey.table
    case = whole()
    case = dataclasses.replace(case, survey=dataclasses.replace(case.survey, table=before))
    told = asked(case)
    assert told.verdict is Verdict.UNKNOWN
    assert told.first == "directory: hosts are about to be told of it"


def test_a_proxy_whose_agent_does_not_answer_in_time() -> None:
    case = whole()
    traffic = {key: told for key, told in case.traffic.items() if key != "id1"}
    case = dataclasses.replace(case, traffic=traffic)
    link = only_broken(case, Verdict.UNKNOWN, Found.UNKNOWN)
    assert (link.step, link.hosts) == (Step.MEMBERS, ("h1",))


def test_a_proxy_that_can_not_be_asked() -> None:
    case = with_traffic(whole(), {"id1": Traffic(why="its socket is not there")})
    link = only_broken(case, Verdict.DEGRADED)
    assert (link.step, link.hosts) == (Step.MEMBERS, ("h1",))
    assert "its socket is not there" in link.text


def test_a_port_that_the_proxy_does_not_carry() -> None:
    link = only_broken(with_traffic(whole(), {"id3": Traffic()}), Verdict.DEGRADED)
    assert (link.step, link.hosts) == (Step.MEMBERS, ("h3",))
    assert link.text == "port 80 is not in the proxy's configuration"


def test_a_container_that_does_not_answer_the_proxy() -> None:
    down = (Down("shop.api.1.g1", "L4CON"),)
    link = only_broken(with_port(whole(), "id1", up=1, down=down), Verdict.DEGRADED)
    assert (link.step, link.hosts) == (Step.MEMBERS, ("h1",))
    assert link.text.startswith("shop.api.1.g1 does not answer on port 80: it is refused")
    assert "0.0.0.0" in link.next


def test_members_that_are_down_and_nobody_says_which() -> None:
    link = only_broken(with_port(whole(), "id3", up=1), Verdict.DEGRADED)
    assert (link.step, link.text) == (Step.MEMBERS, "port 80: 1 of 2 members are up")


@pytest.mark.parametrize(
    ("word", "text", "then"),
    [
        ("L4TOUT", "nothing comes back: a firewall drops it", "hullmark ports --firewall"),
        ("L4CON", "it is refused", "hullmark ports --firewall"),
        ("L6RSP", "TLS fails", "hullmark-proxy"),
        ("", "it does not answer", "hullmark-proxy"),
    ],
)
def test_a_host_that_another_one_does_not_reach(word: str, text: str, then: str) -> None:
    case = with_port(whole(), "id3", up=1, down=(Down("id2", word),))
    link = only_broken(case, Verdict.DEGRADED)
    assert (link.step, link.hosts) == (Step.BETWEEN, ("h3",))
    assert link.text.startswith("h2 at 10.0.0.2:7443: ")
    assert text in link.text
    assert then in link.next
    assert "h2" in link.next


def test_a_published_port_that_a_program_of_the_host_has() -> None:
    taken = (Listener(PUBLISHED, "tcp", "0.0.0.0", "nginx"),)
    link = only_broken(with_facts(whole(), "id1", listeners=taken), Verdict.DEGRADED)
    assert (link.step, link.hosts) == (Step.PUBLISHED, ("h1",))
    assert link.text == "8080/tcp belongs to nginx of the host"
    assert link.next == "hullmark ports --host h1"


def test_a_program_on_another_address_is_not_in_the_way() -> None:
    proxy = whole().survey.facts("id1").listeners
    other = Listener(PUBLISHED, "tcp", "127.0.0.9", "nginx")
    assert asked(with_facts(whole(), "id1", listeners=(*proxy, other))).verdict is Verdict.OK


def test_a_published_port_of_which_the_host_says_nothing_yet() -> None:
    case = with_facts(whole(), "id1", listeners=())
    link = only_broken(case, Verdict.UNKNOWN, Found.UNKNOWN)
    assert (link.step, link.hosts, link.there) == (Step.PUBLISHED, ("h1",), True)


def test_a_published_port_that_no_host_answers() -> None:
    link = only_broken(with_service(whole(), ingress=("node.labels.zone == x",)), Verdict.BROKEN)
    assert link.step is Step.PUBLISHED
    assert "answered by no host" in link.text


def bound(*ports: PublishedPort) -> Case:
    """The same port, but held by the engines of the instances' hosts."""
    spec = PortSpec(80, PUBLISHED, PUBLISHED, mode=PortMode.HOST)
    return with_status(with_service(whole(), ports=(spec,)), *BOTH, ports=ports)


def test_a_port_of_the_host_that_the_engine_holds() -> None:
    told = asked(bound(PublishedPort(80, PUBLISHED)))
    assert told.verdict is Verdict.OK
    assert links(told)[-1].text == "8080/tcp is held by the engine"
    assert links(told)[-1].hosts == ("h1", "h2")


def test_a_port_of_the_host_that_no_engine_holds() -> None:
    link = only_broken(bound(), Verdict.BROKEN)
    assert (link.step, link.text) == (
        Step.PUBLISHED,
        "8080/tcp is held by no engine, although instances serve",
    )


def test_a_host_that_was_removed_is_not_walked() -> None:
    hosts = {key: host for key, host in whole().snapshot.hosts.items() if key != "id3"}
    told = asked(with_snapshot(whole(), hosts=hosts))
    assert all("h3" not in link.hosts for link in links(told))


def test_nothing_of_a_secret_is_told() -> None:
    container = dataclasses.replace(
        whole().snapshot.apps["shop"].app.services["api"].container,
        environment={"PASSWORD": "hunter2"},
    )
    case = with_service(whole(), container=container)
    assert "hunter2" not in repr(asked(case))
