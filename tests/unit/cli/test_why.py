"""`hullmark why`"""

from __future__ import annotations

import errno
import hashlib
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from hullmark.cli import client, reaching, whylocal
from hullmark.cli.commands import why as why_command
from hullmark.core.why import why, with_links
from hullmark.errors import MasterUnavailable
from hullmark.model.directory import Directory, Peer, ServiceEntry, ServiceName, Share
from hullmark.model.epoch import Epoch
from hullmark.model.observed import DISCONNECTED, Phase
from hullmark.model.orders import Assignment, InstanceId, Orders
from hullmark.model.proxy import PortTraffic, Traffic
from hullmark.model.why import Found, Link, ServiceWhy, Step, Verdict, Why
from hullmark.model.wire import canonical, to_wire
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, refusal
from tests.unit.core.whyworld import API, whole, with_facts, with_status

PATH = "GET /v1/apps/shop/why"


@pytest.fixture(autouse=True)
def _reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Published ports answer, whichever are tried."""
    monkeypatch.setattr(reaching, "connect", lambda address, port: None)
    monkeypatch.setattr(reaching.firewall_links, "__defaults__", (lambda address, port: None,))


def test_the_whole_way(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = why(whole(), "shop", "api")
    done = run("why", "shop/api")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        f"  ok      command         {master.url} answers\n"
        "  ok      master          m1 leads, epoch 1.1\n"
        "  ok      store           it takes writes\n"
        "  ok      app             generation 1\n"
        "shop/api  ok: every link that can be seen is whole\n"
        "  ok      placement       2 wanted, each has a host\n"
        "  ok      agent           h1, h2, h3: heard\n"
        "  ok      engine          h1, h2: answers\n"
        "  ok      container       h1, h2: serves\n"
        "  ok      address         10.214.0.2\n"
        "  ok      proxy           h1, h2, h3: up\n"
        "  ok      directory       h1, h2, h3: the leader's newest is accepted\n"
        "  ok      members         h1, h2, h3: all are up in the proxy\n"
        "  ok      between hosts   h1, h2, h3: the others' TLS ports answer\n"
        "  ok      published port  h1, h2, h3: 8080/tcp is answered by the proxy\n"
        "  ok      firewall        h1: 10.0.0.1:8080 takes connections from this machine\n"
        "  ok      firewall        h2: 10.0.0.2:8080 takes connections from this machine\n"
        "  ok      firewall        h3: 10.0.0.3:8080 takes connections from this machine\n"
        "  note:   whether a host's firewall lets clients in, and containers' calls, is not seen here; what it has to let in: "
        "hullmark ports --firewall nftables, or iptables, firewalld, ufw\n"
    )
    (request,) = master.requests
    assert request.query == {"service": "api"}


def test_the_first_broken_link_and_what_to_type(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = why(with_facts(whole(), "id3", proxy_version=""), "shop", "api")
    done = run("why", "shop/api", "--no-connect")
    assert done.code == 1
    assert "  BROKEN  proxy           h3: none is up" in done.out
    assert "\nFirst broken: proxy of h3: none is up" in done.out
    assert "it comes with the package hullmark-proxy" in done.out
    command = "systemctl status hullmark-proxy || service hullmark-proxy status"
    assert done.out.splitlines()[-1] == f"Next, on h3:  {command}"
    assert "this machine" not in done.out


def test_what_to_type_is_whole_on_its_line_however_narrow_the_terminal(
    master: FakeMaster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(why_command, "width", lambda: 40)
    command = "docker network connect --alias api shop_back shop.api.2.g1"
    detail = f"{DISCONNECTED}{command}"
    case = with_status(whole(), "id2", phase=Phase.BACKOFF, detail=detail)
    master.answers[PATH] = why(case, "shop", "api")
    assert run("why", "shop/api").out.splitlines()[-1] == f"Next, on h2:  {command}"
    found = run("why", "shop/api", "--output", "json").document
    assert (found["next"], found["next_on"]) == (command, "h2")
    (link,) = [one for one in found["services"][0]["links"] if one["found"] == "broken"]
    assert (link["next"], link["next_on"], link["there"]) == (command, "h2", True)


@pytest.mark.parametrize(
    ("verdict", "code"),
    [(Verdict.OK, 0), (Verdict.DEGRADED, 1), (Verdict.BROKEN, 2), (Verdict.UNKNOWN, 3)],
)
def test_exit_codes(master: FakeMaster, run: Run, verdict: Verdict, code: int) -> None:
    link = {
        Verdict.OK: Link(Step.APP, Found.OK, "x"),
        Verdict.DEGRADED: Link(Step.APP, Found.BROKEN, "x", partly=True),
        Verdict.BROKEN: Link(Step.APP, Found.BROKEN, "x"),
        Verdict.UNKNOWN: Link(Step.APP, Found.UNKNOWN, "x"),
    }[verdict]
    master.answers[PATH] = Why("shop", verdict, services=(ServiceWhy("api", verdict, (link,)),))
    assert run("why", "shop").code == code


def tried(error: Exception) -> Why:
    told = why(whole(), "shop", "api")

    def connect(address: str, port: int) -> None:
        if address == "10.0.0.2":
            raise error

    return with_links(told, [], reaching.firewall_links(told, connect))


@pytest.mark.parametrize(
    ("error", "verdict", "text"),
    [
        (socket.timeout("timed out"), Verdict.DEGRADED, "a firewall drops it"),
        (ConnectionRefusedError(), Verdict.DEGRADED, "refuses this machine"),
        (OSError(errno.EHOSTUNREACH, "no route"), Verdict.UNKNOWN, "has no way to it"),
    ],
)
def test_a_published_port_that_this_machine_does_not_reach(
    error: Exception, verdict: Verdict, text: str
) -> None:
    told = tried(error)
    assert told.verdict is verdict
    assert told.first.startswith("firewall of h2: 10.0.0.2:8080")
    assert text in told.first


def test_json(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = why(with_status(whole(), "id1", exit_code=1), "shop", "api")
    found = run("why", "shop/api", "--output", "json").document
    assert (found["schema"], found["verdict"]) == ("hullmark.why/1", "ok")
    assert found["links"][0]["step"] == "command"
    assert found["services"][0]["links"][0]["found"] == "ok"


def test_from_one_that_calls(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = why(whole(), "shop", "api", ServiceName("shop", "web"))
    done = run("why", "shop/api", "--from", "shop/web")
    assert (done.code, done.err) == (0, "")
    assert "shop/web -> shop/api  ok: every link that can be seen is whole\n" in done.out
    assert "  ok      right           shop/web and shop/api are both on network back\n" in done.out
    assert "  ok      names           h3: knows it as api, api.shop: 10.214.0.2\n" in done.out
    assert "published port" not in done.out
    assert master.requests[0].query == {"service": "api", "caller": "shop/web"}
    told = run("why", "shop/api", "--from", "shop/web", "--output", "json").document
    assert told["caller"] == "shop/web"


def test_from_one_that_may_not(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = why(whole(), "shop", "api", ServiceName("pay", "job"))
    done = run("why", "shop/api", "--from", "pay/job")
    assert done.code == 2
    assert done.out.endswith("First broken: caller: there is no app pay\nNext:  hullmark apps\n")


@pytest.mark.parametrize(
    "words", [("shop", "shop/web"), ("shop/api", "shop"), ("shop/api", "a/b.1")]
)
def test_from_is_of_one_service_to_one(run: Run, words: tuple[str, str]) -> None:
    done = run("why", words[0], "--from", words[1])
    assert done.code == 64
    assert "hullmark why APP/SERVICE --from APP/SERVICE" in done.err


@pytest.mark.parametrize("what", ["", "shop/"])
def test_forms_that_are_taken(run: Run, what: str) -> None:
    done = run("why", what)
    assert done.code == 64
    assert "APP or APP/SERVICE, such as shop/web" in done.err
    assert "SLOT" not in done.err


def test_an_empty_caller_is_none(run: Run, master: FakeMaster) -> None:
    master.answers[PATH] = why(whole(), "shop", "api")
    done = run("why", "shop/api", "--from", "")
    assert done.code == 64
    assert "APP/SERVICE, such as shop/web" in done.err
    assert master.requests == []


def test_from_is_not_known_without_a_master(run: Run, tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/none.sock"
    done = run("why", "shop/api", "--from", "shop/web", "--master", url, "--config", "/none")
    assert done.code == 3
    assert "unknown right           whether shop/web may call it" in done.out


# without a master


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This host's agent has its files here."""
    main = tmp_path / "agent.yaml"
    state = tmp_path / "state"
    state.mkdir()
    (state / "enrolment.json").write_text("{}")
    main.write_text(f"state_dir: {state}\nproxy: {{run_dir: {tmp_path}}}\n")
    monkeypatch.setenv("HULLMARK_MASTER", f"unix://{tmp_path}/none.sock")
    return state


