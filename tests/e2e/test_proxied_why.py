"""What carries a service, and the link of its way that is broken: on real hosts, with real proxies and a real firewall."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests import server
from tests.cluster import wait_until
from tests.e2e.fleet_apps import apply
from tests.e2e.service_apps import calling, one, serving, sh, wait_for_service
from tests.fleet import Fleet, Host

PORT = 8086
ON = "replicas: 1, placement: {constraints: [node.hostname == web2]}"
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


def broken(fleet: Fleet, step: str) -> list[Any]:
    code, told = asked(fleet, "--no-connect")
    found = [link for link in links(told) if link["found"] == "broken" and link["step"] == step]
    return found if code in (1, 2) else []


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
    ports = f"    ports: ['{PORT}:{server.PORT}']\n"
    apply(proxied, "shop", serving("db", more=ports, deploy=ON) + calling("web", "web1"))
    web = one(proxied, "shop", "web", "web1")
    wait_for_service(web, "db", server.PORT)
    wait_until(functools.partial(is_whole, proxied), f"whole: {asked(proxied)}", 75)
    _, told = asked(proxied)
    steps = [link["step"] for link in links(told)]
    assert [step for step in WALKED if step not in steps] == []

    before = carried(proxied, "web1")
    for _ in range(5):
        assert sh(proxied, web, f"wget -q -O - http://db:{server.PORT}/")
    assert carried(proxied, "web1") >= before + 5

    proxied.master.kill()
    code, told = without_a_master(proxied, "web1")
    found = {link["step"]: link["found"] for link in links(told)}
    assert (code, found["command"]) == (3, "broken")
    assert {found[step] for step in ("orders", "address", "directory", "proxy", "members")} == {
        "ok"
    }
    proxied.heal()

    web2 = proxied.hosts["web2"]
    with dropping(web2, web2.proxy.port):
        wait_until(functools.partial(broken, proxied, "between hosts"), "it is named", 20)
        (link, *_) = broken(proxied, "between hosts")
        assert "web1" in link["hosts"]
        assert link["text"].startswith("web2 at ")
        assert "a firewall drops it" in link["text"]
        assert "--firewall" in link["next"]
    wait_until(functools.partial(is_whole, proxied), "it is whole again", 20)

    with dropping(web2, PORT):
        code, told = asked(proxied)
        (link,) = [each for each in links(told) if each["found"] == "broken"]
        assert (code, link["step"], link["hosts"]) == (1, "firewall", ["web2"])


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
        address = proxied.hosts["web2"].network.address
        wanted = f"    server web2 {address}:{PORT} check\n"
        wait_until(lambda: file.exists() and wanted in file.read_text(), "it is in the file", 20)
        assert f"server web1 {proxied.hosts['web1'].network.address}:{PORT} check backup" in (
            file.read_text()
        )
        assert file.read_text() == proxied.hullmark("services", "shop", "--format", "haproxy")
        proxied.hullmark("rm", "shop")
        wait_until(lambda: "server" not in file.read_text(), "it is gone from the file", 20)
    finally:
        web3.options = former
        restart(web3)
        proxied.wait_for_hosts()


def restart(host: Host) -> None:
    host.agent.kill()
    host.write_configuration()
    host.agent.start()
