"""`hullmark ports`"""

from __future__ import annotations

import csv
import dataclasses
import io

import pytest

from hullmark.model.ports import (
    FirewallList,
    FirewallNeeds,
    FirewallRule,
    Holder,
    Hook,
    PortList,
    PortState,
    PortView,
)
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, refusal

PATH = "GET /v1/ports"
OK = PortState.OK


def view(
    port: int, protocol: str, address: str, kind: Holder, holder: str, **more: object
) -> PortView:
    known = {"listening": True, "state": OK, **more}
    return PortView("web1", port, protocol, address, kind, holder, **known)  # type: ignore[arg-type]


PORTS = PortList(
    (
        view(22, "tcp", "", Holder.PROCESS, "sshd", by="sshd", allowed=True),
        view(53, "udp", "::1", Holder.PROCESS, ""),
        view(443, "tcp", "", Holder.SERVICE, "shop/web", target=80, declared=True, listening=None,
             state=PortState.UNKNOWN),
        view(7441, "tcp", "", Holder.MASTER, "m1", declared=True, by="python3"),
        view(7443, "tcp", "192.0.2.1", Holder.PROXY, "for other hosts' proxies", declared=True, by="hullmark-proxy"),
        view(8080, "tcp", "", Holder.INSTANCE, "shop/web.1", target=80, declared=True, by="docker", allowed=True),
        view(8081, "tcp", "", Holder.REMOVING, "shop/web.2", target=80, declared=True, listening=False),
    )
)  # fmt: skip
WRONG = view(53, "udp", "10.0.0.1", Holder.ORPHAN, "blog.web.1.g4", target=53, by="docker", state=PortState.UNDECLARED)  # fmt: skip


def test_ports(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = PORTS
    done = run("ports")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "HOST  PORT      ADDRESS    BELONGS TO                               LISTENS         ALLOWED  STATE\n"
        "web1  22/tcp    *          sshd, of the host                        sshd            yes      ok\n"
        "web1  53/udp    ::1        a process of the host                    yes             -        ok\n"
        "web1  443/tcp   *          shop/web, published (80)                 ?               -        unknown\n"
        "web1  7441/tcp  *          master m1                                python3         -        ok\n"
        "web1  7443/tcp  192.0.2.1  hullmark-proxy                           hullmark-proxy  -        ok\n"
        "web1  8080/tcp  *          shop/web.1 (80)                          docker          yes      ok\n"
        "web1  8081/tcp  *          shop/web.2, which is being removed (80)  no              -        ok\n"
    )


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (PortState.UNDECLARED, 1),
        (PortState.NOT_ALLOWED, 1),
        (PortState.TAKEN, 1),
        (PortState.NOT_LISTENING, 0),
        (PortState.UNKNOWN, 0),
    ],
)
def test_what_differs_from_what_was_declared_or_allowed_is_an_exit_code(
    master: FakeMaster, run: Run, state: PortState, code: int
) -> None:
    master.answers[PATH] = PortList((*PORTS.ports, dataclasses.replace(WRONG, state=state)))
    for words in ((), ("--csv",), ("-o", "json")):
        done = run("ports", *words)
        assert (done.code, done.err) == (code, "")
        assert state.value in done.out


def test_of_one_host(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = PortList(())
    done = run("ports", "--host", "web2")
    assert (done.code, done.out) == (0, "no port of a host is declared or open\n")
    assert master.requests[-1].query == {"host": "web2"}
    assert run("ports", "--host", "Web 2").code == 64


def test_as_json(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = PORTS
    document = run("ports", "-o", "json").document
    assert document["schema"] == "hullmark.ports/1"
    assert document["ports"][6] == {
        "host": "web1",
        "port": 8081,
        "protocol": "tcp",
        "address": "",
        "kind": "removing",
        "holder": "shop/web.2",
        "target": 80,
        "declared": True,
        "listening": False,
        "by": "",
        "allowed": None,
        "state": "ok",
        "host_state": "ready",
        "told_s": None,
    }


def test_what_a_host_that_is_not_heard_told_last_is_marked(master: FakeMaster, run: Run) -> None:
    lost = view(22, "tcp", "", Holder.PROCESS, "sshd", by="sshd", host_state="lost", told_s=312.4)
    unheard = view(443, "tcp", "", Holder.SERVICE, "shop/web", listening=None,
                   state=PortState.UNKNOWN, host_state="never")  # fmt: skip
    master.answers[PATH] = PortList((lost, unheard))
    lines = run("ports").out.splitlines()
    assert lines[1].endswith("  ok as of 5 min ago, host lost")
    assert lines[2].endswith("  unknown, host never")
    document = run("ports", "-o", "json").document
    assert (document["ports"][0]["host_state"], document["ports"][0]["told_s"]) == ("lost", 312.4)
    first, second = csv.DictReader(io.StringIO(run("ports", "--csv").out.lstrip("\ufeff")))
    assert list(first)[-3:] == ["State", "State of host", "Told, seconds ago"]
    assert (first["State"], first["State of host"], first["Told, seconds ago"]) == (
        "ok",
        "lost",
        "312",
    )
    assert (second["State of host"], second["Told, seconds ago"]) == ("never", "")


def test_as_csv(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = PORTS
    rows = list(csv.DictReader(io.StringIO(run("ports", "--csv").out.lstrip("\ufeff"))))
    assert len(rows) == len(PORTS.ports)
    assert rows[0]["Name"] == "sshd"
    assert (rows[2]["Port"], rows[2]["Declared"], rows[2]["Listening"]) == ("443", "yes", "")
    assert run("ports", "--csv", "-o", "json").code == 64
    assert run("ports", "--csv", "--firewall", "ufw").code == 64


NEEDS = FirewallList(
    (
        FirewallNeeds("web1", (FirewallRule(Hook.INPUT, "shop/web: published", ports=(443,)),)),
        FirewallNeeds("web2", unknown=("it has not been heard",)),
    )
)


def test_what_a_firewall_has_to_leave_open(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/ports/firewall"] = NEEDS
    done = run("ports", "--firewall", "ufw")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "# web1"
    assert "ufw allow proto tcp from any to any port 443 comment 'shop/web: published'" in lines
    assert lines[-3:] == ["", "# web2", "# it has not been heard"]
    for firewall in ("nftables", "firewalld"):
        assert "443" in run("ports", "--firewall", firewall, "--host", "web1").out
    document = run("ports", "--firewall", "ufw", "-o", "json").document
    assert document["schema"] == "hullmark.firewall/1"
    assert document["hosts"][0]["rules"][0]["hook"] == "input"
    assert run("ports", "--firewall", "ipfw").code == 64


def test_an_unknown_host(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = refusal("NotFound", "host web9 is not enrolled", 404)
    done = run("ports", "--host", "web9")
    assert (done.code, done.out) == (2, "")
    assert "web9 is not enrolled" in done.err
