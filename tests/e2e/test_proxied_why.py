"""What carries a service, and the link of its way that is broken: on real hosts, with real proxies and a real firewall."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests import reach, server
from tests.cluster import wait_until
from tests.e2e.fleet_apps import apply
from tests.e2e.service_apps import calling, inside, one, serving, sh, wait_for_service
from tests.fleet import Container, Fleet, Host

PORT = 8086
LOCAL = 8087
"""Published on loopback alone."""
ASTRAY, NOBODYS = 8089, 9999
"""Published, with a target on which nothing listens."""
ON = "replicas: 1, placement: {constraints: [node.hostname == web2]}"
BESIDE = "replicas: 2, placement: {max_replicas_per_node: 1, constraints: [node.hostname != web3]}"
WALKED = (
    "command",
    "store",
    "app",
    "placement",
    "agent",
    "engine",
    "container",
    "address",
    "proxy",
    "directory",
    "members",
    "between hosts",
    "published port",
    "firewall",
)


def asked(fleet: Fleet, *options: str) -> tuple[int, Any]:
    done = fleet.run("why", "shop/db", "--output", "json", *options)
    return done.returncode, json.loads(done.stdout)


def links(told: Any) -> list[Any]:
    return [*told["links"], *(link for each in told["services"] for link in each["links"])]


def without_a_master(fleet: Fleet, name: str) -> tuple[int, Any]:
    """Asked on a host, by its own agent's configuration."""
    host = fleet.hosts[name]
    options = ("--config", str(host.config), "--output", "json")
    done = fleet.run("why", "shop/db", *options, inside=host.network.inside)
    return done.returncode, json.loads(done.stdout)


def is_whole(fleet: Fleet) -> bool:
    return asked(fleet)[0] == 0


def broken(fleet: Fleet, step: str, host: str) -> list[Any]:
    code, told = asked(fleet, "--no-connect")
    found = [link for link in links(told) if link["found"] == "broken" and link["step"] == step]
    return [link for link in found if code in (1, 2) and host in link["hosts"]]