def config(here: Path) -> str:
    return str(here.parent / "agent.yaml")


def keep(path: Path, kind: str, value: Any) -> None:
    body = canonical({"form": 1, kind: to_wire(value)})
    path.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


def told_before(here: Path, monkeypatch: pytest.MonkeyPatch, up: int) -> None:
    instance = InstanceId("shop", "api", 1, 1)
    keep(
        here / "state-a.json",
        "orders",
        Orders("c1", "id1", Epoch(1, 4), "m1", 7, (Assignment(instance, "s"),)),
    )
    entry = ServiceEntry(API, "10.214.0.2", (80,), (Share("id2", 1),))
    directory = Directory(services=(entry,), peers=(Peer("id2", "web2", "10.0.0.2", 7443),))
    keep(here / "directory.json", "directory", whylocal.Kept(directory))
    ports = (PortTraffic(ServiceName("shop", "api"), 80, up=up, members=2),)
    carried = Traffic(ports)
    monkeypatch.setattr(whylocal, "_carried", lambda folder, run_dir: carried)


def test_no_master_answers_and_this_host_has_no_agent(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("HULLMARK_MASTER", f"unix://{tmp_path}/none.sock")
    done = run("why", "shop/api", "--config", str(tmp_path / "none.yaml"))
    assert done.code == 3
    assert f"  BROKEN  command         no master answers at unix://{tmp_path}/none.sock" in done.out
    assert "What to do: start it: hullmark master run" in done.out
    assert done.out.splitlines()[-1] == "Next:  ps -eo pid,stat,args | grep '[m]asterd run'"


def test_a_master_elsewhere_is_not_looked_at_here(here: Path) -> None:
    error = MasterUnavailable("no master answers", remedy="check the address")
    told = whylocal.without_a_master("shop", "api", error, config(here), is_here=False)
    assert told.first == "command: no master answers. What to do: check the address"
    assert told.next == ""


def test_a_frozen_master_is_a_broken_link_soon(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection, and says nothing."""
    for module, name in ((why_command, "ASKED_S"), (why_command, "MASTER_S"), (client, "READ_S")):
        monkeypatch.setattr(module, name, 0.1)
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(str(tmp_path / "m.sock"))
        frozen.listen()
        done = run("why", "shop/api", "--master", f"unix://{tmp_path}/m.sock")
    assert done.code == 3
    assert "BROKEN  command" in done.out
    assert "no answer within 0.2 s" in done.out


def test_without_a_master_this_host_says_what_it_was_told(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_before(here, monkeypatch, up=2)
    done = run("why", "shop/api", "--config", config(here))
    assert done.code == 3
    assert "ok      orders          this host: 1 of its instances ordered here, by m1 in epoch 1.4" in done.out  # fmt: skip
    assert "ok      address         10.214.0.2, ports 80" in done.out
    assert "as it was told last: served by web2" in done.out
    assert "ok      members         this host: port 80: 2 of 2 members are up" in done.out
    assert "First broken: command: no master answers" in done.out


def test_without_a_master_a_member_that_is_down_here(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_before(here, monkeypatch, up=1)
    found = run("why", "shop", "--config", config(here), "--output", "json").document
    (service,) = found["services"]
    assert (service["service"], service["verdict"], found["verdict"]) == (
        "api",
        "broken",
        "unknown",
    )


def test_without_a_master_and_files_that_are_damaged(run: Run, here: Path) -> None:
    (here / "directory.json").write_text("not this")
    (here / "state-a.json").write_bytes(b"0\n{}")
    told = whylocal.without_a_master(
        "shop", "api", MasterUnavailable("no master answers"), config(here), is_here=False
    )
    found = [link.found for service in told.services for link in service.links]
    assert found == [Found.UNKNOWN, Found.UNKNOWN]


def test_a_refusal_stays_an_error(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = refusal("Forbidden", "not for you", 403)
    done = run("why", "shop/api")
    assert (done.code, done.out) == (2, "")
    assert json.dumps("not for you")[1:-1] in done.err
