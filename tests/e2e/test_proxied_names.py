"""Services of three hosts reach each other by name, and nobody else reaches them."""

from __future__ import annotations

import functools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping

from tests import reach, server
from tests.cluster import wait_until
from tests.e2e.fleet_apps import apply
from tests.e2e.service_apps import (
    apply_notes,
    calling,
    inside,
    load_notes,
    names,
    one,
    serving,
    sh,
    wait_for_service,
)
from tests.fleet import Container, Fleet
from tests.integration.namespaces import HOST_ADDRESS

PORT = 8088


def fetch(fleet: Fleet, host: str, path: str = "/", port: int = PORT) -> str:
    """What the published port of a host says; nothing where it doesn't answer."""
    url = f"http://{fleet.hosts[host].network.address}:{port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def whole_way(fleet: Fleet, host: str) -> list[str]:
    """The host names that the request went by: web, api, database; empty where it didn't get there."""
    lines = fetch(fleet, host, "/cgi-bin/notes").splitlines()
    if [line.split()[0] for line in lines] != ["web", "api", "db"]:
        return []
    assert lines[-1].endswith("has list")
    return [line.split()[1] for line in lines]


def expected(fleet: Fleet) -> list[str]:
    """Of the containers that run."""
    services = (one(fleet, "notes", name) for name in ("web", "api", "db"))
    return [str(each.inspected["Config"]["Hostname"]) for each in services]


def test_an_app_of_three_services_on_three_hosts(proxied: Fleet) -> None:
    """Its file knows nothing of hosts. Wherever its services are, and whichever host is asked."""
    load_notes(proxied)
    addresses: list[Mapping[str, str]] = []
    for homes in (
        {"web": "web1", "api": "web2", "db": "web3"},
        {"web": "web3", "api": "web3", "db": "web1"},
    ):
        apply_notes(proxied, PORT, homes)
        way = expected(proxied)
        for host in proxied.hosts:
            what = f"{host} answers for {homes}"
            wait_until(functools.partial(whole_way, proxied, host), what, 20)
            assert whole_way(proxied, host) == way
        api, web = one(proxied, "notes", "api"), one(proxied, "notes", "web")
        assert names(api).keys() >= {"db", "db.notes", "database", "web", "web.notes"}
        assert names(web).keys() >= {"api", "api.notes"}
        assert not names(web).keys() & {"db", "db.notes", "database"}, "they share no network"
        addresses.append({name: names(api)[name] for name in ("db", "database")})
    assert addresses[0] == addresses[1], "the same wherever it runs"


def test_who_may_call_and_who_is_refused(proxied: Fleet) -> None:
    """By the network that is shared, by `uses`, and not otherwise, whichever engine the caller's host has."""
    apply(
        proxied,
        "shop",
        serving("db", deploy="replicas: 1, placement: {constraints: [node.hostname == web2]}"),
    )
    uses = "    x-hullmark: {uses: [shop/db]}\n"
    apply(proxied, "friend", calling("a", "web1", uses) + calling("c", "web3", uses))
    apply(
        proxied,
        "stranger",
        "".join(calling(name, host) for name, host in zip("abc", proxied.hosts)),
    )
    for service in "ac":
        friend = one(proxied, "friend", service)
        address = wait_for_service(friend, "db.shop", server.PORT)
        said = sh(proxied, friend, f"wget -q -O - http://db.shop:{server.PORT}/")
        assert said.split()[0] == one(proxied, "shop", "db").inspected["Config"]["Hostname"]
    target = (address, server.PORT)
    for service, host in zip("abc", proxied.hosts):
        stranger = one(proxied, "stranger", service, host)
        assert "db.shop" not in names(stranger)
        outcome = reach.ask(inside(stranger), [target])[target]
        assert outcome in (reach.SHUT, reach.REFUSED), f"{host}: {outcome}"
        recorded = functools.partial(refusals, proxied, host, address_of(stranger))
        wait_until(recorded, f"it is in the log: {proxied.hosts[host].proxy.lines()[-3:]}", 5)


