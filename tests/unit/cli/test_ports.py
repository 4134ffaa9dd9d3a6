"""`hullmark ports`"""

from __future__ import annotations

from hullmark.model.ports import Holder, PortList, PortView
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, refusal

PATH = "GET /v1/ports"
PORTS = PortList(
    (
        PortView("web1", 22, "tcp", "", Holder.PROCESS, "sshd"),
        PortView("web1", 53, "udp", "::1", Holder.PROCESS, ""),
        PortView("web1", 53, "udp", "10.0.0.1", Holder.ORPHAN, "blog.web.1.g4", 53),
        PortView("web1", 8080, "tcp", "", Holder.INSTANCE, "shop/web.1", 80),
        PortView("web1", 8081, "tcp", "", Holder.REMOVING, "shop/web.2", 80),
    )
)


def test_ports(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = PORTS
    done = run("ports")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "HOST  PORT      ADDRESS   HELD BY\n"
        "web1  22/tcp    *         sshd, of the host\n"
        "web1  53/udp    ::1       a process of the host\n"
        "web1  53/udp    10.0.0.1  blog.web.1.g4, an orphan (53)\n"
        "web1  8080/tcp  *         shop/web.1 (80)\n"
        "web1  8081/tcp  *         shop/web.2, which is being removed (80)\n"
    )


def test_of_one_host(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = PortList(())
    done = run("ports", "--host", "web2")
    assert (done.code, done.out) == (0, "no host port is held\n")
    assert master.requests[-1].query == {"host": "web2"}
    assert run("ports", "--host", "Web 2").code == 64


def test_as_json(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = PORTS
    document = run("ports", "-o", "json").document
    assert document["schema"] == "hullmark.ports/1"
    assert document["ports"][4] == {
        "host": "web1",
        "port": 8081,
        "protocol": "tcp",
        "address": "",
        "kind": "removing",
        "holder": "shop/web.2",
        "target": 80,
    }


def test_an_unknown_host(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = refusal("NotFound", "host web9 is not enrolled", 404)
    done = run("ports", "--host", "web9")
    assert (done.code, done.out) == (2, "")
    assert "web9 is not enrolled" in done.err
