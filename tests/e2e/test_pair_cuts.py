"""What a user sees of a pair of masters while something is cut, and a leader that wakes after its successor rules.

Each test cuts one thing of real processes, proves that the cut is there, and holds what both masters say against the table in
docs/operations/high-availability.md. `shop` may run anywhere; `lone` must never run twice (`on_host_lost: stop`).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from tests.chaos.faults import stopped
from tests.chaos.pair import API_PORT, Links, Master, Pair
from tests.chaos.watching import AgentsEye
from tests.cluster import wait_until
from tests.e2e.fleet_apps import SERVICE, apply, settle, web
from tests.fleet import KINDS
from tests.integration.namespaces import enter_private_network

LOST_AFTER_S = 8.0
FAILOVER_S = 15.0
"""Of a busy machine; the figure is in docs/benchmarks.md."""
LONE = f"  one:\n{SERVICE}    x-hullmark: {{on_host_lost: stop}}\n"
ETCD = ("-p", "tcp", "-m", "multiport", "--ports", "2379,2380")
ETCD_ANSWERS = ("-p", "tcp", "--sport", "2379")
Change = Callable[[], None]


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    enter_private_network()
    folder = Path(tmp_path_factory.mktemp("cuts"))
    options = f"lost_after: {LOST_AFTER_S:g}s\n"
    with Pair(folder, {"web1": KINDS["web1"]}, master_options=options) as pair:
        apply(pair, "shop", web(2))
        apply(pair, "lone", LONE)
        yield pair


@pytest.fixture
def pair(bed: Pair) -> Pair:
    """Whole before each test."""
    bed.heal()
    wait_until(lambda: status(bed)["state"] == "ok", "the pair is whole", 60)
    wait_until(lambda: not stuck(bed), "members of etcd hear each other", 60)
    return bed


def stuck(pair: Pair) -> list[str]:
    """Connections between members that still wait to send again what a cut has dropped: TCP doubles its pauses, so that members hear nothing of
    each other for as long as the cut lasted once more. The loss of the third one meanwhile would be one too many."""
    listing = ["ss", "-Htnio", "state", "established", "( sport = :2380 or dport = :2380 )"]
    found = []
    for machine in pair.machines.values():
        done = subprocess.run(
            [*machine.inside, *listing], check=True, stdout=subprocess.PIPE, text=True
        )
        found += [line for line in done.stdout.splitlines() if " backoff:" in line]
    return found


@pytest.fixture
def links(pair: Pair) -> Iterator[Links]:
    hosts = {host.name: host.network for host in pair.hosts.values()}
    links = Links({**pair.machines, **hosts})
    yield links
    links.heal()


def status(pair: Pair, master: str = "") -> Any:
    """Of whichever master answers, or of this one by its own socket; `exit` is the command's exit code."""
    more = ["status", "--output", "json"]
    done = pair.look_at(pair.masters[master], *more) if master else pair.look(*more)
    found = json.loads(done.stdout) if done.stdout else {"state": done.stderr, "epoch": "0.0"}
    return {**found, "exit": done.returncode}


def show(pair: Pair) -> None:
    for master in pair.masters.values():
        done = pair.ask(master, "status")
        print(f"--- {master.name}: exit {done.returncode}\n{done.stdout}{done.stderr}")


def events(pair: Pair, kind: str) -> list[dict[str, Any]]:
    return [one for one in pair.json("events")["events"] if one["kind"] == kind]


def refused(pair: Pair, master: Master) -> subprocess.CompletedProcess[str]:
    """A change, asked of one master's own socket, is refused; the command has tried for a while."""
    done = pair.ask(master, "scale", "shop/web=2")
    assert done.returncode != 0, f"{master.name} took a change: {done.stdout}"
    return done