def test_a_stranger_is_recorded_where_nothing_has_to_do_with_the_service(proxied: Fleet) -> None:
    """Neither an instance of it nor a caller is on two of the hosts. Their agents begin anew: what a host has seen of others' services
    within the last minutes counts against what it takes at once."""
    for each in proxied.hosts.values():
        each.agent.kill()
        each.agent.start()
    proxied.wait_for_hosts()
    apply(
        proxied,
        "shop",
        serving("db", deploy="replicas: 1, placement: {constraints: [node.hostname == web2]}"),
    )
    strangers = "".join(calling(name, host) for name, host in zip("abc", proxied.hosts))
    apply(proxied, "stranger", strangers)
    told = json.loads(proxied.run("services", "--output", "json").stdout)
    (address,) = [one["address"] for one in told["services"] if one["name"]["service"] == "db"]
    target = (address, server.PORT)
    for service, host in zip("abc", proxied.hosts):
        stranger = one(proxied, "stranger", service, host)
        asked = functools.partial(refused, proxied, host, stranger, target)
        wait_until(asked, f"it is in the log: {proxied.hosts[host].proxy.lines()[-3:]}", 20)
        counted = functools.partial(refused_and_counted, proxied, host, stranger, target)
        wait_until(counted, f"{host} counts it", 20)


def refused_and_counted(fleet: Fleet, host: str, stranger: Container, target: reach.Target) -> bool:
    """Whether a refusal is among the host's numbers of the service. A proxy that is loaded anew counts from the start."""
    refused(fleet, host, stranger, target)
    told = json.loads(fleet.run("services", "shop/db", "--output", "json").stdout)
    ports = {one["host"]: one["ports"] for one in told["traffic"]}
    assert ports.keys() == set(fleet.hosts)
    return any(port.get("refused") for port in ports[host])


def refused(fleet: Fleet, host: str, stranger: Container, target: reach.Target) -> bool:
    """Whether a connection was refused with a record; that it is not let in is asserted."""
    outcome = reach.ask(inside(stranger), [target])[target]
    assert outcome in (reach.SHUT, reach.REFUSED), f"{host}: {outcome}"
    time.sleep(0.5)
    return bool(refusals(fleet, host, address_of(stranger)))


def refusals(fleet: Fleet, host: str, address: str) -> list[dict[str, object]]:
    """What the host's proxy logged of connections from an address that it refused."""
    found = fleet.hosts[host].proxy.records(outcome="refused")
    return [record for record in found if address in str(record.get("origin", ""))]


def address_of(container: Container) -> str:
    """The first of its addresses."""
    networks = container.inspected["NetworkSettings"]["Networks"].values()
    return next(str(each["IPAddress"]) for each in networks)


def test_a_published_port_knows_its_client(proxied: Fleet) -> None:
    """Whichever host is asked: its proxy's log says who asked, and the service learns it where it wants to."""
    port = "    ports: ['{port}:{target}']\n    x-hullmark: {{client_address: {how}}}\n"
    on = "replicas: 1, placement: {constraints: [node.hostname == web2]}"
    apply(
        proxied,
        "edge",
        serving("plain", more=port.format(port=8071, target=server.PORT, how="none"), deploy=on)
        + serving(
            "told", more=port.format(port=8072, target=server.PORT, how="forwarded"), deploy=on
        )
        + serving("pp", more=port.format(port=8073, target=server.PROXIED, how="proxy"), deploy=on),
    )
    for host in proxied.hosts:
        for number in (8071, 8072, 8073):
            wait_until(functools.partial(fetch, proxied, host, port=number), f"{host}:{number}", 20)
        assert HOST_ADDRESS not in fetch(proxied, host, port=8071)
        assert fetch(proxied, host, port=8072).split()[3] == HOST_ADDRESS
        assert fetch(proxied, host, port=8073).split()[2] == HOST_ADDRESS
        for number in (8071, 8072, 8073):
            logged = functools.partial(is_logged, proxied, host, number)
            wait_until(logged, f"it is logged: {proxied.hosts[host].proxy.lines()[-5:]}", 5)


def is_logged(fleet: Fleet, host: str, port: int) -> bool:
    """Whether a line of the host's proxy has the client and the port that it asked for."""
    lines = fleet.hosts[host].proxy.lines()
    return any(HOST_ADDRESS in line and str(port) in line for line in lines)