@contextmanager
def dropping(host: Host, port: int) -> Iterator[None]:
    """A firewall on this host that says nothing to who calls this port. Fails where nothing was dropped."""
    rule = ["INPUT", "-p", "tcp", "--dport", str(port), "-j", "DROP"]
    command = [*host.network.inside, "iptables", "-w"]
    subprocess.run([*command, "-I", *rule], check=True)
    try:
        yield
        listed = subprocess.run(
            [*command, "-L", "INPUT", "1", "-n", "-v", "-x"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert int(listed.split()[0]) > 0, "nothing came to be dropped"
    finally:
        subprocess.run([*command, "-D", *rule], check=True)


def test_the_way_to_a_service_and_its_first_broken_link(proxied: Fleet) -> None:
    ports = f"    ports: ['{PORT}:{server.PORT}', '127.0.0.1:{LOCAL}:{server.PORT}']\n"
    apply(proxied, "shop", serving("db", more=ports, deploy=ON) + calling("web", "web1"))
    web = one(proxied, "shop", "web", "web1")
    wait_for_service(web, "db", server.PORT)
    astray(proxied, NOBODYS)
    told_at_once_and_as_a_problem(proxied)
    wait_until(lambda: problems(proxied, "proxy.unanswered"), "it is a problem", 40)
    status = proxied.run("status")
    assert f"deaf.web.1.g1 on port {NOBODYS} (it is refused" in " ".join(status.stdout.split())
    assert status.returncode == 1, "though its rollout was well"
    (problem,) = problems(proxied, "proxy.unanswered").values()
    assert problem["remedy"].startswith("hullmark why deaf/web; ")
    why = proxied.run("why", "deaf/web", "--no-connect").stdout
    assert why.count(f"does not answer on port {NOBODYS}") >= 1
    assert "containers here do not answer" not in why, "once is enough"
    astray(proxied, server.PORT)
    wait_until(lambda: not problems(proxied, "proxy.unanswered"), "it answers", 20)
    proxied.hullmark("rm", "--wait", "deaf")
    wait_until(functools.partial(is_whole, proxied), f"whole: {asked(proxied)}", 75)
    _, told = asked(proxied)
    steps = [link["step"] for link in links(told)]
    assert [step for step in WALKED if step not in steps] == []
    (local,) = [link for link in links(told) if link["text"].startswith(f"{LOCAL}/tcp")]
    assert (local["found"], local["hosts"]) == ("ok", ["web1", "web2", "web3"])
    assert local["text"].endswith("on 127.0.0.1 only, for the host's own programs")

    wait_until(lambda: are_counted(proxied, web, 5), "connections are counted", 20)

    proxied.kill_masters()
    code, told = without_a_master(proxied, "web1")
    found = {link["step"]: link["found"] for link in links(told)}
    assert (code, found["command"]) == (3, "broken")
    assert {found[step] for step in ("orders", "address", "directory", "proxy", "members")} == {
        "ok"
    }
    proxied.heal()

    wait_until(functools.partial(is_whole, proxied), "it is whole again", 20)
    with dropping(proxied.hosts["web2"], PORT):
        code, told = asked(proxied)
        (link,) = [each for each in links(told) if each["found"] == "broken"]
        assert (code, link["step"], link["hosts"]) == (1, "firewall", ["web2"])


def test_who_may_not_call_is_told_how_to_say_so(proxied: Fleet) -> None:
    apply(proxied, "shop", serving("db", deploy=ON))
    apply(proxied, "pay", calling("job", "web1"))
    (address,) = {one["address"] for one in proxied.json("services", "shop/db")["services"]}
    assert not answers(proxied, address)
    code, told = asked(proxied, "--from", "pay/job")
    assert (code, told["caller"], told["verdict"]) == (2, "pay/job", "broken")
    assert told["first"].startswith("right: pay/job and shop/db are of different apps")
    assert "to service job in pay's Compose file: x-hullmark: {uses: [shop/db]}" in told["first"]

    apply(proxied, "pay", calling("job", "web1", "    x-hullmark: {uses: [shop/db]}\n"))
    assert wait_for_service(one(proxied, "pay", "job"), "db.shop", server.PORT) == address
    assert answers(proxied, address)
    whole = functools.partial(asked, proxied, "--from", "pay/job")
    wait_until(lambda: whole()[0] == 0, f"whole: {whole()}", 20)
    by_step = {link["step"]: link for link in links(whole()[1])}
    assert by_step["right"]["text"] == "pay/job says that it uses shop/db"
    assert by_step["names"]["text"] == f"knows it as db.shop: {address}"
    assert by_step["names"]["hosts"] == by_step["proxy"]["hosts"] == ["web1"]
    with dropping(proxied.hosts["web2"], proxied.hosts["web2"].proxy.port):
        wait_until(lambda: whole()[1]["first"].startswith("between hosts of web1: web2"), "cut", 20)


def answers(fleet: Fleet, address: str) -> bool:
    target = (address, server.PORT)
    found = reach.ask(inside(one(fleet, "pay", "job")), [target])
    return found[target] == reach.ANSWERED


def told_at_once_and_as_a_problem(fleet: Fleet) -> None:
    """A firewall between hosts: by `why`, and once it has been there for a while by `status`."""
    web2 = fleet.hosts["web2"]
    assert unreached(fleet) == {}
    with dropping(web2, web2.proxy.port):
        by_web1 = functools.partial(broken, fleet, "between hosts", "web1")
        wait_until(by_web1, "it is named, by each host that sees it", 20)
        (link, *_) = by_web1()
        assert link["text"].startswith("web2 at ")
        assert "a firewall drops it" in link["text"]
        assert link["next"].endswith("--host web2")
        wait_until(lambda: sorted(unreached(fleet)) == ["web1", "web3"], "it is a problem", 60)
        problem = unreached(fleet)["web1"]
        assert f" web2 at {web2.network.address}:{web2.proxy.port} (nothing " in problem["message"]
        assert "web3" not in problem["message"], "nothing is needed of it"
        assert "hullmark why shop/db; " in problem["remedy"]
    wait_until(lambda: not unreached(fleet), "it is none any more", 20)


def astray(fleet: Fleet, target: int) -> None:
    """A service without a health check: its rollout is good as soon as it runs."""
    there = "replicas: 1, placement: {constraints: [node.hostname == web3]}"
    ports = f"    ports: ['{ASTRAY}:{target}']\n"
    apply(fleet, "deaf", serving("web", more=ports, deploy=there))


def unreached(fleet: Fleet) -> dict[str, Any]:
    return problems(fleet, "proxy.unreached")


def problems(fleet: Fleet, code: str) -> dict[str, Any]:
    """The problem, by the names of the hosts that tell it."""
    return {
        name: problem
        for name, view in fleet.host_views().items()
        for problem in view["problems"]
        if problem["code"] == code
    }


@contextmanager
def without_a_proxy(host: Host) -> Iterator[None]:
    """As it is before the package is installed."""
    folder = host.proxy.folder
    host.proxy.end()
    folder.rename(folder.with_name("away"))
    host.agent.kill()
    host.agent.start()
    try:
        yield
    finally:
        folder.with_name("away").rename(folder)
        host.proxy.start()


def notes(fleet: Fleet) -> list[str]:
    found = fleet.json("ps", "former")["instances"]
    return [one["note"] for one in found if one["note"]]


def test_an_instance_that_is_older_than_its_hosts_proxy(proxied: Fleet) -> None:
    """And that the way from it to what is beside it on its host is broken in part only."""
    there = serving("db", deploy=BESIDE)
    with without_a_proxy(proxied.hosts["web1"]):
        apply(proxied, "former", there + calling("web", "web1"))
        assert notes(proxied) == [], "its host has none"
    wait_until(lambda: notes(proxied), "it is named", 70)
    (text,) = notes(proxied)
    assert text.startswith("former/web.1 on web1 was made before its host had a proxy")
    assert text.endswith("give former/web another label in its Compose file, then `hullmark apply`")
    assert "knows no services" in proxied.run("why", "former/db", "--no-connect").stdout
    beside = proxied.run("why", "former/db", "--from", "former/web", "--no-connect")
    assert beside.returncode == 1, beside.stdout
    assert "db leads to what is beside it on its host" in beside.stdout
    again = calling("web", "web1", "    labels: {again: '1'}\n")
    apply(proxied, "former", there + again)
    assert notes(proxied) == []
    wait_for_service(one(proxied, "former", "web", "web1"), "db", server.PORT)


def are_counted(fleet: Fleet, caller: Container, number: int) -> bool:
    """Whether so many connections are counted as such. A proxy that is loaded anew meanwhile counts from the start."""
    before = carried(fleet, caller.host)
    for _ in range(number):
        assert sh(fleet, caller, f"wget -q -O - http://db:{server.PORT}/")
    return carried(fleet, caller.host) >= before + number


def carried(fleet: Fleet, host: str) -> int:
    """Connections to the service that came from this host."""
    found = fleet.json("services", "shop/db")
    assert found["silent"] == []
    (ports,) = [each["ports"] for each in found["traffic"] if each["host"] == host]
    return sum(int(port["connections"]) for port in ports)


def test_a_file_for_a_load_balancer_follows_what_answers(proxied: Fleet) -> None:
    web3 = proxied.hosts["web3"]
    file, former = web3.state.parent / "balancer.cfg", web3.options
    web3.options += f"services: {{export: {{haproxy: '{file}'}}}}\n"
    restart(web3)
    try:
        ports = f"    ports: ['{PORT}:{server.PORT}']\n"
        apply(proxied, "shop", serving("db", more=ports, deploy=ON))
        at = {name: host.network.address for name, host in proxied.hosts.items()}
        wanted = f"server web2 {at['web2']}:{PORT} check\n    server web1 {at['web1']}:{PORT} check backup\n"
        wait_until(lambda: file.exists() and wanted in file.read_text(), "it is in the file", 20)
        wait_until(
            lambda: file.read_text() == asked_for_haproxy(proxied), "the command says it", 20
        )
        proxied.hullmark("rm", "shop")
        wait_until(lambda: "server" not in file.read_text(), "it is gone from the file", 20)
    finally:
        web3.options = former
        restart(web3)
        proxied.wait_for_hosts()


def asked_for_haproxy(fleet: Fleet) -> str:
    return fleet.hullmark("services", "shop", "--format", "haproxy")


def restart(host: Host) -> None:
    host.agent.kill()
    host.write_configuration()
    host.agent.start()
