"""The way to a service from one that calls it: a right and none, hosts of its own only, and names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from hullmark.core.why import Case
from hullmark.model.app import (
    App,
    Attachment,
    ContainerSpec,
    DeploySpec,
    Mount,
    MountKind,
    Network,
    Service,
)
from hullmark.model.directory import ServiceName
from hullmark.model.host import CallerRule
from hullmark.model.observed import DISCONNECTED, Phase
from hullmark.model.orders import Assignment, InstanceId
from hullmark.model.proxy import Down
from hullmark.model.records import HostAssignments
from hullmark.model.scope import CDE, OUT
from hullmark.model.why import Found, Link, ServiceWhy, Step, Verdict, Why
from tests.unit.core.fleets import CHANGE, next_record
from tests.unit.core.whyworld import (
    ADDRESS,
    API,
    WEB,
    walked,
    whole,
    with_facts,
    with_port,
    with_service,
    with_snapshot,
    with_status,
)

JOB = ServiceName("pay", "job")
ON = "id2"
MOVE = "hullmark move shop/web.1"


def with_job(service: Service, phase: Phase = Phase.RUNNING) -> Case:
    """An app `pay` beside, whose `job` runs on h2."""
    case = whole()
    record = next_record(None, App("pay", {"job": service}, {"in": Network()}), CHANGE)
    instance = InstanceId("pay", "job", 1, 1)
    held = case.snapshot.assignments[ON].assignments
    state = case.snapshot.observed[ON]
    status = dataclasses.replace(
        next(iter(state.instances.values())), instance=instance, phase=phase
    )
    instances = {**state.instances, instance.container_name: status}
    return with_snapshot(
        case,
        apps={**case.snapshot.apps, "pay": record},
        assignments={
            **case.snapshot.assignments,
            ON: HostAssignments((*held, Assignment(instance, "s"))),
        },
        observed={**case.snapshot.observed, ON: dataclasses.replace(state, instances=instances)},
    )


def job(*uses: str, **container: object) -> Service:
    networks = () if "network_mode" in container else (Attachment("in"),)
    spec = ContainerSpec("job", networks=networks)
    return Service(dataclasses.replace(spec, **container), DeploySpec(), uses=uses)  # type: ignore[arg-type]


def asked(case: Case, caller: ServiceName = WEB) -> Why:
    return walked(case, "shop", "api", caller)


def of(told: Why, step: Step) -> Link:
    (link,) = [link for link in service(told).links if link.step is step]
    return link


def service(told: Why) -> ServiceWhy:
    (found,) = told.services
    return found


def test_the_way_by_a_network_and_of_the_callers_host_alone() -> None:
    told = asked(whole())
    assert (told.verdict, told.first, told.caller) == (Verdict.OK, "", "shop/web")
    assert [link.step for link in service(told).links] == [
        Step.RIGHT,
        Step.CALLER,
        Step.CALLER,
        Step.PLACEMENT,
        Step.AGENT,
        Step.ENGINE,
        Step.CONTAINER,
        Step.ADDRESS,
        Step.NAMES,
        Step.PROXY,
        Step.DIRECTORY,
        Step.MEMBERS,
        Step.BETWEEN,
    ]
    assert of(told, Step.RIGHT).text == "shop/web and shop/api are both on network back"
    names = of(told, Step.NAMES)
    assert (names.text, names.hosts) == (f"knows it as api, api.shop: {ADDRESS}", ("h3",))
    assert of(told, Step.PROXY).hosts == ("h3",)
    assert of(told, Step.AGENT).hosts == ("h1", "h2", "h3")
    assert (service(told).spots, service(told).hints) == ((), ())


def test_what_is_wrong_for_others_alone_is_not_of_this_way() -> None:
    case = with_facts(whole(), "id1", proxy_version="")
    assert walked(case, "shop", "api").verdict is Verdict.DEGRADED
    assert asked(case).verdict is Verdict.OK
    there = with_facts(whole(), "id3", proxy_version="")
    assert asked(there).verdict is Verdict.BROKEN
    assert asked(there).first.startswith("proxy of h3: none is up")


def test_a_declared_use() -> None:
    case = with_job(job("shop/api"))
    case = dataclasses.replace(case, traffic=whole().traffic)
    told = asked(case, JOB)
    assert told.verdict is Verdict.OK, told.first
    assert of(told, Step.RIGHT).text == "pay/job says that it uses shop/api"
    assert of(told, Step.NAMES).text == f"knows it as api.shop: {ADDRESS}"
    assert of(told, Step.PROXY).hosts == ("h2",)


def test_a_caller_that_declared_nothing_is_told_how() -> None:
    told = asked(with_job(job()), JOB)
    assert told.verdict is Verdict.BROKEN
    right = of(told, Step.RIGHT)
    assert right.text.startswith("pay/job and shop/api are of different apps, and pay/job does not")
    assert right.text.endswith(
        "Add to service job in pay's Compose file: x-hullmark: {uses: [shop/api]}, and apply it"
    )
    assert (told.first, told.next) == (f"right: {right.text}", "")
    assert Step.NAMES not in {link.step for link in service(told).links}
    told = asked(with_job(job("shop/db")), JOB)
    assert of(told, Step.RIGHT).text.endswith(
        "Have service job in pay's Compose file say x-hullmark.uses: [shop/db, shop/api], and apply it"
    )


@pytest.mark.parametrize(
    ("changes", "why_none"),
    [
        ({"expose": ("53/udp",)}, "no TCP port of it is known"),
        ({"network_mode": "host", "networks": ()}, "its containers use the host's own network"),
    ],
)
def test_no_right_is_advised_to_what_has_no_address(
    changes: dict[str, object], why_none: str
) -> None:
    alone = ContainerSpec("web", networks=(Attachment("x"),))
    case = with_service(whole(), "web", container=alone)
    container = dataclasses.replace(
        case.snapshot.apps["shop"].app.services["api"].container,
        **changes,  # type: ignore[arg-type]
    )
    told = asked(with_service(case, container=container, ports=()))
    assert told.verdict is Verdict.BROKEN
    assert told.first.startswith(f"address: none: {why_none}; ")
    assert "uses" not in told.first
    right = of(told, Step.RIGHT)
    assert (right.found, right.next) == (Found.UNKNOWN, "")


def test_services_of_one_app_on_no_common_network() -> None:
    apart = with_service(
        whole(), "web", container=ContainerSpec("web", networks=(Attachment("x"),))
    )
    told = asked(apart)
    assert told.verdict is Verdict.BROKEN
    assert "shop/web and shop/api share no network" in told.first
    assert "to service web in shop's Compose file: x-hullmark: {uses: [shop/api]}" in told.first
    used = with_service(apart, "web", uses=("api",))
    assert of(asked(used), Step.RIGHT).text == "shop/web says that it uses shop/api"


def test_a_service_that_calls_itself() -> None:
    told = asked(whole(), API)
    assert told.verdict is Verdict.OK
    assert of(told, Step.RIGHT).text == "instances of shop/api may call each other"


@pytest.mark.parametrize(
    ("name", "text", "then"),
    [
        (ServiceName("none", "x"), "caller: there is no app none", "hullmark apps"),
        (ServiceName("shop", "x"), "caller: app shop has no service x, but api, web", "hullmark apps"),
        (ServiceName("shop", ""), "caller: app shop has no service , but api, web", "hullmark apps"),
    ],
)  # fmt: skip
def test_a_caller_that_there_is_not(name: ServiceName, text: str, then: str) -> None:
    told = asked(whole(), name)
    assert (told.verdict, told.first, told.next) == (Verdict.BROKEN, text, then)


@pytest.mark.parametrize(
    ("mode", "word"), [("host", "any program of the host"), ("none", "nothing")]
)
def test_a_caller_without_a_network_of_its_own(mode: str, word: str) -> None:
    told = asked(with_job(job(network_mode=mode)), JOB)
    assert told.verdict is Verdict.BROKEN
    assert told.first.startswith("caller: pay/job has ")
    assert word in told.first
    assert f"network_mode: {mode}" in told.first
    assert told.next == ""


def test_a_caller_that_is_being_removed() -> None:
    case = whole()
    gone = dataclasses.replace(case.snapshot.apps["shop"], removing=True)
    record = next_record(None, App("pay", {"job": job()}, {"in": Network()}), CHANGE)
    case = with_snapshot(case, apps={"shop": case.snapshot.apps["shop"], "pay": record})
    removed = dataclasses.replace(record, removing=True)
    case = with_snapshot(case, apps={"shop": case.snapshot.apps["shop"], "pay": removed})
    assert asked(case, JOB).first == "caller: app pay is being removed"
    assert walked(with_snapshot(case, apps={"shop": gone}), "shop", "api", WEB).services == ()


def test_a_caller_of_which_nothing_runs() -> None:
    told = asked(with_status(whole(), "id3", phase=Phase.FAILED, exit_code=3))
    assert told.verdict is Verdict.BROKEN
    assert told.first == "caller of h3: shop/web: shop/web.1: ended with exit code 3"
    assert told.next == "hullmark logs shop/web.1"


def test_a_host_of_the_service_that_turns_this_caller_away() -> None:
    rules = (CallerRule("*", (CDE,), "site.yaml:4"),)
    case = with_facts(whole(), "id1", caller_rules=rules)
    told = asked(case)
    assert told.verdict is Verdict.DEGRADED, "h2 lets it in"
    assert told.first == (
        f"right: services.from of host h1 (site.yaml:4) turns away what comes from other hosts with scope {OUT}"
    )
    assert (told.next, told.next_on) == ("hullmark policy show shop/api", "h1")
    assert asked(with_facts(case, "id2", caller_rules=rules)).verdict is Verdict.BROKEN


def shut_in(case: Case) -> Case:
    record = case.snapshot.apps["shop"]
    inner = dataclasses.replace(record.app, networks={"back": Network(internal=True)})
    apps = {"shop": dataclasses.replace(record, app=inner)}
    return with_facts(with_snapshot(case, apps=apps), "id3", engine="podman")


def nameless(case: Case) -> Case:
    return with_status(case, "id3", nameless=True)


def own_file(case: Case) -> Case:
    spec = case.snapshot.apps["shop"].app.services["web"].container
    mount = Mount(MountKind.BIND, "/etc/hosts", "/srv/hosts")
    return with_service(case, "web", container=dataclasses.replace(spec, mounts=(mount,)))


@pytest.mark.parametrize(
    ("change", "text", "then", "command"),
    [
        (shut_in, "only on internal networks", "node.facts.engine == docker", ""),
        (nameless, "was made before its host had a proxy", "until it is made anew: ", MOVE),
        (own_file, "brings a /etc/hosts of its own", f"call {ADDRESS}", ""),
    ],
)
def test_a_container_that_does_not_know_the_name(
    change: Callable[[Case], Case], text: str, then: str, command: str
) -> None:
    told = asked(change(whole()))
    assert told.verdict is Verdict.BROKEN
    names = of(told, Step.NAMES)
    assert (names.found, names.hosts) == (Found.BROKEN, ("h3",))
    assert text in told.first
    assert then in told.first
    assert told.next == command


def test_a_caller_that_was_taken_off_the_network_does_not_know_the_name_meanwhile() -> None:
    command = "docker network connect --alias web shop_back shop.web.1.g1"
    off = {"addresses": {"shop_front": "10.213.0.2"}, "detail": f"{DISCONNECTED}{command}"}
    told = asked(with_status(whole(), "id3", **off))
    assert told.verdict is Verdict.BROKEN
    assert "taken off a network by somebody" in told.first
    assert command in told.next
    names = of(told, Step.NAMES)
    assert "taken off the network by which" in names.text
    assert ADDRESS not in names.text, "by that it is refused, too"
    assert names.next == command
    on = with_status(whole(), "id3", addresses={"shop_back": "10.213.0.2"})
    assert asked(on).verdict is Verdict.OK


def test_a_host_that_is_not_heard_may_not_know_that_the_caller_has_no_right_any_more() -> None:
    case = with_job(job())
    assert "not heard" not in of(asked(case, JOB), Step.RIGHT).text
    silent = with_snapshot(case, heard_s={**case.snapshot.heard_s, ON: 60.0})
    right = of(asked(silent, JOB), Step.RIGHT)
    assert right.found is Found.BROKEN
    text = "it is refused; but host h2, not heard, may still go by what was true before. Add to "
    assert text in right.text


def test_names_are_those_that_the_container_has() -> None:
    """With aliases, and without what its own hostname and `extra_hosts` have taken."""
    aliased = ContainerSpec(
        "api", expose=("80",), networks=(Attachment("back", aliases=("backend", "api2")),)
    )
    case = with_service(whole(), container=aliased)
    assert (
        of(asked(case), Step.NAMES).text == f"knows it as api, api.shop, backend, api2: {ADDRESS}"
    )
    spec = case.snapshot.apps["shop"].app.services["web"].container
    nearer = dataclasses.replace(spec, hostname="backend", extra_hosts=("api:203.0.113.9",))
    told = asked(with_service(case, "web", container=nearer))
    assert of(told, Step.NAMES).text == f"knows it as api.shop, api2: {ADDRESS}"
    hosts = tuple(f"{name}:host-gateway" for name in ("api", "api.shop", "api2"))
    taken = dataclasses.replace(nearer, extra_hosts=hosts)
    told = asked(with_service(case, "web", container=taken))
    assert (told.verdict, of(told, Step.NAMES).found) == (Verdict.BROKEN, Found.BROKEN)
    assert told.first == (
        "names of h3: its own hostname and extra_hosts have each name of shop/api for something else; "
        f"call {ADDRESS}, or change those"
    )


def test_a_service_that_nobody_calls_by_an_address() -> None:
    portless = with_service(
        whole(), container=ContainerSpec("api", networks=(Attachment("back"),)), ports=()
    )
    told = asked(portless)
    assert told.verdict is Verdict.BROKEN
    assert told.first.startswith("address: none: ")
    assert "`expose`" in told.first
    hosts = with_service(whole(), container=ContainerSpec("api", network_mode="host"))
    assert "hullmark ports" in of(asked(hosts), Step.ADDRESS).next


def test_a_host_that_the_callers_does_not_reach() -> None:
    told = asked(with_port(whole(), "id3", up=1, down=(Down("id1", "L4TOUT"),)))
    assert told.first.startswith("between hosts of h3: h1 at ")
    assert "--firewall" in told.next


def test_refusals_where_the_caller_is_are_told_with_where_to_look() -> None:
    (hint,) = service(asked(with_port(whole(), "id3", refused=7))).hints
    assert hint.startswith("h3: its proxy refused 7 connections to shop/api")
    assert '"subject":"shop/api"' in hint
    assert service(asked(with_port(whole(), "id1", refused=7))).hints == ()