def accepted(pair: Pair, master: Optional[Master] = None) -> None:
    """A change, asked of one master's own socket or of both, is done; it starts no container."""
    arguments = ("scale", "shop/web=2")
    done = pair.run(*arguments) if master is None else pair.ask(master, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def answers(pair: Pair, master: Master) -> None:
    """A question is answered, by what the master knows where need be."""
    done = pair.ask(master, "ps", "shop")
    assert done.returncode in (0, 1), done.stderr
    assert "shop/web.2" in done.stdout, done.stdout


def term(pair: Pair) -> int:
    """Of whoever the store says leads."""
    return pair.eye.leader().epoch[1]


def follows(pair: Pair, standby: Master, within_s: float) -> None:
    begun = time.monotonic()
    wait_until(lambda: pair.leader() is standby, f"{standby.name} leads", within_s)
    print(f"MEASURED from the cut until {standby.name} leads: {time.monotonic() - begun:.1f} s")


def told(pair: Pair, master: Master, *texts: str, exit_code: int) -> None:
    """`hullmark status` of this master comes to say all this, and ends so."""

    def says() -> bool:
        done = pair.look_at(master, "status")
        last[:] = [f"exit {done.returncode}\n{done.stdout}{done.stderr}"]
        return done.returncode == exit_code and all(text in done.stdout for text in texts)

    last: list[str] = []
    begun = time.monotonic()
    try:
        wait_until(says, f"{master.name} says {texts}", 25)
        print(f"MEASURED {master.name} says {texts[0]!r} after {time.monotonic() - begun:.1f} s")
    except AssertionError as error:
        raise AssertionError(f"{error}; it says: {last[0]}") from None


def test_a_leader_cut_off_from_etcd_but_not_from_agents(pair: Pair, links: Links) -> None:
    leader, standby = pair.leader(), pair.standby()
    lives, before = pair.lives("shop"), term(pair)
    for other in (standby.name, "w1"):
        links.cut_both(leader.name, other, match=ETCD)
        assert not leader.network.can_dial(pair.machines[other].address, 2379)
    follows(pair, standby, FAILOVER_S)
    host = pair.hosts["web1"].network
    assert host.can_dial(leader.network.address, 7441), "hosts still reach it"
    assert term(pair) == before + 1
    wait_until(lambda: pair.states() == {"web1": "ready"}, "the host found its new leader", 30)
    told(pair, leader, "nothing can be changed: the store does not answer", exit_code=2)
    told(pair, leader, "leader    none", "apps      2 ok", exit_code=2)
    answers(pair, leader)
    assert "the store does not answer" in refused(pair, leader).stderr
    told(pair, standby, f"leader    {standby.name}", "one more loss -> read-only", exit_code=1)
    told(pair, standby, f"standby {leader.name}  absent", "etcd 2/3", exit_code=1)
    accepted(pair, standby)
    accepted(pair)
    assert links.dropped() > 0
    links.heal()
    wait_until(lambda: status(pair, leader.name)["state"] == "ok", "it is the standby", 40)
    assert pair.leader() is standby, "who came back takes nothing"
    assert term(pair) == before + 1
    assert pair.lives("shop") == lives


def test_a_leader_cut_off_from_agents_but_not_from_etcd(pair: Pair, links: Links) -> None:
    leader, standby = pair.leader(), pair.standby()
    lives, before = pair.lives("shop"), term(pair)
    links.isolate(leader.name, list(pair.hosts))
    assert not pair.hosts["web1"].network.can_dial(leader.network.address, 7441)
    assert leader.network.can_dial(standby.network.address, 2379)
    follows(pair, standby, LOST_AFTER_S + FAILOVER_S)
    wait_until(lambda: pair.states() == {"web1": "ready"}, "its successor hears the host", 30)
    assert term(pair) == before + 1
    why = [one["message"] for one in events(pair, "master.stopped")]
    assert any("it hears 0 hosts, and its standby 1" in text for text in why), why
    for master in (leader, standby):
        told(pair, master, f"leader    {standby.name}", "hosts     1 ok", exit_code=0)
        accepted(pair, master)
    assert links.dropped() > 0
    assert pair.lives("shop") == lives


def test_the_pair_cut_off_from_each_other(pair: Pair, links: Links) -> None:
    leader, standby = pair.leader(), pair.standby()
    lives, before = pair.lives(), term(pair)
    links.cut_both("m1", "m2")
    assert not standby.network.can_dial(leader.network.address, 7441)
    assert not leader.network.can_dial(standby.network.address, 2379)
    told(pair, leader, "leader    ", "etcd 2/3", "one more loss -> read-only", exit_code=1)
    for master in (leader, standby):
        assert master.network.can_dial(pair.machines["w1"].address, 2379)
    leads = pair.leader()
    other = next(one for one in pair.masters.values() if one is not leads)
    note = f"this master is the standby, and can't reach the leader {leads.name}"
    told(pair, other, note, "are not known to this master", exit_code=1)
    answers(pair, other)
    assert f"the leader, {leads.name}" in refused(pair, other).stderr
    accepted(pair, leads)
    accepted(pair)
    assert links.dropped() > 0
    # Where a member hears the one that led etcd no more, the masters may have elected anew, and back again.
    assert term(pair) - before <= 2
    assert pair.lives() == lives


@pytest.mark.parametrize("which", ["witness", "leader"])
def test_one_member_of_etcd_lost(pair: Pair, which: str) -> None:
    leader = pair.leader()
    lives, before = pair.lives(), term(pair)
    member = pair.member("w1" if which == "witness" else leader.name)
    member.kill()
    assert not member.running
    accepted(pair)
    for master in pair.masters.values():
        texts = (f"etcd 2/3   member {member.name} silent", "one more loss -> read-only")
        told(pair, master, *texts, f"systemctl status etcd   (on {member.name})", exit_code=1)
        accepted(pair, master)
    assert term(pair) - before <= 1
    assert pair.lives() == lives


def test_two_members_of_etcd_lost(pair: Pair) -> None:
    """`lone` stops itself, as its service asks where no leader is heard, and nothing else does."""
    leader, standby = pair.leader(), pair.standby()
    shop, lone, before = pair.lives("shop"), pair.lives("lone"), term(pair)
    for machine in ("w1", standby.name):
        pair.member(machine).kill()
    begun = time.monotonic()
    for master in pair.masters.values():
        told(pair, master, "nothing can be changed", "read-only now", exit_code=2)
        told(pair, master, "etcd 1/3", "systemctl start etcd", exit_code=2)
        answers(pair, master)
    assert "nothing can be changed now" in refused(pair, leader).stderr
    assert "nothing can be changed now" in refused(pair, standby).stderr
    wait_until(lambda: not pair.lives("lone"), "lone stops itself", LOST_AFTER_S + 15)
    assert time.monotonic() - begun > LOST_AFTER_S / 2
    assert pair.lives("shop") == shop
    killed = next(one for one in pair.running("shop") if one.slot == "shop/web.1")
    subprocess.run(["kill", "-9", str(killed.inspected["State"]["Pid"])], check=True)
    wait_until(lambda: len(pair.lives("shop") - shop) == 1, "what ends is started again", 20)
    shop = pair.lives("shop")
    pair.member("w1").start()
    told(pair, leader, "etcd 2/3", "one more loss -> read-only", exit_code=1)
    accepted(pair)
    wait_until(lambda: pair.lives("lone"), "lone goes on", 30)
    assert {one[1] for one in pair.lives("lone")} == {one[1] for one in lone}, "the same container"
    assert term(pair) > before
    assert pair.lives("shop") == shop


class Caller:
    """A connection to a master's API that is open before it is needed; it sends, and is answered later."""

    def __init__(self, pair: Pair, master: Master) -> None:
        token = pair.folder / "token"
        if not token.exists():
            pair.hullmark(
                "token", "create", "cuts", "--role", "deployer", "--token-file", str(token)
            )
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trust.load_verify_locations(master.state / "pki" / "root.pem")
        address = master.network.address
        self._connection = http.client.HTTPSConnection(address, API_PORT, context=trust, timeout=30)
        self._head = {
            "Authorization": f"Bearer {token.read_text().strip()}",
            "Content-Type": "application/json",
        }
        self._connection.request("GET", "/v1/ca", headers=self._head)
        assert self.answer()[0] == 200

    def scale(self, number: int, request_id: str) -> None:
        body = json.dumps({"services": {"web": number}, "request_id": request_id})
        self._connection.request("POST", "/v1/apps/shop/scale", body, self._head)

    def answer(self) -> tuple[int, Any]:
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *reason: object) -> None:
        self._connection.close()


