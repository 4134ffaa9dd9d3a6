"""The way to a service: whole, and with each of its links broken alone."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.serviceview import reaches
from hullmark.core.why import Case
from hullmark.core.whycommands import first_whole
from hullmark.model.app import ContainerSpec, DeployMode, DeploySpec, Placement, PortMode, PortSpec
from hullmark.model.host import PROXY, Listener
from hullmark.model.observed import (
    DISCONNECTED,
    PAUSED,
    REFUSED_BY_POLICY,
    Health,
    HostProblem,
    Phase,
)
from hullmark.model.orders import Assignment, InstanceId, PublishedPort
from hullmark.model.proxy import Down, Traffic
from hullmark.model.records import HostAssignments, ProxyRecord
from hullmark.model.why import Found, Link, Step, Verdict, Why
from tests.unit.core.whyworld import (
    HOSTS,
    PUBLISHED,
    WEB,
    instance,
    walked,
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
    return walked(case, "shop", "api")


def only_broken(case: Case, verdict: Verdict, found: Found = Found.BROKEN) -> Link:
    """The one link that is not whole."""
    told = asked(case)
    assert told.verdict is verdict
    (link,) = [link for link in links(told) if link.found is not Found.OK]
    assert link.found is found
    assert link.step.value in told.first
    assert link.text in told.first
    assert (link.next, link.next_on) == (told.next, told.next_on)
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
    told = walked(whole(), "shop")
    assert [(item.service, item.verdict) for item in told.services] == [
        ("api", Verdict.OK),
        ("web", Verdict.OK),
    ]


def test_the_worst_service_is_the_verdict_and_its_first_link_is_named() -> None:
    told = walked(with_status(whole(), "id3", phase=Phase.FAILED, exit_code=3), "shop")
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
    told = walked(whole(), "shpo", "api")
    assert (told.verdict, told.first) == (Verdict.BROKEN, "app: there is no app shpo")
    assert (told.next, told.services) == ("hullmark apps", ())


def test_no_such_service() -> None:
    told = walked(whole(), "shop", "db")
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


def test_what_an_app_s_file_says_is_no_command_where_it_is_pasted() -> None:
    placement = Placement(("node.labels.zone == a $(reboot)",))
    case = with_service(whole(), deploy=DeploySpec(placement=placement))
    told = asked(with_snapshot(case, assignments={}))
    assert told.next == "hullmark host label h1 'zone=a $(reboot)'"


@pytest.mark.parametrize(
    ("commands", "command"),
    [
        (("hullmark host uncordon h1", "hullmark invite HOST"), "hullmark host uncordon h1"),
        (("hullmark invite HOST", "hullmark scale shop/api=1"), "hullmark explain shop/api"),
        (("hullmark mark override aide --ticket TEXT",), "hullmark explain shop/api"),
        ((), "hullmark explain shop/api"),
    ],
)
def test_what_a_person_has_to_put_something_into_is_not_pasted(
    commands: tuple[str, ...], command: str
) -> None:
    assert first_whole(commands, "hullmark explain shop/api") == command


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
    assert [(link.step, link.hosts) for link in broken] == [(Step.AGENT, ("h3",))]
    # What hangs on it is told too: its proxy is not known to answer, nor not to.
    open_ = [link for link in links(told) if link.found is Found.UNKNOWN]
    assert [(link.step, link.hosts, link.text) for link in open_] == [
        (Step.PUBLISHED, ("h3",), "8080/tcp: whether it is answered is not known: lost"),
    ]
    assert told.first == "agent of h3: not heard for more than 10 s"
    assert told.next == "systemctl status hullmark-agent || service hullmark-agent status"
    assert told.next_on == "h3"


def test_all_agents_are_gone_so_nobody_can_tell() -> None:
    told = asked(with_snapshot(whole(), heard_s=dict.fromkeys(ALL, 60.0)))
    assert told.verdict is Verdict.UNKNOWN
    assert told.first == (
        "agent of h1, h2, h3: not heard for more than 10 s; its containers and its proxy may be well"
    )
    hints = told.services[0].hints
    assert hints[0].startswith(
        "h1 is lost: whether its 1 instance serves is not known; as known last 1 did; "
        "other hosts' proxies pass connections on to it as long as its own takes them"
    )
    assert hints[0].endswith("hullmark host remove h1 --force")


def lone(**changes: object) -> Case:
    """`api` has one instance, on h1 alone, and h1 is lost; `web`, which calls it, is on h3."""
    case = with_service(whole(), deploy=DeploySpec(replicas=1))
    held = {**case.snapshot.assignments, "id2": HostAssignments()}
    heard = {key: heard for key, heard in case.snapshot.heard_s.items() if key != "id1"}
    given = {"heard_s": {**heard, "id1": 60.0}, **changes}
    return with_snapshot(case, assignments=held, **given)


def test_the_only_host_of_a_service_is_lost_and_others_go_on_to_reach_it() -> None:
    for told in (asked(lone()), walked(lone(), "shop", "api", WEB)):
        assert told.verdict is Verdict.UNKNOWN
        assert told.first.startswith("agent of h1: not heard for more than 10 s; its containers")
        assert [link.text for link in links(told) if link.step is Step.BETWEEN] == [
            "the others' TLS ports answer",
            "passes connections on to host h1, by what was known last: not heard",
        ]
        assert any("h1 is lost" in hint for hint in told.services[0].hints)
    (reach,) = reaches(lone().survey, "shop", "api")
    assert (reach.wanted, reach.serving, reach.unknown, reach.is_unknown) == (1, 0, 1, True)
    (share,) = reach.hosts
    assert (share.state, share.unknown, share.last_known) == ("lost", 1, 1)


def test_what_is_placed_elsewhere_for_a_lost_host_is_not_unknown() -> None:
    case = with_service(whole(), deploy=DeploySpec(replicas=1))
    case = with_snapshot(case, heard_s={**case.snapshot.heard_s, "id1": 60.0})
    (reach,) = reaches(case.survey, "shop", "api")
    assert (reach.serving, reach.unknown, reach.notes) == (1, 0, ())
    assert all("h1 is lost" not in hint for hint in asked(case).services[0].hints)


def test_a_slot_with_two_generations_on_a_lost_host_is_unknown_once() -> None:
    first, second = instance("id1"), dataclasses.replace(instance("id1"), generation=2)
    both = HostAssignments((Assignment(first, "s"), Assignment(second, "t")))
    case = with_status(whole(), "id2", phase=Phase.BACKOFF, detail="ended with exit code 1")
    case = with_snapshot(
        case,
        heard_s={**case.snapshot.heard_s, "id1": 60.0},
        assignments={**case.snapshot.assignments, "id1": both},
    )
    (reach,) = reaches(case.survey, "shop", "api")
    assert (reach.wanted, reach.serving, reach.unknown, reach.is_unknown) == (2, 0, 1, False)
    assert asked(case).verdict is Verdict.DEGRADED


def test_a_slot_that_serves_is_not_unknown_for_its_other_generation_on_a_lost_host() -> None:
    other = Assignment(dataclasses.replace(instance("id2"), generation=2), "t")
    held = HostAssignments((Assignment(instance("id1"), "s"), other))
    wide = with_service(whole(), deploy=DeploySpec(replicas=3))
    was = wide.snapshot
    case = with_snapshot(
        wide,
        heard_s={**was.heard_s, "id1": 60.0},
        assignments={**was.assignments, "id1": held},
    )
    (reach,) = reaches(case.survey, "shop", "api")
    assert (reach.wanted, reach.serving, reach.unknown) == (3, 1, 1)


def test_the_only_host_of_a_service_was_never_heard_by_a_new_leader() -> None:
    heard = {key: 1.0 for key in ALL if key != "id1"}
    observed = {key: one for key, one in whole().snapshot.observed.items() if key != "id1"}
    place = ProxyRecord("10.0.0.1", 7443, ("shop.api.1.g1",))
    case = lone(heard_s=heard, observed=observed, proxies={"id1": place})
    told = asked(case)
    assert told.verdict is Verdict.UNKNOWN
    assert told.first.startswith("agent of h1: not heard since this leader began; its containers")
    assert "as known last 1 did; other hosts' proxies pass connections" in told.services[0].hints[0]
    told = asked(with_snapshot(case, proxies={}))
    assert told.verdict is Verdict.UNKNOWN
    assert "as known last" not in told.services[0].hints[0]


def test_a_lost_host_that_its_callers_do_not_reach_either() -> None:
    told = asked(with_port(lone(), "id2", "id3", up=0, down=(Down("id1", "L4TOUT"),)))
    assert told.verdict is Verdict.BROKEN
    assert told.first.startswith("between hosts of h2, h3: h1 at 10.0.0.1:7443: nothing comes back")


def test_what_is_known_not_to_serve_leaves_open_what_is_lost() -> None:
    case = with_snapshot(whole(), heard_s={**whole().snapshot.heard_s, "id1": 60.0})
    told = asked(with_status(case, "id2", phase=Phase.BACKOFF, detail="ended with exit code 1"))
    assert told.verdict is Verdict.DEGRADED
    assert told.first == "container of h2: shop/api.2: ended with exit code 1"


def test_a_caller_whose_only_host_is_lost() -> None:
    case = with_snapshot(whole(), heard_s={**whole().snapshot.heard_s, "id3": 60.0})
    told = walked(case, "shop", "api", WEB)
    assert told.verdict is Verdict.UNKNOWN
    assert told.first.startswith("agent of h3: not heard")


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
        (Step.ORDERS, "the order is of an old epoch. What to do: look at its log", ("h1",))
    ]
    assert asked(case).first.startswith("orders of h1")


def test_a_problem_that_keeps_nothing_from_serving_is_no_broken_link() -> None:
    stale = HostProblem("policy.invalid", "line 3: not a rule")
    assert asked(with_problem(whole(), stale, *ALL)).verdict is Verdict.OK


def test_an_engine_that_does_not_answer() -> None:
    away = HostProblem("engine.unavailable", "docker does not answer", "systemctl start docker")
    link = only_broken(with_problem(whole(), away, "id1"), Verdict.DEGRADED)
    assert (link.step, link.hosts, link.there) == (Step.ENGINE, ("h1",), True)
    assert link.text == "docker does not answer. What to do: systemctl start docker"
    assert link.next == "systemctl status docker || service docker status"
    case = with_facts(with_problem(whole(), away, "id1"), "id1", engine="podman")
    assert asked(case).next.startswith("systemctl status podman.socket || pgrep ")


def test_a_host_that_only_observes() -> None:
    observes = HostProblem("mode.observe", "this host only observes", "set `mode: run`")
    link = only_broken(with_problem(whole(), observes, "id1"), Verdict.DEGRADED)
    assert (link.next, link.next_on) == ("hullmark config show agent", "h1")


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


def test_one_without_a_number_is_asked_for_by_its_service() -> None:
    case = with_service(whole(), deploy=DeploySpec(mode=DeployMode.GLOBAL))
    orders, observed = {}, {}
    for key in ALL:
        one, state = InstanceId("shop", "api", 0, 1), case.snapshot.observed[key]
        status = dataclasses.replace(next(iter(state.instances.values())), instance=one)
        failed = dataclasses.replace(status, phase=Phase.FAILED, exit_code=1)
        orders[key] = HostAssignments((Assignment(one, "s"),))
        found = {one.container_name: failed}
        observed[key] = dataclasses.replace(state, instances=found)
    told = asked(with_snapshot(case, assignments=orders, observed=observed))
    assert told.next == "hullmark logs shop/api"


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


def test_one_that_has_no_container_has_printed_nothing_either() -> None:
    refused = {"phase": Phase.BACKOFF, "detail": "no space left on device", "container_id": ""}
    link = only_broken(with_status(whole(), "id2", **refused), Verdict.DEGRADED)
    assert link.next == "hullmark explain shop/api"


def test_a_paused_container_is_to_be_unpaused_on_its_host() -> None:
    command = "podman unpause shop.api.2.g1"
    case = with_status(whole(), "id2", phase=Phase.BACKOFF, detail=f"{PAUSED}{command}")
    link = only_broken(case, Verdict.DEGRADED)
    assert link.text == "shop/api.2: paused by somebody; podman unpause shop.api.2.g1"
    assert (link.next, link.there) == (command, True)
    assert (asked(case).next, asked(case).next_on) == (command, "h2")


def test_a_container_that_was_taken_off_its_networks_is_to_be_put_back() -> None:
    command = "docker network connect --alias api shop_back shop.api.2.g1"
    taken = {"phase": Phase.BACKOFF, "detail": f"{DISCONNECTED}{command}"}
    link = only_broken(with_status(whole(), "id2", **taken), Verdict.DEGRADED)
    assert (link.step, link.next, link.there) == (Step.CONTAINER, command, True)
    assert asked(with_status(whole(), "id1", "id2", **taken)).verdict is Verdict.BROKEN


def test_no_address() -> None:
    told = asked(with_snapshot(whole(), addresses={}))
    assert told.verdict is Verdict.BROKEN
    assert told.first == "address: none was given to it: the log of the leader, m1, says why"
    assert told.next == ""


def test_a_service_without_ports_needs_none() -> None:
    told = walked(whole(), "shop", "web")
    assert told.verdict is Verdict.OK
    text = "none: no TCP port of it is known; for others to call it: name the TCP port of its containers in its `expose`, and apply it"
    assert text in [link.text for link in links(told)]


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
    assert (link.step, link.hosts) == (Step.PROXY, ("h3",))
    assert link.text == "line 7: unknown keyword. What to do: look at haproxy.cfg"


def test_a_policy_that_turns_callers_of_other_hosts_away() -> None:
    text = "services here are to be used by hosts that this host's policy turns away: {}"
    refused = HostProblem("proxy.refused", text.format("shop/api by out of host id3"), "ask")
    link = only_broken(with_problem(whole(), refused, "id1"), Verdict.DEGRADED)
    assert (link.step, link.hosts) == (Step.BETWEEN, ("h1",))
    assert (link.next, link.next_on) == ("hullmark policy show shop/api", "h1")
    other = HostProblem("proxy.refused", text.format("shop/web by out of host id3"), "ask")
    assert asked(with_problem(whole(), other, "id1")).verdict is Verdict.OK


def test_of_a_policy_that_turns_away_only_what_concerns_the_service_is_told() -> None:
    text = "services here are to be used by hosts that this host's policy turns away: "
    more = text + "a/a by out of host h3; shop/api by out of host h3; b/b by out of host h3"
    refused = HostProblem("proxy.refused", more, "ask")
    link = only_broken(with_problem(whole(), refused, "id1"), Verdict.DEGRADED)
    assert link.text == text + "shop/api by out of host h3. What to do: ask"


def test_of_more_services_than_a_host_names_it_may_be_one() -> None:
    text = "services here are to be used by hosts that this host's policy turns away: a/a by out of host h3; and 2 more"
    refused = HostProblem("proxy.refused", text, "ask")
    link = only_broken(with_problem(whole(), refused, "id1"), Verdict.UNKNOWN, Found.UNKNOWN)
    assert (link.step, link.hosts) == (Step.BETWEEN, ("h1",))
    assert link.text.endswith("What to do: ask")
    assert (link.next, link.next_on) == ("hullmark policy show shop/api", "h1")


def test_a_port_that_ends_like_another_is_not_that_one() -> None:
    text = f"published ports that do not answer here: 1{PUBLISHED} of shop/api: not allowed by this host's policy"
    ports = HostProblem("proxy.ports", text, "hullmark ports")
    assert asked(with_problem(whole(), ports, "id2")).verdict is Verdict.OK


@pytest.mark.parametrize("place", ["", "10.0.0.2:", "192.0.2.77:"])
def test_a_published_port_that_the_engine_has(place: str) -> None:
    what = "published ports that do not answer here: "
    mine = f"{place}{PUBLISHED} of shop/api: the engine has it for a/a.1"
    ports = HostProblem("proxy.ports", f"{what}9090 of a/b: no; {mine}; and 2 more", "ask")
    link = only_broken(with_problem(whole(), ports, "id2"), Verdict.DEGRADED)
    assert (link.step, link.hosts) == (Step.PUBLISHED, ("h2",))
    assert link.text == f"{what}{mine}. What to do: ask"


def test_a_published_port_that_a_host_says_it_does_not_answer() -> None:
    text = (
        "published ports that do not answer here: {} of shop/api: not allowed by this host's policy"
    )
    ports = HostProblem("proxy.ports", text.format(PUBLISHED), "hullmark ports")
    link = only_broken(with_problem(whole(), ports, "id2"), Verdict.DEGRADED)
    assert (link.step, link.hosts) == (Step.PUBLISHED, ("h2",))
    assert link.next == "hullmark ports --host h2"
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
    assert told.first == "directory: hosts are about to be told of it: ask again in a moment"


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
    assert link.text.endswith("another port than the declared one, or on loopback only")
    assert link.next == "hullmark logs shop/api"


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
    assert "h2" in (link.next_on or link.next)


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


@pytest.mark.parametrize("name", ["nginx", ""])
def test_a_program_on_ipv6_alone_is_not_in_the_way_of_the_proxy(name: str) -> None:
    proxys = Listener(PUBLISHED, "tcp", "10.0.0.1", PROXY)
    other = Listener(PUBLISHED, "tcp", "::", name)
    assert asked(with_facts(whole(), "id1", listeners=(proxys, other))).verdict is Verdict.OK


def test_a_process_that_may_be_the_proxy_is_not_known_to_be_another() -> None:
    unseen = (Listener(PUBLISHED, "tcp", "10.0.0.1", ""),)
    link = only_broken(with_facts(whole(), "id1", listeners=unseen), Verdict.UNKNOWN, Found.UNKNOWN)
    assert (link.step, link.hosts) == (Step.PUBLISHED, ("h1",))
    assert "whose it is" in link.text


def local(*listeners: Listener) -> Case:
    """The same port, but on a loopback address of each host alone."""
    spec = PortSpec(80, PUBLISHED, PUBLISHED, host_ip="127.0.0.1")
    return with_facts(with_service(whole(), ports=(spec,)), *ALL, listeners=listeners)


def test_a_port_that_is_published_for_the_hosts_own_programs() -> None:
    told = asked(local(Listener(PUBLISHED, "tcp", "127.0.0.1", PROXY)))
    assert told.verdict is Verdict.OK
    assert links(told)[-1].text == (
        "8080/tcp is answered by the proxy on 127.0.0.1 only, for the host's own programs"
    )
    assert told.services[0].spots == (), "the caller's own loopback is not the host's"
    (hint,) = told.services[0].hints
    assert "lets clients in, and containers' calls, is not seen here" in hint


def test_a_port_for_the_hosts_own_programs_that_another_one_has() -> None:
    told = asked(local(Listener(PUBLISHED, "tcp", "127.0.0.1", "nginx")))
    assert told.verdict is Verdict.BROKEN
    assert "8080/tcp belongs to nginx of the host" in told.first


def test_a_published_port_of_which_the_host_says_nothing_yet() -> None:
    case = with_facts(whole(), "id1", listeners=())
    link = only_broken(case, Verdict.UNKNOWN, Found.UNKNOWN)
    assert (link.step, link.hosts, link.there) == (Step.PUBLISHED, ("h1",), True)


def test_a_published_port_that_the_kernel_gives_away_is_told_as_any_other() -> None:
    high = 40443
    case = with_service(whole(), ports=(PortSpec(80, high, high),))
    link = only_broken(case, Verdict.UNKNOWN, Found.UNKNOWN)
    assert (
        link.text
        == f"{high}/tcp: the host did not tell yet that it listens; it looks every few seconds"
    )
    told = with_facts(case, *ALL, listeners=(Listener(high, "tcp", "0.0.0.0", PROXY),))
    assert asked(told).verdict is Verdict.OK


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


def test_a_port_of_a_container_with_the_hosts_network_is_held_by_no_engine() -> None:
    spec = PortSpec(PUBLISHED, PUBLISHED, PUBLISHED, mode=PortMode.HOST)
    container = ContainerSpec("api", network_mode="host")
    case = with_service(whole(), container=container, ports=(spec,))
    told = asked(with_snapshot(case, addresses={}))
    assert told.verdict is Verdict.OK
    assert links(told)[-1].text == "8080/tcp is held by its containers themselves"
    assert links(told)[-1].hosts == ("h1", "h2")
    spots = told.services[0].spots
    assert [(spot.host, spot.address, spot.port) for spot in spots] == [
        ("h1", "10.0.0.1", PUBLISHED),
        ("h2", "10.0.0.2", PUBLISHED),
    ]


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