def generation(pair: Pair) -> int:
    """Of the shop, as the store has it."""
    spec = pair.eye.app("shop")
    assert spec is not None
    return spec.generation


def freeze_after_the_commit(pair: Pair, links: Links, leader: Master, change: Change) -> None:
    """The store takes the change, and its answer doesn't come through: neither the person nor the host is told."""
    known = generation(pair)
    for machine in pair.machines:
        links.cut(machine, leader.name, match=ETCD_ANSWERS)
    change()
    wait_until(lambda: generation(pair) > known, "the store has it", 2)
    leader.pause()
    wait_until(lambda: stopped(leader.pid), "the leader is frozen", 2)
    assert links.dropped() > 0
    links.heal()  # what the store answered waits for the leader


def freeze_after_the_answer(pair: Pair, links: Links, leader: Master, change: Change) -> None:
    """The person has the answer; the host's is under way, and comes through when the leader wakes."""
    links.cut(leader.name, "web1")
    change()
    wait_until(lambda: links.dropped() > 0, "what it tells the host is dropped", 2)
    leader.pause()
    wait_until(lambda: stopped(leader.pid), "the leader is frozen", 2)


@pytest.mark.parametrize("freeze", [freeze_after_the_commit, freeze_after_the_answer])
def test_a_leader_that_wakes_after_its_successor_rules(
    pair: Pair, links: Links, freeze: Callable[..., None]
) -> None:
    """It froze with a change in its hands. What it still says and does then changes nothing on any host, and nothing in the
    store."""
    pair.hullmark("scale", "shop/web=2")
    leader, standby = pair.leader(), pair.standby()
    with Caller(pair, leader) as early, Caller(pair, leader) as late, Caller(pair, standby) as then:
        before, known = term(pair), generation(pair)
        standby.pause()  # however slow this machine is, nobody takes over before all has been looked at
        freeze(pair, links, leader, lambda: early.scale(3, f"{known}-early"))
        assert term(pair) == before, "it led until then"
        assert len(pair.running("shop")) == 2, "the host was not told"
        standby.resume()
        follows(pair, standby, FAILOVER_S)
        wait_until(lambda: len(pair.running("shop")) == 3, "what was committed is done", 30)
        done = pair.ask(standby, "scale", "shop/web=1")
        assert done.returncode == 0, done.stdout + done.stderr
        wait_until(lambda: len(pair.containers("shop")) == 1, "two are gone", 30)
        late.scale(5, f"{known}-late")
        with nothing_changes(pair):
            links.heal()
            leader.resume()
            code, said = late.answer()
            assert (code, said["error"]) == (421, "StaleEpoch"), said
            settle(5.0)
        assert term(pair) == before + 1
        code, said = early.answer()
        assert code in (200, 503), (
            said
        )  # it is done, or its outcome is not known: never that it was refused
        then.scale(3, f"{known}-early")
        code, said = then.answer()
        assert (code, said["generation"]) == (200, known + 1), "what became of it is known"
    told(pair, leader, f"leader    {standby.name}", exit_code=0)
    assert len(pair.containers("shop")) == 1
    refusal = re.compile(r'what="POST /v1/apps/{app}/scale" app=shop origin=192.* status=421')
    assert refusal.search(leader.log.read_text()), "the refusal is on record"
    assert [one["origin"] for one in events(pair, "master.leading")][-1] == standby.name


@contextlib.contextmanager
def nothing_changes(pair: Pair) -> Iterator[None]:
    """Meanwhile: who leads, what apps are asked for, whom the host obeys, and its containers."""
    pair.eye.catch_up()
    reign, specs = pair.eye.leader(), len(pair.eye.specs)
    lives = sorted(one.life for one in pair.containers())
    obeyed = AgentsEye(pair.hosts)
    obeyed.look(also_same=True)
    obeyed.start()
    yield
    obeyed.stop()
    obeyed.look(also_same=True)
    assert {(one.epoch, one.leader) for one in obeyed.found()} == {(reign.epoch, reign.leader)}
    assert sorted(one.life for one in pair.containers()) == lives
    pair.eye.catch_up()
    assert (len(pair.eye.specs), pair.eye.leader()) == (specs, reign)
